"""What leads to one commit and not to another: as git says it."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitmem.git.ancestry import only_in
from gitmem.git.objects import Commit, NewObject, Person, new_object, write_pack
from gitmem.git.repository import Repository, run_git
from gitmem.memory.merge import Touched
from gitmem.memory.view import NO_TREE
from gitmem.memory.writer import graft
from tests.conftest import git

PAT = Person("Pat", "pat@example.com")
START = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


class History:
    """Commits that are written one by one."""

    def __init__(self, path: Path) -> None:
        self.repository = Repository.init(path)
        self.objects = self.repository.objects
        self.new: dict[str, NewObject] = {}
        self.minute = 0

    def commit(self, *parents: str, **files: str) -> str:
        self.minute += 1
        tree = self.objects.commit(parents[0]).tree if parents else NO_TREE
        tree, new = graft(self.objects, tree, {name: new_object("blob", text.encode()) for name, text in files.items()})
        made = new_object("commit", Commit(tree, parents, PAT, PAT, START + timedelta(minutes=self.minute), "m\n").encode())
        for each in (*new, made):
            self.new[each.oid] = each
        self.objects.keep_commit(Commit.parse(made.oid, made.data))
        return made.oid

    def write(self) -> None:
        write_pack(self.objects.pack_folder, self.new)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.git")


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_git_lists_in_any_history(history: History, seed: int):
    chance, commits = random.Random(seed), [history.commit(a="0")]
    for number in range(40):
        parents = list(dict.fromkeys(chance.choices(commits[-8:], k=chance.choice((1, 1, 2)))))
        commits.append(history.commit(*parents, a=str(number)))
    history.write()
    for tip, other in [chance.choices(commits, k=2) for _ in range(20)]:
        expected = run_git(history.repository.path, "rev-list", tip, f"^{other}").split()
        found = [commit.oid for commit in only_in(history.objects, tip, other)]
        assert len(set(found)) == len(found)
        assert set(found) == set(expected)


def test_a_path_was_touched_by_the_last_commit_that_changed_it_and_not_by_a_merge(history: History):
    root = history.commit(a="0", b="0")
    ours = history.commit(history.commit(root, a="1"), b="1")
    theirs = history.commit(root, c="1")
    merged = history.commit(ours, theirs, c="1")
    when = Touched(history.objects, merged, root)
    minutes = {name: (when(name) - START) // timedelta(minutes=1) for name in ("a", "b", "c", "elsewhere", "")}
    assert minutes == {"a": 2, "b": 3, "c": 4, "elsewhere": 5, "": 5}


def test_what_a_shallow_clone_lacks_is_left_out(history: History, tmp_path: Path):
    tip = root = history.commit(a="0")
    for number in range(5):
        tip = history.commit(tip, a=str(number))
    history.write()
    git(history.repository.path, "update-ref", "refs/heads/main", tip)
    git(tmp_path, "clone", "-q", "--bare", "--depth=2", f"file://{history.repository.path}", "shallow.git")
    shallow = Repository(tmp_path / "shallow.git")
    assert next(only_in(shallow.objects, tip, root)).oid == tip
    assert Touched(shallow.objects, tip, root)("a") == shallow.objects.commit(tip).time
