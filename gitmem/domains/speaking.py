"""Speaking for others: what a push may say on the refs that a team coordinates on, and in whose name.

Verbs let agents touch each other's records there in ways of their own, such as breaking a lock. A push has no verb:
whoever pushes writes what is their own, or that of those whom they may speak for, and takes away what is over.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from gitmem.domains.locks import record as locks
from gitmem.domains.messages.record import Message, Receipt
from gitmem.domains.sessions import LiveSession
from gitmem.domains.work import record as work
from gitmem.memory.gate import Change, rule
from gitmem.memory.settings import Settings
from gitmem.names import now
from gitmem.records.codec import Problem
from gitmem.records.kind import Record

# Whose a record is. The empty files that list messages belong to these, and are held together by rules of their own.
_WHOSE: dict[type[Record], Callable[[Record], str]] = {
    locks.Lock: lambda record: getattr(record, "agent", ""),
    locks.BrokenLock: lambda record: getattr(record, "by", ""),
    LiveSession: lambda record: getattr(record, "agent", ""),
    work.Work: lambda record: getattr(record, "agent", ""),
    work.Signal: lambda record: getattr(record, "raised_by", ""),
    Message: lambda record: getattr(record, "from_agent", ""),
    Receipt: lambda record: getattr(record, "agent", ""),
}
_DEFAULTS = Settings(format=1)


@rule
def pushes_speak_for_themselves(change: Change) -> Iterator[Problem]:
    """Nobody pushes what somebody else is to have said, held or done, unless they may speak for them."""
    if change.caller.proof != "push" or change.before.place.family == "main":
        return
    for path, edit in change.edits.items():
        before = change.before.record(path) if edit.old else None
        decoded = change.decoded(path)
        after = decoded.record if decoded else None
        whose = _whose(before, after)
        if after is not None and _gives_up(change, before, after):
            continue
        if whose and not change.caller.may_speak_for(whose) and (after is not None or not _is_over(change, before)):
            yield Problem(path, "", f"is of {whose}, and {change.caller.name}, who pushes, may not speak for {whose}")


def _gives_up(change: Change, before: Record | None, after: Record) -> bool:
    """Whether it says that somebody has lost something to another clone: their own clone tells, in a sync."""
    match after:
        case locks.BrokenLock() if before is None:
            return change.caller.may_speak_for(after.agent)
        case Message() if before is None:
            return after.from_agent == "gitmem" and change.caller.may_speak_for(after.to)
        case _:
            return False


def _whose(before: Record | None, after: Record | None) -> str:
    if isinstance(before, Message) and isinstance(after, Message):
        # a message stays as it was sent, but whoever it is for may claim it
        only_claimed = replace(after, claimed_by=before.claimed_by, claimed=before.claimed, version=before.version) == before
        return after.claimed_by if only_claimed else before.from_agent
    record = before or after
    find = _WHOSE.get(type(record)) if record else None
    return find(record) if find and record else ""


def _is_over(change: Change, record: Record | None) -> bool:
    """Whether anybody may take a record away: upkeep, in any clone, does."""
    moment = now()
    match record:
        case locks.Lock():
            return not record.holds_at(moment) or change.has(locks.broken_path(record))
        case locks.BrokenLock():
            return locks.is_over(record, moment)
        case LiveSession():
            return _is_old(record.started, moment, _DEFAULTS.idle_days)
        case Message():
            return _is_old(record.sent, moment, _DEFAULTS.message_days)
        case Receipt():
            return not change.has(record.message)
        case _:
            return record is not None and work.is_over(record, moment)


def _is_old(when: datetime | None, moment: datetime, days: int) -> bool:
    return when is None or moment - when > timedelta(days=days)
