"""A server that is killed and started again: everything that it answered is there, in every domain of coordination."""

import signal
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.http_calls import Connection
from tests.conftest import git
from tests.facade.serving import http_server

SETTINGS = '{"project": "web"}'


class Served:
    """A server process and a kept connection for each agent that calls it."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._at = host, int(port)
        self._connections: dict[str, Connection] = {}

    def close(self) -> None:
        for each in self._connections.values():
            each.close()

    def call(self, verb: str, *, by: str = "ann", **arguments: Any) -> Any:
        if by not in self._connections:
            self._connections[by] = Connection(*self._at, agent=by)
        return self._connections[by].call(verb, **arguments)


def coordinate(server: Served) -> dict[str, Any]:
    """A call of every domain, each answered; what a later reader has to find."""
    call = server.call
    call("project", action="create", name="web")
    call("project", action="add_agent", name="web", member="bob")
    said = {"ann": call("start_session", task_description="the till")["session_id"]}
    said["bob"] = call("start_session", by="bob", task_description="the cart")["session_id"]
    said["fence"] = call("lock_files", files=["src/"], reason="moving it")["fence"]
    call("lock_files", by="bob", files=["docs/"], reason="writing")
    call("break_lock", files=["docs/"], reason="it is mine to write")
    call("update_work", by="bob", title="Cart", status="blocked", waiting_for_signal="till-ready", files_touched=["cart.py"])
    call("update_work", title="Till", status="completed", signals=["till-ready"])
    said["read"] = call("send_message", by="bob", to_instance="ann", message="Have you a minute?")["id"]
    call("get_messages")
    said["claimed"] = call("send_message", by="bob", to_instance="*", message="Who takes the release?", category="task")["id"]
    call("claim_message", id=said["claimed"])
    said["unread"] = call("send_message", by="bob", to_instance="ann", message="It rained in.", priority="urgent")["id"]
    call("heartbeat", by="bob", status="busy", current_task="adding up")
    call("set_autopilot", agent="bob", enabled=True, hourly_budget=3)
    first = call("add_backlog_item", title="Count the change", priority="high")["id"]
    said["item"] = call("add_backlog_item", title="Print the bill", blocked_by=[first])["id"]
    call("claim_backlog_item", id=first)
    call("complete_backlog_item", id=first, resolution="counted")
    call("claim_backlog_item", by="bob", id=said["item"])
    call("set_plan", by="bob", id=said["item"], plan="Buy paper.")
    call("checklist", action="create", name="release", items=["build", "tell"])
    call("checklist", by="bob", action="check", name="release", item_index=1, notes="told")
    call("define_spec", name="till", content="One drawer.", spec_type="interface")
    call("define_spec", name="till", content="Two drawers.", bump="minor")
    call("guidelines", action="set", name="small", rule="Commit small.")
    call("remember", key="printer", value="in the cellar")
    call("recall", key="printer")
    call("recall", key="printer")
    call("context", action="set", key="env", value={"stage": 2})
    call("start_session", by="eve")  # nobody knows her
    done = call("start_session", by="pat")["session_id"]
    call("end_session", by="pat", session_id=done, summary="looked", handoff_notes="The drawer jams.")
    return said


def check(server: Served, said: dict[str, Any]) -> None:
    call = server.call
    members = {each["name"]: each["tier"] for each in call("project", action="get", name="web")["project"]["members"]}
    assert members == {"ann": "admin", "bob": "member", "eve": "pending", "pat": "pending"}
    live = call("list_sessions", status="active")["sessions"]
    assert {each["agent"] for each in live} == {"ann", "bob", "eve"}
    assert {said["ann"], said["bob"]} < {each["id"] for each in live}
    assert [(each["file"], each["fence"]) for each in call("get_locks", by="bob")["locks"]] == [("src/", said["fence"])]
    assert call("lock_files", by="bob", files=["src/a.py"], reason="as well")["conflicts"][0]["held_by"] == "ann"
    (work,) = call("get_active_work")["currently_active"]
    assert (work["agent"], work["status"]) == ("bob", "in_progress")
    assert [each["name"] for each in call("get_active_work")["recent_signals"]] == ["till-ready"]
    states = {each["id"]: each["status"] for each in call("get_messages", include_delivered=True)["messages"]}
    assert (states[said["read"]], states[said["claimed"]]) == ("delivered", "received")
    told = " ".join(each["subject"] for each in call("get_messages", by="bob")["messages"])
    assert "till-ready is raised" in told
    assert "Your lock on docs/ was broken" in told
    state = call("get_agent_status", agent="bob")
    assert (state["status"], state["current_task"]) == ("busy", "adding up")
    assert call("autopilot_status", agent="bob")["policies"][0]["hourly_budget"] == 3
    item = call("get_backlog_item", id=said["item"])
    assert (item["status"], item["assigned_to"], item["plan"]) == ("in_progress", "bob", "Buy paper.")
    assert call("checklist", action="get", name="release")["progress"] == "1 of 2"
    assert call("get_spec", name="till")["content"] == "Two drawers."
    assert call("get_spec", name="till", version="1.0.0")["content"] == "One drawer."
    assert [each["name"] for each in call("guidelines", action="list")["rules"]] == ["small"]
    assert call("recall", key="printer")["uses"] == 3
    assert call("context", action="get", key="env")["value"] == {"stage": 2}
    briefing = call("brief", sections=["handoff", "guidelines"])["sections"]
    assert "The drawer jams." in str(briefing)


def unread(server: Served) -> set[str]:
    """What ann finds new, which reading it changes."""
    found: set[str] = {each["subject"] for each in server.call("get_messages")["messages"]}
    return found


def test_a_killed_server_loses_nothing_that_it_answered(tmp_path: Path):
    path = tmp_path / "memory.git"
    with http_server(path, SETTINGS) as (url, process):
        with closing(Served(url)) as server:
            said = coordinate(server)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    with http_server(path, SETTINGS) as (url, _), closing(Served(url)) as server:
        assert unread(server) == {"It rained in.", "eve is new in web", "pat is new in web"}
        check(server, said)
        server.call("end_session", by="bob", session_id=said["bob"], summary="done")
        assert "bob" not in {each["agent"] for each in server.call("list_sessions", status="active")["sessions"]}
    assert git(path, "fsck", "--strict", "--no-dangling") == ""
