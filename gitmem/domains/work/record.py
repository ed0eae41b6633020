"""The records of work and signals, beside the live sessions, and what holds of them at a moment."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from msgspec import Struct

from gitmem.domains.locks.patterns import a_pattern, overlap
from gitmem.domains.sessions import FAMILY, SESSION_ID_MAX
from gitmem.memory.view import View
from gitmem.names import LONG_AGO, age_in_words, folded, slugify
from gitmem.records.check import a_name, at_most, each, if_any, one_line, plain_text
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import Along, greatest, whoever_last

FILES_MAX = 200
# Work that was said anything about in this time counts as going on.
WINDOW = timedelta(hours=24)
DONE_KEPT = timedelta(hours=24)
OPEN_KEPT = timedelta(days=14)
# For this long a signal reaches those who start to wait for it only after it was raised.
SIGNAL_KEPT = timedelta(days=7)

WorkStatus = Literal["in_progress", "blocked", "completed", "abandoned"]
OPEN: tuple[WorkStatus, ...] = ("in_progress", "blocked")


@kind
class Work(Record):
    """What one agent says it is working on."""

    home: ClassVar[str] = "work/{agent}/{id}.yaml"
    ref: ClassVar[str] = FAMILY

    agent: str = field("who works", check=a_name, example="ann")
    title: str = field("what it is, in one line", check=(one_line, at_most(200)), example="Move the handlers")
    status: WorkStatus = field("how it stands", default="in_progress")
    files_touched: tuple[str, ...] = field(
        "paths, folders and globs that it is about", default=(), check=(at_most(FILES_MAX), each(a_pattern))
    )
    notes: str = field("what others should know", default="", check=(at_most(4000), plain_text))
    blocked_by: str = field("the agent that it waits for", default="", check=if_any(a_name))
    blocked_reason: str = field("what it needs from them", default="", check=(at_most(1000), plain_text))
    waiting_for_signal: str = field("the signal that it waits for", default="", check=if_any(a_name))
    heard: str = field(
        "the signal that set it going again", default="", check=if_any(a_name), merge=Along("heard_at", quiet=True)
    )
    heard_from: str = field("who raised that", default="", check=at_most(100), merge=Along("heard_at", quiet=True))
    heard_at: datetime | None = field("when that was raised", default=None, merge=greatest)
    session: str = field(
        "the session in which it was last updated", default="", check=at_most(SESSION_ID_MAX), merge=whoever_last
    )
    created: datetime | None = field("when it was first told", default=None)
    updated: datetime | None = field("when it was last told", default=None)

    @property
    def id(self) -> str:
        """The same for the same title, however it is spaced and capitalised."""
        title = folded(self.title)
        return f"{slugify(title)}-{hashlib.sha256(title.encode()).hexdigest()[:8]}"

    @property
    def touched(self) -> datetime:
        """When something last happened to it."""
        return max(moment for moment in (self.updated, self.heard_at, LONG_AGO) if moment)

    def goes_on_at(self, moment: datetime) -> bool:
        """Whether it is not done, and was told of lately."""
        return self.status in OPEN and self.is_recent(moment)

    def is_recent(self, moment: datetime) -> bool:
        """Whether something happened to it lately."""
        return moment - self.touched < WINDOW


@kind
class Signal(Record):
    """Something that others wait for has happened."""

    home: ClassVar[str] = "signals/{name}.yaml"
    ref: ClassVar[str] = FAMILY

    name: str = field("what it is called", check=a_name, example="schema-ready")
    raised_by: str = field("who raised it", check=one_line, example="bob")
    raised: datetime | None = field("when it was last raised", default=None)
    details: str = field("what there is to know", default="", check=(at_most(2000), plain_text))


class OverlappingWork(Struct, frozen=True):
    """Work of another agent on the same files: `files` are theirs, `yours` those of the call or of your work."""

    agent: str
    title: str
    status: WorkStatus
    age: str
    files: tuple[str, ...]
    yours: tuple[str, ...]
    notes: str | None = None


def signal_path(name: str) -> str:
    """Where a signal is recorded."""
    return f"signals/{name}.yaml"


def works(view: View) -> Iterator[Work]:
    """All work of a project."""
    return view.records(Work, "work")


def overlapping(all_work: Iterable[Work], agent: str, files: Iterable[str], moment: datetime) -> tuple[OverlappingWork, ...]:
    """What others have lately done to the same files: what goes on first, then the latest."""
    paths = tuple(files)
    others = [work for work in all_work if work.agent != agent and work.status != "abandoned" and work.is_recent(moment)]
    others.sort(key=lambda work: (work.status == "completed", moment - work.touched))
    return tuple(found for work in others if (found := _overlap_with(work, paths, moment)))


def _overlap_with(work: Work, paths: tuple[str, ...], moment: datetime) -> OverlappingWork | None:
    pairs = [(theirs, yours) for theirs in work.files_touched for yours in paths if overlap(theirs, yours)]
    if not pairs:
        return None
    theirs, yours = (tuple(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
    age = age_in_words(work.touched, clock=moment)
    return OverlappingWork(work.agent, work.title, work.status, age, theirs, yours, work.notes or None)


def is_over(record: Record, moment: datetime) -> bool:
    """Whether a record can go: work that is done or was left, and signals that nobody will wait for any more."""
    match record:
        case Work():
            return moment - record.touched >= (OPEN_KEPT if record.status in OPEN else DONE_KEPT)
        case Signal():
            return record.raised is None or moment - record.raised >= SIGNAL_KEPT
        case _:
            return False


def over(view: View, moment: datetime) -> list[str]:
    """The paths of all records of work and signals that can go."""
    return [record.path for folder in ("work", "signals") for record in view.records(Record, folder) if is_over(record, moment)]
