"""Sending messages, and what is not sent: the same twice, and what agents go on answering each other without a person."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages import DEPTH_MAX
from gitmem.domains.messages.mailbox import UnknownMessage, find_message
from gitmem.domains.messages.posting import alike, composed, post, post_apart
from gitmem.domains.messages.recipients import checked_project, checked_recipient
from gitmem.domains.messages.record import EVERYBODY, SUBJECT_MAX, Category, Message, Priority, place_of
from gitmem.domains.people import members
from gitmem.domains.projects import admins_of
from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.memory.view import View
from gitmem.names import age_in_words, now, shown, slugify
from gitmem.verbs import verb

# The same text to the same target within this time is one that was sent twice.
SAME_WITHIN = timedelta(minutes=5)


class Sent(Struct, frozen=True):
    """A message as it was sent, without its text."""

    id: str
    to: str
    project: str
    subject: str
    priority: str
    category: str
    thread: str
    depth: int
    sent: datetime
    version: str
    require_human: bool | None = None
    flags: tuple[str, ...] | None = None
    note: str | None = None


class SentTwice(Refused):
    """The same text went to the same target a moment ago."""

    def __init__(self, first: Message) -> None:
        age = age_in_words(first.sent) if first.sent else "a moment"
        to = "everybody" if first.to == EVERYBODY else first.to
        super().__init__(
            f"You sent the same text to {to} {age} ago, as {first.id}. It was not sent again.",
            fix="It is kept until it is read. Write something new if you have more to say.",
        )


class ChainTooLong(Refused):
    """Agents have answered each other too often without a person."""

    def __init__(self, replied: Message, told: list[str]) -> None:
        who = f"{', '.join(told)} {'has' if len(told) == 1 else 'have'} been told" if told else "the project has no admin to tell"
        super().__init__(
            f"{replied.id} is reply {replied.depth} of its thread; more than {DEPTH_MAX} replies by agents alone are not sent, "
            f"and {who}.",
            fix="Wait for a person to answer in the thread, or decide with what you know and record it.",
        )


@verb(
    writes=True, at_once=True, core=True,
    aliases={"recipient": "to_instance", "to": "to_instance", "content": "message", "text": "message"},
)
def send_message(
    desk: Desk,
    to_instance: str,
    message: str,
    subject: str = "",
    priority: Priority = "normal",
    category: Category = "info",
    to_project: str = "",
    reply_to: str = "",
    in_response_to: str = "",
    require_human: bool = False,
) -> Sent:
    """Send a message to another agent or person, or to everybody of a project. They see it when they next read their inbox.

    Args:
        to_instance: their name; * is everybody of the project.
        message: the text, in Markdown.
        subject: what it is about, in one line; left out, the first line of the text.
        priority: urgent, normal or low.
        category: contract, task, question, info, review or blocker.
        to_project: the project in which they work, if it is another than yours.
        reply_to: the id of the message that you answer.
        in_response_to: the same, as other servers call it.
        require_human: nobody may act on it without a person.
    """
    replied = _replied(desk, reply_to, in_response_to, to_project)
    project = checked_project(desk, to_project or _home(replied, to_instance))
    checked_recipient(desk, project, to_instance.strip())
    made = composed(desk, project, to_instance.strip(), subject, message, priority, category)
    made = replace(
        made, require_human=require_human, depth=_depth(desk, project, replied),
        reply_to=replied.id if replied else "", thread=replied.thread_id if replied else "",
    )
    if replied and made.depth > DEPTH_MAX:
        raise ChainTooLong(replied, _tell_admins(desk, project, replied))
    _refuse_twice(desk.view(place_of(project)), made)
    with desk.transaction(f"message: {made.from_agent} to {made.to}: {made.subject}", place_of(project)) as change:
        return _sent(post(change, made))


def _sent(made: Message) -> Sent:
    return Sent(
        id=made.id, to=made.to, project=made.project, subject=made.subject, priority=made.priority, category=made.category,
        thread=made.thread_id, depth=made.depth, sent=made.sent or now(), version=made.version,
        require_human=made.needs_person or None, flags=made.flags or None,
        note=f"it asks for {', '.join(made.flags)}, so nobody may act on it without a person" if made.flags else None,
    )


# --- what a message is made of ---------------------------------------------------------------------


def _replied(desk: Desk, reply_to: str, in_response_to: str, to_project: str) -> Message | None:
    if reply_to and in_response_to and reply_to != in_response_to:
        raise BadArgument(
            f"reply_to is {shown(reply_to)} and in_response_to is {shown(in_response_to)}; they mean the same.",
            fix="Pass one of them.",
        )
    wanted = reply_to or in_response_to
    if not wanted:
        return None
    try:
        return find_message(desk.view(place_of(desk.project)), wanted, agent=desk.agent)
    except UnknownMessage:
        if not to_project:
            raise
        return find_message(desk.view(place_of(checked_project(desk, to_project))), wanted)


def _home(replied: Message | None, to: str) -> str:
    """Where the answer to a message from another project goes: back to who sent it."""
    return replied.from_project if replied and replied.from_agent == to.strip() else ""


def _depth(desk: Desk, project: str, replied: Message | None) -> int:
    if replied is None:
        return 0
    own = members(desk, project).member(desk.agent)
    return 0 if own and own.type == "human" else replied.depth + 1


# --- what is not sent ------------------------------------------------------------------------------


def _refuse_twice(view: View, made: Message) -> None:
    for first in _alike(view, made):
        same = (first.from_agent, first.to, first.subject, first.message, first.reply_to)
        recent = first.sent is not None and made.sent is not None and abs(made.sent - first.sent) < SAME_WITHIN
        if recent and same == (made.from_agent, made.to, made.subject, made.message, made.reply_to):
            raise SentTwice(first)


def _alike(view: View, made: Message) -> Iterator[Message]:
    """The messages of now and of a moment ago whose ids begin as this one's.

    Of two who send the same at once, the second is told that a listing has changed, runs again and finds the first:
    the same days are listed by both, on either side of midnight.
    """
    moment = made.sent or now()
    days = {(moment + shift).strftime("%Y-%m-%d") for shift in (-SAME_WITHIN, timedelta(), SAME_WITHIN)}
    return alike(view, made, sorted(days))


def _tell_admins(desk: Desk, project: str, replied: Message) -> list[str]:
    """Send the project's admins a message that a thread was stopped, once a thread; who they are."""
    admins = admins_of(desk.view(), f"projects/{project}")
    text = (
        f"{desk.agent} wanted to answer {replied.id} by {replied.from_agent}. That would have been reply {replied.depth + 1} in "
        f"the thread {replied.thread_id}, and gitmem stops after {DEPTH_MAX} replies without a person. Read it with "
        f"get_messages(thread='{replied.thread_id}'), and answer in it if it should go on."
    )
    subject = f"Stopped: {replied.subject}"[:SUBJECT_MAX]
    notes = [composed(desk, project, admin, subject, text, "urgent", "blocker") for admin in admins]
    named = [replace(each, id=_id_of_stop(replied, each)) for each in notes]
    subject = f"message: thread stopped: {replied.subject}"
    post_apart(desk, project, subject, lambda: [each for each in named if not _is_sent(desk, project, each.id)])
    return admins


def _id_of_stop(replied: Message, note: Message) -> str:
    # the same for the same thread and admin: agents that go on trying fill nobody's inbox
    digest = hashlib.sha256(f"stopped\n{replied.thread_id}\n{note.to}".encode()).hexdigest()
    return f"{slugify(note.subject)}-{digest[:10]}"


def _is_sent(desk: Desk, project: str, message_id: str) -> bool:
    try:
        return bool(find_message(desk.memory.view(place_of(project)), message_id))
    except NotFound:
        return False
