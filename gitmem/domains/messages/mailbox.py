"""The messages that wait for an agent, in order, and finding one message by its id: in git alone, by names of files."""

import re
from bisect import bisect_left, insort
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from msgspec import Struct

from gitmem.domains.messages.record import ALL, Message, Slot, a_day, inbox_folder
from gitmem.errors import BadArgument, NotFound
from gitmem.git.objects import FOLDER, Objects
from gitmem.memory.find import Ambiguous, id_at
from gitmem.memory.view import View
from gitmem.names import shown

_LISTINGS_KEPT = 4  # the present one, and those that marks were made by
_FEW = 100
_PART = re.compile(r"(?:[a-z0-9][a-z0-9-]*-)?([0-9a-f]{4,40})")


class UnknownMessage(NotFound):
    """No message has this id."""

    def __init__(self, message_id: str, project: str) -> None:
        super().__init__(
            f"There is no message {shown(message_id)} in {project}.",
            fix="get_messages(include_delivered=true) lists yours with their ids; pass project for another project's.",
        )


class Listing(Struct, frozen=True):
    """What waits for an agent in two folders of a tree, their own inbox and everybody's: in the order of reading."""

    own: str | None
    everybodys: str | None
    slots: tuple[Slot, ...]

    def position(self, slot: Slot) -> int | None:
        """Where a message stands, or None if it does not wait."""
        position = bisect_left(self.slots, slot)
        return position if self.slots[position : position + 1] == (slot,) else None


_NOTHING = Listing(None, None, ())


class Mailbox:
    """The listings of one agent's inbox. Each is what its trees say; a new one is made from the last by what differs."""

    def __init__(self, objects: Objects, agent: str) -> None:
        self._objects = objects
        self._agent = agent
        self._known: tuple[Listing, ...] = ()

    def at(self, view: View) -> Listing:
        """What waits for the agent in a view."""
        own, everybodys = (_folder(view, inbox_folder(each)) for each in (self._agent, ALL))
        for known in self._known:
            if (known.own, known.everybodys) == (own, everybodys):
                return known
        # threads that race here at worst do the same work twice
        made = self._grown(self._known[0] if self._known else _NOTHING, own, everybodys)
        self._known = (made, *self._known[: _LISTINGS_KEPT - 1])
        return made

    def _grown(self, last: Listing, own: str | None, everybodys: str | None) -> Listing:
        gone, come = self._differing(last, Listing(own, everybodys, ()))
        slots = list(last.slots)
        for slot in gone:
            del slots[bisect_left(slots, slot)]
        if len(come) > _FEW:
            slots = sorted([*slots, *come])
        else:
            for slot in come:
                insort(slots, slot)
        return Listing(own, everybodys, tuple(slots))

    def carried(self, flags: bytearray, then: Listing, now: Listing) -> bytearray:
        """Flags of the messages of one listing, carried over to those of another; what is new there has none."""
        gone, come = self._differing(then, now)
        for slot in sorted(gone, reverse=True):
            del flags[bisect_left(then.slots, slot)]
        for slot in sorted(come):
            flags.insert(bisect_left(now.slots, slot), 0)
        return flags

    def _differing(self, then: Listing, now: Listing) -> tuple[list[Slot], list[Slot]]:
        gone: list[Slot] = []
        come: list[Slot] = []
        for mailbox, before, after in ((self._agent, then.own, now.own), (ALL, then.everybodys, now.everybodys)):
            for path, old, new in self._objects.differences(before, after):
                slot = Slot.parse(path.rpartition("/")[2], mailbox)
                if slot and (mailbox != ALL or slot.sender != self._agent):  # nobody gets their own broadcast
                    gone += [slot] if new is None else []
                    come += [slot] if old is None else []
        return gone, come


def _folder(view: View, path: str) -> str | None:
    entry = view.peek(path)
    return entry.oid if entry and entry.mode == FOLDER else None


# What trees say does not change: a restart costs the time to read them once more, and nothing else.
_MAILBOXES: "WeakKeyDictionary[Objects, dict[tuple[str, str], Mailbox]]" = WeakKeyDictionary()


def mailbox_of(view: View, agent: str) -> Mailbox:
    """The inbox of an agent in the project of a view of messages."""
    mailboxes = _MAILBOXES.setdefault(view.objects, {})
    return mailboxes.setdefault((view.place.project, agent), Mailbox(view.objects, agent))


# --- one message -----------------------------------------------------------------------------------


def find_message(view: View, message_id: str, *, agent: str = "") -> Message:
    """The message with this id or shortened id; the agent's own inbox is looked through first. It counts as read.

    Raises NotFound, Ambiguous, or BadArgument if it is no id at all.
    """
    text = message_id.strip().lower()
    match = _PART.fullmatch(text)
    if match is None:
        raise BadArgument(
            f"{shown(message_id)} is not a message's id.",
            fix="An id is like 'review-the-retries-3fa2b81c09'; its last part, '3fa2b81c09', is enough.",
        )
    found = set(_in_inbox(view, text, match[1], agent)) or set(_in_days(view, text, match[1]))
    if len(found) > 1:
        raise Ambiguous(message_id, [id_at(path) for path in found])
    if not found:
        raise UnknownMessage(message_id, view.place.project)
    return view.get(Message, found.pop())


def _in_inbox(view: View, text: str, hex_part: str, agent: str) -> Iterator[str]:
    for mailbox in (agent, ALL) if agent else (ALL,):
        for name in _names(view, f"{inbox_folder(mailbox)}/{hex_part[:2]}"):
            slot = Slot.parse(name)
            if slot and _means(text, hex_part, slot.id):
                yield slot.message


def _in_days(view: View, text: str, hex_part: str) -> Iterator[str]:
    days = (name for name in _names(view, "") if a_day(name) is None)
    for day in sorted(days, reverse=True):
        folder = f"{day}/{hex_part[:2]}"
        for name in _names(view, folder):
            if name.endswith(".md") and _means(text, hex_part, id_at(name)):
                yield f"{folder}/{name}"
                if id_at(name) == text:
                    return


def _means(text: str, hex_part: str, found: str) -> bool:
    return found == text or (text == hex_part and found.rpartition("-")[2].startswith(hex_part))


def _names(view: View, folder: str) -> list[str]:
    tree = _folder(view, folder)
    return list(view.objects.tree(tree).entries) if tree else []
