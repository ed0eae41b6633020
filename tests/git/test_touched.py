"""When each path was last touched on one side of a merge."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitmem.git.objects import NO_TREE, Commit, NewObject, Person, new_object
from gitmem.git.packs import write_pack
from gitmem.git.repository import Repository
from gitmem.memory.chain import graft
from gitmem.memory.settling import Touched
from tests.conftest import git

PAT = Person("Pat", "pat@example.com")
START = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


class History:
    """Commits that are written one by one, a minute apart."""

    def __init__(self, path: Path) -> None:
        self.repository = Repository.init(path)
        self.objects = self.repository.objects
        self.minute = 0

    def commit(self, *parents: str, **files: str) -> str:
        self.minute += 1
        tree = self.objects.commit(parents[0]).tree if parents else NO_TREE
        tree, new = graft(self.objects, tree, {name: new_object("blob", text.encode()) for name, text in files.items()})
        made = new_object("commit", Commit(tree, parents, PAT, PAT, START + timedelta(minutes=self.minute), "m\n").encode())
        written: dict[str, NewObject] = {each.oid: each for each in (*new, made)}
        write_pack(self.objects.pack_folder, written)
        return made.oid


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.git")


def minutes(when: Touched, *names: str) -> list[int]:
    return [(when(name) - START) // timedelta(minutes=1) for name in names]


def test_a_path_was_touched_by_the_last_commit_that_changed_it_and_not_by_a_merge(history: History):
    root = history.commit(a="0", b="0")
    ours = history.commit(history.commit(root, a="1"), b="1")
    theirs = history.commit(root, c="1")
    merged = history.commit(ours, theirs, c="1")
    assert minutes(Touched(history.repository, merged, root), "a", "b", "c", "elsewhere", "") == [2, 3, 4, 5, 5]


def test_what_the_other_side_has_too_does_not_count(history: History):
    root = history.commit(a="0")
    base = history.commit(root, a="1")
    ours, theirs = history.commit(base, b="1"), history.commit(base, c="1")
    assert minutes(Touched(history.repository, ours, theirs), "a", "b") == [3, 3]
    assert minutes(Touched(history.repository, ours, ""), "a", "b") == [2, 3]


def test_a_shallow_clone_knows_what_it_has(history: History, tmp_path: Path):
    tip = history.commit(a="0", b="0")
    for number in range(5):
        tip = history.commit(tip, a=str(number))
    git(history.repository.path, "update-ref", "refs/heads/main", tip)
    git(tmp_path, "clone", "-q", "--bare", "--depth=2", f"file://{history.repository.path}", "shallow.git")
    assert minutes(Touched(Repository(tmp_path / "shallow.git"), tip, ""), "a") == [6]
