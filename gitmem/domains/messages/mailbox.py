"""The messages that wait for an agent, in order, and finding one message by its id: in git alone, by names of files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from gitmem.domains.messages.record import ALL, Message, Slot, inbox_folder
from gitmem.errors import BadArgument, NotFound
from gitmem.git.objects import FOLDER, Objects
from gitmem.memory.find import Ambiguous
from gitmem.memory.view import View
from gitmem.names import shown

_LISTINGS_KEPT = 4  # the present one, and those that marks were made by
_PART = re.compile(r"(?:[a-z0-9][a-z0-9-]*-)?([0-9a-f]{4,40})")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class UnknownMessage(NotFound):
    """No message has this id."""

    def __init__(self, message_id: str, project: str) -> None:
        super().__init__(
            f"There is no message {shown(message_id)} in {project}.",
            fix="get_messages(include_delivered=true) lists yours with their ids; pass project for another project's.",
        )


@dataclass(frozen=True)
class Listing:
    """What waits for an agent in two folders of a tree: their own inbox and everybody's."""

    own: str | None
    everybodys: str | None
    slots: tuple[Slot, ...]


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
        made = self._after(self._known[0] if self._known else _NOTHING, own, everybodys)
        self._known = (made, *self._known[: _LISTINGS_KEPT - 1])
        return made

    def _after(self, last: Listing, own: str | None, everybodys: str | None) -> Listing:
        gone: set[Slot] = set()
        come: list[Slot] = []
        for slot, is_there in self._changes(last, own, everybodys):
            if is_there:
                come.append(slot)
            else:
                gone.add(slot)
        stayed = [slot for slot in last.slots if slot not in gone] if gone else last.slots
        return Listing(own, everybodys, tuple(sorted([*stayed, *come])))

    def _changes(self, last: Listing, own: str | None, everybodys: str | None) -> Iterator[tuple[Slot, bool]]:
        for mailbox, before, after in ((self._agent, last.own, own), (ALL, last.everybodys, everybodys)):
            for path, was, now in self._objects.differences(before, after):
                slot = Slot.parse(path.rpartition("/")[2], mailbox)
                if slot and (was is None or now is None) and (mailbox != ALL or slot.sender != self._agent):
                    yield slot, now is not None  # but for their own broadcasts, which nobody gets


def _folder(view: View, path: str) -> str | None:
    entry = view.peek(path)
    return entry.oid if entry and entry.mode == FOLDER else None


# What trees say does not change: a restart costs the time to read them once more, and nothing else.
_MAILBOXES: "WeakKeyDictionary[Objects, dict[tuple[str, str], Mailbox]]" = WeakKeyDictionary()


def waiting_for(view: View, agent: str) -> tuple[Slot, ...]:
    """The messages of a project that wait for an agent, delivered or not: the most urgent first, then the oldest."""
    mailboxes = _MAILBOXES.setdefault(view.objects, {})
    mailbox = mailboxes.setdefault((view.place.project, agent), Mailbox(view.objects, agent))
    return mailbox.at(view).slots


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
        raise Ambiguous(message_id, [_stem(path) for path in found])
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
    days = (name for name in _names(view, "") if _DAY.fullmatch(name))
    for day in sorted(days, reverse=True):
        folder = f"{day}/{hex_part[:2]}"
        for name in _names(view, folder):
            if name.endswith(".md") and _means(text, hex_part, _stem(name)):
                yield f"{folder}/{name}"
                if _stem(name) == text:
                    return


def _means(text: str, hex_part: str, found: str) -> bool:
    return found == text or (text == hex_part and found.rpartition("-")[2].startswith(hex_part))


def _names(view: View, folder: str) -> list[str]:
    tree = _folder(view, folder)
    return list(view.objects.tree(tree).entries) if tree else []


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".md")
