"""Whole threads, with how far the recipients are."""

from collections.abc import Iterator
from contextlib import suppress

from gitmem.desk import Desk
from gitmem.domains.messages.listing import Messages, Page, Received, RecipientStatus, delivered, receipt_of, received, status_of
from gitmem.domains.messages.mailbox import find_message
from gitmem.domains.messages.record import EVERYBODY, Category, Message, Slot, place_of, thread_folder
from gitmem.domains.messages.shown import Inbox, inbox_of
from gitmem.errors import NotFound
from gitmem.memory.view import View


def thread_of(desk: Desk, thread: str, category: Category | None, limit: int) -> Messages:
    """A whole thread, the oldest first, marked as delivered as far as it is in the caller's inbox."""
    found: list[Message] = []

    def wanted(inbox: Inbox) -> Page:
        every = _messages_of(desk, inbox.view, thread)
        found[:] = [each for each in every if category in (None, each.category)]
        slots = tuple(message.slot for message in found[:limit] if inbox.listing.position(message.slot) is not None)
        told = tuple(_told(desk, inbox, message) for message in found[:limit])
        return Page(inbox, told, slots, len(found))

    return delivered(desk, wanted)


def _messages_of(desk: Desk, view: View, thread: str) -> list[Message]:
    found = {each.id: each for each in _in_thread(view, thread)}
    # an answer to another project's message stands there, and so does what it answers
    elsewhere = {each.from_project for each in found.values()} - {""}
    for project in sorted(elsewhere):
        found |= {each.id: each for each in _in_thread(desk.memory.view(place_of(project)), thread)}
    return sorted(found.values(), key=lambda each: each.slot.stamp)


def _in_thread(view: View, thread: str) -> Iterator[Message]:
    with suppress(NotFound):
        yield find_message(view, thread)
    for name in view.names(thread_folder(thread)):
        slot = Slot.parse(name)
        record = view.record(slot.message) if slot else None
        if isinstance(record, Message):
            yield record


def _told(desk: Desk, inbox: Inbox, message: Message) -> Received:
    """A message of a thread: with the reader's own status, and for who sent it with the recipients'."""
    if message.from_agent == inbox.agent:
        return received(message, None, tuple(_recipients(desk, message)))
    return received(message, status_of(inbox, message.slot) if message.to in (EVERYBODY, inbox.agent) else None)


def _recipients(desk: Desk, message: Message) -> Iterator[RecipientStatus]:
    if message.to != EVERYBODY:
        theirs = inbox_of(desk.memory, message.project, message.to)
        yield RecipientStatus(message.to, status_of(theirs, message.slot))
        return
    view = desk.memory.view(place_of(message.project))
    for name in view.names(message.path.removesuffix(".md")):
        receipt = receipt_of(view, message.path, name.removesuffix(".yaml"))
        if receipt:
            yield RecipientStatus(receipt.agent, receipt.status)
