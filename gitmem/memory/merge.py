"""The record-wise three-way merge of two trees. Pure: objects in, a merged tree and what it could not hold out.

Files, and records that have an identity wherever they stand, are merged one by one, by the scenarios 1 to 5 of
`versions.py`. Then:

6. Each file is fine and both together are not (a circle of dependencies, two locks on one file): the domain's
   `@settler` decides.
7. What the gate would still refuse: as the landed side has it; what the other made of it is a `Loss`.

The landed side is the one that others build on already, a hub's: the gate looks at the merge from there. Without one it
is the side that is later as a whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from gitmem.git.objects import FILE, FOLDER, Entry, NewObject, Objects, new_object
from gitmem.memory import gate
from gitmem.memory.caller import GITMEM
from gitmem.memory.settlers import SETTLERS
from gitmem.memory.versions import Loss, SideName, Version, merge_versions
from gitmem.memory.view import ParsedFiles, Place, View
from gitmem.records.codec import Decoded, encode
from gitmem.records.kind import Record, kind_at

R = TypeVar("R", bound=Record)
When = Callable[[str], datetime]
_ROUNDS_MAX = 20


class Merged(Struct, frozen=True):
    """A merge: what differs from our tree, the blobs in it that are new, and what was lost."""

    files: Mapping[str, Entry | None]
    blobs: Mapping[str, NewObject]
    losses: tuple[Loss, ...]

    def edits(self, objects: Objects) -> dict[str, NewObject | None]:
        """What differs from our tree, as a pending commit takes it."""
        return {path: entry and self._blob(objects, entry.oid) for path, entry in self.files.items()}

    def _blob(self, objects: Objects, oid: str) -> NewObject:
        return self.blobs.get(oid) or NewObject("blob", objects.blob(oid), oid)


class Side(Struct, frozen=True):
    """One side of a merge: its tree, and when each path of it was last touched."""

    tree: str
    when: When


class Draft:
    """A merge in the making: what settlers look at and change."""

    def __init__(
        self, objects: Objects, parsed: ParsedFiles, place: Place, base_tree: str, ours: Side, theirs: Side, landed: SideName
    ) -> None:
        self.place = place
        self.objects = objects
        self._parsed = parsed
        self.base = self._view(base_tree)
        self._sides: dict[SideName, tuple[View, When]] = {
            "ours": (self._view(ours.tree), ours.when), "theirs": (self._view(theirs.tree), theirs.when),
        }  # fmt: skip
        self.landed_side = landed
        self.is_decided = False  # whether the landed side is a hub, which decides who holds what
        self.other_side: SideName = "theirs" if landed == "ours" else "ours"
        self.result: dict[str, Entry | None] = {}
        self.blobs: dict[str, NewObject] = {}
        self.losses: list[Loss] = []

    def _view(self, tree: str) -> View:
        view = View(self.objects, self._parsed, self.place, "")
        view.tree = tree
        return view

    def view(self, side: SideName) -> View:
        """One side as it was."""
        return self._sides[side][0]

    @property
    def landed(self) -> View:
        """The side that others build on."""
        return self.view(self.landed_side)

    @property
    def other(self) -> View:
        """The side that is brought in."""
        return self.view(self.other_side)

    def version(self, side: SideName, path: str) -> Version | None:
        """A file of one side."""
        view, when = self._sides[side]
        entry = view.peek(path) if path else None
        return None if entry is None else Version(path, self.objects.blob(entry.oid), when(path), side)

    # --- the merged tree ---------------------------------------------------------------------------

    def entry(self, path: str) -> Entry | None:
        """What stands at a path after the merge."""
        return self.result[path] if path in self.result else self.base.peek(path)

    def read(self, oid: str) -> bytes:
        """A blob's bytes, new ones included."""
        made = self.blobs.get(oid)
        return self.objects.blob(oid) if made is None else made.data

    def decoded(self, path: str) -> Decoded | None:
        """A file of the merged tree as decoded."""
        entry = self.entry(path)
        return None if entry is None else self._parsed.get(self.read, self.place, path, entry.oid)

    def record(self, path: str) -> Record | None:
        """A record of the merged tree."""
        decoded = self.decoded(path)
        return decoded.record if decoded else None

    def changed(self, cls: type[R]) -> Iterator[R]:
        """The records of a class that either side has touched, as the merge has them, by path."""
        for path in sorted(self.result):
            if isinstance(found := self.record(path), cls):
                yield found

    def put(self, record: Record) -> None:
        """Write a record into the merged tree."""
        self.put_file(record.path, encode(record))

    def put_file(self, path: str, data: bytes | None) -> None:
        """Write or remove a file of the merged tree."""
        if data is None:
            self.result[path] = None
            return
        blob = new_object("blob", data)
        self.blobs[blob.oid] = blob
        self.result[path] = Entry(FILE, blob.oid)

    def take(self, path: str, side: SideName | None) -> None:
        """Have a path as one side has it, or as both found it."""
        self.result[path] = (self.base if side is None else self.view(side)).peek(path)

    def lose(self, path: str, why: str, *, fields: tuple[str, ...] = ()) -> None:
        """Note that the merge will not hold what it holds now at a path: to be called before it is changed."""
        self.losses.append(Loss(path, fields, self._to_propose(path), why, self.other_side))

    def _to_propose(self, path: str) -> bytes | None:
        entry, record, landed = self.entry(path), self.record(path), self.landed.record(path)
        if record is not None and type(record) is type(landed) and (again := record.anew(landed)) is not record:
            return encode(again)
        return entry and self.read(entry.oid)

    # --- as seen by others -----------------------------------------------------------------------

    def edits(self, view: View) -> dict[str, gate.Edit]:
        """What the merge changes for one side."""
        pairs = ((path, view.peek(path), entry) for path, entry in self.result.items())
        return {path: gate.Edit(was, now) for path, was, now in pairs if was != now}

    def change(self) -> gate.Change:
        """The merge as the gate sees it from the landed side.

        Forced: it is many changes at once, and what looks like a slip of one may have been several steps.
        """
        return gate.Change(self.landed, self.edits(self.landed), GITMEM, self.read, forced=True, several=True, proposed=True)

    def merged(self) -> Merged:
        """The result."""
        files = {path: edit.new for path, edit in self.edits(self.view("ours")).items()}
        blobs = {each.oid: self.blobs[each.oid] for each in files.values() if each and each.oid in self.blobs}
        return Merged(dict(sorted(files.items())), blobs, _sorted(self.losses))


def _sorted(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    return tuple(sorted(losses, key=lambda loss: (loss.path, loss.fields, loss.lost or b"", loss.why)))


def merge_trees(
    objects: Objects, parsed: ParsedFiles, place: Place, base_tree: str, ours: Side, theirs: Side, *,
    landed: SideName | None = None,
) -> Merged:
    """The merge of two trees of one place that come from `base_tree` (`NO_TREE` if nothing is known of that)."""
    draft = Draft(objects, parsed, place, base_tree, ours, theirs, landed or _later_as_a_whole(ours, theirs))
    draft.is_decided = landed is not None
    for names in _Changes(draft, ours.tree, theirs.tree).groups():
        _merge_group(draft, names)
    for settle in SETTLERS:
        settle(draft)
    _pass_gate(draft)
    return draft.merged()


def _later_as_a_whole(ours: Side, theirs: Side) -> SideName:
    return "ours" if (ours.when(""), ours.tree) > (theirs.when(""), theirs.tree) else "theirs"


class _Changes:
    """Which paths either side touched, those of one record together."""

    def __init__(self, draft: Draft, ours: str, theirs: str) -> None:
        self._family = draft.place.family
        base = draft.base.tree
        self.ours = {path for path, _, _ in draft.objects.differences(base, ours)}
        self.theirs = {path for path, _, _ in draft.objects.differences(base, theirs)}

    def groups(self) -> Iterator[tuple[str, ...]]:
        """The paths of each file or record that was touched."""
        known: dict[object, set[str]] = {}
        for path in self.ours | self.theirs:
            known.setdefault(self._identity(path) or path, set()).add(path)
        for paths in known.values():
            # what only one side moved about needs no second look
            together = bool(paths & self.ours) and bool(paths & self.theirs)
            yield from [tuple(sorted(paths))] if together else ((path,) for path in paths)

    def _identity(self, path: str) -> tuple[str, ...] | None:
        declared = kind_at(path, self._family)
        if declared is None or not declared.record.identity:
            return None
        where = declared.match(path) or {}
        return (declared.name, *(where[name] for name in declared.record.identity))


def _merge_group(draft: Draft, paths: tuple[str, ...]) -> None:
    before, ours, theirs = (_standing(view, paths) for view in (draft.base, draft.view("ours"), draft.view("theirs")))
    if max(map(len, (before, ours, theirs))) > 1:
        for path in paths:  # it was in two places already: each is a file by itself
            _merge_group(draft, (path,))
        return
    if ours in (before, theirs) or theirs == before:  # 1, 2: no blob is opened
        stays = theirs if ours == before else ours
        draft.result |= {path: stays.get(path) for path in paths}
        return
    place = draft.place
    old = next((Version(path, draft.objects.blob(entry.oid), _START, "ours") for path, entry in before.items()), None)
    mine, other = draft.version("ours", _only(ours)), draft.version("theirs", _only(theirs))
    done = merge_versions(place.family, place.scope, old, mine, other)
    draft.result |= dict.fromkeys(paths)
    if done.data is not None:
        draft.put_file(done.path, done.data)
    draft.losses += done.losses


_START = datetime.min


def _standing(view: View, paths: tuple[str, ...]) -> dict[str, Entry]:
    return {path: entry for path in paths if (entry := view.peek(path)) is not None and entry.mode != FOLDER}


def _only(standing: Mapping[str, Entry]) -> str:
    return next(iter(standing), "")


# --- the gate --------------------------------------------------------------------------------------------


def _pass_gate(draft: Draft) -> None:
    """7: have everything that the gate refuses as the landed side has it."""
    for _ in range(_ROUNDS_MAX):
        problems = [each for each in gate.check(draft.change()) if not each.needs_review]
        edited = draft.edits(draft.landed)
        paths = sorted({each.path for each in problems} & edited.keys())
        if not paths:
            return
        for path in paths:
            why = "; ".join(each.what for each in problems if each.path == path)
            draft.lose(path, why)
            draft.take(path, draft.landed_side)
