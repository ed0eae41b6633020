"""Breaking locks: taking away what another agent holds and no longer needs."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.locks.holding import FILES_MAX, reason_problems
from gitmem.domains.locks.patterns import checked, overlap
from gitmem.domains.locks.record import HELD, BrokenLock, Lock, place_of
from gitmem.domains.locks.standing import HeldLock, Standing, described, few, last_signs, standing
from gitmem.domains.messages.posting import notify
from gitmem.domains.presence import IDLE_AFTER
from gitmem.domains.projects import admins_of, may_act_for_others
from gitmem.errors import NotFound, Refused
from gitmem.names import age_in_words, format_time, now, shown
from gitmem.verbs import verb

_IDLE_MINUTES = int(IDLE_AFTER.total_seconds()) // 60


class BreakAnswer(Struct, frozen=True):
    """The locks that were taken away, as they were, and who has been told."""

    success: bool
    broken: tuple[HeldLock, ...]
    told: tuple[str, ...]


class NoSuchLock(NotFound):
    """Nobody else holds a lock of this name."""

    def __init__(self, missing: Sequence[str], held: Sequence[Lock], agent: str) -> None:
        near = [lock for lock in held if any(overlap(lock.pattern, each) for each in missing)]
        yours = [lock.pattern for lock in near if lock.agent == agent]
        others = [f"{lock.agent} holds {lock.pattern}" for lock in near if lock.agent != agent]
        hints = [f"{few(others)}: name that."] if others else []
        hints += [f"{few(yours)} is yours: unlock_files lets it go."] if yours else []
        super().__init__(
            f"Nobody else holds a lock called {few(missing)}. Nothing was broken.",
            fix=" ".join(hints) or "It may be free by now; get_locks lists what is held.",
        )


class StillInUse(Refused):
    """A lock whose holder is at work, and whose time is not over."""

    def __init__(self, used: Sequence[tuple[Lock, Standing]], admins: Sequence[str], moment: datetime) -> None:
        told = [
            f"{lock.agent}, last heard of {age_in_words(stands.heard, clock=moment)} ago, holds {lock.pattern} "
            f"until {format_time(lock.until)} ({shown(lock.reason, 120)})"
            for lock, stands in used if lock.until
        ]
        holders = few(sorted({lock.agent for lock, _ in used}))
        super().__init__(
            f"{few(told, '; ')}. Nothing was broken.",
            fix=f"Ask {holders} with send_message. Anybody may break a lock when its time is over or nothing was heard of its "
            f"holder for {_IDLE_MINUTES} minutes, an admin ({few(admins) or 'nobody yet'}) at any time.",
        )


@verb(writes=True, at_once=True, destructive=True, idempotent=True)
def break_lock(desk: Desk, files: tuple[str, ...], reason: str) -> BreakAnswer:
    """Take away locks whose holder was not heard of for 30 minutes or whose time is over; an admin may break any.

    The holder gets a message with your reason.

    Args:
        files: the locks, as get_locks or the conflict calls them.
        reason: why you may, in one line for its holder.
    """
    wrong = reason_problems(reason) if files else [*reason_problems(reason), "files is empty; name the locks"]
    patterns, place, moment = checked(files, most=FILES_MAX, others=wrong), place_of(desk.project), now()
    aside = desk.view(place).apart()  # of the rest of the locks nothing is decided
    found = [lock for lock in aside.records(Lock, HELD) if lock.agent != desk.agent and lock.pattern in patterns]
    mine = [each for each in aside.records(BrokenLock) if each.by == desk.agent]
    before = [each for each in mine if each.pattern in patterns]
    known = {*(lock.pattern for lock in found), *(notice.pattern for notice in before)}
    if missing := [each for each in patterns if each not in known]:
        raise NoSuchLock(missing, list(aside.records(Lock, HELD)), desk.agent)
    _check_unused(desk, found, moment)
    answer = described(desk.memory, found, moment)
    made = [
        BrokenLock(scope=desk.scope, agent=lock.agent, pattern=lock.pattern, by=desk.agent, reason=reason.strip(), at=moment)
        for lock in found
    ]
    with desk.transaction(f"break {few(patterns)}: {reason.strip()}", place) as change:
        for lock, notice in zip(found, made, strict=True):
            change.delete(lock.path)
            change.put(notice)
    # A crash here leaves notices that the holders' briefings show, and breaking the locks again tells them.
    told = _tell_holders(desk, made) if made else set[str]()
    for earlier in dict.fromkeys(each.at for each in before):
        told |= _tell_holders(desk, [each for each in mine if each.at == earlier], since=earlier)
    return BreakAnswer(True, answer, tuple(sorted(told)))


def _check_unused(desk: Desk, found: Sequence[Lock], moment: datetime) -> None:
    seen = last_signs(desk.memory, found)
    used = [(lock, stands) for lock in found if not (stands := standing(lock, seen[lock.agent], moment)).stale]
    if used and not may_act_for_others(desk, desk.scope):
        raise StillInUse(used, admins_of(desk.view(), desk.scope), moment)


def _tell_holders(desk: Desk, broken: Sequence[BrokenLock], *, since: datetime | None = None) -> set[str]:
    """Send the holders a message about what was broken at once, if they have not had it since then; who they are."""
    named = few(sorted({notice.pattern for notice in broken}))
    text = (
        f"{desk.agent} broke your lock on {named}, for this reason: {broken[0].reason}\n\n"
        "Talk to them about what you have not finished there. lock_files takes what you still need, as soon as it is free."
    )
    holders = {notice.agent for notice in broken}
    notify(desk, to=sorted(holders), subject=f"Your lock on {named} was broken", text=text, priority="urgent", since=since)
    return holders
