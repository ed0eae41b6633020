"""Upkeep of coordination refs: what is over leaves them, long histories are archived, and nobody's write is lost by it."""

import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains import sessions, upkeep
from gitmem.domains.presence import Presence
from gitmem.domains.sessions import LiveSession, place_of
from gitmem.domains.upkeep import Busy, Look, Rule, Tended, tend
from gitmem.errors import GitmemError, Refused
from gitmem.index.search import Index
from gitmem.memory import rerooting
from gitmem.memory.caller import Caller
from gitmem.memory.gate import GateRefused
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale
from gitmem.memory.settings import settings_of
from gitmem.names import now
from gitmem.records.kind import Record
from tests.conftest import Team, git
from tests.proofs.workers import Worker

WEB = place_of("web")
ANN = Caller("ann", "declared")


def session(number: int, *, days: float = 0, agent: str = "ann", project: str = "web") -> LiveSession:
    started = now() - timedelta(days=days)
    return LiveSession(scope=f"projects/{project}", id=f"{project}_{agent}_{number:08x}", agent=agent, started=started)


def put(memory: Memory, *records: LiveSession, project: str = "web") -> None:
    with memory.transaction(memory.view(place_of(project)), ANN, "live") as change:
        for record in records:
            change.put(record)


def grow(memory: Memory, count: int, *, start: int = 0, project: str = "web") -> list[str]:
    """That many commits of one live session each."""
    found = []
    for number in range(start, start + count):
        put(memory, session(number, project=project), project=project)
        found.append(memory.head(place_of(project)))
    return found


def seen(team: Team, agent: str, days: float) -> None:
    mark = Presence(scope="projects/web", agent=agent, seen=now() - timedelta(days=days))
    team.memory.marks.change(Presence, "web", agent, lambda _: mark)


def live(memory: Memory, project: str = "web") -> set[str]:
    return {each.id for each in memory.view(place_of(project)).records(LiveSession)}


def set_up(team: Team, **values: int) -> None:
    lines = "".join(f"{name}: {value}\n" for name, value in {"format": 1, **values}.items())
    with team.memory.transaction(team.memory.view(), ANN, "settings") as change:
        change.put_file("gitmem.yaml", lines.encode())


def run(team: Team) -> Tended:
    return tend(team.memory, team.index)


# --- settings -----------------------------------------------------------------------------------


def test_settings_have_defaults_and_bounds(team: Team):
    found = settings_of(team.memory.view())
    assert (found.message_days, found.idle_days, found.chain_commits) == (30, 14, 5000)
    set_up(team, idle_days=3)
    assert settings_of(Memory(team.memory.path).view()).idle_days == 3
    for name, value in {"idle_days": 0, "message_days": 0, "chain_commits": 99}.items():
        with pytest.raises(GateRefused, match=f"{name} is {value}; "):
            set_up(team, **{name: value})


# --- sessions -----------------------------------------------------------------------------------


def test_a_session_without_a_sign_of_life_for_two_weeks_leaves_in_a_commit_of_gitmem_s_own(team: Team):
    put(team.memory, session(1, days=15, agent="gone"), session(2, days=13, agent="late"), session(3, days=90, agent="here"))
    seen(team, "here", days=1)
    seen(team, "gone", days=15)
    done = run(team)
    assert [(each.family, each.project, each.records) for each in done.dropped] == [("sessions", "web", 1)]
    assert done.failed == ()
    assert live(Memory(team.memory.path)) == {session(2, agent="late").id, session(3, agent="here").id}
    said = git(team.memory.path, "log", "-1", "--format=%an|%s|%(trailers:key=Gitmem-Verb,valueonly)", WEB.ref).strip()
    assert said == "gitmem|sessions: drop 1 that are over|upkeep"
    # nothing of it is on main, and the history still has it
    assert "gone" not in git(team.memory.path, "ls-tree", "-r", "--name-only", "main")
    assert "gone" in git(team.memory.path, "show", "--stat", WEB.ref)


def test_nothing_to_do_makes_no_commit(team: Team):
    put(team.memory, session(1))
    before = team.memory.repository.refs.list("refs/")
    assert run(team) == Tended((), (), ())
    assert team.memory.repository.refs.list("refs/") == before
    assert not (team.memory.path / "archive").exists()


def test_how_long_is_set_in_the_memory(team: Team):
    put(team.memory, session(1, days=4))
    run(team)
    assert live(team.memory) == {session(1).id}
    set_up(team, idle_days=3)
    run(team)
    assert live(team.memory) == set()


def test_presence_speaks_for_the_newest_session_and_an_older_one_goes_two_weeks_after_that_began(team: Team):
    put(team.memory, session(1, days=40), session(2, days=20), session(3, days=10))
    seen(team, "ann", days=0)
    run(team)
    assert live(team.memory) == {session(2).id, session(3).id}


def test_the_endings_of_a_session_run_before_it_goes(team: Team, monkeypatch: pytest.MonkeyPatch):
    ended: list[tuple[str, str, str, bool]] = []

    def note(desk: Desk, session: Record) -> None:
        assert isinstance(session, LiveSession)
        ended.append((desk.agent, desk.project, session.id, session.id in live(desk.memory)))

    monkeypatch.setattr(sessions, "ENDINGS", [note])
    put(team.memory, session(1, days=15))
    run(team)
    assert ended == [("gitmem", "web", session(1).id, True)]
    assert live(team.memory) == set()


def test_a_session_whose_ending_fails_stays_and_keeps_no_other(team: Team, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: Desk, session: Record) -> None:
        if session.path.endswith("1.yaml"):
            raise Refused("The lock is stuck.", fix="Wait.")

    monkeypatch.setattr(sessions, "ENDINGS", [refuse])
    put(team.memory, session(1, days=15), session(2, days=15, agent="bob"))
    done = run(team)
    assert live(team.memory) == {session(1).id}
    assert done.failed == (f"refs/gitmem/sessions/web {session(1).path}: The lock is stuck. Wait.",)
    assert done.lines() == ["sessions of web: 1 dropped", f"not done: {done.failed[0]}"]
    monkeypatch.setattr(sessions, "ENDINGS", [])
    run(team)
    assert live(team.memory) == set()


def test_a_session_with_an_odd_agent_or_no_time_stops_nothing(team: Team):
    put(team.memory, replace(session(1, days=20), agent="../../heads/main"), replace(session(2, agent="bob"), started=None))
    assert run(team).failed == ()
    assert live(team.memory) == set()


def test_what_a_deleted_project_left_is_not_touched(team: Team):
    put(team.memory, session(1, days=99, project="old"), project="old")
    assert run(team) == Tended((), (), ())
    assert live(team.memory, "old") == {session(1, project="old").id}


# --- rules ----------------------------------------------------------------------------------------


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Rule]]:
    rules: list[Rule] = []
    monkeypatch.setitem(upkeep.TENDED, "sessions", rules)
    return rules


def test_a_record_that_changes_after_it_was_looked_at_stays(team: Team, rule: list[Rule]):
    put(team.memory, session(1), session(2))

    def all_of_it(look: Look) -> Iterator[str]:
        yield from [path for path, _ in look.view.files()]
        put(look.memory, replace(session(1), task="renewed"))

    rule.append(Rule(all_of_it))
    run(team)
    assert live(team.memory) == {session(1).id}


def test_writers_of_other_records_do_not_keep_anything_from_going(team: Team, rule: list[Rule]):
    put(team.memory, session(1, days=1))

    def old(look: Look) -> Iterator[str]:
        yield from [each.path for each in look.view.records(LiveSession) if each.started and each.started < look.time - timedelta(hours=1)]
        grow(look.memory, 3, start=10)

    rule.append(Rule(old))
    assert run(team).dropped[0].records == 1
    assert live(team.memory) == {session(number).id for number in (10, 11, 12)}


def test_a_rule_that_names_what_is_not_there_or_names_it_twice_does_no_harm(team: Team, rule: list[Rule]):
    put(team.memory, session(1), session(2))
    rule.append(Rule(lambda _: iter([session(1).path, session(1).path, "nothing.yaml"])))
    assert run(team).dropped[0].records == 1
    assert live(team.memory) == {session(2).id}


def test_rules_are_declared_beside_what_they_are_about(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upkeep, "TENDED", {})

    @upkeep.tended("locks")
    def nothing(_: Look) -> Iterator[str]:
        yield from ()

    assert upkeep.TENDED["locks"] == [Rule(nothing)]


def test_a_project_that_cannot_be_tended_does_not_keep_the_others(team: Team, rule: list[Rule]):
    team.call("project", action="create", name="app")
    put(team.memory, session(1, project="app"), project="app")
    put(team.memory, session(1))

    def fails_in_app(look: Look) -> Iterator[str]:
        if look.project == "app":
            raise Refused("Something is wrong.", fix="Mend it.")
        yield session(1).path

    rule.append(Rule(fails_in_app))
    done = run(team)
    assert [each.project for each in done.dropped] == ["web"]
    assert done.failed == ("refs/gitmem/sessions/app: Something is wrong. Mend it.",)


# --- archiving ----------------------------------------------------------------------------------


def bundled(path: Path, folder: Path) -> set[str]:
    """All commits in all archives of a memory."""
    git(folder, "init", "-q", "--bare", "read.git")
    for bundle in (path / "archive").glob("*.bundle"):
        git(folder / "read.git", "fetch", "-q", str(bundle), "refs/*:refs/*")
    return set(git(folder / "read.git", "rev-list", "--all").split())


def test_a_long_history_is_archived_and_the_chain_begins_anew_with_the_same_tree(team: Team, tmp_path: Path):
    set_up(team, chain_commits=100)
    commits = grow(team.memory, 101)
    tree = team.memory.view(WEB).tree
    done = run(team)
    (archived,) = done.archived
    assert (archived.family, archived.project) == ("sessions", "web")
    assert archived.file == f"sessions-web-{commits[-1][:10]}.bundle"
    assert archived.size_bytes == (team.memory.path / "archive" / archived.file).stat().st_size
    assert done.lines() == [f"sessions of web: history archived in archive/{archived.file}"]
    other = Memory(team.memory.path)
    assert other.view(WEB).tree == tree
    assert other.repository.objects.commit(other.head(WEB)).parents == ()
    message = git(team.memory.path, "log", "-1", "--format=%an%n%B", WEB.ref)
    assert message.startswith("gitmem\nsessions: the history is archived\n")
    assert f"What led to {commits[-1]} is in archive/{archived.file}." in message
    assert set(commits) == bundled(team.memory.path, tmp_path)
    assert run(team) == Tended((), (), ())
    put(other, session(999))
    assert len(git(team.memory.path, "rev-list", WEB.ref).split()) == 2
    assert "error" not in git(team.memory.path, "fsck", "--strict")


def test_a_history_that_is_short_enough_stays(team: Team):
    set_up(team, chain_commits=100)
    grow(team.memory, 100)
    assert run(team).archived == ()


def test_what_was_dropped_before_is_in_the_archive(team: Team, tmp_path: Path):
    set_up(team, chain_commits=100)
    put(team.memory, session(5000, days=20, agent="gone"))
    grow(team.memory, 100)
    done = run(team)
    assert (len(done.dropped), len(done.archived)) == (1, 1)
    tip = next(iter(team.memory.repository.refs.list("refs/gitmem/archive/").values()))
    bundled(team.memory.path, tmp_path)
    assert session(5000, agent="gone").path in git(tmp_path / "read.git", "log", "--format=", "--name-only", tip)


def test_a_view_and_a_transaction_on_the_old_tip_go_on(team: Team):
    set_up(team, chain_commits=100)
    grow(team.memory, 101)
    view = team.memory.view(WEB)
    changing = team.memory.transaction(team.memory.view(WEB), ANN, "later")
    losing = team.memory.transaction(team.memory.view(WEB), ANN, "too late")
    run(team)
    put(team.memory, replace(session(7), task="somebody was faster"))
    assert len(list(view.records(LiveSession))) == 101
    with changing as change:
        change.put(session(200))
    assert session(200).id in live(Memory(team.memory.path))
    with pytest.raises(Stale), losing as change:
        change.put(replace(session(7), task="mine"))


def test_no_write_is_lost_while_chains_begin_anew(team: Team):
    """Threads and another process write all the time; in between, the chain begins anew again and again."""
    stop, promised = threading.Event(), list[str]()

    def write(agent: str) -> None:
        memory = Memory(team.memory.path)
        number = 0
        while not stop.is_set():
            put(memory, session(number, agent=agent))
            promised.append(session(number, agent=agent).id)
            number += 1

    threads = [threading.Thread(target=write, args=(f"agent-{number}",)) for number in range(2)]
    for each in threads:
        each.start()
    worker = Worker("starter", team.memory.path, 7).ready().go()
    said = [worker.line()]
    chains = rerooting.Chains(team.memory.repository)
    anew = sum(rerooting.begin_anew(team.memory, chains, WEB) for _ in range(10))
    said += [worker.line()]
    stop.set()
    for each in threads:
        each.join()
    said += worker.kill()
    assert anew == 10
    there = live(Memory(team.memory.path))
    assert set(promised) <= there
    assert {line["session"] for line in said} <= there
    roots = git(team.memory.path, "rev-list", "--max-parents=0", "--exclude=refs/gitmem/messages/*", "--all", "--not", "main").split()
    assert len(roots) == anew + 1
    assert len(chains.held()) == anew


def test_a_crash_before_the_chain_began_anew_leaves_nothing(team: Team):
    commits = grow(team.memory, 3)
    chains = rerooting.Chains(team.memory.repository)
    chains.hold(rerooting.PutAway.of(WEB.ref, commits[-1]))
    grow(team.memory, 1, start=3)
    assert run(team).archived == ()
    assert chains.held() == []


def test_a_crash_before_the_archive_was_written_is_made_good(team: Team, tmp_path: Path):
    commits = grow(team.memory, 3)
    chains = rerooting.Chains(team.memory.repository)
    assert rerooting.begin_anew(team.memory, chains, WEB)
    assert len(run(Team_of(team)).archived) == 1
    assert bundled(team.memory.path, tmp_path) == set(commits)


def Team_of(team: Team) -> Team:  # noqa: N802  another process's
    other = Team.__new__(Team)
    other.memory = Memory(team.memory.path)
    other.index = Index(other.memory)
    return other


def test_a_full_disk_keeps_the_history_in_the_repository(team: Team):
    set_up(team, chain_commits=100)
    commits = grow(team.memory, 101)
    (team.memory.path / "archive").write_text("no place for a folder")
    done = run(team)
    assert done.archived == ()
    assert done.failed[0].startswith("the archive: ")
    assert set(commits) <= set(git(team.memory.path, "rev-list", "--all").split())
    (team.memory.path / "archive").unlink()
    assert len(run(team).archived) == 1


def test_an_archive_is_not_pushed_to(team: Team, tmp_path: Path):
    git(tmp_path, "clone", "-q", str(team.memory.path), "clone")
    done = subprocess.run(
        ["git", "-C", str(tmp_path / "clone"), "push", "-q", "origin", "HEAD:refs/gitmem/archive/locks/web/0123456789"],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode != 0
    assert "is no ref that gitmem keeps" in done.stderr


# --- one at a time --------------------------------------------------------------------------------


def test_one_process_at_a_time(team: Team):
    with FileLock(team.memory.repository.private / "tend.lock"), pytest.raises(Busy, match="Another process tends"):
        run(team)
    assert upkeep.is_due(team.memory)
    run(team)
    assert not upkeep.is_due(team.memory)


def test_a_server_s_turn_comes_once_an_hour_for_all_of_them(team: Team):
    put(team.memory, session(1, days=20))
    upkeep.take_turn(team.memory, team.index, lambda: False)
    assert live(team.memory) == set()
    put(team.memory, session(1, days=20))
    other = Team_of(team)
    upkeep.take_turn(other.memory, other.index, lambda: False)
    assert live(team.memory) == {session(1).id}
    with FileLock(team.memory.repository.private / "tend.lock"):
        (team.memory.repository.private / "tended").unlink()
        upkeep.take_turn(team.memory, team.index, lambda: False)  # somebody else is at it
    assert live(team.memory) == {session(1).id}


def test_a_run_that_is_stopped_ends_between_two_refs(team: Team, rule: list[Rule]):
    team.call("project", action="create", name="app")
    for project in ("app", "web"):
        put(team.memory, session(1, project=project), project=project)
    asked: list[str] = []

    def everything(look: Look) -> Iterator[str]:
        asked.append(look.project)
        yield from [path for path, _ in look.view.files()]

    rule.append(Rule(everything))
    done = tend(team.memory, team.index, stopped=lambda: bool(asked))
    assert asked == ["app"]
    assert [each.project for each in done.dropped] == ["app"]


def test_another_process_writes_on_while_one_tends(team: Team):
    set_up(team, chain_commits=100)
    grow(team.memory, 101)
    worker = Worker("starter", team.memory.path, 1).ready().go()
    said = [worker.line()]
    run(team)
    said += [worker.line() for _ in range(3)] + worker.kill()
    assert {line["session"] for line in said} <= live(Memory(team.memory.path))


def test_a_memory_that_was_moved_away_is_not_tended_into_being(team: Team):
    moved = team.memory.path.rename(team.memory.path.with_name("moved.git"))
    with pytest.raises(GitmemError):
        upkeep.take_turn(team.memory, team.index, bool)
    assert not team.memory.path.exists()
    moved.rename(team.memory.path)
