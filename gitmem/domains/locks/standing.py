"""How locks stand at a moment: what is stale, who is in whose way, and how answers tell it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from gitmem.domains import presence
from gitmem.domains.locks.record import Lock, Mode
from gitmem.memory.memory import Memory
from gitmem.names import LONG_AGO, age_in_words

TOLD_MOST = 5
TOLD_WIDTH = 240


class HeldLock(Struct, frozen=True):
    """A lock of somebody's. `wanted` are the paths of the call that it covers, wholly or in part."""

    file: str
    held_by: str
    mode: Mode
    reason: str
    since: datetime | None
    until: datetime | None
    idle_for: str
    stale: bool
    fence: int
    expired: bool | None = None
    session_id: str | None = None
    wanted: tuple[str, ...] | None = None


class Standing(Struct, frozen=True):
    """Whether a lock's time is over, and when its holder was last heard of."""

    expired: bool
    heard: datetime
    idle: timedelta

    @property
    def stale(self) -> bool:
        """Whether anybody may break it."""
        return self.expired or self.idle >= presence.IDLE_AFTER


def last_signs(memory: Memory, locks: Iterable[Lock]) -> dict[str, datetime | None]:
    """When the holders of a project's locks were last seen, each looked up once."""
    holders = {lock.agent: lock.project for lock in locks}
    return {agent: presence.last_seen(memory, project, agent) for agent, project in holders.items()}


def standing(lock: Lock, seen: datetime | None, moment: datetime) -> Standing:
    """How a lock stands whose holder was last `seen` then. To take or renew it was a sign of life as well."""
    heard = max((sign for sign in (seen, lock.since, lock.renewed) if sign), default=LONG_AGO)
    return Standing(not lock.holds_at(moment), heard, moment - heard)


def described(
    memory: Memory, locks: Iterable[Lock], moment: datetime, wanted: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[HeldLock, ...]:
    """Locks as answers tell them; `wanted` is, by a lock's path, what of a call it covers."""
    told = list(locks)
    seen = last_signs(memory, told)
    return tuple(_described(lock, standing(lock, seen[lock.agent], moment), (wanted or {}).get(lock.path)) for lock in told)


def _described(lock: Lock, stands: Standing, wanted: tuple[str, ...] | None) -> HeldLock:
    return HeldLock(
        file=lock.pattern,
        held_by=lock.agent,
        mode=lock.mode,
        reason=lock.reason,
        since=lock.since,
        until=lock.until,
        idle_for=age_in_words(stands.heard),
        stale=stands.stale,
        fence=lock.fence,
        expired=stands.expired or None,
        session_id=lock.session or None,
        wanted=wanted,
    )


def few(texts: Sequence[str], separator: str = ", ") -> str:
    """The first few of some texts, none of them long, and how many more there are."""
    told = [text if len(text) <= TOLD_WIDTH else f"{text[: TOLD_WIDTH - 1]}…" for text in texts[:TOLD_MOST]]
    more = f" and {len(texts) - TOLD_MOST} more" if len(texts) > TOLD_MOST else ""
    return separator.join(told) + more


def in_the_way(
    memory: Memory, held: Iterable[Lock], agent: str, patterns: tuple[str, ...], mode: Mode, moment: datetime
) -> tuple[HeldLock, ...]:
    """The locks of others that keep an agent from holding patterns in a mode."""
    others = [lock for lock in held if lock.agent != agent]
    covered = {lock.path: tuple(each for each in patterns if lock.excludes(each, mode)) for lock in others}
    return described(memory, (lock for lock in others if covered[lock.path]), moment, covered)
