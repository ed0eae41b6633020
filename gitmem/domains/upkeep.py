"""Upkeep of what the team coordinates with: what nobody needs any more leaves the refs of locks, messages and sessions.

What may go is said by the domain that keeps it, in a rule:

    @tended("locks")
    def expired_locks(round: Round) -> Iterator[str]:
        '''Locks whose time is over.'''
        return (each.path for each in round.view.records(Lock) if each.until < round.time)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from gitmem.desk import Desk
from gitmem.memory.memory import Memory
from gitmem.memory.settings import Settings
from gitmem.memory.view import View
from gitmem.records.kind import Record


@dataclass(frozen=True)
class Round:
    """What a rule gets to see: one project's ref of its family as it is, the time, what the team has set."""

    memory: Memory
    view: View
    time: datetime
    settings: Settings

    @property
    def project(self) -> str:
        """The project whose ref it is."""
        return self.view.place.project


Paths = Callable[[Round], Iterator[str]]
Farewell = Callable[[Desk, Record], None]


@dataclass(frozen=True)
class Rule:
    """What may leave a family's refs, and what is done for each record before."""

    family: str
    paths: Paths
    farewell: Farewell | None = None


TENDED: list[Rule] = []


def tended(family: str, *, farewell: Farewell | None = None) -> Callable[[Paths], Paths]:
    """Decorator: have the paths that a function yields removed from the refs `refs/gitmem/<family>/<project>`.

    It may read what it likes; what is removed is what it looked at, or it is asked again. `farewell` is called for
    each record before it goes, in transactions of its own, and must be safe to repeat.
    """

    def declare(function: Paths) -> Paths:
        TENDED.append(Rule(family, function, farewell))
        return function

    return declare
