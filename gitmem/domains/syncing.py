"""What agents get to know of hubs: that theirs does not know of something yet, and what they lost to another clone."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gitmem.desk import TRIES
from gitmem.memory.caller import GITMEM
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale
from gitmem.memory.telling import Lost, teller
from gitmem.records.codec import decode
from gitmem.records.kind import Record, kind_at

if TYPE_CHECKING:
    from gitmem.desk import Desk
    from gitmem.domains.messages.record import Message


def told_local_only(desk: "Desk") -> str | None:
    """What an answer says of something that the hub did not agree to; None if it did, or if there is no hub."""
    if desk.local_only is None:
        return None
    return (
        f"local only: {desk.local_only.rstrip('.')}. Other clones do not know of this; "
        "if somebody was faster there, a message tells you after the next sync."
    )


@teller
def tell_losers(memory: Memory, lost: Sequence[Lost]) -> None:
    """Send a message to whoever held or had claimed something here that somebody else has elsewhere."""
    for each in lost:
        for message in _messages(each):
            _post(memory, message)


def _messages(lost: Lost) -> Iterator["Message"]:
    from gitmem.domains.backlog.record import BacklogItem
    from gitmem.domains.locks.record import Lock

    record = _record(lost)
    if isinstance(record, Lock):
        yield _message(record.project, record.agent, f"You lost your lock on {record.pattern}", lost.loss.why)
    elif isinstance(record, BacklogItem) and "assigned_to" in lost.loss.fields and record.assigned_to:
        yield _message(record.project, record.assigned_to, f"You lost your claim of {record.id}", lost.loss.why)


def _record(lost: Lost) -> Record | None:
    from gitmem.memory.settling import place_of  # imported late: nothing is lost where nothing is synced

    place, path, data = place_of(lost.ref), lost.loss.path, lost.loss.lost
    declared = kind_at(path, place.family)
    return decode(declared, path, data, scope=place.scope).record if declared and data is not None else None


def _message(project: str, to: str, subject: str, why: str) -> "Message":
    import secrets

    from gitmem.domains.messages.record import Message
    from gitmem.names import instant, slugify

    moment = instant()
    text = f"{subject}, which the hub did not know of: {why}. It was brought together in a sync."
    return Message(
        scope=f"projects/{project}", id=f"{slugify(subject)}-{secrets.token_hex(5)}", from_agent=GITMEM.name, to=to,
        subject=subject, message=text, priority="urgent", category="blocker",
        sent=moment.replace(microsecond=0), microsecond=moment.microsecond,
    )  # fmt: skip


def _post(memory: Memory, message: "Message") -> None:
    from gitmem.domains.messages.posting import post
    from gitmem.domains.messages.record import place_of as inboxes

    for _ in range(TRIES):
        try:
            with memory.transaction(memory.view(inboxes(message.project)), GITMEM, message.subject, verb="sync") as change:
                post(change, message)
        except Stale:
            continue
        return
