"""Pending commits: changes that are ready to be committed, and why one may not be. Light, since the push hook loads it."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from gitmem.errors import GitmemError
from gitmem.git.objects import Entry, NewObject, Person


class PendingCommit(Struct, frozen=True):
    """A change that is ready to be committed: what it saw, what it does, how its commit is signed.

    `reads` maps every path that was looked at, and `edits` every path that changes, to what stood there
    and to the blob that will (None: the file goes). `listings` maps folders to the names that were in them.
    `merges` are commits that it takes in beside the tip: a merge is a commit even if it changes no file.
    """

    ref: str
    base: str
    reads: Mapping[str, Entry | None]
    listings: Mapping[str, frozenset[str]]
    edits: Mapping[str, NewObject | None]
    author: Person
    message: str
    time: datetime
    merges: tuple[str, ...] = ()


class Stale(Exception):
    """Somebody else changed what the pending commit had read: it must be made again from `tip`."""

    def __init__(self, tip: str, paths: list[str]) -> None:
        super().__init__(f"{', '.join(paths)} changed")
        self.tip = tip
        self.paths = paths


class StorageFailed(GitmemError):
    """The disk did not take a write."""

    def __init__(self, error: OSError) -> None:
        where = f" ({error.filename})" if error.filename else ""
        super().__init__(
            f"The memory could not be written: {error.strerror or error}{where}. Nothing of this change is kept.",
            fix="Free space or make the repository's folder writable, then repeat the call.",
        )
