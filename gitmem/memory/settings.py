"""The memory's own settings file, `gitmem.yaml`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from gitmem.errors import GitmemError
from gitmem.memory.gate import Change, rule
from gitmem.memory.view import MAIN_PLACE, View
from gitmem.records.check import between
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind

FORMAT_VERSION = 1
PATH = "gitmem.yaml"


class NewerFormat(GitmemError):
    """The memory was written by a newer gitmem."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"This memory has format version {found}; this gitmem knows versions up to {FORMAT_VERSION}.",
            fix="Upgrade gitmem-server; nothing was read or changed.",
        )


@kind
@dataclass(frozen=True, kw_only=True)
class Settings(Record):
    """What a team sets for its memory."""

    home: ClassVar[str] = PATH

    format: int = field("version of the file layout", check=between(1, FORMAT_VERSION), example=1)
    message_days: int = field(
        "for how many days messages are kept that everybody concerned has read", default=30, check=between(1, 36_500)
    )
    idle_days: int = field(
        "after how many days without a sign of life a session is given up", default=14, check=between(1, 36_500)
    )
    chain_commits: int = field(
        "how many commits locks, messages or sessions of a project gather before their history is archived",
        default=5000, check=between(100, 1_000_000),
    )


@rule
def settings_stay(change: Change) -> Iterator[Problem]:
    """A memory keeps saying which format it has."""
    edit = change.edits.get(PATH)
    if edit is not None and edit.new is None and change.before.place == MAIN_PLACE:
        yield Problem(PATH, "", "cannot be removed: it says which format the memory has")


def settings_of(view: View) -> Settings:
    """The settings in a view. Raises NewerFormat if this gitmem must not touch the memory."""
    record = view.record(PATH)
    if not isinstance(record, Settings):
        return Settings(format=FORMAT_VERSION)
    if record.format > FORMAT_VERSION:
        raise NewerFormat(record.format)
    return record
