"""Autopilot: who may act on messages without a person, how far, and what they did."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gitmem import verbs
from gitmem.desk import Desk
from gitmem.domains.messages.shown import Shown
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import format_time, now
from tests.conftest import Team


@pytest.fixture(autouse=True)
def _members(team: Team) -> None:
    team.call("project", action="add_agent", name="web", member="bob")


def allow(team: Team, **policy: Any) -> dict[str, Any]:
    return team.call("set_autopilot", arguments={"agent": "bob", "enabled": True, **policy})


def send(team: Team, text: str, agent: str = "ann", to: str = "bob", **more: Any) -> str:
    return team.call("send_message", agent=agent, to_instance=to, message=text, **more)["id"]


def check(team: Team, message: str, agent: str = "bob") -> dict[str, Any]:
    return team.call("autopilot_check_budget", agent=agent, id=message)


def used_ago(team: Team, *ago: timedelta) -> None:
    acted = tuple(f"{format_time(now() - each)} old-{number:08x}" for number, each in enumerate(ago))
    team.memory.marks.change(Shown, "web", "bob", lambda mark: replace(mark or Shown(scope="projects/web", agent="bob"), acted=acted))


def test_who_was_not_allowed_may_not(team: Team):
    answer = check(team, send(team, "Fix it"))
    assert (answer["allowed"], answer["reasons"]) == (False, ["an admin has not enabled autopilot for bob"])


def test_a_yes_counts_once_a_message_and_no_more_than_the_budget_of_an_hour(team: Team):
    allow(team, hourly_budget=2)
    first, second, third = (send(team, f"Fix {number}") for number in range(3))
    assert [check(team, each)["used_this_hour"] for each in (first, first, second)] == [1, 1, 2]
    refused = check(team, third)
    assert (refused["allowed"], refused["reasons"]) == (False, ["the budget of 2 an hour is used up"])
    assert check(team, second)["allowed"] is True
    [policy] = team.call("autopilot_status")["policies"]
    assert (policy["agent"], policy["used_this_hour"], policy["hourly_budget"], policy["set_by"]) == ("bob", 2, 2, "ann")


def test_what_was_used_more_than_an_hour_ago_is_free_again(team: Team):
    allow(team, hourly_budget=1)
    used_ago(team, timedelta(minutes=61))
    assert check(team, send(team, "Fix it"))["allowed"] is True
    used_ago(team, timedelta(minutes=59))
    assert check(team, send(team, "Fix that"))["allowed"] is False


def test_depth_and_flags_are_read_from_the_message(team: Team):
    allow(team)
    first = send(team, "Question", agent="bob", to="ann")
    second = send(team, "Answer", reply_to=first)
    assert check(team, second)["allowed"] is True
    third = send(team, "Again", agent="bob", to="ann", reply_to=second)
    fourth = send(team, "And again", reply_to=third)
    assert check(team, fourth)["reasons"] == ["it is reply 3 of its thread, and 1 is the most"]
    assert check(team, send(team, "git push --force"))["reasons"] == ["it asks for force push"]
    assert check(team, send(team, "harmless", require_human=True))["reasons"] == ["its sender wants a person to decide"]
    allow(team, destructive_gate=False, depth_cap=5)
    assert check(team, send(team, "git push -f"))["allowed"] is True
    assert check(team, send(team, "git reset --hard", require_human=True))["allowed"] is False


def test_only_its_recipient_may_act_on_a_message_and_only_once(team: Team):
    allow(team)
    to_ann = send(team, "For you", agent="bob", to="ann")
    assert check(team, to_ann)["reasons"] == ["the message is for ann"]
    done = send(team, "Do it")
    team.call("update_message_status", agent="bob", id=done, status="completed")
    assert check(team, done)["reasons"] == ["you have completed it already"]
    assert "There is no message" in team.refusal("autopilot_check_budget", agent="bob", id="abcdef01").message


def test_only_admins_set_it_and_numbers_have_bounds(team: Team):
    refused = team.refusal("set_autopilot", agent="bob", arguments={"agent": "bob", "enabled": True})
    assert (refused.message, refused.fix) == ("bob is no admin and may not set the autopilot of bob.", "Ask ann.")
    assert "hourly_budget is 101; 0 to 100" in team.refusal("set_autopilot", arguments={"agent": "bob", "hourly_budget": 101, "depth_cap": 6}).message
    assert "Did you mean bob?" in team.refusal("set_autopilot", arguments={"agent": "bobb"}).fix
    head = team.memory.head()
    first = allow(team, hourly_budget=3)
    assert team.memory.head() != head
    assert allow(team, hourly_budget=3)["version"] == first["version"]


def test_a_pause_holds_until_it_is_set_again(team: Team):
    team.call("project", action="add_agent", name="web", member="cy")
    allow(team)
    team.call("set_autopilot", arguments={"agent": "cy", "enabled": True})
    message = send(team, "Fix it")
    assert team.call("pause_autopilot", agent="bob", arguments={"agent": "bob"})["paused"] == ["bob"]
    assert check(team, message)["reasons"] == ["autopilot is paused"]
    assert "bob is no admin and may not pause the autopilot of everybody" in team.refusal("pause_autopilot", agent="bob").message
    assert team.call("pause_autopilot", reason="odd answers")["paused"] == ["cy"]
    assert team.call("pause_autopilot")["paused"] == []
    assert {each["agent"]: each.get("reason") for each in team.call("autopilot_status")["policies"]} == {"bob": None, "cy": "odd answers"}
    assert "has no autopilot" in team.refusal("pause_autopilot", arguments={"agent": "zoe"}).message
    allow(team)
    assert check(team, message)["allowed"] is True


def test_the_digest_tells_what_was_done_and_what_came_of_it(team: Team):
    allow(team)
    done, open_ = send(team, "Fix it", subject="CI"), send(team, "Look")
    for each in (done, open_):
        check(team, each)
    team.call("update_message_status", agent="bob", id=done, status="completed")
    digest = team.call("autopilot_digest")
    assert {(each["agent"], each["subject"], each["status"], each["from_agent"]) for each in digest["actions"]} == {
        ("bob", "CI", "completed", "ann"), ("bob", "Look", "not answered", "ann"),
    }
    used_ago(team, timedelta(hours=3))
    assert team.call("autopilot_digest", hours=2)["count"] == 0
    assert team.call("autopilot_digest", hours=4)["actions"][0]["status"] == "removed"
    assert "1 to 168" in team.refusal("autopilot_digest", hours=0).fix


def test_reading_mail_does_not_lose_what_was_done_nor_the_other_way_round(team: Team):
    allow(team)
    message = send(team, "Fix it")
    check(team, message)
    assert team.call("get_messages", agent="bob")["count"] == 1
    check(team, send(team, "More"))
    assert [each["message"] for each in team.call("get_messages", agent="bob")["messages"]] == ["More"]
    assert team.call("autopilot_digest")["count"] == 2


def test_of_many_who_ask_at_once_no_more_get_a_yes_than_the_budget_has(team: Team):
    allow(team, hourly_budget=3)
    messages = [send(team, f"Fix {number}") for number in range(12)]
    others = [Memory(team.memory.path) for _ in range(3)]
    indexes = [Index(each) for each in others]
    barrier = threading.Barrier(12)

    def ask(number: int) -> bool:
        barrier.wait()
        desk = Desk(others[number % 3], indexes[number % 3], Caller("bob"), project="web", verb="autopilot_check_budget")
        return bool(verbs.call(desk, verbs.find("autopilot_check_budget"), {"id": messages[number]}).value.allowed)

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(ask, range(12))) == 3
    for each in (*indexes, *others):
        each.close()
