"""A view: the memory as it was at one commit of one ref. Records read through it never change."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gitmem.errors import GitmemError, NotFound
from gitmem.git.objects import FOLDER, NO_TREE, Entry, Objects
from gitmem.git.repository import MAIN, Repository
from gitmem.names import shown
from gitmem.records.codec import Decoded, decode
from gitmem.records.kind import Record, kind_at

R = TypeVar("R", bound=Record)
_PARSED_LIMIT = 20_000


class Place(Struct, frozen=True):
    """A ref that gitmem keeps records on: `main`, or a family of refs with one ref a project."""

    family: str = "main"
    project: str = ""

    @property
    def ref(self) -> str:
        """The full name of the ref."""
        return MAIN if self.family == "main" else f"refs/gitmem/{self.family}/{self.project}"

    @property
    def scope(self) -> str:
        """The scope of records whose path does not tell."""
        return f"projects/{self.project}" if self.project else "shared"


MAIN_PLACE = Place()


def places(repository: Repository, family: str) -> list[Place]:
    """The places of a family: one for each project that has a ref of it."""
    start = Place(family).ref
    return [Place(family, ref.removeprefix(start)) for ref in repository.refs.list(start)]


class Unreadable(GitmemError):
    """A file that is there and cannot be read: it came in past the gate."""

    def __init__(self, decoded: Decoded) -> None:
        what = "; ".join(map(str, decoded.problems))
        super().__init__(f"{what}.", fix="Mend the file with plain git, or revert to an earlier version.")


def names_at(objects: Objects, tree: str, folder: str) -> frozenset[str]:
    """The names in a folder of a tree."""
    entry = objects.entry(tree, folder)
    return frozenset(objects.tree(entry.oid).entries) if entry and entry.mode == FOLDER else frozenset()


class ParsedFiles:
    """Decoded files, kept by blob id and path: a blob never changes, so this is never stale."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Decoded] = {}

    def get(self, read: Callable[[str], bytes], place: Place, path: str, oid: str) -> Decoded | None:
        """The decoded file, or None if no kind has files at `path`."""
        known = self._known.get((oid, path))
        if known is None:
            declared = kind_at(path, place.family)
            if declared is None:
                return None
            decoded = decode(declared, path, read(oid), scope=place.scope)
            record = replace(decoded.record, version=oid) if decoded.record else None
            known = self.keep(path, oid, Decoded(record, decoded.problems))
        return known

    def keep(self, path: str, oid: str, decoded: Decoded) -> Decoded:
        """Remember what a file decodes to."""
        if len(self._known) >= _PARSED_LIMIT:
            for old in list(self._known)[: _PARSED_LIMIT // 8]:
                self._known.pop(old, None)
        self._known[oid, path] = decoded
        return decoded


class View:
    """One commit of one place. `reads` and `listings` collect what was looked at, for the writer to compare.

    `commit` is "" for a ref that does not exist yet: an empty memory.
    """

    def __init__(self, objects: Objects, parsed: ParsedFiles, place: Place, commit: str) -> None:
        self.objects = objects
        self.parsed = parsed
        self.place = place
        self.commit = commit
        self.tree = objects.commit(commit).tree if commit else NO_TREE
        self.reads: dict[str, Entry | None] = {}
        self.listings: dict[str, frozenset[str]] = {}
        self.kept: dict[object, object] = {}  # what others worked out for this view, by who did

    def apart(self) -> "View":
        """The same commit in a view of its own: what is looked at there does not count as read here."""
        return View(self.objects, self.parsed, self.place, self.commit)

    def entry(self, path: str) -> Entry | None:
        """What stands at a path, file or folder."""
        if path in self.reads:
            return self.reads[path]
        found = self.reads[path] = self.peek(path)
        return found

    def peek(self, path: str) -> Entry | None:
        """What stands at a path, without it counting as read: for look-ups whose result is read afterwards."""
        return self.objects.entry(self.tree, path)

    def decoded(self, path: str) -> Decoded | None:
        """The file at `path` as decoded, with its problems; None if there is no file of any kind."""
        entry = self.entry(path)
        if entry is None or not entry.is_file:
            return None
        return self.parsed.get(self.objects.blob, self.place, path, entry.oid)

    def record(self, path: str) -> Record | None:
        """The record at a path, or None if there is none that can be read."""
        decoded = self.decoded(path)
        return decoded.record if decoded else None

    def get(self, cls: type[R], path: str) -> R:
        """The record of class `cls` at a path. Raises NotFound."""
        record = self.record(path)
        decoded = self.decoded(path) if record is None else None
        if decoded is not None:
            raise Unreadable(decoded)
        if not isinstance(record, cls):
            raise NotFound(f"There is no {cls.__name__.lower()} at {shown(path)}.", fix="Check the name or id.")
        return record

    def names(self, folder: str) -> list[str]:
        """The names in a folder; none if there is no such folder. What stands under them does not count as read."""
        names = names_at(self.objects, self.tree, folder)
        self.listings[folder] = names
        return sorted(names)

    def files(self, folder: str = "") -> Iterator[tuple[str, Entry]]:
        """All files below a folder, as (path, entry)."""
        entry = self.entry(folder)
        if entry and entry.mode == FOLDER:
            yield from self.objects.files(entry.oid, f"{folder}/" if folder else "")

    def records(self, cls: type[R], folder: str = "") -> Iterator[R]:
        """All readable records of a class below a folder, in path order."""
        for path, entry in self.files(folder):
            decoded = self.parsed.get(self.objects.blob, self.place, path, entry.oid)
            if decoded and isinstance(decoded.record, cls):
                yield decoded.record
