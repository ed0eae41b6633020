"""Marks: overwritten in place, never a commit, and cleared away behind themselves."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from msgspec.structs import replace

from gitmem.domains.presence import Presence, seen
from gitmem.git import marks as git_marks
from gitmem.memory.memory import Memory
from tests.conftest import git


def mark(memory: Memory, task: str, agent: str = "ann") -> Presence:
    return seen(memory, "web", agent, task=task)


def loose(memory: Memory) -> int:
    return len(list(memory.repository.objects.path.glob("[0-9a-f][0-9a-f]/*")))


def test_a_mark_is_read_by_another_process_and_by_git(memory: Memory):
    mark(memory, "mending retries")
    other = Memory(memory.path)
    found = other.marks.read(Presence, "web", "ann")
    assert found is not None
    assert found.current_task == "mending retries"
    shown = git(memory.path, "cat-file", "-p", "refs/gitmem/presence/web/ann")
    assert shown.startswith("# refs/gitmem/presence/web/ann\n")
    assert "current_task: mending retries\n" in shown
    git(memory.path, "fsck", "--strict")


def test_the_same_sign_of_life_again_writes_nothing(memory: Memory):
    mark(memory, "mending")
    before = memory.repository.refs.list("refs/")
    mark(memory, "mending")
    assert memory.repository.refs.list("refs/") == before
    assert loose(memory) == 1


def test_nobody_s_change_is_lost_when_many_change_one_mark(memory: Memory):
    def add(letter: str) -> None:
        def edit(current: Presence | None) -> Presence:
            old = current or Presence(scope="projects/web", agent="ann")
            return replace(old, current_task=old.current_task + letter)

        Memory(memory.path).marks.change(Presence, "web", "ann", edit)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, "abcdefghijklmnopqrstuvwx"))
    found = memory.marks.read(Presence, "web", "ann")
    assert found is not None
    assert "".join(sorted(found.current_task)) == "abcdefghijklmnopqrstuvwx"


def test_what_was_overwritten_goes_after_a_while_and_what_holds_stays(memory: Memory):
    for number in range(50):
        mark(memory, f"task {number}")
        mark(memory, f"task {number}", agent="bob")
    hashed = git(memory.path, "hash-object", "-w", os.devnull).strip()  # a person's own loose object
    memory.upkeep.run()
    assert loose(memory) == 101
    for path in memory.repository.objects.path.glob("[0-9a-f][0-9a-f]/*"):
        os.utime(path, (0, path.stat().st_mtime - git_marks.GRACE_SECONDS - 1))
    memory.upkeep.run()
    assert loose(memory) == 3
    assert git(memory.path, "cat-file", "-t", hashed).strip() == "blob"
    assert [each.current_task for each in memory.marks.all(Presence, "web")] == ["task 49", "task 49"]
    git(memory.path, "fsck", "--strict")


def test_folders_that_are_cleared_away_while_marks_are_written_stop_none(memory: Memory):
    objects, done = memory.repository.objects.path, threading.Event()

    def clear() -> None:
        while not done.is_set():
            for folder in objects.glob("[0-9a-f][0-9a-f]"):
                with suppress(OSError):
                    folder.rmdir()

    with ThreadPoolExecutor(1) as pool:
        clearing = pool.submit(clear)
        try:
            for number in range(300):
                old = memory.repository.refs.read("refs/gitmem/presence/web/ann")
                mark(memory, f"task {number}")
                if old:
                    (objects / old[:2] / old[2:]).unlink()
        finally:
            done.set()
        clearing.result()
    found = Memory(memory.path).marks.read(Presence, "web", "ann")
    assert found is not None
    assert found.current_task == "task 299"
    memory.upkeep.run()
    assert loose(memory) == len(list(objects.glob("[0-9a-f][0-9a-f]"))) == 1


def test_all_lists_the_marks_of_one_project(memory: Memory):
    mark(memory, "one", "bob")
    mark(memory, "two", "ann")
    seen(memory, "app", "eve")
    assert [each.agent for each in memory.marks.all(Presence, "web")] == ["ann", "bob"]
