"""Holding locks: lock_files, renew_locks, unlock_files, and letting go at the end of a session."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains import sessions
from gitmem.domains.locks.patterns import checked, overlap
from gitmem.domains.locks.record import (
    REASON_MAX,
    BrokenLock,
    Fence,
    Lock,
    Mode,
    broken_path,
    held_at,
    held_of,
    last_fence,
    over,
    place_of,
)
from gitmem.domains.locks.standing import HeldLock, few, in_the_way
from gitmem.domains.sessions import LiveSession, Session
from gitmem.domains.syncing import told_local_only
from gitmem.errors import NotFound, Refused
from gitmem.memory.transaction import Transaction
from gitmem.memory.view import View
from gitmem.names import age_in_words, check_name, format_time, now, shown
from gitmem.records.check import at_most, one_line
from gitmem.verbs import verb

TTL_MINUTES = 120
TTL_MINUTES_MAX = 24 * 60
FILES_MAX = 100
HELD_MAX = 300


class LockAnswer(Struct, frozen=True):
    """All that was asked for is locked, or nothing: then `conflicts` says who is in the way, and `fix` what to do.

    `local_only`: why the hub does not know of it, so that somebody in another clone may hold the same.
    """

    success: bool
    locked: tuple[str, ...]
    conflicts: tuple[HeldLock, ...]
    fence: int | None = None
    until: datetime | None = None
    note: str | None = None
    fix: str | None = None
    local_only: str | None = None


class RenewAnswer(Struct, frozen=True):
    """What is held for longer. `until` is when the first of it ends."""

    success: bool
    renewed: tuple[str, ...]
    until: datetime | None = None


class NotHeld(Struct, frozen=True):
    """A path that the caller does not hold, and why."""

    file: str
    why: str


class UnlockAnswer(Struct, frozen=True):
    """What was let go, what the caller did not hold anyway, and what is held still."""

    success: bool
    released: tuple[str, ...]
    not_held: tuple[NotHeld, ...]
    still_held: tuple[str, ...]


class NobodyToHold(Refused):
    """A lock needs a holder who can be told from others."""

    def __init__(self) -> None:
        super().__init__(
            "The server does not know who you are, so nobody could tell whose lock this is.",
            fix="Call start_session with your name and pass its session_id, or have the server started under your name.",
        )


class TooManyLocks(Refused):
    """One agent would hold more than can be kept apart."""

    def __init__(self, agent: str, count: int) -> None:
        super().__init__(
            f"{agent} would hold {count} locks; at most {HELD_MAX} are accepted. Nothing was locked.",
            fix="Lock a folder (src/) or a glob (src/**/*.py) instead, or let go of what you no longer need.",
        )


class NothingToRenew(NotFound):
    """Locks that the caller does not hold, so that they cannot go on."""

    def __init__(self, missing: Sequence[NotHeld]) -> None:
        listing = few([f"{each.file}: {each.why}" for each in missing], "; ")
        super().__init__(f"{listing}. Nothing was renewed.", fix="lock_files takes anew what has ended, if it is free.")


# --- taking -----------------------------------------------------------------------------------------


@verb(writes=True, at_once=True, core=True, aliases={"ttl": "ttl_minutes"})
def lock_files(
    desk: Desk, files: tuple[str, ...], reason: str, ttl_minutes: int = TTL_MINUTES, mode: Mode = "exclusive"
) -> LockAnswer:
    """Lock files before you edit them, all or none, until you unlock them, your session ends or the time is over.

    If somebody is in the way, the answer says who, why, until when and what to do. Locking again extends.

    Args:
        files: paths from the project's root, folders (src/) and globs (src/**/*.py; *.py is at any depth).
        reason: what you are about to do, in one line for the others.
        ttl_minutes: how long, 1 to 1440.
        mode: exclusive; or shared, beside others who lock it shared, such as to rely on it while nobody edits it.
    """
    patterns = _asked(files, ttl_minutes, reason)
    holder, view, moment = _holder(desk), desk.view(place_of(desk.project)), now()
    # whoever takes a lock has read all of them: of two who want the same one, the slower runs again and finds the other
    held = held_at(view, moment)
    if conflicts := in_the_way(desk.memory, held, holder, patterns, mode, moment):
        desk.ask_hub(view.place)
        return LockAnswer(False, (), conflicts, fix=_way_out(conflicts))
    mine = {lock.pattern: lock for lock in held if lock.agent == holder}
    granted = Lock(
        scope=desk.scope, agent=holder, pattern=patterns[0], mode=mode, reason=reason.strip(), session=desk.caller.session,
        fence=last_fence(view) + 1, since=moment, until=moment + timedelta(minutes=ttl_minutes),
    )
    made = [_continued(replace(granted, pattern=pattern), mine.get(pattern)) for pattern in patterns]
    _put(desk, made, mine)
    note = _note(granted, made, mine)
    return LockAnswer(True, patterns, (), granted.fence, _first_end(made), note, local_only=told_local_only(desk))


def _asked(files: tuple[str, ...], ttl_minutes: int, reason: str) -> tuple[str, ...]:
    wrong = _ttl_problems(ttl_minutes) + reason_problems(reason)
    if not files:
        wrong.append("files is empty; name what you are about to edit")
    return checked(files, most=FILES_MAX, others=wrong)


def reason_problems(reason: str) -> list[str]:
    """What is wrong with a reason that others will read."""
    what = one_line(reason.strip()) or at_most(REASON_MAX)(reason.strip())
    return [f"reason {what}"] if what else []


def _ttl_problems(minutes: int) -> list[str]:
    return [] if 1 <= minutes <= TTL_MINUTES_MAX else [f"ttl_minutes is {minutes}; 1 to {TTL_MINUTES_MAX} are accepted"]


def _holder(desk: Desk) -> str:
    if desk.caller.proof == "none":
        raise NobodyToHold
    return check_name(desk.agent, "agent")


def _continued(granted: Lock, old: Lock | None) -> Lock:
    """A grant as it goes on from what its holder had: never shorter, never weaker."""
    if old is None or old.until is None or granted.until is None:
        return granted
    mode: Mode = "exclusive" if "exclusive" in (old.mode, granted.mode) else "shared"
    return replace(granted, mode=mode, since=old.since, renewed=granted.since, until=max(old.until, granted.until))


def _put(desk: Desk, made: list[Lock], mine: Mapping[str, Lock]) -> None:
    first = made[0]
    if (count := len({*mine, *(lock.pattern for lock in made)})) > HELD_MAX:
        raise TooManyLocks(first.agent, count)
    subject = f"lock {few([lock.pattern for lock in made])}: {first.reason}"
    with desk.transaction(subject, place_of(desk.project), agreed=True) as change:
        _sweep(change)
        change.put(Fence(scope=desk.scope, last=first.fence))
        for lock in made:
            change.put(lock)
            change.delete(broken_path(lock))


def _sweep(change: Transaction) -> None:
    """Drop what is over, without the rest of the tree counting as read."""
    for path in over(change.view.apart(), now()):
        change.delete(path)


def _way_out(conflicts: tuple[HeldLock, ...]) -> str:
    stale = [f"{each.file} of {each.held_by}" for each in conflicts if each.stale]
    holders = sorted({each.held_by for each in conflicts if not each.stale})
    ways = []
    if holders:
        last = max(each.until for each in conflicts if each.until and not each.stale)
        ways.append(f"Ask {few(holders)} with send_message, or come back after {format_time(last)}.")
    if stale:
        ways.append(f"Stale, so that break_lock may take it away: {few(stale)}.")
    ways.append("What is free can be locked by itself.")
    return " ".join(ways)


def _note(granted: Lock, made: list[Lock], mine: Mapping[str, Lock]) -> str | None:
    kept = [lock.pattern for lock in made if lock.mode != granted.mode]
    notes = [f"{few(kept)}: exclusive as before; unlock it first to share it."] if kept else []
    sessions_of_mine = {lock.session for lock in mine.values() if any(overlap(lock.pattern, each.pattern) for each in made)}
    if others := sorted(each for each in sessions_of_mine if each and each != granted.session):
        notes.append(f"Held by {granted.agent} in {few(others)} as well: if that is not you, one of you needs another name.")
    return " ".join(notes) or None


def _first_end(locks: Sequence[Lock]) -> datetime | None:
    return min((lock.until for lock in locks if lock.until), default=None)


# --- keeping and letting go -------------------------------------------------------------------------


@verb(writes=True, at_once=True, aliases={"ttl": "ttl_minutes"})
def renew_locks(desk: Desk, files: tuple[str, ...] = (), ttl_minutes: int = TTL_MINUTES) -> RenewAnswer:
    """Hold your locks for longer, from now on. A lock whose time is over cannot be renewed; lock_files takes it anew.

    Args:
        files: as you locked them; left out: all that you hold.
        ttl_minutes: how long from now, 1 to 1440; it never ends earlier than before.
    """
    patterns = checked(files, most=HELD_MAX, others=_ttl_problems(ttl_minutes))
    view, moment = desk.view(place_of(desk.project)), now()
    mine = {lock.pattern: lock for lock in _own(view, desk.agent) if lock.holds_at(moment)}
    if missing := [_not_held(desk, view, each) for each in patterns if each not in mine]:
        raise NothingToRenew(missing)
    until = moment + timedelta(minutes=ttl_minutes)
    made = [replace(mine[each], renewed=moment, until=max(until, mine[each].until or until)) for each in patterns or mine]
    if made:
        subject = f"renew {few([lock.pattern for lock in made])}"
        with desk.transaction(subject, place_of(desk.project), agreed=True) as change:
            for lock in made:
                change.put(lock)
    return RenewAnswer(True, tuple(lock.pattern for lock in made), _first_end(made))


@verb(writes=True, at_once=True, idempotent=True)
def unlock_files(desk: Desk, files: tuple[str, ...] = ()) -> UnlockAnswer:
    """Let go of what you have locked, as soon as you are done with it.

    Args:
        files: as you locked them; left out: all that you hold in the project.
    """
    patterns = checked(files, most=HELD_MAX)
    view = desk.view(place_of(desk.project))
    mine = _own(view, desk.agent)
    released = [lock for lock in mine if not patterns or lock.pattern in patterns]
    kept = tuple(lock.pattern for lock in mine if lock not in released)
    missing = tuple(_not_held(desk, view, each) for each in patterns if each not in {lock.pattern for lock in released})
    if released:
        subject = f"unlock {few([lock.pattern for lock in released])}"
        with desk.transaction(subject, place_of(desk.project), agreed=True) as change:
            _sweep(change)
            for lock in released:
                change.delete(lock.path)
    return UnlockAnswer(True, tuple(lock.pattern for lock in released), missing, kept)


def _own(view: View, agent: str) -> list[Lock]:
    return sorted(view.records(Lock, held_of(agent)), key=lambda lock: lock.pattern)


def _not_held(desk: Desk, view: View, pattern: str) -> NotHeld:
    """Why an agent does not hold what it names; looked up aside, since nothing is decided by it."""
    aside, moment = view.apart(), now()
    of_pattern = Lock(agent=desk.agent, pattern=pattern, reason="-", fence=1)
    broken, ended = aside.record(broken_path(of_pattern)), aside.record(of_pattern.path)
    if isinstance(broken, BrokenLock) and broken.at:
        return NotHeld(pattern, f"{broken.by} broke your lock {age_in_words(broken.at)} ago ({shown(broken.reason, 120)})")
    if isinstance(ended, Lock) and ended.until:
        return NotHeld(pattern, f"the time of your lock was over {age_in_words(ended.until)} ago")
    near = [lock for lock in held_at(aside, moment) if overlap(lock.pattern, pattern)]
    whose = [f"you hold {lock.pattern}" if lock.agent == desk.agent else f"{lock.agent} holds {lock.pattern}" for lock in near]
    return NotHeld(pattern, f"you hold no lock of that name; {few(whose) or 'nobody does'}")


@sessions.at_end
def let_go(desk: Desk, session: LiveSession | Session) -> None:
    """Release what was locked in a session that is over; at an agent's last one also what was locked outside of any."""
    place, agent = place_of(session.project), session.agent

    def part() -> None:
        ended = ("", session.id) if _is_last(desk, session) else (session.id,)
        released = [lock for lock in _own(desk.view(place), agent) if lock.session in ended]
        with desk.transaction(f"unlock what {agent} held: the session is over", place, agreed=bool(released)) as change:
            for lock in released:
                change.delete(lock.path)

    desk.until_landed(part, "end_session")


def _is_last(desk: Desk, session: LiveSession | Session) -> bool:
    live = desk.memory.view(sessions.place_of(session.project)).records(LiveSession)
    return not any(each.agent == session.agent and each.id != session.id for each in live)
