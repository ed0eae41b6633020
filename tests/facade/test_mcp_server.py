"""The MCP server as clients see it, in both protocol eras and without a process of its own."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import mcp.types as types
import pytest
from mcp import Client, MCPError

from gitmem import answers, verbs
from gitmem.facade import mcp_server
from gitmem.facade.calls import Office
from gitmem.facade.manual import UnknownTopic
from gitmem.memory.memory import Memory
from gitmem.verbs import VERBS

pytestmark = pytest.mark.anyio
BYTES_OF_CORE = 10_000


@pytest.fixture
def office(memory: Memory) -> Iterator[Office]:
    with closing(Office(memory)) as opened:
        yield opened


@pytest.fixture
def adas_office(memory: Memory) -> Iterator[Office]:
    with closing(Office(memory, agent="ada", project="shop")) as opened:
        yield opened


@pytest.fixture(params=["auto", "legacy"])
async def client(request: pytest.FixtureRequest, office: Office) -> AsyncIterator[Client]:
    async with connect(office, request.param) as connected:
        await connected.list_tools()
        await connected.call_tool("memory_project", {"action": "create", "name": "shop", "description": "The web shop"})
        yield connected


def connect(office: Office, mode: str = "auto", profile: str = "core", prefix: str = "memory_", name: str = "Test Client") -> Client:
    server = mcp_server.server(office, mcp_server.Profile(profile, prefix))
    return Client(server, mode=mode, client_info=types.Implementation(name=name, version="1"))


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


LEARNING = {"topic": "Retries need a jitter", "content": "Without one, all clients\nretry at once.", "project": "shop"}


# --- listing ---


async def test_the_core_profile_lists_the_core_verbs_with_help_and_call(client: Client) -> None:
    listed = [tool.name for tool in (await client.list_tools()).tools]
    assert listed == [f"memory_{verb.name}" for verb in VERBS.values() if verb.core] + ["memory_help", "memory_call"]


async def test_the_core_profile_costs_a_model_at_most_2500_tokens(client: Client) -> None:
    tools = (await client.list_tools()).tools
    seen = [{"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema} for tool in tools]
    assert len(json.dumps(seen, separators=(",", ":"))) < BYTES_OF_CORE


async def test_the_profile_all_lists_every_verb_with_a_schema_of_what_it_answers(office: Office) -> None:
    async with connect(office, profile="all") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {f"memory_{name}" for name in VERBS} | {"memory_help"}
    for name in VERBS:
        told = tools[f"memory_{name}"].output_schema
        assert told is not None
        whole = answers.schema_of(VERBS[name])
        assert (told["type"], told.get("required")) == ("object", whole.get("required"))
        assert set(told["properties"]) == set(whole["properties"])


async def test_a_listed_schema_tells_the_keys_of_entries_and_no_types_of_them(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    told = tools["memory_query"].output_schema
    assert told is not None
    whole = answers.schema_of(VERBS["query"])["properties"]["results"]["items"]
    assert told["properties"]["results"] == {"type": "array", "items": {"type": "object", "required": whole["required"]}}
    assert told["properties"]["total"] == {"type": "integer"}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_no_news_of_lists_are_promised_that_never_come(office: Office, mode: str) -> None:
    async with connect(office, mode=mode) as client:
        told = client.server_capabilities
        for each in (told.tools, told.prompts, told.resources):
            assert each is not None
            assert not each.list_changed


async def test_every_part_of_every_listed_schema_says_one_type(office: Office) -> None:
    async with connect(office, profile="all") as client:
        for tool in (await client.list_tools()).tools:
            for where, schema in parts_of(tool.name, {"properties": {"in": tool.input_schema, "out": tool.output_schema or {}}}):
                assert isinstance(schema.get("type", ""), str), where
                assert schema.keys() & {"type", "enum", "const", "anyOf"} or tool.output_schema is None, where


def parts_of(where: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas within a schema, with where they are."""
    inner = {f"{where}.{name}": each for name, each in schema.get("properties", {}).items()}
    inner |= {f"{where}.{name}": schema[name] for name in ("items", "additionalProperties") if name in schema}
    for place, each in inner.items():
        yield place, each
        yield from parts_of(place, each)


async def test_every_tool_says_what_it_does_to_the_memory_in_at_most_three_sentences(office: Office) -> None:
    async with connect(office, profile="all") as client:
        for tool in (await client.list_tools()).tools:
            verb = VERBS.get(tool.name.removeprefix("memory_"), mcp_server.HELP)
            hints = tool.annotations
            assert hints is not None
            assert (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint) == (
                not verb.writes, verb.destructive, verb.idempotent, False,
            )
            assert tool.description
            assert tool.description.count(". ") < 3, tool.description


async def test_a_profile_picks_tools_and_groups_and_a_prefix_can_be_empty(office: Office) -> None:
    group = verbs.find("list_sessions").group
    async with connect(office, profile=f"query, {group}", prefix="") as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
    members = [verb.name for verb in VERBS.values() if verb.group == group or verb.name == "query"]
    assert listed == [*members, "help", "call"]


async def test_a_profile_with_an_unknown_name_is_refused_with_a_near_one(office: Office) -> None:
    with pytest.raises(UnknownTopic, match="Did you mean query"):
        connect(office, profile="core,qery")


async def test_the_session_id_is_listed_only_where_nothing_else_tells_who_calls(office: Office, adas_office: Office) -> None:
    async with connect(office) as client:
        assert "session_id" in (await client.list_tools()).tools[0].input_schema["properties"]
    async with connect(adas_office) as client:
        assert "session_id" not in (await client.list_tools()).tools[0].input_schema["properties"]


# --- calling ---


async def test_an_answer_is_structured_and_the_same_in_short_for_the_model(client: Client) -> None:
    recorded = await client.call_tool("memory_record_learning", LEARNING)
    assert not recorded.is_error
    answer = recorded.structured_content
    assert answer["title"] == "Retries need a jitter"
    shown = text(recorded).splitlines()
    assert shown[0] == f"id: {answer['id']}, version: {answer['version'][:12]}, commit: {answer['commit'][:12]}"
    assert "retry at once" not in text(recorded)

    whole = await client.call_tool("memory_get_by_id", {"id": answer["id"]})
    assert whole.structured_content["content"] == LEARNING["content"]
    assert "recorded by test-client, less than a minute ago (not instructions):\n> Without one, all clients\n> retry at once." in text(whole)


async def test_a_call_without_the_prefix_or_outside_the_profile_works_as_well(client: Client) -> None:
    for name in ("project", "list_projects", "memory_list_sessions"):
        result = await client.call_tool(name, {"action": "list"} if name == "project" else {"project": "shop"})
        assert not result.is_error, text(result)


async def test_an_unknown_tool_is_refused_with_near_names(client: Client) -> None:
    result = await client.call_tool("memory_record_lerning", LEARNING)
    assert result.is_error
    assert text(result) == "There is no tool 'record_lerning'.\nDid you mean record_learning?"
    assert result.structured_content is None
    assert result.meta is not None
    assert result.meta["dev.gitmem/error"]["kind"] == "UnknownVerb"


async def test_an_unknown_argument_is_refused_with_the_nearest_and_a_list(client: Client) -> None:
    result = await client.call_tool("memory_record_learning", {"topik": "x", "content": "y", "project": "shop"})
    assert result.is_error
    assert result.meta is not None
    error = result.meta["dev.gitmem/error"]
    assert "'topik' is not an argument, did you mean 'topic'?" in error["message"]
    assert "topic is missing" in error["message"]
    assert error["fix"].startswith("record_learning takes topic, content, [tags]")


async def test_a_refusal_names_what_helps(client: Client) -> None:
    result = await client.call_tool("memory_record_learning", LEARNING | {"project": "shoop"})
    assert result.is_error
    assert "There is no project 'shoop'" in text(result)
    assert "Did you mean shop?" in text(result)


async def test_a_failure_of_ours_is_an_answer_without_details_and_a_log_entry_with_them(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(desk: object) -> int:
        """Break."""
        raise ZeroDivisionError("the secret detail")

    monkeypatch.setitem(VERBS, "broken", verbs.Verb("broken", broken, False, False, True, False, False))
    result = await client.call_tool("memory_broken", {})
    assert result.is_error
    assert "gitmem has a bug" in text(result)
    assert "secret" not in json.dumps(result.meta) + text(result)
    assert "the secret detail" in caplog.text


async def test_help_lists_all_tools_one_tool_or_a_group(client: Client) -> None:
    everything = text(await client.call_tool("memory_help", {}))
    assert all(f"  {name}: " in everything for name in VERBS)
    one = text(await client.call_tool("memory_help", {"topic": "memory_record_learning"}))
    assert one.startswith("record_learning (writes): Record something you learned")
    assert "  topic (text, required): " in one
    assert "  memory_type (one of api_spec, " in one
    wrong = await client.call_tool("memory_help", {"topic": "record_lerning"})
    assert wrong.is_error
    assert "Did you mean record_learning" in text(wrong)


async def test_call_reaches_every_tool_with_the_same_checks(client: Client) -> None:
    done = await client.call_tool("memory_call", {"tool": "memory_list_sessions", "arguments": {"project": "shop"}})
    assert not done.is_error
    assert done.structured_content["count"] == 0
    outer = await client.call_tool("memory_call", {"tool": "list_sessions", "project": "shop"})
    assert not outer.is_error
    wrong = await client.call_tool("memory_call", {"tool": "list_sessions", "arguments": {"projekt": "shop"}})
    assert "did you mean 'project'" in text(wrong)
    again = await client.call_tool("memory_call", {"tool": "call", "arguments": {}})
    assert again.is_error


async def test_arguments_that_look_like_json_stay_text(client: Client) -> None:
    made = await client.call_tool("memory_record_learning", {"topic": "null", "content": '{"a": [1]}', "project": "shop"})
    whole = await client.call_tool("memory_get_by_id", {"id": made.structured_content["id"]})
    assert (whole.structured_content["title"], whole.structured_content["content"]) == ("null", '{"a": [1]}')


# --- who is calling ---


async def author(client: Client, topic: str, meta: dict[str, str] | None = None, **arguments: str) -> str:
    made = await client.call_tool("memory_record_learning", LEARNING | {"topic": topic} | arguments, meta=meta)
    assert not made.is_error, text(made)
    return (await client.call_tool("memory_get_by_id", {"id": made.structured_content["id"]})).structured_content["author"]


async def test_a_session_id_outranks_a_stated_name_and_that_the_clients_own(client: Client) -> None:
    assert await author(client, "one") == "test-client"
    assert await author(client, "two", meta={"dev.gitmem/agent": "ada"}) == "ada"
    started = await client.call_tool("memory_start_session", {"agent": "grace", "project": "shop", "task_description": "x"})
    assert not started.is_error, text(started)
    session_id = started.structured_content["session_id"]
    assert await author(client, "three", meta={"dev.gitmem/agent": "ada"}, session_id=session_id) == "grace"


async def test_the_process_says_who_calls_unless_the_call_does(adas_office: Office) -> None:
    async with connect(adas_office) as client:
        await client.call_tool("memory_project", {"action": "create", "name": "shop"})
        assert await author(client, "one") == "ada"
        assert await author(client, "two", meta={"dev.gitmem/agent": "grace"}) == "grace"
        unsaid = {name: value for name, value in LEARNING.items() if name != "project"}
        assert (await client.call_tool("memory_record_learning", unsaid)).structured_content["project"] == "shop"


async def test_a_name_stated_outside_the_arguments_outranks_the_agent_argument_of_start_session(client: Client) -> None:
    started = await client.call_tool(
        "memory_start_session", {"claude_instance": "grace", "project": "shop"}, meta={"dev.gitmem/agent": "ada"}
    )
    assert started.is_error or "_ada_" in started.structured_content["session_id"]


async def test_a_name_that_cannot_be_one_is_refused(client: Client) -> None:
    result = await client.call_tool("memory_record_learning", LEARNING, meta={"dev.gitmem/agent": "../ada"})
    assert result.is_error
    assert "cannot be the name of an agent" in text(result)


async def test_an_unknown_session_is_refused_with_what_helps(client: Client) -> None:
    result = await client.call_tool("memory_record_learning", LEARNING | {"session_id": "shop_ada_00000000"})
    assert result.is_error
    assert "start_session" in text(result)


async def test_a_client_whose_name_is_no_name_is_anonymous(office: Office) -> None:
    async with connect(office, name="???") as client:
        await client.call_tool("memory_project", {"action": "create", "name": "shop"})
        assert await author(client, "one") == "anonymous"


# --- resources and prompts ---


async def test_projects_are_listed_as_resources_and_records_are_read_as_their_files(client: Client) -> None:
    assert [str(each.uri) for each in (await client.list_resources()).resources] == ["gitmem://shop/project"]
    assert (await client.list_resource_templates()).resource_templates[0].uri_template == "gitmem://{project}/{id}"
    made = await client.call_tool("memory_record_learning", LEARNING)
    read = await client.read_resource(f"gitmem://shop/{made.structured_content['id']}")
    contents = read.contents[0]
    assert isinstance(contents, types.TextResourceContents)
    assert contents.mime_type == "text/markdown"
    assert contents.text.startswith("---\n")
    assert contents.text.rstrip().endswith("retry at once.")
    overview = (await client.read_resource("gitmem://shop/project")).contents[0]
    assert isinstance(overview, types.TextResourceContents)
    assert "The web shop" in overview.text


@pytest.mark.parametrize("uri", ["gitmem://shop/nothing-00000000", "gitmem://none/project", "gitmem://shop/../x", "file:///etc/passwd"])
async def test_a_resource_that_is_not_there_is_named_in_the_error(client: Client, uri: str) -> None:
    with pytest.raises(MCPError) as raised:
        await client.read_resource(uri)
    assert raised.value.error.code == types.INVALID_PARAMS
    assert raised.value.error.data == {"uri": uri}


async def test_a_record_of_another_project_is_not_read_under_this_ones_name(client: Client) -> None:
    await client.call_tool("memory_project", {"action": "create", "name": "other"})
    made = await client.call_tool("memory_record_learning", LEARNING)
    with pytest.raises(MCPError, match="is not in"):
        await client.read_resource(f"gitmem://other/{made.structured_content['id']}")


async def test_prompts_name_the_tools_as_this_server_does_and_need_no_arguments(office: Office) -> None:
    async with connect(office, prefix="team_") as client:
        assert {prompt.name for prompt in (await client.list_prompts()).prompts} == {"start-work", "park"}
        start = (await client.get_prompt("start-work")).messages[0].content
        assert isinstance(start, types.TextContent)
        assert "team_start_session" in start.text
        park = (await client.get_prompt("park", {"summary": "half done"})).messages[0].content
        assert isinstance(park, types.TextContent)
        assert park.text.endswith("Summary: half done")


async def test_names_of_projects_are_completed(client: Client) -> None:
    template = types.ResourceTemplateReference(uri="gitmem://{project}/{id}")
    done = await client.complete(template, {"name": "project", "value": "sh"})
    assert done.completion.values == ["shop", "shared"]
    assert (await client.complete(template, {"name": "id", "value": "a"})).completion.values == []


async def test_an_unknown_prompt_is_an_error_that_lists_the_known_ones(client: Client) -> None:
    with pytest.raises(MCPError, match="start-work, park"):
        await client.get_prompt("begin")


async def test_no_argument_is_mirrored_in_a_header_so_that_calls_need_no_look_at_the_list(office: Office) -> None:
    server = mcp_server.server(office, mcp_server.Profile("all"))
    assert server.get_tool_input_schema is not None
    assert server.get_tool_input_schema("memory_query") is None
    async with Client(server) as client:
        assert "x-mcp-header" not in (await client.list_tools()).model_dump_json()
