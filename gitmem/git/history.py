"""Who changed which file last, for one file or for all of them in one pass."""

import heapq
import subprocess
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import IO

from msgspec import Struct

from gitmem.git.objects import Commit, MissingObject, Objects, Person
from gitmem.git.repository import LOG, GitFailed, Repository, git_environment, git_program

STEPS_IN_PROCESS = 300


class LastChange(Struct, frozen=True):
    """The last commit that touched a file: when it was made, and its author's name."""

    time: datetime
    author: str
    commit: str


def last_changes(repository: Repository, head: str, paths: Collection[str]) -> dict[str, LastChange]:
    """For each path that exists at `head`, the commit that made it what it is there.

    As `git log -- path` does, a merge is passed through to the parent that has the same file; only a
    file that differs from all parents counts as changed by the merge.
    """
    trail = _Trail(repository.objects, head, paths)
    trail.walk(STEPS_IN_PROCESS)
    if trail.waiting:
        trail.follow(log(repository, head, waiting=lambda: trail.waiting))
    return trail.found


class _Trail:
    """Paths on their way back through history, each waiting at one commit."""

    def __init__(self, objects: Objects, head: str, paths: Collection[str]) -> None:
        self._objects = objects
        self._head = head
        self._at: dict[str, set[str]] = {head: set(paths)} if paths else {}
        self.found: dict[str, LastChange] = {}

    @property
    def waiting(self) -> bool:
        """Whether there are paths whose change is not found yet."""
        return bool(self._at)

    def walk(self, steps: int) -> None:
        """Go back commit by commit in this process, newest first."""
        heap = [(0.0, self._head)]
        while heap and steps:
            steps -= 1
            commit = self._objects.commit(heapq.heappop(heap)[1])
            if commit.oid not in self._at:
                continue
            self._pass(commit)
            for parent in commit.parents:
                if parent in self._at:
                    heapq.heappush(heap, (-self._objects.commit(parent).time.timestamp(), parent))

    def follow(self, log: Iterator[tuple[Commit, list[str]]]) -> None:
        """Go back along git's own log, which names what each commit that is no merge touched."""
        left = set().union(*self._at.values())
        self._at = {self._head: left}
        for commit, touched in log:
            if commit.oid in self._at:
                merge = len(commit.parents) > 1
                self._pass(self._objects.commit(commit.oid) if merge else commit, None if merge else touched)
        for oid, left in self._at.items():  # git saw no further
            self._settle(left, self._objects.commit(oid))
        self._at.clear()

    def _touched(self, commit: Commit) -> Collection[str]:
        """What differs from the first parent."""
        parent = self._tree(commit.parents[0]) if commit.parents else None
        return [path for path, _, _ in self._objects.differences(parent, commit.tree)]

    def _tree(self, oid: str) -> str | None:
        try:
            return self._objects.commit(oid).tree
        except MissingObject:
            return None  # the edge of a shallow clone

    def _pass(self, commit: Commit, touched: Collection[str] | None = None) -> None:
        mine = self._at.pop(commit.oid)
        changed = mine.intersection(self._touched(commit) if touched is None else touched)
        mine -= changed
        for parent in commit.parents[1:]:
            same = {path for path in changed if self._same(commit, parent, path)}
            changed -= same
            self._wait(parent, same)
        self._settle(changed, commit)
        # git's log leaves out the parents that a shallow clone lacks; the commit itself still names them
        if commit.parents and (touched is not None or self._tree(commit.parents[0])):
            self._wait(commit.parents[0], mine)
        else:
            self._settle(mine, commit)

    def _same(self, commit: Commit, parent: str, path: str) -> bool:
        tree = self._tree(parent)
        return tree is not None and self._objects.entry(tree, path) == self._objects.entry(commit.tree, path)

    def _settle(self, paths: set[str], commit: Commit) -> None:
        change = LastChange(commit.time, commit.author.name, commit.oid)
        self.found.update(dict.fromkeys(paths, change))

    def _wait(self, commit: str, paths: set[str]) -> None:
        if paths:
            there = self._at.get(commit)
            # the larger set takes in the smaller: a hundred thousand paths are not copied at each commit
            small, large = sorted((there or set(), paths), key=len)
            large |= small
            self._at[commit] = large


def log(repository: Repository, *what: str, waiting: Callable[[], bool] = lambda: True) -> Iterator[tuple[Commit, list[str]]]:
    """The commits that `git log` tells of, children first, each with what it touched, while there is something waiting."""
    arguments = (*LOG, "--topo-order", "--name-only", "-z", "--no-renames", "--format=%x01%H %P%x02%ct%x02%an", *what, "--")
    command = [git_program(), "-C", str(repository.path), "-c", "log.showRoot=true", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=git_environment()) as process:
        assert process.stdout is not None
        header, touched = b"", []
        for token in _tokens(process.stdout):
            if not token.startswith(b"\x01"):
                touched.append(token.removeprefix(b"\n").decode("utf-8", "surrogateescape"))
                continue
            if header:
                yield _parse(header), touched
            if not waiting():
                process.kill()
                return
            header, touched = token, []
        if header:
            yield _parse(header), touched
    if process.returncode:
        raise GitFailed(arguments, "the history cannot be read")


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(1 << 20):
        *tokens, rest = (rest + chunk).split(b"\0")
        yield from filter(None, tokens)
    if rest:
        yield rest


def _parse(header: bytes) -> Commit:
    ids, seconds, author = header[1:].decode("utf-8", "replace").split("\x02", 2)
    oid, *parents = ids.split()
    # a merge's tree is read when it is looked at; git said already what the others touched
    return Commit("", tuple(parents), Person(author, ""), Person("", ""), datetime.fromtimestamp(int(seconds), UTC), "", oid)
