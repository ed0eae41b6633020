"""Refs are moved durably, or not at all; and lock files that a killed program left behind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gitmem.git import refs
from gitmem.git.refs import NotFlushed
from gitmem.git.repository import MAIN, Repository, run_git


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.init(tmp_path / "memory.git")


def commits(repository: Repository, count: int) -> list[str]:
    tree = run_git(repository.path, "mktree", stdin="").strip()
    return [run_git(repository.path, *AUTHOR, "commit-tree", "-m", str(number), tree).strip() for number in range(count)]


AUTHOR = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")


def fail_to_flush(monkeypatch: pytest.MonkeyPatch, folder: Path, then: Callable[[], object] = lambda: None) -> None:
    """Have the disk refuse to flush a folder, after what somebody else does in that moment."""
    flush = os.fsync

    def refuse(number: int) -> None:
        if os.path.samestat(os.fstat(number), folder.stat()):
            then()
            raise OSError(5, "Input/output error")
        flush(number)

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("packed", [False, True])
def test_a_move_that_the_disk_does_not_confirm_is_taken_back(repository: Repository, monkeypatch: pytest.MonkeyPatch, packed: bool):
    first, second = commits(repository, 2)
    repository.refs.swap(MAIN, None, first)
    if packed:
        run_git(repository.path, "pack-refs", "--all")
    fail_to_flush(monkeypatch, repository.path / "refs/heads")
    with pytest.raises(OSError, match="Input/output error"):
        repository.refs.swap(MAIN, first, second)
    assert run_git(repository.path, "rev-parse", MAIN).strip() == first
    monkeypatch.undo()
    assert repository.refs.swap(MAIN, first, second)


def test_a_first_ref_that_the_disk_does_not_confirm_is_not_there(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    fail_to_flush(monkeypatch, repository.path / "refs/heads")
    with pytest.raises(OSError, match="Input/output error"):
        repository.refs.swap(MAIN, None, commits(repository, 1)[0])
    assert run_git(repository.path, "for-each-ref") == ""


def test_what_others_built_on_meanwhile_stays_and_is_said_to_be_there(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    first, second, theirs = commits(repository, 3)
    repository.refs.swap(MAIN, None, first)
    fail_to_flush(monkeypatch, repository.path / "refs/heads", lambda: run_git(repository.path, "update-ref", MAIN, theirs, second))
    with pytest.raises(NotFlushed, match="is in place"):
        repository.refs.swap(MAIN, first, second)
    assert repository.refs.read(MAIN) == theirs


def test_a_move_that_cannot_be_taken_back_is_said_to_be_there(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    first, second = commits(repository, 2)
    repository.refs.swap(MAIN, None, first)

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    fail_to_flush(monkeypatch, repository.path / "refs/heads", lambda: monkeypatch.setattr(os, "fsync", refuse))
    with pytest.raises(NotFlushed, match="is in place"):
        repository.refs.swap(MAIN, first, second)
    assert repository.refs.read(MAIN) == second
    assert list((repository.path / "refs/heads").iterdir()) == [repository.path / MAIN]


def test_of_two_that_watched_a_left_lock_the_second_does_not_take_the_lock_of_the_first(tmp_path: Path):
    lock = tmp_path / "main.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    seen = refs._identity(lock)
    refs._remove(lock, seen)
    assert not lock.exists()
    lock.write_text("of the first")
    refs._remove(lock, seen)
    assert lock.read_text() == "of the first"
