"""Messages as their readers get them: a page of an inbox, with or without marking it as delivered."""

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.messages.record import FINISHED, Message, Receipt, Slot, Status, receipt_path
from gitmem.domains.messages.shown import Inbox, Shown, inbox_of, inbox_with
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.memory.view import View
from gitmem.names import age_in_words

PAGE_MAX_CHARACTERS = 100_000  # of texts in one answer
_BRIEFED = 20


class RecipientStatus(Struct, frozen=True):
    """How far one recipient is with a message."""

    agent: str
    status: str


class Received(Struct, frozen=True):
    """A message as its reader gets it. `status` is the reader's own, `thread` the first message's id if that is another."""

    id: str
    from_agent: str
    to: str
    subject: str
    priority: str
    category: str
    status: Status | None
    sent: datetime | None
    age: str
    message: str
    thread: str | None = None
    reply_to: str | None = None
    depth: int | None = None
    from_project: str | None = None
    require_human: bool | None = None
    flags: tuple[str, ...] | None = None
    claimed_by: str | None = None
    recipients: tuple[RecipientStatus, ...] | None = None


class Messages(Struct, frozen=True):
    """Messages, how many are listed, and how many there are of that sort: in all, or from the cursor on."""

    messages: tuple[Received, ...]
    count: int
    total: int
    cursor: str | None = None
    note: str | None = None


class Page(Struct, frozen=True):
    """What is listed, what else was found to be done with, and how many there were to choose from."""

    inbox: Inbox
    listed: tuple[Received, ...]
    seen: tuple[Slot, ...]
    total: int
    more: str | None = None


def page_of(inbox: Inbox, slots: Iterable[Slot], total: int, limit: int, *, again: bool) -> Page:
    """The first of `total` messages that fit into an answer; what its reader is through with is passed over.

    Unless `again`, what its reader has acknowledged is passed over, too: it is no longer new to them.
    """
    listed: list[Received] = []
    seen: list[Slot] = []
    room, passed = PAGE_MAX_CHARACTERS, 0
    for slot in slots:
        message, status = inbox.view.record(slot.message), status_of(inbox, slot)
        if not isinstance(message, Message):
            continue  # it came in past the gate: it hides nothing else, and does not count as shown
        if status in FINISHED or (status == "received" and not again):
            passed += 1
        else:
            room -= len(message.message)
            if len(listed) == limit or (room < 0 and listed):
                break
            listed.append(received(message, status))
        seen.append(slot)
    more = listed[-1].id if again and listed and len(listed) + passed < total else None
    return Page(inbox, tuple(listed), tuple(seen), total - passed, more)


def delivered(desk: Desk, wanted: Callable[[Inbox], Page]) -> Messages:
    """A page of the caller's inbox, marked as delivered. Of two who read one inbox at once, each gets another page."""
    pages: list[Page] = []

    def edit(mark: Shown | None) -> Shown:
        pages.append(wanted(inbox_with(desk.memory, desk.project, desk.agent, mark)))
        return pages[-1].inbox.marked(pages[-1].seen)

    note = None
    try:
        desk.memory.marks.change(Shown, desk.project, desk.agent, edit)
    except StorageFailed as error:  # mail can be read where nothing can be written
        note = f"what is new is not marked as delivered: {error.message}"
    page = pages[-1]
    return Messages(page.listed, len(page.listed), page.total, page.more, note)


def status_of(inbox: Inbox, slot: Slot) -> Status:
    """How far the inbox's owner is with a message."""
    receipt = receipt_of(inbox.view, slot.message, inbox.agent)
    if receipt is not None:
        return receipt.status
    return "delivered" if inbox.is_shown(slot) else "pending"


def receipt_of(view: View, message: str, agent: str) -> Receipt | None:
    """What a recipient has said of the message at a path."""
    record = view.record(receipt_path(message, agent))
    return record if isinstance(record, Receipt) else None


def received(message: Message, status: Status | None, recipients: tuple[RecipientStatus, ...] | None = None) -> Received:
    """A message as an answer tells it."""
    return Received(
        id=message.id, from_agent=message.from_agent, to=message.to, subject=message.subject,
        priority=message.priority, category=message.category, status=status,
        sent=message.sent, age=age_in_words(message.sent) if message.sent else "", message=message.message,
        thread=message.thread or None, reply_to=message.reply_to or None, depth=message.depth or None,
        from_project=message.from_project or None,
        require_human=message.needs_person or None, flags=message.flags or None, claimed_by=message.claimed_by or None,
        recipients=recipients,
    )


def unread_of(memory: Memory, project: str, agent: str, limit: int) -> Messages:
    """What is new to an agent. Nothing is marked: it stays new."""
    inbox = inbox_of(memory, project, agent)
    page = page_of(inbox, inbox.unread(), inbox.flags.count(0), limit, again=False)
    return Messages(page.listed, len(page.listed), page.total)


def unread(desk: Desk, limit: int = _BRIEFED) -> Messages:
    """What is new to the caller. Nothing is marked: it stays new."""
    return unread_of(desk.memory, desk.project, desk.agent, limit)
