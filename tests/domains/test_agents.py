"""Agents: heartbeats, who is at work, who can do what, leaving."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.agents import leave
from gitmem.domains.presence import Presence, last_seen, seen
from gitmem.domains.sessions import LiveSession, place_of
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import now
from tests.conftest import Team, git


def status(team: Team, name: str, **more: Any) -> dict[str, Any]:
    return team.call("get_agent_status", arguments={"agent": name}, **more)


def seen_ago(team: Team, agent: str, ago: timedelta) -> None:
    team.memory.marks.change(
        Presence, "web", agent, lambda _: Presence(scope="projects/web", agent=agent, status="busy", current_task="old task", seen=now() - ago)
    )


def skills(team: Team, agent: str = "ann") -> list[str]:
    briefing = team.call("brief", agent=agent, sections=["skills"])
    return next((each["lines"] for each in briefing["sections"] if each["name"] == "skills"), [])


def test_a_heartbeat_is_seen_by_others_and_is_no_commit(team: Team):
    before = git(team.memory.path, "rev-list", "--all", "--count")
    team.call("send_message", to_instance="*", message="CI is red")
    answer = team.call("heartbeat", agent="bob", status="busy", current_task="mending\n retries")
    assert (answer["status"], answer["current_task"], answer["unread"]) == ("busy", "mending retries", 1)
    team.call("heartbeat", agent="bob", status="error")
    found = status(team, "bob")
    assert (found["status"], found["current_task"], found["active"], found["stale"], found["age"]) == (
        "error", "mending retries", True, False, "less than a minute",
    )
    assert int(git(team.memory.path, "rev-list", "--all", "--count")) == int(before) + 1  # the message
    assert status(team, "bob") == team.call("get_agent_status", agent="bob")


@pytest.mark.parametrize(("odd", "what"), [("x" * 501, "has 501 characters"), ("a\x00b", "holds the control character")])
def test_a_task_that_no_mark_can_hold_is_refused(team: Team, odd: str, what: str):
    assert team.refusal("heartbeat", current_task=odd).message.startswith(f"current_task {what}")
    assert "idle, busy, error" in team.refusal("heartbeat", status="gone").message


def test_who_was_not_seen_for_five_minutes_is_stale(team: Team):
    seen_ago(team, "bob", timedelta(minutes=4))
    assert (status(team, "bob")["active"], status(team, "bob")["stale"]) == (True, False)
    seen_ago(team, "bob", timedelta(minutes=6))
    found = status(team, "bob")
    assert (found["active"], found["stale"], found["age"], found["member"], found["status"]) == (False, True, "6 minutes", False, "busy")


def test_a_live_session_is_a_sign_of_life_with_its_task_role_and_skills(team: Team):
    session = team.call(
        "start_session", agent="worker-1", task_description="index", role_description="tests",
        capabilities=[{"name": "pytest", "desc": "fixtures"}, {"name": "git"}],
    )["session_id"]
    found = status(team, "worker-1")
    assert found["sessions"] == [session]
    assert (found["current_task"], found["role"], found["member"], found["active"]) == ("index", "tests", True, True)
    assert found["capabilities"] == ["pytest: fixtures", "git"]


def test_an_agent_that_nobody_knows_is_refused_with_near_names(team: Team):
    team.call("project", action="add_agent", name="web", member="bob")
    refused = team.refusal("get_agent_status", arguments={"agent": "bobb"})
    assert refused.message == "'bobb' is no member of web and was never seen there."
    assert refused.fix == "Did you mean bob? list_agents shows them all; project names another project."


def test_agents_are_listed_and_found_by_all_words_of_name_role_or_skills(team: Team):
    team.call("project", action="add_agent", name="web", member="bob", role="Backend", capabilities=[{"name": "sql", "desc": "Query plans"}])
    team.call("project", action="add_human", name="web", member="pat", role="product")
    seen(team.memory, "web", "zoe", task="reads along")
    listed = team.call("list_agents")
    assert [(each["name"], each["type"], each["member"], each["active"]) for each in listed["agents"]] == [
        ("zoe", "agent", False, True), ("ann", "agent", True, False), ("bob", "agent", True, False), ("pat", "human", True, False),
    ]
    assert (listed["count"], listed["total"]) == (4, 4)
    assert listed["agents"][1]["tier"] == "admin"
    for query, names in (("BACKEND plans", ["bob"]), ("pat", ["pat"]), ("reads", ["zoe"]), ("sql product", []), ("", ["zoe", "ann", "bob", "pat"])):
        assert [each["name"] for each in team.call("list_agents", query=query)["agents"]] == names
    cut = team.call("list_agents", limit=1)
    assert (cut["count"], cut["total"]) == (1, 4)


def test_the_briefing_tells_who_can_do_what(team: Team):
    team.call("project", action="add_agent", name="web", member="bob", role="Backend", capabilities=[{"name": "sql"}])
    team.call("project", action="add_human", name="web", member="pat", role="product")
    team.call("start_session", agent="worker-1", capabilities=[{"name": "pytest", "desc": "fixtures"}])
    assert skills(team) == ["bob (Backend): sql", "pat (a person, product)", "worker-1: pytest: fixtures"]
    assert skills(team, "bob") == ["pat (a person, product)", "worker-1: pytest: fixtures"]


def test_with_the_last_session_an_agent_is_gone(team: Team):
    first, second = (team.call("start_session", agent="bob")["session_id"] for _ in range(2))
    team.call("heartbeat", agent="bob", status="busy", current_task="x")
    team.call("end_session", agent="bob", session=first)
    assert status(team, "bob")["status"] == "busy"
    team.call("end_session", agent="bob", session=second)
    found = status(team, "bob")
    assert (found["status"], found["active"], found.get("current_task")) == ("gone", False, None)
    team.call("end_session", agent="bob", session=second)
    assert status(team, "bob") == found | {"age": status(team, "bob")["age"]}
    team.call("start_session", agent="bob")
    assert status(team, "bob")["active"] is True


def test_whose_session_others_ended_was_not_seen_by_that(team: Team):
    seen_ago(team, "bob", timedelta(days=20))
    session = LiveSession(scope="projects/web", id="web_bob_3fa2b81c", agent="bob", started=now() - timedelta(days=20))
    with team.memory.transaction(team.memory.view(place_of("web")), Caller("bob"), "session") as change:
        change.put(session)
    leave(Desk(team.memory, team.index, Caller("sweeper"), project="web"), session)
    mark = team.memory.marks.read(Presence, "web", "bob")
    assert mark is not None
    assert mark.seen is not None
    assert (mark.status, (now() - mark.seen).days) == ("gone", 20)


def test_another_process_sees_a_heartbeat_at_once(team: Team):
    team.call("heartbeat", agent="bob", status="busy", current_task="x")
    other = Memory(team.memory.path)
    found = other.marks.read(Presence, "web", "bob")
    assert found is not None
    assert replace(found, seen=None) == Presence(scope="projects/web", agent="bob", status="busy", current_task="x")
    other.close()


@pytest.mark.parametrize(("called", "argument"), [("list_backlog", "assigned_to"), ("list_specs", "owner"), ("autopilot_status", "agent")])
def test_an_empty_list_for_a_name_that_nobody_has_says_which_names_are_near(team: Team, called: str, argument: str):
    team.call("project", action="add_agent", name="web", member="bob")
    assert team.call(called, arguments={argument: "bob"})["count"] == 0
    refused = team.refusal(called, arguments={argument: "bobb"})
    assert refused.message == "'bobb' is no member of web and was never seen there."
    assert refused.fix.startswith("Did you mean bob? ")


def test_waiting_for_an_agent_whom_nobody_knows_is_written_and_warned_of(team: Team):
    team.call("project", action="add_agent", name="web", member="bob")
    blocked = {"title": "t", "status": "blocked"}
    assert "warning" not in team.call("update_work", blocked_by="bob", **blocked)
    assert team.call("update_work", blocked_by="bobb", **blocked)["warning"].startswith(
        "blocked_by: 'bobb' is no member of web and was never seen there. Did you mean bob?"
    )


def test_a_sign_of_life_mends_what_a_clock_that_ran_ahead_has_left(team: Team):
    team.call("heartbeat", status="idle")
    ahead = now() + timedelta(days=3)
    team.memory.marks.change(Presence, "web", "ann", lambda _: Presence(scope="projects/web", agent="ann", seen=ahead))
    team.call("heartbeat", status="idle")
    noted = last_seen(team.memory, "web", "ann")
    assert noted is not None
    assert noted < ahead
