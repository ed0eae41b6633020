"""Which commits touched the files of a name, in whatever folder: what a commit did never changes, so it is worked out once."""

import threading
from collections.abc import Collection, Iterable, Iterator
from fnmatch import filter as matching
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from sys import intern
from typing import NamedTuple

from gitmem.git.history import STEPS_IN_PROCESS, log
from gitmem.git.objects import Commit, Objects
from gitmem.git.repository import Repository


class Touch(NamedTuple):
    """A commit, and a folder in which it made, changed or removed a file of the name."""

    commit: str
    folder: str


class Past:
    """The past of one repository, as far as it was asked for.

    Commits stand in lines of first parents, numbered, parents first: so a walk passes at once over all that touched
    something else. As `git log` does, it follows one parent of a merge, the first that has the same files of the name.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects: Objects = repository.objects
        self._growing = threading.Lock()
        self._at: dict[str, tuple[int, int]] = {}  # by commit: its line, and its number
        self._tips: list[str] = []  # the newest commit of each line
        self._below: list[str] = []  # the commit that each line grew out of
        self._touches: dict[str, list[Touch]] = {}  # by name, parents first

    def touching(self, head: str, name: str) -> Iterator[tuple[Commit, list[str]]]:
        """The commits from `head` backwards that touched files called `name`, newest first, each with the files' paths.

        `name` may be a pattern, such as `*-3fa2b81c.md`. Merges are left out: what they bring was done before.
        """
        self._reach(head)
        names = [name] if name in self._touches else matching(tuple(self._touches), name)
        paths: dict[str, list[str]] = {}
        for each in names:
            for touch in tuple(self._touches[each]):
                paths.setdefault(touch.commit, []).append(f"{touch.folder}/{each}" if touch.folder else each)
        waiting: list[tuple[float, int, str]] = []
        seen: set[str] = set()
        after = [head]
        while True:
            for oid in filter(None, (self._newest(each, paths) for each in after)):
                if oid not in seen:
                    seen.add(oid)
                    heappush(waiting, (-self._objects.commit(oid).time.timestamp(), len(seen), oid))
            if not waiting:
                return
            commit = self._objects.commit(heappop(waiting)[2])
            after = list(commit.parents)
            if len(after) < 2:
                yield commit, sorted(paths[commit.oid])
            elif same := next((each for each in after if self._same(each, commit, paths)), None):
                after = [same]

    def _newest(self, oid: str, touching: Collection[str]) -> str:
        """The first commit among `touching`, from a commit backwards along first parents; "" if there is none."""
        while oid:
            line, number = self._at[oid]
            here = ((at[1], each) for each in touching if (at := self._at[each])[0] == line and at[1] <= number)
            if found := max(here, default=None):
                return found[1]
            oid = self._below[line]
        return ""

    def _same(self, parent: str, merge: Commit, paths: dict[str, list[str]]) -> bool:
        tree, entry = self._objects.commit(parent).tree, self._objects.entry
        return all(entry(tree, path) == entry(merge.tree, path) for path in {path for each in paths.values() for path in each})

    def _reach(self, head: str) -> None:
        """Take in the commits that lead to `head`."""
        with self._growing:
            if head in self._at:
                return
            new = self._unknown(head)
            if len(new) < STEPS_IN_PROCESS:
                order = TopologicalSorter({oid: each.parents for oid, each in new.items()}).static_order()
                done: Iterable[tuple[Commit, list[str]]] = [(new[oid], self._changed(new[oid])) for oid in order if oid in new]
            else:
                done = reversed(list(log(self._repository, "--diff-merges=first-parent", head)))
            for commit, paths in done:
                self._add(commit, paths)

    def _unknown(self, head: str) -> dict[str, Commit]:
        found: dict[str, Commit] = {}
        waiting = [head]
        while waiting and len(found) < STEPS_IN_PROCESS:
            oid = waiting.pop()
            if oid not in self._at and oid not in found:
                found[oid] = self._objects.commit(oid)
                waiting += found[oid].parents
        return found

    def _changed(self, commit: Commit) -> list[str]:
        return [path for path, _, _ in self._objects.changes(commit)]

    def _add(self, commit: Commit, paths: list[str]) -> None:
        if commit.oid in self._at:
            return
        parent = commit.parents[0] if commit.parents else ""
        line = self._at[parent][0] if parent else -1
        if parent and self._tips[line] == parent:
            self._tips[line] = commit.oid
        else:
            line = len(self._tips)
            self._tips.append(commit.oid)
            self._below.append(parent)
        self._at[commit.oid] = line, len(self._at)
        if commit.oid in self._objects.boundary:
            return  # it stands for all that was left out
        for path in paths:
            folder, _, name = path.rpartition("/")
            self._touches.setdefault(name, []).append(Touch(commit.oid, intern(folder)))
