"""What an agent has been shown of their inbox: a mark, so that reading is never a commit.

The inbox is listed in one order at every commit, and it is read in that order. So a mark that names a commit and the
positions that were shown of the inbox as it was then says exactly what was shown, in a few bytes for any number of
messages. What came later, or came late from another clone, is not in that listing and counts as new.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from gitmem.domains.messages.mailbox import Listing, Mailbox, mailbox_of
from gitmem.domains.messages.record import ALL, Slot, place_of, stamp_of
from gitmem.git.objects import MissingObject
from gitmem.memory.marks import Mark
from gitmem.memory.view import View
from gitmem.names import now
from gitmem.records.check import at_most, each, one_line
from gitmem.records.kind import field, kind
from gitmem.records.merging import Along, latest_change

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory

# Who has no mark yet was not there: what everybody was told longer ago than this is no news to them.
NEWS = timedelta(days=30)
ACTED_MAX = 200
_RUNS_MAX = 2000  # a mark is a small file; what is left out is shown again
_COMMIT = re.compile(r"[0-9a-f]{40}")
_RUNS = re.compile(r"(\d{1,9} [1-9]\d{0,8}( |$))*")


def runs_of(flags: bytearray) -> str:
    """The positions of flags that are set, as how many to skip, how many to take, and so on: 1, 1, 0, 0, 1 is `0 2 2 1`."""
    runs: list[str] = []
    reached = 0
    while (start := flags.find(1, reached)) >= 0 and len(runs) < _RUNS_MAX:
        end = flags.find(0, start)
        end = len(flags) if end < 0 else end
        runs.append(f"{start - reached} {end - start}")
        reached = end
    return " ".join(runs)


def flags_of(runs: str, count: int) -> bytearray:
    """`count` flags, those set that `runs_of` wrote down."""
    flags, reached = bytearray(count), 0
    numbers = [int(each) for each in runs.split()]
    for skipped, taken in zip(numbers[::2], numbers[1::2], strict=True):
        start, reached = min(reached + skipped, count), min(reached + skipped + taken, count)
        flags[start:reached] = b"\1" * (reached - start)
    return flags


def some_runs(value: str) -> str | None:
    """Pairs of numbers."""
    return None if _RUNS.fullmatch(value) else "is no list of positions such as `0 3 2 1`"


def a_commit(value: str) -> str | None:
    """The full id of a commit."""
    return None if _COMMIT.fullmatch(value) else "is no id of a commit"


@kind
class Shown(Mark):
    """What an agent has been shown of their inbox, and what they did on autopilot."""

    ref: ClassVar[str] = "inbox"

    # two clones count by different commits: what only one of them says was shown is shown again
    commit: str = field(
        "the commit of the messages that the positions count by", default="", check=a_commit, merge=latest_change
    )
    positions: str = field(
        "skip and take in turn: `0 17 2 1`, in the order of the inbox", default="", check=some_runs,
        merge=Along("commit", quiet=True),
    )  # fmt: skip
    acted: tuple[str, ...] = field(
        "`<time> <id>` of messages acted on without a person", default=(), check=(at_most(ACTED_MAX), each(one_line))
    )


class Inbox(Struct, frozen=True):
    """What waits for an agent at one commit, in order, and a flag for each message that they were shown."""

    view: View
    agent: str
    mark: Shown
    listing: Listing
    flags: bytearray

    def is_shown(self, slot: Slot) -> bool:
        """Whether a message waits that was shown."""
        position = self.listing.position(slot)
        return position is not None and bool(self.flags[position])

    def unread(self, category: str | None = None) -> Iterator[Slot]:
        """What waits and was not shown yet."""
        position = self.flags.find(0)
        while position >= 0:
            slot = self.listing.slots[position]
            if category in (None, slot.category):
                yield slot
            position = self.flags.find(0, position + 1)

    def marked(self, slots: Iterable[Slot]) -> Shown:
        """The mark after these were shown as well; the same if they all were already."""
        fresh = [slot for slot in slots if not self.is_shown(slot)]
        if not fresh and self.mark.commit:
            return self.mark
        flags = bytearray(self.flags)
        for slot in fresh:
            if (position := self.listing.position(slot)) is not None:
                flags[position] = 1
        return replace(self.mark, commit=self.view.commit, positions=runs_of(flags))


def inbox_of(memory: "Memory", project: str, agent: str) -> Inbox:
    """An agent's inbox as it is now."""
    return inbox_with(memory, project, agent, memory.marks.read(Shown, project, agent))


def inbox_with(memory: "Memory", project: str, agent: str, mark: Shown | None) -> Inbox:
    """An agent's inbox as it is now, by a mark of theirs; None for who has none."""
    # looked at after the mark was read, so that the view is no older than what the mark tells of
    view = memory.view(place_of(project))
    mailbox = mailbox_of(view, agent)
    listing = mailbox.at(view)
    flags = _flags(memory, mailbox, listing, mark) if mark else None
    made = mark or Shown(scope=f"projects/{project}", agent=agent)
    return Inbox(view, agent, made, listing, _old_news(listing) if flags is None else flags)


def _flags(memory: "Memory", mailbox: Mailbox, listing: Listing, mark: Shown) -> bytearray | None:
    """Which messages of a listing a mark says were shown; None if it does not say."""
    if a_commit(mark.commit) or some_runs(mark.positions):
        return None
    try:
        then = mailbox.at(memory.view(place_of(mark.project), commit=mark.commit))
    except MissingObject:
        return None  # that history is gone: what cannot be known to have been shown is shown again
    return mailbox.carried(flags_of(mark.positions, len(then.slots)), then, listing)


def _old_news(listing: Listing) -> bytearray:
    since = stamp_of(now() - NEWS)
    return bytearray(slot.mailbox == ALL and slot.stamp < since for slot in listing.slots)


def renew(memory: "Memory", project: str, *, before: datetime) -> None:
    """Have marks that count by a commit from before a time count by the present one: old histories are archived."""
    for mark in memory.marks.all(Shown, project):
        if _is_from_before(memory, mark, before):
            memory.marks.change(Shown, project, mark.agent, partial(_renewed, memory, project, mark.agent))


def _is_from_before(memory: "Memory", mark: Shown, moment: datetime) -> bool:
    if a_commit(mark.commit) or mark.commit == memory.head(place_of(mark.project)):
        return False
    try:
        return memory.repository.objects.commit(mark.commit).time < moment
    except MissingObject:
        return False


def _renewed(memory: "Memory", project: str, agent: str, mark: Shown | None) -> Shown:
    inbox = inbox_with(memory, project, agent, mark)
    return replace(inbox.mark, commit=inbox.view.commit, positions=runs_of(inbox.flags))
