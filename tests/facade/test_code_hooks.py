"""Commits to the code: what locks refuse, what is only told, what never stops anybody, and the link to the backlog."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from gitmem.domains.committing import pattern_of
from gitmem.domains.locks.patterns import overlap
from gitmem.names import format_time, now
from tests.conftest import Team, git
from tests.facade.cloning import commit, gitmem, repository, run, write


@pytest.fixture
def code(tmp_path: Path, team: Team) -> Path:
    made = repository(tmp_path / "code")
    gitmem(made, "hooks", "install", "--yes", "--repo", str(team.memory.path), "--project", "web", "--agent", "ann")
    return made


def lock(team: Team, *files: str, agent: str = "bob", **more: object) -> None:
    assert team.call("lock_files", agent=agent, files=list(files), reason="moving the handlers", **more)["success"]


def claimed(team: Team, title: str = "Fix the login", agent: str = "ann", **more: object) -> str:
    item = team.call("add_backlog_item", agent=agent, title=title, **more)["id"]
    team.call("claim_backlog_item", agent=agent, id=item)
    return str(item)


def message(code: Path) -> str:
    return git(code, "log", "-1", "--format=%B").strip()


def notes(code: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in git(code, "notes", "--ref=gitmem", "show", check=False).splitlines() if line.startswith("{")]


# --- locks ------------------------------------------------------------------------------------------


def test_a_commit_of_files_that_another_agent_holds_is_refused_with_holder_reason_and_a_way_out(code: Path, team: Team):
    lock(team, "src/", "*.sql")
    write(code / "db/new.sql", "select 1;\n")
    write(code / "src/[id].tsx", "x\n")
    write(code / "free.py", "x\n")
    git(code, "add", "-A")
    before = git(code, "rev-parse", "HEAD")
    done = run(code, "git", "commit", "-qm", "all")
    until = format_time(now() + timedelta(hours=2))[:13]
    assert done.returncode == 1
    lines = [line.partition(until)[0] for line in done.stderr.splitlines()]
    assert lines == [
        "gitmem: this commit changes files that others hold locked. Nothing was committed.",
        "  db/new.sql: bob holds *.sql for less than a minute, until ",
        "  src/[id].tsx: bob holds src/ for less than a minute, until ",
        "fix: commit the rest without them, ask bob with send_message, or wait until they are free.",
    ]
    assert "'moving the handlers'" in done.stderr
    assert git(code, "rev-parse", "HEAD") == before
    assert run(code, "git", "commit", "-qm", "only mine", "free.py").returncode == 0
    assert run(code, "git", "commit", "-qm", "I know better", "--no-verify").returncode == 0


def test_deleting_and_moving_a_held_file_away_is_refused(code: Path, team: Team):
    commit(code, "a.py")
    lock(team, "a.py")
    git(code, "mv", "a.py", "b.py")
    assert "a.py: bob holds a.py" in run(code, "git", "commit", "-qm", "move").stderr


def test_ones_own_lock_an_ended_one_and_an_unlocked_file_are_in_nobodys_way(code: Path, team: Team):
    lock(team, "mine.py", agent="ann")
    lock(team, "over.py")
    team.call("unlock_files", agent="bob", files=["over.py"])
    assert commit(code, "mine.py") == (0, "")
    assert commit(code, "over.py") == (0, "")


def test_a_shared_lock_and_work_of_others_are_told_and_do_not_refuse(code: Path, team: Team):
    lock(team, "api.py", mode="shared")
    team.call("update_work", agent="cy", title="Rework the shop", files_touched=["shop/"])
    assert commit(code, "api.py") == (
        0, "gitmem: bob relies on api.py (api.py: 'moving the handlers'); tell them what you change.\n",
    )
    assert commit(code, "shop/cart.py") == (
        0, "gitmem: cy works on shop/cart.py as well ('Rework the shop', less than a minute ago); talk to them.\n",
    )


def test_the_environment_says_who_commits_before_what_was_installed(code: Path, team: Team):
    lock(team, "a.py")
    assert commit(code, "a.py")[0] == 1
    assert commit(code, "a.py", GITMEM_AGENT="bob") == (0, "")


def test_a_merge_takes_over_what_others_did_to_files_that_are_held(code: Path, team: Team):
    commit(code, "held.py", "one\n")
    commit(code, "both.py", "one\n")
    git(code, "checkout", "-qb", "bobs")
    commit(code, "held.py", "by bob\n", GITMEM_AGENT="bob")
    commit(code, "both.py", "by bob\n", GITMEM_AGENT="bob")
    git(code, "checkout", "-q", "main")
    commit(code, "both.py", "by ann\n")
    lock(team, "held.py")
    assert "CONFLICT" in git(code, "merge", "-q", "bobs", check=False)
    assert commit(code, "both.py", "by both\n") == (0, "")
    lock(team, "both.py")
    git(code, "reset", "-q", "--hard", "HEAD^")
    git(code, "merge", "-q", "bobs", check=False)
    assert "bob holds both.py" in commit(code, "both.py", "by both\n")[1]


def test_the_first_commit_of_a_repository_is_checked(tmp_path: Path, team: Team):
    code = tmp_path / "new"
    git(tmp_path, "init", "-q", str(code))
    gitmem(code, "hooks", "install", "--yes", "--repo", str(team.memory.path), "--agent", "ann")
    lock(team, "a.py")
    assert "bob holds a.py" in commit(code, "a.py")[1]


def test_thousands_of_files_are_checked_in_time(code: Path, team: Team):
    lock(team, *(f"src/part{number}/**/*.py" for number in range(90)))
    lock(team, "big/f2999.txt")
    for number in range(3000):
        write(code / f"big/f{number}.txt", "x\n")
    git(code, "add", "-A")
    done = run(code, "git", "commit", "-qm", "many")
    assert "  big/f2999.txt: bob holds big/f2999.txt" in done.stderr


@pytest.mark.parametrize("path", ["a*b", "a?b", "#x", "!x", "~x", "a\\b", "ä ö", "a\nb", "C:x", "[id].tsx", " a ", "x" * 300])
def test_a_file_of_any_name_is_covered_by_a_lock_on_its_folder(path: str):
    assert overlap("src/", pattern_of(f"src/{path}"))
    assert not overlap("other/", pattern_of(f"src/{path}"))
    assert overlap("**", pattern_of(path))


# --- nothing that is broken stops anybody -----------------------------------------------------------


def test_a_memory_that_is_gone_stops_nobody(code: Path, team: Team, tmp_path: Path):
    done, said = commit(code, "a", GITMEM_REPO=str(tmp_path / "gone.git"))
    assert done == 0
    assert said.startswith("gitmem: this was not checked: ")
    assert "gone.git" in said


def test_a_project_that_the_memory_does_not_have_stops_nobody_and_is_told(code: Path):
    done, said = commit(code, "a", GITMEM_PROJECT="webb")
    assert done == 0
    assert "There is no project 'webb'. 'gitmem hooks install --project NAME' sets it." in said


def test_a_damaged_memory_stops_nobody(code: Path, team: Team):
    lock(team, "b")
    (team.memory.path / "refs/gitmem/locks/web").write_text("nonsense\n")
    done, said = commit(code, "a")
    assert done == 0
    assert "refs/gitmem/locks/web cannot be read" in said


def test_a_file_system_that_does_not_answer_stops_nobody_for_long(code: Path, team: Team):
    # whoever opens a pipe that nobody writes to waits for ever, as with a server of files that is gone
    ref = team.memory.path / "refs/heads/main"
    text = ref.read_text()
    ref.unlink()
    os.mkfifo(ref)
    began = time.monotonic()
    done, said = commit(code, "a", GITMEM_HOOK_SECONDS="0.5")
    taken = time.monotonic() - began
    ref.unlink()
    ref.write_text(text)
    assert done == 0
    assert said == 2 * "gitmem: no answer from the memory within 0.5 s; this was not checked.\n"
    assert taken < 20  # three hooks on a busy machine; it waits for ever otherwise


# --- the link to the backlog ------------------------------------------------------------------------


def test_a_commit_is_linked_to_the_item_that_its_author_has_in_progress(code: Path, team: Team):
    session = team.call("start_session", agent="ann", task_description="log in")["session_id"]
    item = claimed(team)
    claimed(team, "Something of bob's", agent="bob")
    assert commit(code, "a") == (0, "")
    assert message(code) == f"change a\n\nGitmem-Item: {item}"
    assert notes(code) == [{"memory": "team.git", "project": "web", "item": item, "session": session, "agent": "ann"}]
    assert git(code, "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.usefixtures("signing")
def test_a_signed_commit_is_noted_for_its_item_alone(code: Path, team: Team):
    item = claimed(team)
    assert commit(code, "a") == (0, "")
    assert [each["item"] for each in notes(code)] == [item]


def test_nothing_is_added_without_an_item_or_with_two(code: Path, team: Team):
    commit(code, "a")
    assert (message(code), notes(code)) == ("change a", [])
    first, second = claimed(team), claimed(team, "Another")
    commit(code, "b")
    assert (message(code), notes(code)) == ("change b", [])
    team.call("start_session", agent="ann", task_description=f"finish {second}")
    commit(code, "c")
    assert message(code) == f"change c\n\nGitmem-Item: {second}"
    team.call("update_backlog_item", agent="ann", id=second, status="done")
    commit(code, "d")
    assert message(code) == f"change d\n\nGitmem-Item: {first}"


def test_a_commit_that_comes_out_the_same_is_noted_once(code: Path, team: Team):
    item = claimed(team)
    commit(code, "a")
    date = git(code, "log", "-1", "--format=%cI").strip()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_COMMITTER_DATE", date)
        head = git(code, "rev-parse", "HEAD")
        git(code, "commit", "-q", "--amend", "--no-edit")
        assert git(code, "rev-parse", "HEAD") == head
    assert [each["item"] for each in notes(code)] == [item]


def test_a_trailer_that_is_there_stays_the_only_one(code: Path, team: Team):
    item = claimed(team)
    commit(code, "a", "x\n", "-m", "Signed-off-by: Ann <a@x>\nGitmem-Item: by-hand-00000000")
    assert message(code).count("Gitmem-Item") == 1
    commit(code, "b")
    git(code, "commit", "-q", "--amend", "-m", f"again\n\nGitmem-Item: {item}")
    git(code, "commit", "-q", "--amend", "--no-edit")
    assert message(code) == f"again\n\nGitmem-Item: {item}"
    assert [each["item"] for each in notes(code)] == [item]


def test_it_joins_the_trailers_that_are_there(code: Path, team: Team):
    item = claimed(team)
    commit(code, "a", "x\n", "-s")
    assert message(code).splitlines()[2:] == ["Signed-off-by: Pat Person <pat@example.com>", f"Gitmem-Item: {item}"]


def test_amending_merging_picking_and_rebasing_add_nothing_to_what_was_there(code: Path, team: Team):
    commit(code, "a")
    git(code, "checkout", "-qb", "side", "HEAD^")
    commit(code, "b")
    claimed(team)
    git(code, "commit", "-q", "--amend", "--no-edit")
    assert message(code) == "change b"
    git(code, "rebase", "-q", "main")
    assert message(code) == "change b"
    git(code, "cherry-pick", "--allow-empty", "--keep-redundant-commits", "main")
    assert message(code) == "change a"
    git(code, "checkout", "-q", "main")
    git(code, "merge", "-q", "--no-ff", "--no-edit", "side")
    assert message(code) == "Merge branch 'side'"


def test_a_squashed_message_is_linked_once(code: Path, team: Team):
    item = claimed(team)
    git(code, "checkout", "-qb", "side")
    commit(code, "a")
    commit(code, "b")
    git(code, "checkout", "-q", "main")
    git(code, "merge", "-q", "--squash", "side")
    git(code, "commit", "-q", "--no-edit")
    assert git(code, "log", "-1", "--format=%(trailers:key=Gitmem-Item,valueonly)").split() == [item]
    git(code, "reset", "-q", "--soft", "HEAD^")
    git(code, "commit", "-qm", "as one")
    assert message(code) == f"as one\n\nGitmem-Item: {item}"


def test_the_note_names_where_the_memory_is_shared_and_no_password(code: Path, team: Team):
    git(team.memory.path, "config", "remote.origin.url", "https://ann:secret@example.com/team.git")
    claimed(team)
    commit(code, "a")
    assert notes(code)[0]["memory"] == "https://example.com/team.git"
