"""Work: who does what to which files, who waits for what, and the signals that set work going again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitmem.domains.locks.record import count_held
from gitmem.domains.sessions import LiveSession, count_live, place_of
from gitmem.domains.work.record import Signal, Work, is_over, over, signal_path, works
from gitmem.domains.work.updating import WORK_MAX
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import now
from gitmem.records.kind import Record
from tests.conftest import Team, git
from tests.proofs.workers import Agent, make

PLACE = place_of("web")


def work(team: Team, title: str, *files: str, agent: str = "ann", **more: Any) -> Any:
    return team.call("update_work", agent=agent, title=title, files_touched=files, **more)


def put(team: Team, *records: Record) -> None:
    """Write records as they are."""
    with team.memory.transaction(team.memory.view(PLACE), Caller("ben", "declared"), "write") as change:
        for record in records:
            change.put(record)


def old_work(team: Team, agent: str, title: str, *files: str, hours: float, **more: Any) -> Work:
    moment = now() - timedelta(hours=hours)
    made = Work(scope="projects/web", agent=agent, title=title, files_touched=files, created=moment, updated=moment, **more)
    put(team, made)
    return made


def old_signal(team: Team, name: str, *, days: float, by: str = "ben") -> None:
    put(team, Signal(scope="projects/web", name=name, raised_by=by, raised=now() - timedelta(days=days), details="v2"))


def work_of(team: Team, agent: str) -> list[Work]:
    return sorted((each for each in works(team.memory.view(PLACE)) if each.agent == agent), key=lambda each: each.title)


def active(team: Team, agent: str = "ann") -> Any:
    return team.call("get_active_work", agent=agent)


def briefed(team: Team, section: str, agent: str = "ann") -> list[str]:
    sections = team.call("brief", agent=agent, sections=[section])["sections"]
    return [line for each in sections for line in each["lines"]]


# --- telling what one works on ------------------------------------------------------------------------


def test_the_same_title_updates_the_same_work_and_what_is_left_out_stays(team: Team):
    first = work(team, "Move the handlers", "./src//api/", notes="half done")
    second = work(team, "  move  the Handlers ", status="blocked")
    assert first["id"] == second["id"]
    (record,) = work_of(team, "ann")
    assert (record.title, record.status, record.files_touched, record.notes) == ("move the Handlers", "blocked", ("src/api/",), "half done")
    third = work(team, "move the handlers", "lib/", notes="new")
    (record,) = work_of(team, "ann")
    assert (record.files_touched, record.notes, third["status"]) == (("lib/",), "new", "in_progress")
    work(team, "Move the handlers", agent="ben")
    work(team, "Something else")
    assert len(work_of(team, "ann")) == 2
    assert len(work_of(team, "ben")) == 1


def test_whoever_touches_the_same_files_is_warned_of_by_paths_not_by_words(team: Team):
    old_work(team, "ben", "Rewrite the api", "src/api/", "README.md", hours=1, notes="careful")
    work(team, "Rewrite the api too", "src/web/", agent="cy")
    told = work(team, "Something else entirely", "src/**/*.py", "lib/")
    assert told["overlaps"] == [
        {"agent": "cy", "title": "Rewrite the api too", "status": "in_progress", "age": "less than a minute", "files": ["src/web/"],
         "yours": ["src/**/*.py"]},
        {"agent": "ben", "title": "Rewrite the api", "status": "in_progress", "age": "1 hour", "files": ["src/api/"],
         "yours": ["src/**/*.py"], "notes": "careful"},
    ]  # fmt: skip
    assert told["warning"] == (
        "cy works on src/web/ ('Rewrite the api too', less than a minute ago); ben works on src/api/ ('Rewrite the api', 1 hour ago). "
        "Talk to them before you go on."
    )
    free = work(team, "Free", "docs/")
    assert free["overlaps"] == []
    assert "warning" not in free


def test_overlaps_are_with_what_others_did_in_the_last_day_what_goes_on_first(team: Team):
    old_work(team, "ben", "done", "src/a.py", hours=1, status="completed")
    old_work(team, "ben", "left", "src/a.py", hours=1, status="abandoned")
    old_work(team, "ben", "yesterday", "src/a.py", hours=25)
    old_work(team, "cy", "going on", "src/", hours=23)
    work(team, "mine", "src/a.py")
    told = work(team, "mine as well", "src/a.py")
    assert [(each["title"], each["status"]) for each in told["overlaps"]] == [("going on", "in_progress"), ("done", "completed")]
    assert "ben has just changed src/a.py ('done', 1 hour ago)" in told["warning"]
    assert work(team, "mine", status="completed")["overlaps"] == []


def test_locks_of_others_on_the_same_files_are_told(team: Team):
    team.call("lock_files", agent="ben", files=["src/"], reason="moving", mode="shared")
    team.call("lock_files", agent="ann", files=["lib/"], reason="mine")
    told = work(team, "t", "src/a.py", "lib/b.py")
    assert [(each["file"], each["held_by"], each["wanted"]) for each in told["locks"]] == [("src/", "ben", ["src/a.py"])]
    assert told["warning"] == "ben holds src/ ('moving'). Talk to them before you go on."


def test_work_in_another_project_is_another_matter(team: Team):
    team.call("project", action="create", name="app", project="")
    work(team, "t", "src/", agent="ben")
    assert work(team, "t", "src/", project="app")["overlaps"] == []
    assert active(team)["total"] == 1


def test_active_work_is_what_was_told_of_in_the_last_day_and_is_not_done(team: Team):
    old_work(team, "ben", "yesterday", hours=25)
    old_work(team, "ben", "earlier", "src/", hours=5, notes="n")
    old_work(team, "cy", "stuck", hours=50, status="blocked", blocked_by="ann", blocked_reason="the schema")
    work(team, "mine", agent="ann")
    work(team, "done", status="completed")
    work(team, "left", status="abandoned")
    listed = active(team)
    assert [(each["agent"], each["title"], each["mine"]) for each in listed["currently_active"]] == [("ann", "mine", True), ("ben", "earlier", False)]
    earlier = listed["currently_active"][1]
    assert (earlier["age"], earlier["files_touched"], earlier["notes"]) == ("5 hours", ["src/"], "n")
    assert [(each["title"], each["blocked_by"], each["blocked_reason"], each["age"]) for each in listed["blocked_agents"]] == [("stuck", "ann", "the schema", "2 days")]
    assert (listed["count"], listed["total"], listed["overlap_window_hours"]) == (2, 2, 24)
    assert team.call("get_active_work", limit=1)["total"] == 2


def test_live_sessions_and_work_stand_beside_each_other(team: Team):
    session = team.call("start_session")["session_id"]
    work(team, "t", "src/", session=session, signals=["ready"])
    assert count_live(team.memory) == 1
    assert [each.id for each in team.memory.view(PLACE).records(LiveSession)] == [session]
    team.call("end_session", session=session, summary="s")
    assert active(team)["total"] == 1


def test_all_that_is_wrong_is_told_at_once(team: Team):
    refused = team.refusal(
        "update_work", title=" ", status="completed", files_touched=["../x"], notes="n" * 4001, blocked_by="Not A Name",
        waiting_for_signal="b/c", signals=["Ready!"], signal_details="d" * 2001,
    )  # fmt: skip
    for what in (
        "title is empty", "notes has 4001 characters", "blocked_by is 'Not A Name', which is no name", "waiting_for_signal is 'b/c', which is no name",
        "signals: name is 'Ready!', which is no name", "signals: details has 2001", "waiting_for_signal is given for work that is completed", "'../x' climbs out",
    ):  # fmt: skip
        assert what in refused.message
    assert "signal_details is given without signals" in team.refusal("update_work", title="t", signal_details="d").message
    assert "at most 20" in team.refusal("update_work", title="t", signals=[f"s{n}" for n in range(21)]).message
    assert "one of in_progress, blocked" in team.refusal("update_work", title="t", status="done").message
    assert "control character" in team.refusal("update_work", title="a\x00b", notes="a\x00b").message


def test_one_agent_does_not_fill_the_list(team: Team):
    put(team, *(Work(scope="projects/web", agent="ann", title=f"t{n}", updated=now()) for n in range(WORK_MAX)))
    assert "ann has 100 pieces of work already" in team.refusal("update_work", title="one more").message
    assert work(team, "t5", status="completed")["status"] == "completed"
    assert work(team, "one more", agent="ben")["status"] == "in_progress"


def test_what_is_done_goes_after_a_day_and_what_was_left_after_two_weeks(team: Team):
    for title, hours, status in (("done", 25, "completed"), ("left", 25, "abandoned"), ("open", 25, "in_progress"), ("old", 15 * 24, "blocked")):
        old_work(team, "ben", title, hours=hours, status=status)
    old_signal(team, "old", days=8)
    old_signal(team, "new", days=6)
    assert len(over(team.memory.view(PLACE), now())) == 4
    work(team, "t")
    assert [each.title for each in work_of(team, "ben")] == ["open"]
    assert [each.name for each in team.memory.view(PLACE).records(Signal)] == ["new"]


@pytest.mark.parametrize(("record", "is_gone"), [
    (Work(agent="a", title="t", updated=now()), False),
    (Work(agent="a", title="t", status="completed", updated=now()), False),
    (Work(agent="a", title="t", status="completed", updated=now() - timedelta(hours=24)), True),
    (Work(agent="a", title="t", updated=now() - timedelta(days=13)), False),
    (Work(agent="a", title="t", updated=now() - timedelta(days=14)), True),
    (Work(agent="a", title="t", updated=now() - timedelta(days=14), heard="x", heard_at=now()), False),
    (Work(agent="a", title="t"), True),
    (Signal(name="x", raised_by="a", raised=now() - timedelta(days=6)), False),
    (Signal(name="x", raised_by="a", raised=now() - timedelta(days=7)), True),
    (LiveSession(id="s", agent="a"), False),
])  # fmt: skip
def test_upkeep_knows_what_can_go(record: Record, is_gone: bool):
    assert is_over(record, now()) == is_gone


# --- signals ------------------------------------------------------------------------------------------


def test_a_raised_signal_sets_going_whoever_waits_for_it(team: Team):
    work(team, "Use the schema", agent="ben", status="blocked", blocked_by="ann", blocked_reason="the schema", waiting_for_signal="schema-ready")
    work(team, "Watch", agent="cy", waiting_for_signal="schema-ready")
    work(team, "Other", agent="cy", status="blocked", waiting_for_signal="deployed")
    told = work(team, "Make the schema", status="completed", signals=["schema-ready", "schema-ready"], signal_details="v2 is out")
    assert told["signals_broadcast"] == ["schema-ready"]
    assert sorted((each["agent"], each["title"], each["signal"]) for each in told["unblocked"]) == [
        ("ben", "Use the schema", "schema-ready"), ("cy", "Watch", "schema-ready"),
    ]  # fmt: skip
    (record,) = work_of(team, "ben")
    assert (record.status, record.blocked_by, record.blocked_reason, record.waiting_for_signal) == ("in_progress", "", "", "")
    assert (record.heard, record.heard_from) == ("schema-ready", "ann")
    assert [(each.title, each.status, each.waiting_for_signal) for each in work_of(team, "cy")] == [("Other", "blocked", "deployed"), ("Watch", "in_progress", "")]
    assert [(each["name"], each["raised_by"], each["details"]) for each in active(team)["recent_signals"]] == [("schema-ready", "ann", "v2 is out")]
    assert briefed(team, "signals", "ben")[0] == "schema-ready was raised by ann less than a minute ago: v2 is out; your Use the schema can go on"
    work(team, "Use the schema", agent="ben")
    assert not any("was raised" in line for line in briefed(team, "signals", "ben"))


def test_whoever_waits_gets_a_message_and_whoever_raises_it_does_not(team: Team):
    for agent in ("ann", "ben", "cy"):
        work(team, "t", agent=agent, status="blocked", waiting_for_signal="x" if agent != "cy" else "y")
    work(team, "u", signals=["x"], signal_details="v2 is out")
    assert team.inbox("ben") == [("ann", "x is raised", "ann raised x, which you waited for, so your work can go on.\n\nv2 is out")]
    assert team.inbox("ann") == team.inbox("cy") == []
    assert [each.status for each in work_of(team, "ann") if each.title == "t"] == ["in_progress"]


def test_a_message_about_a_signal_that_a_crash_swallowed_is_sent_by_raising_it_again(team: Team):
    work(team, "t", agent="ben", status="blocked", waiting_for_signal="x")
    work(team, "u", signals=["x"])
    git(team.memory.path, "-c", "core.hooksPath=/dev/null", "update-ref", "-d", "refs/gitmem/messages/web")  # the process ended between the two refs
    assert team.inbox("ben") == []
    assert "x was raised by ann" in briefed(team, "signals", "ben")[0]
    work(team, "u", signals=["x"])
    assert [subject for _, subject, _ in team.inbox("ben")] == ["x is raised"]
    work(team, "t", agent="ben")
    work(team, "u", signals=["x"])  # ben has said something since, and needs no reminder
    assert team.call("get_messages", agent="ben")["messages"] == []


def test_a_signal_is_one_commit_with_all_that_it_sets_going(team: Team):
    work(team, "a", agent="ben", status="blocked", waiting_for_signal="x")
    before = team.memory.head(PLACE)
    commit = work(team, "b", signals=["x"])["commit"]
    assert git(team.memory.path, "rev-list", f"{before}..{PLACE.ref}").split() == [commit]


def test_a_signal_that_was_raised_before_is_heard_at_once(team: Team):
    old_signal(team, "schema-ready", days=6)
    told = work(team, "t", status="blocked", blocked_by="ben", waiting_for_signal="schema-ready")
    assert told["status"] == "in_progress"
    assert (told["heard"]["name"], told["heard"]["raised_by"], told["heard"]["details"]) == ("schema-ready", "ben", "v2")
    assert active(team)["blocked_agents"] == []


def test_a_signal_of_long_ago_is_waited_for_again(team: Team):
    old_signal(team, "schema-ready", days=7.5)
    told = work(team, "t", status="blocked", waiting_for_signal="schema-ready")
    assert told["status"] == "blocked"
    assert "heard" not in told


def test_signals_and_who_waits_survive_a_restart(team: Team):
    work(team, "t", agent="ben", status="blocked", waiting_for_signal="ready")
    again = Agent(team.memory.path, "ann")
    assert again.call("update_work", title="u", signals=["ready"]).value.unblocked[0].agent == "ben"
    again.close()
    reopened = Memory(team.memory.path)
    assert reopened.view(PLACE).get(Signal, signal_path("ready")).raised_by == "ann"
    reopened.close()
    assert work(team, "t", agent="ben")["status"] == "in_progress"
    assert work(team, "v", agent="cy", waiting_for_signal="ready")["heard"]["raised_by"] == "ann"


def test_raising_a_signal_again_is_fine_and_ones_own_is_heard_as_well(team: Team):
    work(team, "a", signals=["x"], signal_details="one")
    told = work(team, "b", status="blocked", waiting_for_signal="x", signals=["x"], signal_details="two")
    assert (told["status"], told["heard"]["details"]) == ("in_progress", "two")
    assert "unblocked" not in told
    assert [each["details"] for each in active(team)["recent_signals"]] == ["two"]


def test_only_blocked_work_goes_on_waiting(team: Team):
    work(team, "t", status="blocked", blocked_by="ben", waiting_for_signal="x")
    work(team, "t", status="blocked", notes="still")
    assert [(each.blocked_by, each.waiting_for_signal) for each in work_of(team, "ann")] == [("ben", "x")]
    work(team, "t", status="in_progress")
    assert [(each.blocked_by, each.waiting_for_signal) for each in work_of(team, "ann")] == [("", "")]


def test_whoever_starts_to_wait_while_the_signal_is_raised_is_not_left_waiting(tmp_path: Path):
    make(tmp_path / "memory.git")
    agents = [Agent(tmp_path / "memory.git", f"agent-{number}") for number in range(8)]
    for round_ in range(5):
        barrier, signal = threading.Barrier(8), f"ready-{round_}"

        def run(number: int, barrier: threading.Barrier = barrier, signal: str = signal) -> None:
            barrier.wait()
            more = {"signals": [signal]} if number == 0 else {"status": "blocked", "waiting_for_signal": signal}
            agents[number].call("update_work", title=signal, **more)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(run, range(8)))
        waiting = [each for each in works(agents[0].memory.view(PLACE)) if each.waiting_for_signal or each.status == "blocked"]
        assert waiting == []
    for each in agents:
        each.close()


def test_of_two_who_start_on_one_file_at_once_one_at_least_is_warned(tmp_path: Path):
    make(tmp_path / "memory.git")
    agents = [Agent(tmp_path / "memory.git", f"agent-{number}") for number in range(2)]
    for round_ in range(10):
        barrier = threading.Barrier(2)

        def run(number: int, barrier: threading.Barrier = barrier, round_: int = round_) -> Any:
            barrier.wait()
            return agents[number].call("update_work", title=str(round_), files_touched=[f"src/{round_}.py"]).value

        with ThreadPoolExecutor(2) as pool:
            assert any(answer.overlaps for answer in pool.map(run, range(2)))
    for each in agents:
        each.close()


def test_many_who_tell_of_their_work_at_once_lose_nothing(tmp_path: Path):
    make(tmp_path / "memory.git")
    agents = [Agent(tmp_path / "memory.git", f"agent-{number}") for number in range(4)]
    barrier = threading.Barrier(32)

    def run(number: int) -> None:
        barrier.wait()
        agents[number % 4].call("update_work", title=f"work {number}", signals=[f"s{number % 5}"] if number % 3 else [])

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(run, range(32)))
    assert len(list(works(agents[0].memory.view(PLACE)))) == 32
    for each in agents:
        each.close()


# --- the briefing -------------------------------------------------------------------------------------


def test_the_briefing_tells_who_works_on_the_same_files(team: Team):
    work(team, "Mine", "src/api/")
    old_work(team, "ben", "Theirs", "src/", "docs/", hours=2)
    old_work(team, "cy", "Far away", "lib/", hours=2)
    assert briefed(team, "overlaps") == ["ben: Theirs (in progress, 2 hours ago) is about src/, and yours about src/api/"]
    work(team, "Mine", status="completed")
    assert briefed(team, "overlaps") == []


def test_the_briefing_tells_who_waits_for_me_and_what_i_wait_for(team: Team):
    work(team, "A", agent="ben", status="blocked", waiting_for_signal="deployed")
    work(team, "B", agent="cy", status="blocked", blocked_by="ann", blocked_reason="the\n schema", waiting_for_signal="schema-ready")
    work(team, "C", agent="cy", status="blocked", blocked_by="ben", blocked_reason="not for me")
    work(team, "Mine", status="blocked")
    assert briefed(team, "signals") == [
        "cy: B waits for you and the signal schema-ready (the schema)",
        "ben: A waits for the signal deployed",
        "your Mine waits for something",
    ]


BROKEN = {
    "refs/gitmem/sessions/web": {
        "work/ben/a.yaml": "title: [", "work/ben/b.yaml": "status: nonsense\n", "work/x.yaml": "title: t\n", "signals/Bad Name.yaml": "raised: never\n",
        "signals/x.yaml": "raised_by: ben\n", "work/ben/c.yaml": "title: t\nfiles_touched:\n- ../x\n- ''\n- '['\nupdated: 2030-01-01T00:00:00Z\n",
    },
    "refs/gitmem/locks/web": {
        "fence.yaml": "last: many\n", "held/ben/a.yaml": "pattern: [", "held/ben/b.yaml": "pattern: ../x\nreason: r\nfence: 1\nuntil: 2030-01-01T00:00:00Z\n",
        "held/x.yaml": "x\n", "broken/ann/a.yaml": "by: 7\n", "held/ben/c.yaml": "pattern: ''\nuntil: 2030-01-01T00:00:00Z\n", "held/ben/d.yaml": "reason: r\n",
    },
}  # fmt: skip


def past_the_gate(team: Team, ref: str, files: dict[str, str], tmp_path: Path) -> None:
    """Commit files with plain git, as whoever has the repository's folder can."""
    for path, text in files.items():
        (tmp_path / "file").write_text(text)
        oid = git(team.memory.path, "hash-object", "-w", str(tmp_path / "file")).strip()
        git(team.memory.path, "update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    tree = git(team.memory.path, "write-tree").strip()
    git(team.memory.path, "-c", "core.hooksPath=/dev/null", "update-ref", ref, git(team.memory.path, "commit-tree", "-m", "x", tree).strip())
    (team.memory.path / "index").unlink()


def test_records_that_nobody_can_read_stop_nobody(team: Team, tmp_path: Path):
    for ref, files in BROKEN.items():
        past_the_gate(team, ref, files, tmp_path)
    assert active(team)["total"] == 1
    assert work(team, "mine", "src/", waiting_for_signal="x", signals=["y"])["status"] == "in_progress"
    assert team.call("lock_files", files=["src/"], reason="r")["success"]
    assert team.call("check_paths", files=["a.py"], agent="cy")["clear"]
    assert team.call("get_locks")["your_locks"][0]["file"] == "src/"
    briefed(team, "locks"), briefed(team, "overlaps"), briefed(team, "signals")
    assert team.call("unlock_files")["released"] == ["src/"]
    assert count_held(team.memory) >= 0
    session = team.call("start_session")["session_id"]
    team.call("end_session", session=session, summary="s")
