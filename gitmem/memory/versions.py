"""The three-way merge of one file, or of one record wherever it stands. Pure: its versions in, what stays and what is lost out.

Numbered scenarios:

1. One side changed it, the other did not: as it was changed.
2. Both did the same: that.
3. One removed it, the other changed or moved it: it stays, changed. Of kinds that end (`Record.ends`, such as a live
   session): it is gone, and the change is lost.
4. One moved it, the other changed it: changed, at its new place.
5. Both changed it, or both added it at one path: field by field (`records/threeway.py`); text that is no record, line
   by line. Where they exclude each other the later change stays, and the other version is a `Loss`.

"Later" is the side whose last commit that touched the file is later; of two at the same second, the greater bytes. The
order of the sides themselves counts for nothing.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.records.codec import decode, encode
from gitmem.records.kind import Kind, Record, kind_at
from gitmem.records.merging import ABSENT, prose
from gitmem.records.threeway import merge_records

SideName = Literal["ours", "theirs"]


class Loss(Struct, frozen=True):
    """What a merge could not hold: the file as it would be if the version that lost had won; None: it would be gone.

    `lost` goes well on top of the merged tree, at `path`: landed as a proposal, it says what a person has to decide.
    `fields` are those in which it differs, () for the whole file; `side` is whose version it is.
    """

    path: str
    fields: tuple[str, ...]
    lost: bytes | None
    why: str
    side: SideName = "ours"
    is_told: bool = False  # whoever lost is told, and there is nothing left to decide


class MergedFile(Struct, frozen=True):
    """A merged file; None: it is gone."""

    data: bytes | None
    path: str
    losses: tuple[Loss, ...] = ()


class Version(Struct, frozen=True):
    """A file on one side: where it is, what it says, when that was said, by whom."""

    path: str
    data: bytes
    time: datetime
    side: SideName

    @property
    def turn(self) -> tuple[datetime, bytes, str]:
        """What versions are put in order by."""
        return self.time, self.data, self.path


def merge_files(
    path: str, family: str, base: bytes | None, ours: bytes | None, theirs: bytes | None, *,
    ours_time: datetime, theirs_time: datetime, scope: str = "shared",
) -> MergedFile:
    """The merge of one file that is at one path on both sides; None for a file that is not there."""
    mine = None if ours is None else Version(path, ours, ours_time, "ours")
    other = None if theirs is None else Version(path, theirs, theirs_time, "theirs")
    old = None if base is None else Version(path, base, min(ours_time, theirs_time), "ours")
    return merge_versions(family, scope, old, mine, other)


def merge_mark(
    family: str, project: str, base: bytes | None, ours: bytes | None, theirs: bytes | None, *,
    ours_time: datetime, theirs_time: datetime,
) -> bytes | None:
    """The merge of a mark, given as the files that `Marks.read` gives. Marks never lose anything worth keeping."""
    scope = f"projects/{project}"
    done = merge_files(
        "mark.yaml", family, base, ours, theirs, ours_time=ours_time, theirs_time=theirs_time, scope=scope
    )
    return done.data


def merge_versions(family: str, scope: str, base: Version | None, ours: Version | None, theirs: Version | None) -> MergedFile:
    """The merge of one file or one record, by the scenarios at the top."""
    if ours is None or theirs is None:
        return _one_is_gone(family, base, ours or theirs)
    earlier, later = sorted((ours, theirs), key=lambda each: each.turn)
    for one, other in ((earlier, later), (later, earlier)):
        if _is_same(one, other) or _is_same(base, other):  # 1, 2
            return MergedFile(one.data, one.path)
    declared = kind_at(later.path, family)
    versions = None if declared is None else _decoded(family, scope, base, earlier, later)
    if versions is None:
        return _texts(base, earlier, later)
    return _records(scope, family, *versions, earlier, later)


def _is_same(one: Version | None, other: Version) -> bool:
    return one is not None and (one.path, one.data) == (other.path, other.data)


def _one_is_gone(family: str, base: Version | None, left: Version | None) -> MergedFile:
    if left is None:  # 2: both removed it
        return MergedFile(None, base.path if base else "")
    if base is None or not _is_same(base, left):
        declared = kind_at(left.path, family)
        if base is None or declared is None or not declared.record.ends:
            return MergedFile(left.data, left.path)  # 1: added; 3: changed
        return MergedFile(None, left.path, (Loss(left.path, (), left.data, "was ended elsewhere", left.side),))  # 3
    return MergedFile(None, left.path)  # 1: removed


def _decoded(
    family: str, scope: str, base: Version | None, earlier: Version, later: Version
) -> tuple[Record | None, Record, Record] | None:
    """The versions as records, if both sides can be read without a problem. A base that cannot is as good as none."""
    old, first, second = (None if each is None else _record(family, scope, each) for each in (base, earlier, later))
    if first is None or second is None or type(first) is not type(second):
        return None
    return old if type(old) is type(first) else None, first, second


def _record(family: str, scope: str, version: Version) -> Record | None:
    declared = kind_at(version.path, family)
    return None if declared is None else _read(declared, scope, version.path, version.data)


def _read(declared: Kind, scope: str, path: str, data: bytes) -> Record | None:
    decoded = decode(declared, path, data, scope=scope)
    return None if decoded.problems else decoded.record


def _records(
    scope: str, family: str, base: Record | None, first: Record, second: Record, earlier: Version, later: Version
) -> MergedFile:
    merged = merge_records(base, first, second)
    data, path = encode(merged.kept), merged.kept.path
    declared = kind_at(path, family)
    if declared is None or _read(declared, scope, path, data) is None:
        # Field by field it is fine, and as a whole it is not: it has become too large.
        return MergedFile(later.data, later.path, (_whole(later.path, earlier, "both changed it"),))
    lost = encode(replace(merged.lost, scope=merged.kept.scope))
    loss = Loss(path, merged.fields, lost, "both changed it", earlier.side)
    return MergedFile(data, path, (loss,) if merged.fields and lost != data else ())


def _whole(path: str, loser: Version, why: str) -> Loss:
    return Loss(path, (), loser.data, why, loser.side)


def _texts(base: Version | None, earlier: Version, later: Version) -> MergedFile:
    try:
        old, first, second = (each.data.decode() if each else ABSENT for each in (base, earlier, later))
    except UnicodeDecodeError:
        return MergedFile(later.data, later.path, (_whole(later.path, earlier, "both changed it, and it is no text"),))
    kept, lost = prose(old, first, second)
    loss = Loss(later.path, (), lost.encode(), "both changed the same lines", earlier.side)
    return MergedFile(kept.encode(), later.path, (loss,) if lost != kept else ())
