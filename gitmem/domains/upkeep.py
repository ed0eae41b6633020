"""Upkeep of what the team coordinates with: what nobody needs any more leaves the refs of locks, messages and sessions.

What may go is said by the domain that keeps it, in a rule:

    @tended("locks")
    def expired_locks(look: Look) -> Iterator[str]:
        '''Locks whose time is over.'''
        return (each.path for each in look.view.records(Lock) if each.until < look.time)

What was dropped stays in the ref's history until that has grown long. Then it is archived, and the chain begins anew.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout
from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains import presence, sessions
from gitmem.domains.ownership.codeowners import refresh
from gitmem.domains.projects import project_path
from gitmem.domains.sessions import LiveSession
from gitmem.errors import GitmemError
from gitmem.git.locking import PrivateLock
from gitmem.memory.caller import GITMEM
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale, StorageFailed
from gitmem.memory.settings import Settings, settings_of
from gitmem.memory.view import Place, View, places
from gitmem.names import LONG_AGO, name_problem, now
from gitmem.records.kind import Record

if TYPE_CHECKING:
    from gitmem.index.search import Index

log = logging.getLogger(__name__)

VERB = "upkeep"
# The families of refs whose history is for looking back and not for good.
FAMILIES = ("locks", "messages", "sessions")
EVERY = timedelta(hours=1)
_TRIES = 5


# --- what may go --------------------------------------------------------------------------------


class Look(Struct, frozen=True):
    """What a rule gets to see: one project's ref of its family as it is, the time, what the team has set."""

    memory: Memory
    view: View
    time: datetime
    settings: Settings

    @property
    def project(self) -> str:
        """The project whose ref it is."""
        return self.view.place.project


Paths = Callable[[Look], Iterator[str]]
Farewell = Callable[[Desk, Record], None]


class Rule(Struct, frozen=True):
    """What may leave a family's refs, and what is done for each record before."""

    paths: Paths
    farewell: Farewell | None = None


TENDED: dict[str, list[Rule]] = {}


def tended(family: str, *, farewell: Farewell | None = None) -> Callable[[Paths], Paths]:
    """Decorator: have the paths that a function yields removed from the refs `refs/gitmem/<family>/<project>`.

    It may read what it likes; a record that changes meanwhile stays. `farewell` is called for each record before it
    goes, as gitmem itself, in transactions of its own, and must be safe to repeat.
    """

    def declare(function: Paths) -> Paths:
        TENDED.setdefault(family, []).append(Rule(function, farewell))
        return function

    return declare


def _end(desk: Desk, session: Record) -> None:
    assert isinstance(session, LiveSession)
    for ending in sessions.ENDINGS:
        ending(desk, session)


@tended(sessions.FAMILY, farewell=_end)
def abandoned_sessions(look: Look) -> Iterator[str]:
    """Live sessions without a sign of life for long. They leave no handoff; the ref's history still has them."""
    idle = timedelta(days=look.settings.idle_days)
    followed: dict[str, datetime] = {}
    for session in sorted(look.view.records(LiveSession), key=lambda each: each.started or LONG_AGO, reverse=True):
        # presence tells of an agent, not of a session: it speaks for the newest one, and an older one was left for that
        sign = followed.get(session.agent) or _last_sign(look, session)
        followed[session.agent] = session.started or LONG_AGO
        if look.time - sign > idle:
            yield session.path


def _last_sign(look: Look, session: LiveSession) -> datetime:
    seen = None if name_problem(session.agent) else presence.last_seen(look.memory, look.project, session.agent)
    return max(session.started or LONG_AGO, seen or LONG_AGO)


# --- what is done -------------------------------------------------------------------------------


class Dropped(Struct, frozen=True):
    """How many records left a ref."""

    family: str
    project: str
    records: int


class Archived(Struct, frozen=True):
    """A history that was put away, in a file of the folder `archive`."""

    family: str
    project: str
    file: str
    size_bytes: int


class Tended(Struct, frozen=True):
    """What was done, and what could not be."""

    dropped: tuple[Dropped, ...]
    archived: tuple[Archived, ...]
    failed: tuple[str, ...]

    def lines(self) -> list[str]:
        """The same for people."""
        return [
            *(f"{each.family} of {each.project}: {each.records} dropped" for each in self.dropped),
            *(f"{each.family} of {each.project}: history archived in archive/{each.file}" for each in self.archived),
            *(f"not done: {each}" for each in self.failed),
        ]


class Busy(GitmemError):
    """Somebody else is at it."""

    def __init__(self) -> None:
        super().__init__("Another process tends this memory at the moment.", fix="Wait until it is through.")


def tend(memory: Memory, index: "Index", *, patience_seconds: float = 0.0, stopped: Callable[[], bool] = bool) -> Tended:
    """Drop what may go from all coordination refs, and archive histories that have grown long.

    Stops early, between two refs, once `stopped` says so. Raises Busy if another process is at it for longer than
    `patience_seconds`, StorageFailed.
    """
    try:
        with PrivateLock(memory.repository.private / "tend.lock").acquire(timeout=patience_seconds):
            done = _Tending(memory, index, stopped).run()
            _note(memory).touch()
            return done
    except Timeout:
        raise Busy from None
    except OSError as error:
        raise StorageFailed(error) from error


def is_due(memory: Memory) -> bool:
    """Whether nobody tended the memory for an hour."""
    try:
        age = time.time() - _note(memory).stat().st_mtime
    except FileNotFoundError:
        return True
    return not 0 <= age < EVERY.total_seconds()


def take_turn(memory: Memory, index: "Index", stopped: Callable[[], bool]) -> None:
    """What a server does now and then: tend if nobody did for an hour, then tidy the repository, thoroughly once a week."""
    if is_due(memory):
        with suppress(Busy):
            tend(memory, index, stopped=stopped)
            if not stopped():
                memory.upkeep.run(thorough=memory.upkeep.wants_thorough())


def _note(memory: Memory) -> Path:
    return memory.repository.private / "tended"


class _Tending:
    """One run over all refs. What fails at one of them is told and does not keep the others."""

    def __init__(self, memory: Memory, index: "Index", stopped: Callable[[], bool]) -> None:
        self._memory = memory
        self._index = index
        self._stopped = stopped
        self._settings = settings_of(memory.view())
        self._failed: dict[str, None] = {}

    def run(self) -> Tended:
        places = list(self._places())
        dropped = [found for place in places if not self._stopped() and (found := self._drop(place))]
        archived = [] if self._stopped() else list(self._archive(places))
        with self._telling("CODEOWNERS"):
            refresh(self._memory)
        return Tended(tuple(dropped), tuple(archived), tuple(self._failed))

    def _places(self) -> Iterator[Place]:
        view = self._memory.view()
        for family in FAMILIES:
            for place in places(self._memory.repository, family):
                if view.entry(project_path(place.project)):  # what a deleted project left may be wanted back
                    yield place

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except (GitmemError, OSError) as error:
            log.warning("upkeep of %s: %s", what, error)
            self._failed[f"{what}: {error}"] = None

    # --- dropping --------------------------------------------------------------------------------

    def _drop(self, place: Place) -> Dropped | None:
        with self._telling(place.ref):
            for _ in range(_TRIES):
                look = Look(self._memory, self._memory.view(place), now(), self._settings)
                try:
                    count = self._remove(look, list(self._leaving(look)))
                except Stale:
                    continue
                return Dropped(place.family, place.project, count) if count else None
        return None

    def _leaving(self, look: Look) -> Iterator[str]:
        desk = Desk(self._memory, self._index, GITMEM, project=look.project, verb=VERB)
        for rule in TENDED.get(look.view.place.family, ()):
            for path in rule.paths(look):
                record = look.view.record(path)
                if rule.farewell is None or record is None:
                    yield path
                else:  # a crash after it leaves the record, and it is bidden farewell again
                    with self._telling(f"{look.view.place.ref} {path}"):
                        rule.farewell(desk, record)
                        yield path

    def _remove(self, look: Look, paths: list[str]) -> int:
        # a view of its own: what the rules looked at must not make a busy ref's writers and this collide
        view = self._memory.view(look.view.place)
        same = [path for path in dict.fromkeys(paths) if (there := view.entry(path)) and there == look.view.peek(path)]
        if same:
            subject = f"{view.place.family}: drop {len(same)} that are over"
            with self._memory.transaction(view, GITMEM, subject, verb=VERB) as change:
                for path in same:
                    change.delete(path)
        return len(same)

    # --- archiving -------------------------------------------------------------------------------

    def _archive(self, places: list[Place]) -> Iterator[Archived]:
        from gitmem.git.chains import Chains  # imported late: the hook loads the rules of domains, and never archives
        from gitmem.memory.rerooting import begin_anew

        chains = Chains(self._memory.repository)
        by_ref = {place.ref: place for place in places}
        with self._telling("the archive"):
            tips = {ref: self._memory.head(place) for ref, place in by_ref.items()}
            # with a hub it is the hub's chain that begins anew: a clone's would be joined to it again by the next sync
            from gitmem.memory.hubs import deciding_hub  # imported late: upkeep seldom comes to this

            is_clone = deciding_hub(self._memory.repository) is not None
            for ref in [] if is_clone else chains.too_long(tips, self._settings.chain_commits):
                if not begin_anew(self._memory, chains, by_ref[ref]):
                    log.info("%s was pushed to while it was to begin anew; the next run tries again", ref)
            for history, path in chains.finish(self._memory.upkeep.last_thorough):
                family, _, project = history.chain.removeprefix("refs/gitmem/").partition("/")
                yield Archived(family, project, path.name, path.stat().st_size)
