"""What recipients make of messages: acknowledge, finish, claim. Each speaks for themselves alone."""

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages.listing import receipt_of
from gitmem.domains.messages.mailbox import find_message
from gitmem.domains.messages.record import EVERYBODY, FINISHED, RANK, Message, Receipt, Said, Status, place_of
from gitmem.domains.messages.shown import Shown, inbox_of, inbox_with
from gitmem.errors import Refused
from gitmem.memory.transaction import Transaction
from gitmem.names import age_in_words, now
from gitmem.verbs import verb


class MessageState(Struct, frozen=True):
    """How far the caller is with a message."""

    id: str
    from_agent: str
    subject: str
    thread: str
    status: Status
    claimed_by: str | None = None
    note: str | None = None


class NotTheRecipient(Refused):
    """The message is for somebody else."""

    def __init__(self, message: Message, agent: str) -> None:
        own = message.from_agent == agent
        to = "everybody else" if message.to == EVERYBODY else message.to
        super().__init__(
            f"{message.id} is for {to}; {agent} {'sent it' if own else 'is not its recipient'}.",
            fix=f"get_messages(thread='{message.id}') shows how far its recipients are.",
        )


class StatusGoesBack(Refused):
    """A status may only move forward."""

    def __init__(self, message: Message, reached: Status, wanted: Status) -> None:
        later = [status for status, rank in RANK.items() if rank > RANK[reached]]
        more = f"It can still become {' or '.join(later)}." if later else "It stays so; send a new message to go on."
        super().__init__(f"{message.id} is {reached} for you and cannot become {wanted}.", fix=more)


class ClaimedAlready(Refused):
    """Somebody takes care of it."""

    def __init__(self, message: Message, agent: str) -> None:
        who = "You have" if message.claimed_by == agent else f"{message.claimed_by} has"
        since = f" {age_in_words(message.claimed)} ago" if message.claimed else ""
        super().__init__(
            f"{who} claimed {message.id}{since}.",
            fix="Go on with it, and say when it is completed or failed." if message.claimed_by == agent
            else "Take something else. It is free again if they say that they failed.",
        )


@verb(writes=True, at_once=True, idempotent=True)
def acknowledge_message(desk: Desk, id: str) -> MessageState:  # noqa: A002  the argument's public name
    """Say that you have received a message, so that it is no longer new to you. It changes nothing for others.

    Args:
        id: the message, or its last part alone, or the first four or more digits of that.
    """
    message, reached = _own(desk, id)
    return _state(message, reached) if RANK[reached] >= RANK["received"] else _say(desk, message, "received")


@verb(writes=True, at_once=True, idempotent=True)
def update_message_status(desk: Desk, id: str, status: Status) -> MessageState:  # noqa: A002  the argument's public name
    """Say how far you are with a message: delivered, received, then completed or failed. A status only moves forward.

    Args:
        id: the message, or its last part alone, or the first four or more digits of that.
        status: delivered, received, completed or failed.
    """
    message, reached = _own(desk, id)
    if status == reached:
        return _state(message, reached)
    if RANK[status] <= RANK[reached]:
        raise StatusGoesBack(message, reached, status)
    if status == "delivered" or status == "pending":
        return _mark_delivered(desk, message)
    return _say(desk, message, status)


@verb(writes=True, at_once=True)
def claim_message(desk: Desk, id: str) -> MessageState:  # noqa: A002  the argument's public name
    """Take care of a message that went to several: exactly one of all who claim it gets it, and the others are told who.

    Args:
        id: the message, or its last part alone, or the first four or more digits of that.
    """
    message, reached = _own(desk, id)
    if message.claimed_by:
        raise ClaimedAlready(message, desk.agent)
    if reached in FINISHED:
        raise StatusGoesBack(message, reached, "received")
    # The message itself says who has it. Whoever read it as unclaimed and lands second is told that it has changed.
    claimed = replace(message, claimed_by=desk.agent, claimed=now())
    with desk.transaction(f"message: {desk.agent} claims {message.id}", place_of(desk.project)) as change:
        change.put(claimed)
        _put_receipt(change, desk, message, "received")
    return _state(claimed, "received", "it is yours; say when it is completed or failed")


def _own(desk: Desk, message_id: str) -> tuple[Message, Status]:
    """A message of which the caller is a recipient, and how far they are with it."""
    view = desk.view(place_of(desk.project))
    message = find_message(view, message_id, agent=desk.agent)
    for_them = message.to == desk.agent or (message.to == EVERYBODY and message.from_agent != desk.agent)
    if not for_them:
        raise NotTheRecipient(message, desk.agent)
    receipt = receipt_of(view, message.path, desk.agent)
    return message, receipt.status if receipt else _shown(desk, message)


def _shown(desk: Desk, message: Message) -> Status:
    return "delivered" if inbox_of(desk.memory, desk.project, desk.agent).is_shown(message.slot) else "pending"


def _mark_delivered(desk: Desk, message: Message) -> MessageState:
    def edit(mark: Shown | None) -> Shown:
        return inbox_with(desk.memory, desk.project, desk.agent, mark).marked([message.slot])

    desk.memory.marks.change(Shown, desk.project, desk.agent, edit)
    return _state(message, "delivered")


def _say(desk: Desk, message: Message, status: Said) -> MessageState:
    with desk.transaction(f"message: {desk.agent} {status} {message.id}", place_of(desk.project)) as change:
        _put_receipt(change, desk, message, status)
        if status in FINISHED and message.to == desk.agent:
            change.delete(message.notice)
        if status == "failed" and message.claimed_by == desk.agent:
            message = change.put(replace(message, claimed_by="", claimed=None))
    return _state(message, status)


def _put_receipt(change: Transaction, desk: Desk, message: Message, status: Said) -> None:
    made = Receipt(scope=message.scope, day=message.day, id=message.id, agent=desk.agent)
    before = change.record(made.path)
    received = before.received if isinstance(before, Receipt) and before.received else now()
    finished = now() if status in FINISHED else None
    change.put(replace(made, status=status, received=received, finished=finished, session=desk.caller.session))


def _state(message: Message, status: Status, note: str | None = None) -> MessageState:
    return MessageState(
        message.id, message.from_agent, message.subject, message.thread_id, status, message.claimed_by or None, note
    )
