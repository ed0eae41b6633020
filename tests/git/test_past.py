"""The versions of a file as git itself tells them."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitmem.git.log import file_versions
from gitmem.git.objects import NO_TREE, Commit, NewObject, Person, new_object
from gitmem.git.packs import write_pack
from gitmem.git.repository import Repository
from gitmem.memory.chain import graft
from tests.conftest import git

PAT = Person("Pat", "pat@example.com")
START = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
PATHS = ("note-1a.md", "x/note-1a.md", "y/z/note-1a.md", "x/note-2b.md", "y/other.md")


class Wood:
    """Commits that are made at random: edits, removals, moves, and merges that take files from either side."""

    def __init__(self, path: Path, seed: int) -> None:
        self.repository = Repository.init(path)
        self.random = random.Random(seed)
        self.commits: list[str] = []

    def grow(self, count: int) -> str:
        for _ in range(count):
            merging = len(self.commits) > 3 and self.random.random() < 0.25
            recent = self.commits[-6:]
            parents = self.random.sample(recent, 2) if merging else recent and [self.random.choice(recent)]
            self.commits.append(self._commit(tuple(parents)))
        return self.commits[-1]

    def _commit(self, parents: tuple[str, ...]) -> str:
        objects = self.repository.objects
        trees = [objects.commit(parent).tree for parent in parents] or [NO_TREE]
        edits: dict[str, NewObject | None] = {}
        for path in PATHS if len(parents) > 1 else self.random.sample(PATHS, self.random.choice([0, 1, 1, 2])):
            text = self.random.choice(["", "one", "two", str(len(self.commits))])
            edits[path] = new_object("blob", text.encode()) if text else None
            if len(parents) > 1 and self.random.random() < 0.9:
                there = objects.entry(self.random.choice(trees), path)
                edits[path] = new_object("blob", objects.blob(there.oid)) if there else None
        tree, new = graft(objects, trees[0], edits)
        moment = START + timedelta(minutes=len(self.commits))
        made = new_object("commit", Commit(tree, parents, PAT, PAT, moment, f"{len(self.commits)}\n").encode())
        write_pack(objects.pack_folder, {each.oid: each for each in (*new, made)})
        return made.oid


def told_by_git(path: Path, head: str, pattern: str) -> list[str]:
    output = git(path, "log", "--format=%x01%H", "--name-only", "--no-renames", head, "--", f":(glob)**/{pattern}")
    return [oid for block in output.split("\x01")[1:] for oid, *paths in [block.split()] if paths]


def told(repository: Repository, head: str, pattern: str) -> list[str]:
    return list(dict.fromkeys(each.commit.oid for each in file_versions(repository, head, pattern)))


@pytest.mark.parametrize("seed", range(12))
def test_versions_are_those_that_git_tells_also_through_merges_and_moves(tmp_path: Path, seed: int):
    wood = Wood(tmp_path / "wood.git", seed)
    for count in (20, 15, 15):  # what was asked before is known, and what has come since is added
        wood.grow(count)
        for head in wood.random.sample(wood.commits, 4) + wood.commits[-1:]:
            for pattern in ("note-1a.md", "note-2b.md", "*-1a*.*", "none.md"):
                assert told(wood.repository, head, pattern) == told_by_git(wood.repository.path, head, pattern)


def test_a_long_past_is_the_same_as_a_short_one(tmp_path: Path):
    wood = Wood(tmp_path / "wood.git", 1)
    head = wood.grow(400)
    assert told(wood.repository, head, "note-1a.md") == told_by_git(wood.repository.path, head, "note-1a.md")


def test_a_version_tells_what_stood_there_before_and_a_move_is_one_change(tmp_path: Path):
    wood = Wood(tmp_path / "wood.git", 1)
    objects, commits = wood.repository.objects, []
    for edits in ({"x/a.md": "1"}, {"x/a.md": "2"}, {"x/a.md": "", "y/a.md": "2"}, {"y/a.md": ""}):
        blobs = {path: new_object("blob", text.encode()) if text else None for path, text in edits.items()}
        tree, new = graft(objects, objects.commit(commits[-1]).tree if commits else NO_TREE, blobs)
        made = new_object("commit", Commit(tree, tuple(commits[-1:]), PAT, PAT, START, "m\n").encode())
        write_pack(objects.pack_folder, {each.oid: each for each in (*new, made)})
        commits.append(made.oid)
    one, two = (new_object("blob", text).oid for text in (b"1", b"2"))
    found = [(each.path, each.blob, each.old_path, each.old_blob) for each in file_versions(wood.repository, commits[-1], "a.md")]
    assert found == [("y/a.md", "", "y/a.md", two), ("y/a.md", two, "x/a.md", two), ("x/a.md", two, "x/a.md", one), ("x/a.md", one, "x/a.md", "")]
