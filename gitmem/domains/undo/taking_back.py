"""Taking changes back from files as they are now, without touching what others made of them since."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from gitmem.git.log import FileVersion, file_versions, path_versions
from gitmem.git.objects import Difference, Entry
from gitmem.git.repository import Repository
from gitmem.memory.view import View


class Step(Struct, frozen=True):
    """What one change did to one file: `old` and `new` are blob ids, "" where there was none. A move has two paths."""

    old_path: str
    old: str
    path: str
    new: str


class InTheWay(Struct, frozen=True):
    """Somebody changed the same lines later: what they wrote would be lost."""

    path: str
    by: tuple[str, ...]


def steps_of(differences: Iterable[Difference]) -> list[Step]:
    """The steps of a change. What goes in one folder and comes in another under the same name was moved."""
    all_ = [Step(path, _oid(old), path, _oid(new)) for path, old, new in differences]
    gone = {_name(each.path): each for each in all_ if not each.new}
    come = {_name(each.path): each for each in all_ if not each.old}
    moves = {name: Step(gone[name].path, gone[name].old, come[name].path, come[name].new) for name in gone.keys() & come.keys()}
    rest = [each for each in all_ if _name(each.path) not in moves or (each.old and each.new)]
    return [*rest, *moves.values()]


def _oid(entry: Entry | None) -> str:
    return entry.oid if entry else ""


def _name(path: str) -> str:
    return path.rpartition("/")[2]


class TakingBack:
    """Files as they will be: those of a view, with steps taken back from them one after the other, the newest first."""

    def __init__(self, repository: Repository, view: View) -> None:
        self._repository = repository
        self._view = view
        self.files: dict[str, bytes | None] = {}  # what changes; None: the file goes
        self.merged: set[str] = set()  # where something that came later stays
        self.in_the_way: dict[str, InTheWay] = {}

    def take_back(self, step: Step, since: str) -> None:
        """Undo a step that the commit `since` made.

        1. The file is as the step left it: it becomes what it was before.
        2. It is gone since, or was before: there is nothing left to undo, or nothing to undo it in.
        3. It was changed since in other lines: those changes stay.
        4. It was changed since in the same lines, or the step had made it: that is in the way.
        """
        path = step.path if not step.new or self._now(step.path) is not None else self._moved_to(step.path, since)
        now, new, old = self._now(path), self._blob(step.new), self._blob(step.old)
        if now == new:
            self._set(path, step, old)
        elif now is None or now == old:
            pass
        elif new is None or old is None or (merged := _merged(new, now, old)) is None:
            self.in_the_way[path] = InTheWay(path, tuple(self._later_authors(path, since)))
        else:
            self.merged.add(path)
            self._set(path, step, merged)

    def _set(self, path: str, step: Step, data: bytes | None) -> None:
        # what was moved goes back to where it was, unless it was moved on since
        back = step.old_path if path == step.path else path
        if back != path:
            self.files[path] = None
        self.files[back] = data

    def _now(self, path: str) -> bytes | None:
        return self.files[path] if path in self.files else self._before(path)

    def _blob(self, oid: str) -> bytes | None:
        return self._view.objects.blob(oid) if oid else None

    def _moved_to(self, path: str, since: str) -> str:
        """Where a file stands that was moved after a commit."""
        for each in reversed(list(self._versions(path, since))):
            if each.blob and each.old_path == path != each.path:
                path = each.path
        return path

    def _versions(self, path: str, since: str) -> Iterator[FileVersion]:
        # by name, since it may have been moved
        for each in file_versions(self._repository, self._view.commit, _name(path)):
            if each.commit.oid == since:
                return
            yield each

    def _later_authors(self, path: str, since: str) -> Iterator[str]:
        seen = set()
        for each in path_versions(self._repository, self._view.commit, path):
            if each.commit.oid == since:
                return
            if each.commit.author.name not in seen:
                seen.add(each.commit.author.name)
                yield each.commit.author.name

    @property
    def touched(self) -> set[str]:
        """The files that are changed, or would have been."""
        return {*self.files, *self.in_the_way}

    def changes(self) -> dict[str, bytes | None]:
        """What is to be written: the files that will differ from the view."""
        return {path: data for path, data in self.files.items() if data != self._before(path)}

    def _before(self, path: str) -> bytes | None:
        entry = self._view.entry(path)
        return self._view.objects.blob(entry.oid) if entry else None


def _merged(base: bytes, now: bytes, wanted: bytes) -> bytes | None:
    """What `now` is with the step from `base` to `wanted` done to it; None if both touched the same lines."""
    from merge3 import Merge3  # imported late: most calls undo nothing

    before, here, there = (text.splitlines(keepends=True) for text in (base, now, wanted))
    groups = list(Merge3(before, here, there).merge_groups())
    if any(group[0] == "conflict" for group in groups):
        return None
    return b"".join(line for group in groups for line in group[1])
