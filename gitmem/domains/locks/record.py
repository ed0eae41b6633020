"""The lock record, what holds of it at a moment, and the rules that belong to it."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec.structs import replace

from gitmem.domains.locks.patterns import PATTERN_MAX, a_pattern, overlap
from gitmem.domains.sessions import SESSION_ID_MAX
from gitmem.memory.gate import Change, rule
from gitmem.memory.settlers import settler
from gitmem.memory.view import Place, View, places
from gitmem.names import now
from gitmem.records.check import a_name, at_most, between, one_line
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import greatest

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory
    from gitmem.memory.merge import Draft

FAMILY = "locks"
HELD = "held"
FENCE_PATH = "fence.yaml"
REASON_MAX = 300
FENCE_MAX = 2**53  # what every JSON reader takes for a whole number
# How long its holder can still read that a lock was broken.
BROKEN_KEPT = timedelta(days=1)

Mode = Literal["exclusive", "shared"]


def _key(pattern: str) -> str:
    # a pattern holds characters that no file name takes everywhere
    return hashlib.sha256(pattern.encode()).hexdigest()[:32]


@kind
class Lock(Record):
    """What one agent holds: the files that one pattern means, until its time is over."""

    home: ClassVar[str] = "held/{agent}/{key}.yaml"
    ref: ClassVar[str] = FAMILY
    ends: ClassVar[bool] = True

    agent: str = field("who holds it", check=a_name, example="ann")
    pattern: str = field("a path, a folder or a glob", check=(at_most(PATTERN_MAX), a_pattern), example="src/api/")
    mode: Mode = field("shared: others may hold it too, as long as nobody wants it exclusively", default="exclusive")
    reason: str = field("what for", check=(one_line, at_most(REASON_MAX)), example="moving the handlers")
    session: str = field("the session in which it was taken", default="", check=at_most(SESSION_ID_MAX))
    fence: int = field(
        "the number of the grant; later grants have higher ones", check=between(1, FENCE_MAX), example=7, merge=greatest
    )
    since: datetime | None = field("when it was taken", default=None)
    renewed: datetime | None = field("when it was last renewed", default=None)
    until: datetime | None = field("when its time is over", default=None)

    @property
    def key(self) -> str:
        """The name of its file."""
        return _key(self.pattern)

    def holds_at(self, moment: datetime) -> bool:
        """Whether its time is not over."""
        return self.until is not None and moment < self.until

    def excludes(self, pattern: str, mode: Mode) -> bool:
        """Whether nobody else can hold `pattern` beside it."""
        return "exclusive" in (self.mode, mode) and overlap(self.pattern, pattern)


@kind
class BrokenLock(Record):
    """What its holder reads about a lock that was taken away."""

    home: ClassVar[str] = "broken/{agent}/{key}.yaml"
    ref: ClassVar[str] = FAMILY

    agent: str = field("who held it", check=a_name, example="ann")
    pattern: str = field("a path, a folder or a glob", check=(at_most(PATTERN_MAX), a_pattern), example="src/api/")
    by: str = field("who took it away", check=one_line, example="bob")
    reason: str = field("why", check=(one_line, at_most(REASON_MAX)), example="ann has been away for hours")
    at: datetime | None = field("when", default=None)

    @property
    def key(self) -> str:
        """The name of its file."""
        return _key(self.pattern)


@kind
class Fence(Record):
    """The number of the last grant of a project: it outlives every lock."""

    home: ClassVar[str] = FENCE_PATH
    ref: ClassVar[str] = FAMILY

    last: int = field("the number of the last grant", check=between(0, FENCE_MAX), example=7, merge=greatest)


def place_of(project: str) -> Place:
    """Where the locks of a project are."""
    return Place(FAMILY, project)


def held_of(agent: str) -> str:
    """The folder of an agent's locks."""
    return f"{HELD}/{agent}"


def broken_path(lock: Lock) -> str:
    """Where it says that a lock was broken."""
    return f"broken/{lock.agent}/{lock.key}.yaml"


def last_fence(view: "View | Draft") -> int:
    """The number of the last grant."""
    found = view.record(FENCE_PATH)
    return found.last if isinstance(found, Fence) else 0


def held_at(view: View, moment: datetime) -> list[Lock]:
    """The locks whose time is not over."""
    return [lock for lock in view.records(Lock, HELD) if lock.holds_at(moment)]


def count_held(memory: "Memory") -> int:
    """How many locks are held in all projects."""
    moment = now()
    return sum(len(held_at(memory.view(place), moment)) for place in places(memory.repository, FAMILY))


def is_over(record: Record, moment: datetime) -> bool:
    """Whether a record of a locks ref can go: nothing that still counts depends on it."""
    match record:
        case Lock():
            return not record.holds_at(moment)
        case BrokenLock():
            return record.at is None or moment - record.at >= BROKEN_KEPT
        case _:
            return False


def over(view: View, moment: datetime) -> list[str]:
    """The paths of all records that can go."""
    return [record.path for record in view.records(Record) if is_over(record, moment)]


# --- what holds for pushes as well --------------------------------------------------------------------


@rule
def fences_only_rise(change: Change) -> Iterator[Problem]:
    """The number of the last grant never falls, and no grant is ahead of it."""
    if change.before.place.family != FAMILY:
        return
    granted = [lock for lock in _written(change) if not _goes_on(change, lock)]
    if FENCE_PATH not in change.edits and not granted:
        return  # whoever renews or lets go must not race with those who are granted something
    last, following = last_fence(change.before), _fence_after(change)
    if following < last:
        yield Problem(FENCE_PATH, "last", f"would fall from {last} to {following}; it only rises")
    for lock in granted:
        if not last < lock.fence <= following:
            yield Problem(lock.path, "fence", f"is {lock.fence}; a new grant has one of {last + 1} to what {FENCE_PATH} says")


@rule
def locks_exclude_each_other(change: Change) -> Iterator[Problem]:
    """Two agents do not hold the same file, unless both share it."""
    if change.before.place.family != FAMILY:
        return
    moment = now()
    granted = [lock for lock in _written(change) if lock.holds_at(moment) and not _goes_on(change, lock)]
    others = _after(change, moment) if granted else []
    for lock in granted:
        for other in others:
            if other.agent != lock.agent and other.excludes(lock.pattern, lock.mode):
                yield Problem(lock.path, "pattern", f"{lock.pattern} overlaps with {other.pattern}, which {other.agent} holds")


def _written(change: Change) -> Iterator[Lock]:
    for path, _ in change.written():
        decoded = change.decoded(path)
        if decoded and isinstance(decoded.record, Lock):
            yield decoded.record


def _goes_on(change: Change, lock: Lock) -> bool:
    """Whether a lock is the grant that it was, with another time."""
    before = change.before.record(lock.path)
    return isinstance(before, Lock) and (before.fence, before.mode) == (lock.fence, lock.mode) and before.holds_at(change.moment)


def _fence_after(change: Change) -> int:
    decoded = change.decoded(FENCE_PATH)
    return decoded.record.last if decoded and isinstance(decoded.record, Fence) else 0


def _after(change: Change, moment: datetime) -> list[Lock]:
    kept = (lock for lock in held_at(change.before, moment) if lock.path not in change.edits)
    return [*kept, *(lock for lock in _written(change) if lock.holds_at(moment))]


# --- what holds after a merge ---------------------------------------------------------------------


@settler
def granted_once(draft: "Draft") -> None:
    """Of two grants that exclude each other the landed one stays; the other's holder reads of it as of a broken lock.

    What stays of the other side has a number above all that had landed, so that fences go on rising.
    """
    if draft.place.family != FAMILY:
        return
    moment, change = now(), draft.change()
    landed = [lock for lock in held_at(draft.landed, moment) if draft.entry(lock.path)]
    last = last_fence(draft.landed)
    brought = [lock for lock in _written(change) if not _goes_on(change, lock)]
    for lock in sorted(brought, key=lambda each: (each.fence, each.path)):
        holder = next((each for each in landed if each.agent != lock.agent and each.excludes(lock.pattern, lock.mode)), None)
        if not lock.holds_at(moment):
            draft.take(lock.path, draft.landed_side)
        elif holder is not None:
            _tell_loser(draft, lock, holder)
        else:
            last = max(last + 1, lock.fence)
            draft.put(replace(lock, fence=last))
    if last > last_fence(draft):
        draft.put(Fence(scope=draft.place.scope, last=last))


def _tell_loser(draft: "Draft", lock: Lock, holder: Lock) -> None:
    draft.lose(lock.path, f"{holder.agent} holds {holder.pattern} since before this reached the others")
    draft.take(lock.path, draft.landed_side)
    reason = f"{holder.agent} had {holder.pattern} first, in another clone"[:REASON_MAX]
    draft.put(BrokenLock(
        scope=lock.scope, agent=lock.agent, pattern=lock.pattern, by=holder.agent, reason=reason, at=lock.renewed or lock.since
    ))
