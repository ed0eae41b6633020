"""What a project's messages are made of, on `refs/gitmem/messages/<project>`, and the rules that keep them whole.

    2026-01-31/3f/<id>.md               a message
    2026-01-31/3f/<id>/<agent>.yaml     what one recipient has made of it
    inbox/<agent>/3f/<slot>.yaml        an empty file for each message that waits for the agent; `all` for everybody
    threads/3f/<thread>/<slot>.yaml     an empty file for each reply of a thread

The empty files are there for their names: they say how urgent a message is, when and by whom it was sent, so that an
inbox is listed in order, without a message being opened, by a process that has only just started.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar, Literal, NamedTuple, get_args

from msgspec.structs import replace

from gitmem.domains.messages import DEPTH_MAX
from gitmem.memory.gate import BODY_MAX_BYTES, Change, rule
from gitmem.memory.view import Place
from gitmem.names import hex_of, name_problem, shard_of, shown
from gitmem.records.check import a_name, at_most, between, bytes_at_most, each, if_any, not_blank, one_line, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import Along, furthest, least, whoever_last

FAMILY = "messages"
EVERYBODY = "*"
# The inbox of what is for everybody. No agent can have that name.
ALL = "all"
SUBJECT_MAX = 200

Priority = Literal["urgent", "normal", "low"]
Category = Literal["contract", "task", "question", "info", "review", "blocker"]
Status = Literal["pending", "delivered", "received", "completed", "failed"]
# What a recipient says; the first two come of sending and of reading.
Said = Literal["received", "completed", "failed"]
PRIORITIES: tuple[str, ...] = get_args(Priority)
FINISHED: tuple[str, ...] = ("completed", "failed")
# A status may only be followed by one that stands higher.
RANK = {"pending": 0, "delivered": 1, "received": 2, "completed": 3, "failed": 3}

_SLOT = re.compile(r"([012])-(\d{8}t\d{12})-([a-z]+)-([^@/]+)@((?:[a-z0-9][a-z0-9-]*-)?[0-9a-f]{6,40})")
_STAMP = "%Y%m%dt%H%M%S%f"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def place_of(project: str) -> Place:
    """Where the messages of a project are."""
    return Place(FAMILY, project)


class Slot(NamedTuple):
    """A message as its inbox lists it. Slots sort as they are read: the most urgent first, then the oldest."""

    rank: int
    stamp: str
    category: str
    sender: str
    id: str
    mailbox: str = ""

    @classmethod
    def parse(cls, name: str, mailbox: str = "") -> "Slot | None":
        """The slot that the name of a file in a mailbox spells, with or without its ending."""
        found = _SLOT.fullmatch(name.removesuffix(".yaml"))
        return cls(int(found[1]), found[2], found[3], found[4], found[5], mailbox) if found else None

    def __str__(self) -> str:
        return f"{self.rank}-{self.stamp}-{self.category}-{self.sender}@{self.id}"

    @property
    def message(self) -> str:
        """The path of the message."""
        day = f"{self.stamp[:4]}-{self.stamp[4:6]}-{self.stamp[6:8]}"
        return f"{day}/{shard_of(self.id)}/{self.id}.md"


def stamp_of(moment: datetime) -> str:
    """A moment as slots spell it; stamps sort as moments do."""
    return moment.strftime(_STAMP)


def a_message_id(value: str) -> str | None:
    """A generated id: a slug, a dash, at least six hex digits."""
    return None if hex_of(value) and len(value) <= 100 else f"is {shown(value)}, which is no message's id"


def a_recipient(value: str) -> str | None:
    """An agent's name, or `*`."""
    return None if value == EVERYBODY else a_name(value)


def a_slot(value: str) -> str | None:
    """`<rank>-<time>-<category>-<sender>@<id>`."""
    slot = Slot.parse(value)
    if slot is None or a_message_id(slot.id) or name_problem(slot.sender) or not _is_moment(slot.stamp):
        return "is no slot of a message: `<rank>-<time>-<category>-<sender>@<id>` is accepted"
    return None


def _is_moment(stamp: str) -> bool:
    try:
        return bool(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC))
    except ValueError:
        return False


def a_mailbox(value: str) -> str | None:
    """An agent's name, or `all`."""
    return None if value == ALL else a_name(value)


def a_day(value: str) -> str | None:
    """A date."""
    return None if _DAY.fullmatch(value) else "is no date such as 2026-01-31"


@kind
class Message(Record):
    """What one agent says to another, or to everybody of a project. It never changes, but for who has claimed it."""

    home: ClassVar[str] = "{day}/{shard}/{id}.md"
    body: ClassVar[str] = "message"
    ref: ClassVar[str] = FAMILY

    id: str = field("slug and hex digits", check=a_message_id, example="review-the-retries-3fa2b81c09")
    from_agent: str = field("who sent it", check=a_name, example="bob")
    from_project: str = field("the project that it was sent from, if another", default="", check=if_any(a_name))
    to: str = field("who it is for; `*` is everybody of the project", check=a_recipient, example="ann")
    subject: str = field("what it is about, in one line", check=(one_line, at_most(SUBJECT_MAX)), example="Review the retries")
    priority: Priority = field("how urgent it is", default="normal")
    category: Category = field("what sort of message it is", default="info")
    sent: datetime | None = field("when it was sent", default=None)
    microsecond: int = field("of the second it was sent in, for the order", default=0, check=between(0, 999_999))
    thread: str = field("the id of the first message of its thread, if that is another", default="", check=if_any(a_message_id))
    reply_to: str = field("the id of the message that it answers", default="", check=if_any(a_message_id))
    depth: int = field("how many replies by agents led to it", default=0, check=between(0, DEPTH_MAX))
    require_human: bool = field("whether its sender wants a person to decide", default=False)
    flags: tuple[str, ...] = field(
        "the destructive acts that it asks for, on which a person should decide",
        default=(), check=(at_most(20), each(at_most(60))),
    )
    session: str = field("the session in which it was sent", default="", check=at_most(200))
    claimed_by: str = field("the recipient who takes care of it", default="", check=if_any(a_name), merge=Along("claimed"))
    claimed: datetime | None = field("when they claimed it", default=None, merge=least)
    message: str = field("the message, in Markdown", check=(not_blank, bytes_at_most(BODY_MAX_BYTES), plain_text))

    @property
    def day(self) -> str:
        """The folder: the day on which it was sent."""
        return self.sent.strftime("%Y-%m-%d") if self.sent else "undated"

    @property
    def thread_id(self) -> str:
        """The id of the first message of its thread."""
        return self.thread or self.id

    @property
    def needs_person(self) -> bool:
        """Whether nobody should act on it without a person."""
        return self.require_human or bool(self.flags)

    @property
    def slot(self) -> Slot:
        """How inboxes list it."""
        moment = (self.sent or datetime.fromtimestamp(0, UTC)).replace(microsecond=self.microsecond)
        rank = PRIORITIES.index(self.priority)
        mailbox = ALL if self.to == EVERYBODY else self.to
        return Slot(rank, stamp_of(moment), self.category, self.from_agent, self.id, mailbox)

    @property
    def notice(self) -> str:
        """The path at which its inbox lists it."""
        slot = self.slot
        return f"{inbox_folder(slot.mailbox)}/{self.shard}/{slot}.yaml"

    @property
    def turn(self) -> str:
        """The path at which its thread lists it; "" for the first message of one."""
        return f"{thread_folder(self.thread)}/{self.slot}.yaml" if self.thread else ""


@kind
class Notice(Record):
    """An empty file whose name says that a message waits in an inbox."""

    home: ClassVar[str] = "inbox/{mailbox}/{shard}/{slot}.yaml"
    ref: ClassVar[str] = FAMILY

    mailbox: str = field("whose inbox; `all` is everybody's", check=a_mailbox, example="ann")
    slot: str = field(
        "`<rank>-<time>-<category>-<sender>@<id>`; rank 0 is urgent", check=a_slot,
        example="1-20260131t090000000000-info-bob@review-the-retries-3fa2b81c09",
    )

    @property
    def shard(self) -> str:
        """The folder of the message's id."""
        return shard_of(self.slot.rpartition("@")[2])


@kind
class Turn(Record):
    """An empty file whose name says that a message is a reply in a thread."""

    home: ClassVar[str] = "threads/{shard}/{thread}/{slot}.yaml"
    ref: ClassVar[str] = FAMILY

    thread: str = field("the id of the thread's first message", check=a_message_id, example="review-the-retries-3fa2b81c09")
    slot: str = field(
        "as in an inbox", check=a_slot, example="1-20260131t091500000000-info-ann@re-review-the-retries-91c0d2aa17"
    )

    @property
    def shard(self) -> str:
        """The folder of the thread's id."""
        return shard_of(self.thread)


@kind
class Receipt(Record):
    """What one recipient has made of a message. Its status only moves forward."""

    home: ClassVar[str] = "{day}/{shard}/{id}/{agent}.yaml"
    ref: ClassVar[str] = FAMILY

    day: str = field("the day on which the message was sent", check=a_day, example="2026-01-31")
    id: str = field("the message", check=a_message_id, example="review-the-retries-3fa2b81c09")
    agent: str = field("the recipient", check=a_name, example="ann")
    status: Said = field(
        "received, then completed or failed", default="received", merge=furthest("received", ("completed", "failed"))
    )
    received: datetime | None = field("when they acknowledged it", default=None)
    finished: datetime | None = field("when they were through with it", default=None)
    session: str = field(
        "the session in which they last said so", default="", check=at_most(200), merge=whoever_last
    )

    @property
    def message(self) -> str:
        """The path of the message."""
        return f"{self.day}/{self.shard}/{self.id}.md"


def inbox_folder(mailbox: str) -> str:
    """The folder that lists what waits for an agent, or for `all`."""
    return f"inbox/{mailbox}"


def thread_folder(thread: str) -> str:
    """The folder that lists the replies of a thread."""
    return f"threads/{shard_of(thread)}/{thread}"


def receipt_path(message: str, agent: str) -> str:
    """Where a recipient's receipt for the message at a path is."""
    return f"{message.removesuffix('.md')}/{agent}.yaml"


# --- rules ---------------------------------------------------------------------------------------


@rule
def messages_stay_whole(change: Change) -> Iterator[Problem]:
    """What was sent is listed where it is looked for, stays as it was sent, and is not hidden while somebody waits for it."""
    if change.before.place.family != FAMILY:
        return
    for path, edit in change.edits.items():
        before = change.before.record(path) if edit.old else None
        decoded = change.decoded(path)
        match before or (decoded.record if decoded else None):
            case Message() as message:
                yield from _message_problems(change, path, before, decoded.record if decoded else None, message)
            case Notice() as notice:
                yield from _notice_problems(change, path, notice)
            case Turn() as turn:
                yield from _listed_problems(change, path, turn.slot)
            case Receipt() as receipt:
                yield from _receipt_problems(change, path, before, decoded.record if decoded else None, receipt)


def _message_problems(
    change: Change, path: str, before: Record | None, after: Record | None, message: Message
) -> Iterator[Problem]:
    listed = [each for each in (message.notice, message.turn) if each]
    if after is None:
        yield from (Problem(path, "", f"cannot go without {each}") for each in listed if change.has(each))
    elif before is None:
        # what reached others only when its recipient was through with it is no longer in an inbox
        over = message.notice if _is_finished(change, path, message.to) else ""
        missing = (each for each in listed if each != over and not change.has(each))
        yield from (Problem(path, "", f"needs the empty file {each} beside it") for each in missing)
    elif isinstance(after, Message) and isinstance(before, Message):
        if replace(after, claimed_by=before.claimed_by, claimed=before.claimed) != before:
            yield Problem(path, "", "was sent; it stays as it is. Send another message")
        elif before.claimed_by and after.claimed_by and after.claimed_by != before.claimed_by:
            yield Problem(path, "claimed_by", f"is {before.claimed_by} already")


def _listed_problems(change: Change, path: str, slot: str) -> Iterator[Problem]:
    parsed = Slot.parse(slot)
    if change.has(path) and parsed and not change.has(parsed.message):
        yield Problem(path, "", f"lists a message that is not at {parsed.message}")


def _notice_problems(change: Change, path: str, notice: Notice) -> Iterator[Problem]:
    yield from _listed_problems(change, path, notice.slot)
    slot = Slot.parse(notice.slot)
    if slot and not change.has(path) and change.has(slot.message) and not _is_finished(change, slot.message, notice.mailbox):
        yield Problem(path, "", f"cannot go before {notice.mailbox} is through with the message")


def _is_finished(change: Change, message: str, agent: str) -> bool:
    decoded = change.decoded(receipt_path(message, agent))
    return decoded is not None and isinstance(decoded.record, Receipt) and decoded.record.status in FINISHED


def _receipt_problems(
    change: Change, path: str, before: Record | None, after: Record | None, receipt: Receipt
) -> Iterator[Problem]:
    decoded = change.decoded(receipt.message)
    message = decoded.record if decoded else None
    if not isinstance(message, Message):
        if after is not None:
            yield Problem(path, "", f"is about a message that is not at {receipt.message}")
    elif message.to not in (EVERYBODY, receipt.agent):
        yield Problem(path, "", f"is of {receipt.agent}, but the message is for {message.to}")
    elif isinstance(before, Receipt):
        reached = after.status if isinstance(after, Receipt) else "pending"
        if reached != before.status and RANK[reached] <= RANK[before.status]:
            yield Problem(path, "status", f"is {before.status} and cannot go back to {reached}")
