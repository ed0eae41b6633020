"""Inboxes as resources: read without marking, and subscribed to by clients of both eras, over pipes and HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp.types as types
import pytest
from mcp import Client, MCPError

from gitmem.domains.messages.record import place_of
from gitmem.domains.presence import seen
from gitmem.facade import mcp_server
from gitmem.facade.calls import Office
from gitmem.facade.subscriptions import Subscriptions
from gitmem.facade.watching import Watch
from gitmem.memory.memory import Memory
from tests.conftest import Team
from tests.facade.serving import http_server, over_stdio

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:resources/:UserWarning")]
URI = "inbox://web/bob"
PATIENCE_SECONDS = 10


@pytest.fixture
def web(team: Team) -> Team:
    for name in ("bob", "cy"):
        team.call("project", action="add_agent", name="web", member=name)
    return team


@pytest.fixture
def office(web: Team) -> Office:
    return Office(web.memory)


def send(team: Team, text: str, to: str = "bob") -> None:
    team.call("send_message", to_instance=to, message=text)


class Told:
    """What a client was told, whichever way its era has."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.changed = anyio.Event()

    async def handler(self, message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            self.note(str(message.params.uri))

    def note(self, uri: str) -> None:
        self.uris.append(uri)
        self.changed.set()

    async def next(self) -> None:
        with anyio.fail_after(PATIENCE_SECONDS):
            await self.changed.wait()
        self.changed = anyio.Event()


@asynccontextmanager
async def subscribed(server: Any, mode: str, *uris: str) -> AsyncIterator[tuple[Client, Told]]:
    told = Told()
    # in the newer era, the client tells its message handler of what it listens to as well
    async with Client(server, mode=mode, message_handler=told.handler if mode == "legacy" else None) as client:
        if mode == "legacy":
            for uri in uris:
                await client.subscribe_resource(uri)
            yield client, told
            return
        async with client.listen(resource_subscriptions=list(uris)) as subscription, anyio.create_task_group() as tasks:

            async def follow() -> None:
                async for event in subscription:
                    told.note(event.uri)

            tasks.start_soon(follow)
            yield client, told
            tasks.cancel_scope.cancel()


async def messages_in(client: Client, uri: str = URI) -> dict[str, Any]:
    contents = (await client.read_resource(uri)).contents[0]
    assert isinstance(contents, types.TextResourceContents)
    assert contents.mime_type == "application/json"
    return json.loads(contents.text)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_inbox_is_a_resource_that_can_be_read_without_marking(office: Office, web: Team, mode: str) -> None:
    send(web, "one")
    async with Client(mcp_server.server(office, mcp_server.Profile()), mode=mode) as client:
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        assert templates == ["gitmem://{project}/{id}", "inbox://{project}/{agent}"]
        for _ in range(2):
            read = await messages_in(client)
            assert (read["project"], read["agent"], read["total"]) == ("web", "bob", 1)
            assert [each["message"] for each in read["messages"]] == ["one"]
        for odd in ("inbox://web", "inbox://web/", "inbox://web/..", "inbox://nope/bob", "inbox://web/bob/x", "inbox://web/%2e", "inbox://"):
            with pytest.raises(MCPError) as refused:
                await client.read_resource(odd)
            assert refused.value.error.code == types.INVALID_PARAMS
    assert web.call("get_messages", agent="bob")["count"] == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_who_subscribes_is_told_of_each_arrival_and_of_nothing_else(office: Office, web: Team, mode: str) -> None:
    async with subscribed(mcp_server.server(office, mcp_server.Profile()), mode, URI) as (client, told):
        send(web, "for another", to="cy")
        web.call("get_messages", agent="bob")
        seen(web.memory, "web", "bob")
        send(web, "one")
        await told.next()
        assert [each["message"] for each in (await messages_in(client))["messages"]] == ["one"]
        send(web, "to everybody", to="*")
        await told.next()
        assert told.uris == [URI, URI]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_over_pipes_is_told_of_what_another_process_sent(web: Team, mode: str) -> None:
    async with subscribed(over_stdio(web.memory.path), mode, URI) as (client, told):
        send(web, "one")
        await told.next()
        assert (await messages_in(client))["total"] == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_over_http_is_told_of_what_another_process_sent(web: Team, mode: str) -> None:
    with http_server(web.memory.path) as (base, _):
        async with subscribed(f"{base}/mcp", mode, URI) as (client, told):
            send(web, "one")
            await told.next()
            assert (await messages_in(client))["total"] == 1


async def test_several_clients_of_both_eras_are_told_and_leave_nothing_behind(office: Office, web: Team) -> None:
    facade = mcp_server._Facade(office, mcp_server.Profile())
    watch = facade.subscriptions._watch
    server = facade.server()
    async with subscribed(server, "auto", URI, "inbox://web/cy") as (_, first):
        async with subscribed(server, "legacy", URI) as (_, second):
            send(web, "to everybody", to="*")
            await first.next()
            await second.next()
            assert not watch.is_idle
        send(web, "again")
        await first.next()
    assert watch.is_idle
    assert second.uris == [URI]


async def test_a_subscription_that_is_given_up_is_heard_of_no_more(office: Office, web: Team) -> None:
    async with subscribed(mcp_server.server(office, mcp_server.Profile()), "legacy", URI, URI, "inbox://web/cy") as (client, told):
        await client.unsubscribe_resource(URI)
        await client.unsubscribe_resource("inbox://web/zoe")
        send(web, "one")
        send(web, "two", to="cy")
        await told.next()
        assert told.uris == ["inbox://web/cy"]


async def test_what_is_no_inbox_cannot_be_subscribed_to(office: Office) -> None:
    async with Client(mcp_server.server(office, mcp_server.Profile()), mode="legacy") as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.subscribe is True
        for odd in ("gitmem://web/project", "inbox://nope/bob", "inbox://web/..", "web"):
            with pytest.raises(MCPError, match=r"is not an inbox|There is no project"):
                await client.subscribe_resource(odd)


async def test_in_the_newer_era_what_never_changes_can_be_listened_to(office: Office, web: Team) -> None:
    async with subscribed(mcp_server.server(office, mcp_server.Profile()), "auto", "gitmem://web/project", URI) as (_, told):
        send(web, "one")
        await told.next()
        assert told.uris == [URI]


async def test_a_memory_that_cannot_be_read_for_a_while_stops_no_subscription(web: Team, caplog: pytest.LogCaptureFixture) -> None:
    subscriptions, path = Subscriptions(web.memory), web.memory.path / place_of("web").ref
    send(web, "one")
    await subscriptions._add(URI)
    good = path.read_text()
    path.write_text("broken\n")
    assert await subscriptions._arrived() == []
    assert "inboxes cannot be watched: refs/gitmem/messages/web cannot be read" in caplog.text
    path.write_text(good)
    send(web, "two")
    assert await subscriptions._arrived() == [URI]


def test_nobody_watches_until_somebody_subscribes(memory: Memory) -> None:
    assert Watch(memory).is_idle
    assert Subscriptions(memory)._watch.is_idle


def test_a_watch_tells_what_came_since_the_last_look_to_all_who_watch(web: Team, tmp_path: Path) -> None:
    watch = Watch(web.memory)
    send(web, "before")
    watch.add(URI)
    watch.add(URI)
    assert watch.arrived() == []
    send(web, "one")
    assert watch.arrived() == [URI]
    assert watch.arrived() == []
    watch.drop(URI)
    sent = web.call("send_message", to_instance="bob", message="two")["id"]
    assert watch.arrived() == [URI]
    web.call("update_message_status", agent="bob", id=sent, status="completed")
    assert watch.arrived() == []
    watch.drop(URI)
    watch.drop(URI)
    assert watch.is_idle
