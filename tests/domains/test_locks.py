"""Locks: who holds what, who is in whose way, and how a lock ends."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.locks.holding import HELD_MAX, TTL_MINUTES_MAX, let_go
from gitmem.domains.locks.patterns import ACCEPTED, overlap
from gitmem.domains.locks.record import (
    BrokenLock,
    Fence,
    Lock,
    count_held,
    held_at,
    is_over,
    last_fence,
    place_of,
)
from gitmem.domains.presence import Presence
from gitmem.domains.sessions import LiveSession
from gitmem.errors import GitmemError
from gitmem.facade.calls import Office
from gitmem.facade.http import health_of
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.gate import GateRefused
from gitmem.memory.memory import Memory
from gitmem.names import now, parse_time
from gitmem.records.kind import Record
from tests.conftest import Team, git

PLACE = place_of("web")
BEN = Caller("ben", "declared")


def lock(team: Team, *files: str, agent: str = "ann", **more: Any) -> Any:
    return team.call("lock_files", agent=agent, files=files, **{"reason": "moving the handlers", **more})


def put(team: Team, *records: Record) -> None:
    """Write records as they are."""
    with team.memory.transaction(team.memory.view(PLACE), BEN, "write") as change:
        for record in records:
            change.put(record)


def lock_of(agent: str, pattern: str, *, minutes_ago: int = 0, minutes_left: int = 60, fence: int = 0, **more: Any) -> Lock:
    moment = now()
    return Lock(
        scope="projects/web", agent=agent, pattern=pattern, reason="moving", fence=fence,
        since=moment - timedelta(minutes=minutes_ago), until=moment + timedelta(minutes=minutes_left), **more,
    )  # fmt: skip


def old_lock(team: Team, agent: str, pattern: str, **more: Any) -> Lock:
    """A lock that was taken a while ago."""
    fence = last_fence(team.memory.view(PLACE)) + 1
    made = lock_of(agent, pattern, fence=fence, **more)
    put(team, made, Fence(scope="projects/web", last=fence))
    return made


def seen(team: Team, agent: str, minutes_ago: int) -> None:
    moment = now() - timedelta(minutes=minutes_ago)
    team.memory.marks.change(Presence, "web", agent, lambda _: Presence(scope="projects/web", agent=agent, seen=moment))


def held(team: Team) -> list[tuple[str, str, str]]:
    return sorted((each.agent, each.pattern, each.mode) for each in held_at(team.memory.view(PLACE), now()))


def head(team: Team) -> str:
    return team.memory.head(PLACE)


# --- taking -------------------------------------------------------------------------------------------


def test_a_lock_is_granted_with_a_number_and_an_end_and_others_are_told_all_about_it(team: Team):
    granted = lock(team, "./src//api/", "*.md", ttl_minutes=30, session="web_ann_3fa2b81c")
    assert (granted["success"], granted["locked"], granted["conflicts"], granted["fence"]) == (True, ["src/api/", "*.md"], [], 1)
    assert timedelta(minutes=29) < parse_time(granted["until"]) - now() <= timedelta(minutes=30)
    refused = lock(team, "src/web/b.py", "src/api/a.py", "src/api/b.py", agent="ben")
    assert (refused["success"], refused["locked"]) == (False, [])
    assert "commit" not in refused
    (conflict,) = refused["conflicts"]
    assert conflict.pop("since") <= granted["until"] == conflict.pop("until")
    assert conflict == {
        "file": "src/api/", "held_by": "ann", "mode": "exclusive", "reason": "moving the handlers", "idle_for": "less than a minute",
        "stale": False, "fence": 1, "session_id": "web_ann_3fa2b81c", "wanted": ["src/api/a.py", "src/api/b.py"],
    }  # fmt: skip
    assert refused["fix"] == f"Ask ann with send_message, or come back after {granted['until']}. What is free can be locked by itself."


def test_of_several_files_all_are_locked_or_none(team: Team):
    lock(team, "src/b.py")
    before = head(team)
    assert not lock(team, "src/a.py", "src/b.py", "src/c.py", agent="ben")["success"]
    assert head(team) == before
    assert held(team) == [("ann", "src/b.py", "exclusive")]
    assert lock(team, "src/a.py", "src/c.py", agent="ben")["success"]


@pytest.mark.parametrize(("first", "second", "free"), [
    ("src/", "src/a.py", False), ("src/", "src/**/*.py", False), ("src/", "src/sub/", False), ("src/", "*.py", False), ("src", "src/a.py", False),
    ("src/a.py", "src/", False), ("*.py", "src/", False), ("src/api/", "src/web/", True), ("*.py", "*.ts", True), ("src/a.py", "src/b.py", True),
    ("README.md", "*.py", True), (".", "x", False), ("app/[id]/page.tsx", "app/[id]/page.tsx", False),
])  # fmt: skip
def test_what_could_be_the_same_file_goes_to_one_agent_only(team: Team, first: str, second: str, free: bool):
    assert lock(team, first)["success"]
    assert lock(team, second, agent="ben")["success"] == free


def test_the_same_path_in_another_project_is_free(team: Team):
    team.call("project", action="create", name="app", project="")
    assert lock(team, "src/")["success"]
    assert lock(team, "src/", agent="ben", project="app")["success"]
    assert team.call("get_locks", project="app", agent="ben")["locks"] == []
    assert count_held(team.memory) == 2


def test_shared_locks_stand_beside_each_other_and_keep_exclusive_ones_out(team: Team):
    assert lock(team, "src/", mode="shared")["success"]
    assert lock(team, "src/a.py", mode="shared", agent="ben")["success"]
    assert [each["held_by"] for each in lock(team, "src/a.py", agent="cy")["conflicts"]] == ["ann", "ben"]
    assert not lock(team, "src/", agent="ann")["success"]  # ben shares a part of it
    lock(team, "docs/")
    assert not lock(team, "docs/a.md", mode="shared", agent="ben")["success"]


def test_a_shared_lock_becomes_exclusive_if_nobody_else_shares_it_and_never_the_other_way_round(team: Team):
    lock(team, "src/", mode="shared")
    assert lock(team, "src/")["success"]
    assert held(team) == [("ann", "src/", "exclusive")]
    again = lock(team, "src/", mode="shared")
    assert held(team) == [("ann", "src/", "exclusive")]
    assert again["note"] == "src/: exclusive as before; unlock it first to share it."


def test_locking_again_extends_and_never_shortens(team: Team):
    first = lock(team, "src/", ttl_minutes=60)
    assert lock(team, "src/", "b.py", ttl_minutes=10)["success"]
    record = team.memory.view(PLACE).record(lock_of("ann", "src/").path)
    assert isinstance(record, Lock)
    assert record.until == parse_time(first["until"])
    assert (record.fence, record.renewed is not None) == (2, True)
    longer = lock(team, "src/", ttl_minutes=120)
    assert longer["until"] > first["until"]


def test_ones_own_locks_are_never_in_ones_way_but_another_session_of_ones_name_is_pointed_out(team: Team):
    assert lock(team, "src/", session="web_ann_aaaaaaaa")["success"]
    other = lock(team, "src/a.py", session="web_ann_bbbbbbbb")
    assert other["success"]
    assert other["note"] == "Held by ann in web_ann_aaaaaaaa as well: if that is not you, one of you needs another name."
    assert "note" not in lock(team, "docs/", session="web_ann_bbbbbbbb")


def test_a_name_with_characters_of_globs_can_be_meant_literally(team: Team):
    lock(team, "a[*].py", "app/[id]/page.tsx")
    assert lock(team, "ab.py", "app/[slug]/page.tsx", agent="ben")["success"]
    assert not lock(team, "a*.py", agent="cy")["success"]
    assert not lock(team, "app/*/page.tsx", agent="cy")["success"]


def test_a_path_of_any_characters_makes_a_file_name_that_git_takes(team: Team):
    odd = ["日本/ä ö.py", "a b/c'd\"e", "xx:y?*|<>", ".github/", "-rf", "$(id)", "{scope}", "a" * 400]
    assert lock(team, *odd)["locked"] == odd
    names = git(team.memory.path, "ls-tree", "-r", "--name-only", PLACE.ref).split()
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789/.") for name in names)
    git(team.memory.path, "fsck", "--strict")


# --- what is refused ----------------------------------------------------------------------------------

BAD_PATHS = {
    "../x": "climbs out", "/etc/passwd": "is absolute", "~/x": "a home folder", "C:/x": "a drive letter", "": "is empty", "a\x00b": "a control character",
    "a\nb": "a control character", "a\\b": "a backslash", "!x": "a negation", "#x": "a comment", "x" * 401: "longer than 400", "https://x/y": "a URL",
    "\ta\x7f": "a control character",
}  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS, ids=repr)
@pytest.mark.parametrize("verb", ["lock_files", "unlock_files", "renew_locks", "break_lock", "check_paths", "update_work"])
def test_a_path_that_is_none_is_refused_everywhere_and_the_refusal_says_what_is_accepted(team: Team, verb: str, path: str):
    more = {"lock_files": {"reason": "r"}, "break_lock": {"reason": "r"}, "update_work": {"title": "t"}}.get(verb, {})
    name = "files_touched" if verb == "update_work" else "files"
    refused = team.refusal(verb, arguments={name: ["src/ok.py", path]}, **more)
    assert BAD_PATHS[path] in refused.message
    assert refused.fix == ACCEPTED
    assert "ok.py" not in refused.message


def test_get_locks_refuses_a_bad_path_too(team: Team):
    assert "climbs out" in team.refusal("get_locks", path_pattern="../x").message


def test_all_that_is_wrong_with_a_call_is_told_at_once(team: Team):
    refused = team.refusal("lock_files", files=["../x", "~/y"], reason=" ", ttl_minutes=0)
    assert refused.message == (
        "ttl_minutes is 0; 1 to 1440 are accepted; reason is empty; one line of text is accepted; "
        "'../x' climbs out of its folder with '..'; '~/y' starts with ~, a home folder. Nothing was done."
    )
    assert "Mend what is listed" in team.refusal("lock_files", files=["x"], reason="", ttl_minutes=TTL_MINUTES_MAX + 1).fix


@pytest.mark.parametrize(("reason", "what"), [("", "is empty"), ("a\nb", "line break"), ("x" * 301, "at most 300"), ("a\x00b", "control character")])
@pytest.mark.parametrize("verb", ["lock_files", "break_lock"])
def test_a_reason_is_one_line_that_others_can_read(team: Team, verb: str, reason: str, what: str):
    assert what in team.refusal(verb, files=["src/"], reason=reason).message


@pytest.mark.parametrize("verb", ["lock_files", "break_lock", "check_paths"])
def test_naming_nothing_is_refused(team: Team, verb: str):
    more = {} if verb == "check_paths" else {"reason": "r"}
    assert "files is empty" in team.refusal(verb, files=[], **more).message


@pytest.mark.parametrize("minutes", [0, -5, TTL_MINUTES_MAX + 1, 10**9])
def test_a_time_that_is_too_short_or_too_long_is_refused(team: Team, minutes: int):
    lock(team, "src/")
    for verb, more in (("lock_files", {"files": ["a"], "reason": "r"}), ("renew_locks", {})):
        assert "1 to 1440 are accepted" in team.refusal(verb, ttl_minutes=minutes, **more).message


def test_too_many_paths_in_a_call_or_in_one_hand_are_refused(team: Team):
    assert "at most 100" in team.refusal("lock_files", files=[f"f{n}" for n in range(101)], reason="r").message
    for start in range(0, HELD_MAX, 100):
        lock(team, *(f"f{start + n}" for n in range(100)))
    refused = team.refusal("lock_files", files=["one-more"], reason="r")
    assert "ann would hold 301 locks; at most 300" in refused.message
    assert "folder" in refused.fix
    assert lock(team, "f1")["success"]  # one of those
    assert len(team.call("unlock_files")["released"]) == HELD_MAX


def test_whoever_cannot_be_told_from_others_cannot_hold_a_lock(team: Team):
    desk = Desk(team.memory, team.index, Caller("anonymous"), project="web", verb="lock_files")
    from gitmem import verbs

    with pytest.raises(GitmemError, match="does not know who you are") as refused:
        verbs.call(desk, verbs.find("lock_files"), {"files": ["src/"], "reason": "r"})
    assert "start_session" in refused.value.fix
    assert head(team) == ""


# --- how a lock ends ----------------------------------------------------------------------------------


def test_what_is_let_go_is_free_and_what_is_not_held_is_said(team: Team):
    lock(team, "src/", "docs/", "a.py")
    lock(team, "b.py", agent="ben")
    answer = team.call("unlock_files", files=["./docs/", "src/x.py", "b.py", "nothing"])
    assert (answer["success"], answer["released"], answer["still_held"]) == (True, ["docs/"], ["a.py", "src/"])
    assert {each["file"]: each["why"] for each in answer["not_held"]} == {
        "src/x.py": "you hold no lock of that name; you hold src/",
        "b.py": "you hold no lock of that name; ben holds b.py",
        "nothing": "you hold no lock of that name; nobody does",
    }
    assert lock(team, "docs/", agent="ben")["success"]
    assert team.call("unlock_files")["released"] == ["a.py", "src/"]
    assert held(team) == [("ben", "b.py", "exclusive"), ("ben", "docs/", "exclusive")]


def test_letting_go_of_nothing_makes_no_commit(team: Team):
    lock(team, "src/", agent="ben")
    before = head(team)
    assert "commit" not in team.call("unlock_files")
    assert "commit" not in team.call("unlock_files", files=["src/"])
    assert head(team) == before


def test_a_lock_whose_time_is_over_is_in_nobodys_way_is_shown_as_such_and_goes_with_the_next_commit(team: Team):
    old_lock(team, "ben", "src/", minutes_ago=200, minutes_left=-1)
    old_lock(team, "cy", "docs/", minutes_ago=10, minutes_left=50)
    shown = team.call("get_locks")
    assert [(each["file"], each.get("expired"), each["stale"]) for each in shown["locks"]] == [("src/", True, True), ("docs/", None, False)]
    assert count_held(team.memory) == 1
    assert team.call("check_paths", files=["src/a.py"])["clear"]
    assert lock(team, "src/a.py")["success"]
    assert [each["file"] for each in team.call("get_locks")["locks"]] == ["docs/"]
    assert "held/ben" not in git(team.memory.path, "ls-tree", "-r", "--name-only", PLACE.ref)
    old_lock(team, "ben", "lib/", minutes_ago=200, minutes_left=-1)
    team.call("unlock_files")
    assert [each["file"] for each in team.call("get_locks")["locks"]] == ["docs/"]


def test_ones_own_expired_lock_is_taken_anew_with_a_new_number(team: Team):
    old = old_lock(team, "ann", "src/", minutes_ago=200, minutes_left=-10)
    refused = team.refusal("renew_locks", files=["src/"])
    assert refused.message == "src/: the time of your lock was over 10 minutes ago. Nothing was renewed."
    assert "lock_files" in refused.fix
    assert team.call("renew_locks")["renewed"] == []
    again = lock(team, "src/")
    assert again["fence"] > old.fence
    record = team.memory.view(PLACE).record(old.path)
    assert isinstance(record, Lock)
    assert record.since != old.since


def test_renewing_holds_for_longer_and_never_for_less(team: Team):
    old = old_lock(team, "ann", "src/", minutes_ago=100, minutes_left=20)
    long = old_lock(team, "ann", "lib/", minutes_ago=100, minutes_left=600)
    answer = team.call("renew_locks", ttl=60)
    assert answer["renewed"] == ["lib/", "src/"]
    view = team.memory.view(PLACE)
    records = [view.get(Lock, each.path) for each in (old, long)]
    assert [each.fence for each in records] == [old.fence, long.fence]
    assert [each.since for each in records] == [old.since, long.since]
    assert records[0].until == parse_time(answer["until"])
    assert records[1].until == long.until
    assert team.call("renew_locks", files=["src/"], ttl_minutes=90)["renewed"] == ["src/"]


def test_renewing_names_everything_that_is_not_held(team: Team):
    lock(team, "a.py")
    lock(team, "b.py", agent="ben")
    refused = team.refusal("renew_locks", files=["a.py", "b.py", "c.py"])
    assert refused.message == (
        "b.py: you hold no lock of that name; ben holds b.py; c.py: you hold no lock of that name; nobody does. Nothing was renewed."
    )


def test_numbers_of_grants_only_rise_over_letting_go_expiry_breaking_and_restarts(team: Team):
    fences = [lock(team, "src/")["fence"]]
    team.call("unlock_files")
    fences.append(lock(team, "src/", agent="ben")["fence"])
    team.call("break_lock", files=["src/"], reason="ann is an admin")
    old_lock(team, "cy", "src/", minutes_ago=60, minutes_left=-1)
    again = Memory(team.memory.path)
    fences.append(last_fence(again.view(PLACE)))
    again.close()
    fences.append(lock(team, "src/")["fence"])
    assert fences == [1, 2, 3, 4]
    team.call("unlock_files")
    assert git(team.memory.path, "ls-tree", "-r", "--name-only", PLACE.ref).split()[-1] == "fence.yaml"


def test_locks_survive_a_restart_and_another_process_sees_them(team: Team, tmp_path: Path):
    lock(team, "src/")
    again = Memory(team.memory.path)
    assert [each.pattern for each in held_at(again.view(PLACE), now())] == ["src/"]
    desk = Desk(again, Index(again), BEN, project="web", verb="lock_files")
    from gitmem import verbs

    assert not verbs.call(desk, verbs.find("lock_files"), {"files": ["src/a.py"], "reason": "r"}).value.success
    desk.index.close()
    again.close()


# --- sessions -----------------------------------------------------------------------------------------


def test_ending_a_session_releases_what_was_locked_in_it(team: Team):
    one, two = (team.call("start_session")["session_id"] for _ in range(2))
    lock(team, "one/", session=one)
    lock(team, "two/", session=two)
    lock(team, "loose/")
    lock(team, "ben/", agent="ben")
    team.call("end_session", session=one, summary="done")
    assert held(team) == [("ann", "loose/", "exclusive"), ("ann", "two/", "exclusive"), ("ben", "ben/", "exclusive")]
    team.call("end_session", session=two, summary="done")
    assert held(team) == [("ben", "ben/", "exclusive")]  # the last session of ann's takes along what was locked outside of any
    before = head(team)
    team.call("end_session", session=two, summary="done")
    assert head(team) == before


def test_a_session_that_somebody_else_sweeps_lets_go_of_its_agents_locks(team: Team):
    session = team.call("start_session", agent="ben")["session_id"]
    lock(team, "src/", agent="ben", session=session)
    lock(team, "lib/", agent="ann")
    live = LiveSession(scope="projects/web", id=session, agent="ben")
    let_go(Desk(team.memory, team.index, Caller("ann", "declared"), project="web", verb="start_session"), live)
    assert held(team) == [("ann", "lib/", "exclusive")]


# --- breaking -----------------------------------------------------------------------------------------


def with_ben_holding(team: Team, **more: Any) -> Lock:
    return old_lock(team, "ben", "src/", **{"minutes_ago": 45, **more})


def test_a_lock_whose_holder_is_at_work_is_not_broken_and_the_refusal_says_when_it_may_be(team: Team):
    made = with_ben_holding(team)
    seen(team, "ben", 10)
    refused = team.refusal("break_lock", agent="cy", files=["src/"], reason="I need it")
    assert made.until is not None
    assert refused.message == (
        f"ben, last heard of 10 minutes ago, holds src/ until {made.until.strftime('%Y-%m-%dT%H:%M:%SZ')} ('moving'). Nothing was broken."
    )
    assert refused.fix == (
        "Ask ben with send_message. Anybody may break a lock when its time is over or nothing was heard of its holder for 30 minutes, "
        "an admin (ann) at any time."
    )


@pytest.mark.parametrize(("taken", "noticed", "stale"), [(45, None, True), (10, None, False), (45, 31, True), (45, 29, False), (10, 90, False)])
def test_a_lock_is_stale_when_nothing_was_heard_of_its_holder_for_half_an_hour(team: Team, taken: int, noticed: int | None, stale: bool):
    with_ben_holding(team, minutes_ago=taken)
    if noticed is not None:
        seen(team, "ben", noticed)
    conflict = lock(team, "src/a.py", agent="cy")["conflicts"][0]
    assert conflict["stale"] == stale  # and blocks all the same
    if stale:
        assert lock(team, "src/a.py", agent="cy")["fix"] == "Stale, so that break_lock may take it away: src/ of ben. What is free can be locked by itself."
        assert team.call("break_lock", agent="cy", files=["src/"], reason="gone")["broken"][0]["file"] == "src/"
        assert lock(team, "src/a.py", agent="cy")["success"]
    else:
        assert "holds src/" in team.refusal("break_lock", agent="cy", files=["src/"], reason="gone").message


def test_renewing_is_a_sign_of_life(team: Team):
    with_ben_holding(team)
    team.call("renew_locks", agent="ben")
    assert not lock(team, "src/", agent="cy")["conflicts"][0]["stale"]


def test_an_admin_breaks_any_lock_and_an_expired_one_is_anybodys_to_break(team: Team):
    lock(team, "src/", agent="ben")
    assert team.call("break_lock", files=["src/"], reason="release day")["success"]
    old_lock(team, "ben", "lib/", minutes_ago=10, minutes_left=-1)
    assert team.call("break_lock", agent="cy", files=["lib/"], reason="over")["broken"][0]["expired"]


def test_all_holders_of_a_shared_lock_lose_it_or_none(team: Team):
    old_lock(team, "ben", "src/", minutes_ago=45, mode="shared")
    lock(team, "src/", agent="cy", mode="shared")
    assert "cy, last heard of" in team.refusal("break_lock", agent="dan", files=["src/"], reason="r").message
    assert [each["held_by"] for each in team.call("break_lock", files=["src/"], reason="r")["broken"]] == ["ben", "cy"]


def test_breaking_what_is_not_held_says_what_is(team: Team):
    lock(team, "src/", agent="ben")
    lock(team, "lib/")
    refused = team.refusal("break_lock", files=["src/a.py", "lib/a.py", "lib/"], reason="r")
    assert refused.message == "Nobody else holds a lock called src/a.py, lib/a.py, lib/. Nothing was broken."
    assert refused.fix == "ben holds src/: name that. lib/ is yours: unlock_files lets it go."
    assert "may be free by now" in team.refusal("break_lock", files=["docs/"], reason="r").fix


def test_the_holder_of_a_broken_lock_reads_who_broke_it_and_why_until_it_is_locked_again(team: Team):
    lock(team, "src/", "lib/", agent="ben")
    answer = team.call("break_lock", files=["src/"], reason="release day")
    assert answer["told"] == ["ben"]
    assert "release day" in git(team.memory.path, "log", "-1", "--format=%s", PLACE.ref)
    told = "ann broke your lock less than a minute ago ('release day')"
    assert team.refusal("renew_locks", agent="ben", files=["src/", "lib/"]).message == f"src/: {told}. Nothing was renewed."
    assert team.call("unlock_files", agent="ben", files=["src/"])["not_held"] == [{"file": "src/", "why": told}]
    assert briefed(team, "ben")[0] == "your lock on src/ was broken by ann less than a minute ago: release day"
    lock(team, "src/", agent="ben")
    assert not any("broken" in line for line in briefed(team, "ben"))


def test_holders_of_broken_locks_get_one_message_with_the_reason(team: Team):
    lock(team, "src/", "lib/", agent="ben", mode="shared")
    lock(team, "src/", agent="cy", mode="shared")
    team.call("break_lock", files=["src/", "lib/"], reason="release day")
    for agent in ("ben", "cy"):
        ((sender, subject, text),) = team.inbox(agent)
        assert (sender, subject) == ("ann", "Your lock on lib/, src/ was broken")
        assert text.startswith("ann broke your lock on lib/, src/, for this reason: release day\n")
    assert team.inbox("ann") == []


def test_a_message_about_a_broken_lock_that_a_crash_swallowed_is_sent_by_breaking_it_again(team: Team):
    lock(team, "src/", agent="ben")
    team.call("break_lock", files=["src/"], reason="release day")
    git(team.memory.path, "-c", "core.hooksPath=/dev/null", "update-ref", "-d", "refs/gitmem/messages/web")  # the process ended between the two refs
    assert team.inbox("ben") == []
    assert "broken by ann" in briefed(team, "ben")[0]
    team.call("break_lock", files=["src/"], reason="release day")
    assert [subject for _, subject, _ in team.inbox("ben")] == ["Your lock on src/ was broken"]


def test_breaking_again_tells_nobody_twice(team: Team):
    lock(team, "src/", "lib/ of  two", agent="ben", mode="shared")
    lock(team, "src/", agent="cy", mode="shared")
    team.call("break_lock", files=["src/", "lib/ of  two"], reason="release day")
    for message in team.call("get_messages", agent="cy")["messages"]:
        team.call("update_message_status", agent="cy", id=message["id"], status="completed")
    before = team.memory.repository.refs.list("refs/")
    for files in (["src/"], ["src/", "lib/ of  two"]):
        assert team.call("break_lock", files=files, reason="again")["told"] == ["ben", "cy"]
    assert team.memory.repository.refs.list("refs/") == before
    lock(team, "docs/", agent="ben")
    team.call("break_lock", files=["docs/", "src/"], reason="too")
    assert sorted(subject for _, subject, _ in team.inbox("ben")) == ["Your lock on docs/ was broken", "Your lock on lib/ of two, src/ was broken"]


def test_refusals_are_short_however_long_the_paths_are(team: Team):
    long = [f"{n}{'x' * 380}/" for n in range(40)]
    lock(team, *long, agent="ben")
    for verb, more in (("renew_locks", {}), ("break_lock", {"reason": "r"})):
        assert len(str(team.refusal(verb, files=[f"{each}a" for each in long], **more))) < 4000
    assert len(str(team.refusal("break_lock", agent="cy", files=long, reason="r"))) < 4000
    assert len(lock(team, *long, agent="cy")["fix"]) < 4000


def test_breaking_again_changes_nothing_and_is_no_error(team: Team):
    lock(team, "src/", agent="ben")
    team.call("break_lock", files=["src/"], reason="r")
    before = head(team)
    again = team.call("break_lock", files=["src/"], reason="r")
    assert (again["success"], again["broken"], again["told"]) == (True, [], ["ben"])
    assert head(team) == before
    assert "Nobody else holds" in team.refusal("break_lock", agent="cy", files=["src/"], reason="r").message


# --- looking ------------------------------------------------------------------------------------------


def test_locks_are_listed_those_of_others_and_ones_own(team: Team):
    lock(team, "src/", ttl_minutes=60)
    lock(team, "docs/", agent="ben", ttl_minutes=30)
    lock(team, "web/*.css", agent="cy", mode="shared", ttl_minutes=20)
    listed = team.call("get_locks")
    assert [each["file"] for each in listed["locks"]] == ["web/*.css", "docs/"]
    assert [each["file"] for each in listed["your_locks"]] == ["src/"]
    assert (listed["count"], listed["total"]) == (3, 3)
    assert [each["file"] for each in team.call("get_locks", path_pattern="*.css")["locks"]] == ["web/*.css", "docs/"]
    few = team.call("get_locks", limit=1)
    assert (few["count"], few["total"]) == (1, 3)
    assert team.call("get_locks", path_pattern="lib/a.py")["total"] == 0


def test_paths_are_checked_against_the_locks_and_the_work_of_others(team: Team):
    lock(team, "src/", agent="ben", mode="shared")
    team.call("update_work", title="Rewrite the docs", files_touched=["docs/"], agent="cy")
    team.call("update_work", title="Done", files_touched=["mine.py"], agent="cy", status="completed")
    lock(team, "mine.py")
    answer = team.call("check_paths", files=["src/a.py", "docs/b.md", "mine.py", "free.py"])
    assert not answer["clear"]
    assert [(each["file"], each["held_by"], each["wanted"]) for each in answer["locks"]] == [("src/", "ben", ["src/a.py"])]
    assert [(each["agent"], each["title"], each["yours"]) for each in answer["work"]] == [("cy", "Rewrite the docs", ["docs/b.md"])]
    assert team.call("check_paths", files=["mine.py", "free.py"]) == {"clear": True, "locks": [], "work": []}
    assert "at most 1,000" in team.refusal("check_paths", files=["x"] * 1001).message


def briefed(team: Team, agent: str) -> list[str]:
    sections = team.call("brief", agent=agent, sections=["locks"])["sections"]
    return [line for each in sections for line in each["lines"]]


def test_the_briefing_tells_what_i_hold_and_what_others_hold_where_i_work(team: Team):
    lock(team, "src/", ttl_minutes=60)
    old_lock(team, "ann", "lib/", minutes_ago=100, minutes_left=-1)
    old_lock(team, "ben", "docs/", minutes_ago=45)
    lines = briefed(team, "ann")
    assert [line.split(" 2")[0] for line in lines] == ["you hold lib/ no longer, its time was over at", "you hold src/ until", "ben holds docs/ (exclusive, stale) until"]
    assert [line.split(" until")[0] for line in briefed(team, "cy")] == ["ann holds src/ (exclusive)", "ben holds docs/ (exclusive, stale)"]
    team.call("update_work", title="t", files_touched=["web/"], agent="cy")
    assert briefed(team, "cy") == []  # cy works elsewhere
    team.call("project", action="add_agent", name="web", member="cy", paths=["docs/**", "../bad"])
    assert [line.split(" until")[0] for line in briefed(team, "cy")] == ["ben holds docs/ (exclusive, stale)"]


def test_the_health_of_the_server_counts_what_is_held(team: Team):
    lock(team, "a", "b")
    old_lock(team, "ben", "c", minutes_ago=100, minutes_left=-1)
    office = Office(team.memory)
    assert health_of(office)["active_locks"] == 2


# --- upkeep and the gate ------------------------------------------------------------------------------


@pytest.mark.parametrize(("record", "over"), [
    (lock_of("ann", "a", minutes_left=600, fence=1), False),
    (lock_of("ann", "a", minutes_left=0, fence=1), True),
    (replace(lock_of("ann", "a", fence=1), until=None), True),
    (BrokenLock(agent="ann", pattern="a", by="ben", reason="r", at=now()), False),
    (BrokenLock(agent="ann", pattern="a", by="ben", reason="r", at=now() - timedelta(days=1)), True),
    (BrokenLock(agent="ann", pattern="a", by="ben", reason="r"), True),
    (Fence(last=3), False),
])  # fmt: skip
def test_upkeep_knows_what_can_go(record: Record, over: bool):
    assert is_over(record, now()) == over


def refused_by_the_gate(team: Team, *records: Record, deleted: str = "", file: tuple[str, bytes] | None = None) -> str:
    before = head(team)
    change = team.memory.transaction(team.memory.view(PLACE), BEN, "write")
    for record in records:
        change.put(record)
    if deleted:
        change.delete(deleted)
    if file:
        change.put_file(*file)
    with pytest.raises(GateRefused) as refused:
        change.land()
    assert head(team) == before
    return refused.value.message


def test_the_gate_lets_no_two_agents_hold_one_file(team: Team):
    lock(team, "src/")
    clash = lock_of("ben", "src/a.py", fence=2)
    assert "src/a.py overlaps with src/, which ann holds" in refused_by_the_gate(team, clash, Fence(last=2))
    both = (lock_of("ben", "lib/", fence=2), lock_of("cy", "lib/a.py", fence=2), Fence(last=2))
    assert "lib/a.py overlaps with lib/, which ben holds" in refused_by_the_gate(team, *both)
    put(team, lock_of("ben", "src/a.py", minutes_left=-1, fence=2), Fence(last=2))  # of the past it may tell


def test_the_gate_lets_the_number_of_grants_only_rise(team: Team):
    lock(team, "src/")
    lock(team, "lib/")
    assert "would fall from 2 to 1" in refused_by_the_gate(team, Fence(last=1))
    assert "would fall from 2 to 0" in refused_by_the_gate(team, deleted="fence.yaml")
    for fence in (2, 4):
        assert f"is {fence}; a new grant has one of 3" in refused_by_the_gate(team, lock_of("ben", "x", fence=fence), Fence(last=3))


def test_the_gate_wants_a_lock_where_its_pattern_says(team: Team):
    made = replace(lock_of("ben", "src/", fence=1), pattern="./src/")
    assert "it is spelled 'src/'" in refused_by_the_gate(team, made, Fence(last=1))
    misplaced = ("held/ben/x.yaml", b"pattern: src/\nreason: r\nfence: 1\n")
    assert "belongs at held/ben/" in refused_by_the_gate(team, Fence(last=1), file=misplaced)


# --- whatever they do ---------------------------------------------------------------------------------

AGENTS = ["ann", "ben", "cy"]
SOME = ["src/", "src/a.py", "*.py", "lib/", "lib/**/*.ts", "README.md", "**/test/", "./*.md"]
steps = st.lists(
    st.tuples(
        st.sampled_from(["lock", "share", "unlock", "renew", "break", "expire"]), st.sampled_from(AGENTS),
        st.lists(st.sampled_from(SOME), min_size=1, max_size=2),
    ),
    min_size=3, max_size=12,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_agents_do_no_file_is_in_two_hands_and_numbers_rise(team: Team, some: list[tuple[str, str, list[str]]]):
    team.call("unlock_files", agent="ann")
    fence = last_fence(team.memory.view(PLACE))
    for what, agent, files in some:
        fence = step(team, what, agent, files, fence)
        locks = held_at(team.memory.view(PLACE), now())
        for one in locks:
            for other in locks:
                alone = one.agent == other.agent or not overlap(one.pattern, other.pattern)
                assert alone or (one.mode, other.mode) == ("shared", "shared")


def step(team: Team, what: str, agent: str, files: list[str], fence: int) -> int:
    with suppress(GitmemError):
        if what in ("lock", "share"):
            answer = lock(team, *files, agent=agent, mode="shared" if what == "share" else "exclusive")
            assert answer["success"] == (not answer["conflicts"])
            assert not answer["success"] or answer["fence"] > fence
        elif what == "expire":
            view = team.memory.view(PLACE)
            for each in list(view.records(Lock, f"held/{agent}")):
                put(team, replace(each, until=now()))
        else:
            reason = {"reason": "r"} if what == "break" else {}
            team.call({"unlock": "unlock_files", "renew": "renew_locks", "break": "break_lock"}[what], agent=agent, files=files, **reason)
    after = last_fence(team.memory.view(PLACE))
    assert after >= fence
    return after


def test_times_are_whole_seconds_in_utc(team: Team):
    until = lock(team, "src/")["until"]
    assert datetime.fromisoformat(until).utcoffset() == timedelta()
