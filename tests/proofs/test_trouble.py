"""What else happens to a repository: people's git gc, moved folders, broken refs, clocks that were set."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from gitmem.errors import GitmemError
from gitmem.git.maintenance import PACKS_MAX
from gitmem.git.packs import KEEP_TEXT
from gitmem.git.refs import BrokenRef
from gitmem.git.repository import MAIN
from tests.conftest import git
from tests.proofs.workers import Agent, Worker, agent, make, start, word


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


def lines_of(path: Path, *arguments: str) -> set[str]:
    return set(git(path, *arguments).splitlines())


def packs(path: Path, ending: str = "idx") -> set[Path]:
    return set((path / "objects" / "pack").glob(f"pack-*.{ending}"))


@pytest.mark.parametrize("command", [("gc", "--quiet", "--prune=now"), ("repack", "-a", "-d", "-q"), ("gc", "--quiet")], ids=" ".join)
def test_writers_lose_nothing_while_a_person_tidies_in_a_loop(path: Path, command: tuple[str, ...]):
    workers = start(*(Worker("recorder", path, number, 40) for number in range(2)))
    rounds = 0
    while any(worker.process.poll() is None for worker in workers):
        # it may fail, since gitmem folds the packs that it is reading; it may not lose anything
        subprocess.run(["git", "-C", str(path), *command], check=False, capture_output=True)
        rounds += 1
    acknowledged = [line for worker in workers for line in worker.finish()]
    assert rounds
    assert len(acknowledged) == 80
    assert {line["commit"] for line in acknowledged} <= lines_of(path, "rev-list", "main")
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def write_behind_a_lock(path: Path, meanwhile: tuple[str, ...]) -> dict[str, str]:
    """A write whose objects are on disk and whose ref cannot move yet, while a git command runs."""
    lock, before = path / f"{MAIN}.lock", packs(path)
    lock.touch()
    os.utime(lock, (1, 1))  # a clock that was set makes it look old, and it is held nevertheless
    answers: list[dict[str, str]] = []
    with agent(path) as ann:
        thread = threading.Thread(target=lambda: answers.append(ann.record("between")))
        thread.start()
        while packs(path) == before:
            pass
        git(path, *meanwhile)
        lock.unlink()
        thread.join()
    return answers[0]


def test_git_gc_does_not_take_the_objects_of_a_write_that_is_about_to_land(path: Path):
    answer = write_behind_a_lock(path, ("gc", "--quiet", "--prune=now"))
    assert answer["commit"] in lines_of(path, "rev-list", "main")
    assert git(path, "fsck", "--strict", "--no-dangling") == ""
    assert packs(path, "keep") == set()


def test_the_mark_that_keeps_a_killed_processs_pack_does_not_stay_and_a_persons_does(path: Path):
    with agent(path) as ann:
        ann.record("one")
        first, second, *_ = sorted(packs(path))
        first.with_suffix(".keep").write_bytes(KEEP_TEXT)
        second.with_suffix(".keep").touch()
    with agent(path) as ann:
        ann.record("two")
    assert packs(path, "keep") == {second.with_suffix(".keep")}


def test_processes_that_write_once_each_leave_few_packs(path: Path):
    for number in range(30):
        with agent(path) as ann:  # as each call of the command line does
            ann.record(f"q{number}")
    assert len(packs(path)) < 20


def test_a_repository_that_was_moved_while_open_is_missed_not_founded_again(path: Path):
    with agent(path) as ann:
        ann.record("before")
        moved = path.rename(path.with_name("moved.git"))
        for verb, arguments in {
            "query": {"query": "before"},
            "record_learning": {"topic": "after", "content": "the move"},
            "project": {"action": "create", "name": "ghost"},
        }.items():
            with pytest.raises(GitmemError, match="no repository"):
                ann.call(verb, **arguments)
        assert not (path / "refs").exists()
        assert not (path / "objects").exists()
        shutil.rmtree(path, ignore_errors=True)
        moved.rename(path)
        ann.record("again")
    assert git(path, "fsck", "--strict") == ""


def test_a_ref_file_that_a_power_cut_emptied_is_an_error_not_an_empty_memory(path: Path):
    (path / MAIN).write_text("")
    with pytest.raises(BrokenRef):
        Agent(path)
    assert (path / MAIN).read_text() == ""


@pytest.mark.parametrize("seconds", [-86_400, 86_400], ids=["behind", "ahead"])
def test_a_lock_left_by_a_killed_program_goes_whatever_the_clock_says_now(path: Path, seconds: int):
    lock = path / f"{MAIN}.lock"
    lock.touch()
    moment = lock.stat().st_mtime + seconds
    os.utime(lock, (moment, moment))
    with agent(path) as ann:
        ann.record("after")
    assert not lock.exists()


def test_upkeep_goes_on_after_a_killed_git_left_the_lock_of_packed_refs(path: Path):
    for name in ("packed-refs.lock", "packed-refs.new"):
        (path / name).touch()
    with agent(path) as ann:
        assert ann.memory.upkeep.run(thorough=True).loose_refs == 0
    assert not list(path.glob("packed-refs.*"))


def test_writers_do_not_wait_for_a_long_repack_of_another_process(path: Path):
    with FileLock(path / "gitmem" / "upkeep.lock"), agent(path) as ann:
        for number in range(PACKS_MAX + 8):
            ann.record(word(number))


def test_folding_leaves_no_multi_pack_index_of_packs_that_are_gone(path: Path):
    with agent(path) as ann:
        for number in range(12):
            ann.record(word(number))
        git(path, "multi-pack-index", "write")
        for number in range(12, 24):
            ann.record(word(number))
        ann.memory.upkeep.run()
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def test_a_git_that_is_stopped_while_it_holds_a_ref_loses_its_push_and_nobody_elses_write(path: Path, tmp_path: Path):
    hook = path / "hooks" / "reference-transaction"
    git(tmp_path, "clone", "-q", str(path), str(tmp_path / "clone"))
    git(tmp_path / "clone", "commit", "-q", "--allow-empty", "-m", "slow")
    mark, go = tmp_path / "held", tmp_path / "go"
    os.mkfifo(go)
    hook.write_text(f'#!/bin/sh\n[ "$1" = prepared ] && touch {mark} && read line < {go}\nexit 0\n')
    hook.chmod(0o755)
    push = subprocess.Popen(["git", "-C", str(tmp_path / "clone"), "push", "-q", "origin", "HEAD:main"], stderr=subprocess.PIPE, text=True)
    while not mark.exists():
        assert push.poll() is None
    with agent(path) as ann:
        acknowledged = [ann.record(word(number))["commit"] for number in range(3)]  # the first takes the lock over
        go.write_text("go\n")
        assert "failed to update ref" in push.communicate()[1]
        acknowledged.append(ann.record("after")["commit"])
    assert set(acknowledged) <= lines_of(path, "rev-list", "main")
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def test_a_pushed_replacement_of_a_commit_does_not_change_what_history_tells(path: Path):
    with agent(path) as ann:
        record = ann.record("truth")
        # as `git replace` makes it, and as `git push origin refs/replace/*` brings it in
        parent, tree = f"{record['commit']}^", f"{record['commit']}^{{tree}}"
        forged = git(path, "-c", "user.name=eve", "-c", "user.email=e@x", "commit-tree", "-m", "forged", "-p", parent, tree).strip()
        git(path, "update-ref", f"refs/replace/{record['commit']}", forged)
        assert "eve" in git(path, "log", "-1", "--format=%an", record["commit"])
        lines = ann.call("blame", id=record["id"]).value
        assert "eve" not in repr(lines)
        assert "ann" in repr(lines)
