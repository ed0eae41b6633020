"""What an agent has been shown of their inbox: a mark, so that reading is never a commit.

The inbox is listed in one order at every commit, and it is read in that order. So a mark that names a commit and the
positions that were shown of the inbox as it was then says exactly what was shown, in a few bytes for any number of
messages. What came later, or came late from another clone, is not in that listing and counts as new.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from gitmem.domains.messages.mailbox import waiting_for
from gitmem.domains.messages.record import ALL, Slot, place_of, stamp_of
from gitmem.git.objects import MissingObject
from gitmem.memory.marks import Mark
from gitmem.memory.memory import Memory
from gitmem.memory.view import View
from gitmem.names import now
from gitmem.records.check import at_most, each, one_line
from gitmem.records.kind import field, kind

# Who has never read their inbox is not shown what everybody was told longer ago than this.
NEWS = timedelta(days=30)
_RUNS_MAX = 4000  # a mark is a small file; what is left out is shown again
_COMMIT = re.compile(r"[0-9a-f]{40}")
_RUNS = re.compile(r"(\d{1,9} [1-9]\d{0,8}( |$))*")


def runs_of(positions: Iterable[int]) -> str:
    """Positions as how many to skip, how many to take, and so on: {0, 1, 2, 5} is `0 3 2 1`."""
    runs: list[list[int]] = []
    reached = 0
    for position in sorted(set(positions)):
        if runs and position == reached:
            runs[-1][1] += 1
        elif len(runs) < _RUNS_MAX:
            runs.append([position - reached, 1])
        else:
            break
        reached = position + 1
    return " ".join(f"{skipped} {taken}" for skipped, taken in runs)


def positions_in(runs: str) -> Iterator[range]:
    """The positions that `runs_of` wrote down, in stretches."""
    numbers = [int(each) for each in runs.split()]
    reached = 0
    for skipped, taken in zip(numbers[::2], numbers[1::2], strict=True):
        yield range(reached + skipped, reached + skipped + taken)
        reached += skipped + taken


def some_runs(value: str) -> str | None:
    """Pairs of numbers."""
    return None if _RUNS.fullmatch(value) else "is no list of positions such as `0 3 2 1`"


def a_commit(value: str) -> str | None:
    """The full id of a commit."""
    return None if _COMMIT.fullmatch(value) else "is no id of a commit"


@kind
@dataclass(frozen=True, kw_only=True)
class Shown(Mark):
    """What an agent has been shown of their inbox, and what they did on autopilot."""

    ref: ClassVar[str] = "inbox"

    since: datetime | None = field("what was told to everybody before this is no news", default=None)
    commit: str = field("the commit of the messages that the positions count by", default="", check=a_commit)
    positions: str = field("skip and take in turn: `0 17 2 1`, in the order of the inbox", default="", check=some_runs)
    acted: tuple[str, ...] = field(
        "`<time> <id>` of messages acted on without a person", default=(), check=(at_most(200), each(one_line))
    )


@dataclass(frozen=True)
class Inbox:
    """What waits for an agent at one commit, in order, and what of it they were shown."""

    view: View
    agent: str
    mark: Shown
    waiting: tuple[Slot, ...]
    shown: Collection[Slot]

    @property
    def unread(self) -> list[Slot]:
        """What waits and was not shown yet."""
        since = stamp_of(self.mark.since) if self.mark.since else ""
        fresh = [slot for slot in self.waiting if slot not in self.shown] if self.shown else list(self.waiting)
        return [slot for slot in fresh if slot.stamp >= since or slot.mailbox != ALL]

    def marked(self, slots: Iterable[Slot]) -> Shown:
        """The mark after these were shown as well; the same if they all were already."""
        fresh = [slot for slot in slots if slot not in self.shown]
        if not fresh:
            return self.mark
        shown = {*self.shown, *fresh}
        positions = (number for number, slot in enumerate(self.waiting) if slot in shown)
        return replace(self.mark, commit=self.view.commit, positions=runs_of(positions))


def inbox_of(memory: Memory, project: str, agent: str) -> Inbox:
    """An agent's inbox as it is now."""
    return inbox_with(memory, project, agent, memory.marks.read(Shown, project, agent))


def inbox_with(memory: Memory, project: str, agent: str, mark: Shown | None) -> Inbox:
    """An agent's inbox as it is now, by a mark of theirs; None for who has none."""
    # looked at after the mark was read, so that the view is no older than what the mark tells of
    mark = mark or Shown(scope=f"projects/{project}", agent=agent, since=now() - NEWS)
    view = memory.view(place_of(project))
    return Inbox(view, agent, mark, waiting_for(view, agent), _shown(memory, project, mark))


def _shown(memory: Memory, project: str, mark: Shown) -> frozenset[Slot]:
    if a_commit(mark.commit) or some_runs(mark.positions):
        return frozenset()
    try:
        then = waiting_for(memory.view(place_of(project), commit=mark.commit), mark.agent)
    except MissingObject:
        return frozenset()  # that history is gone: what cannot be known to have been shown is shown again
    return frozenset(slot for stretch in positions_in(mark.positions) for slot in then[stretch.start : stretch.stop])
