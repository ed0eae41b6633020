"""Composing and posting messages: what `send_message` and verbs that tell somebody something have in common."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from gitmem.desk import Desk
from gitmem.domains.messages.danger import destructive_acts
from gitmem.domains.messages.record import EVERYBODY, SUBJECT_MAX, Category, Message, Priority, place_of
from gitmem.errors import BadArgument
from gitmem.memory.gate import BODY_MAX_BYTES
from gitmem.memory.transaction import Transaction
from gitmem.memory.view import View
from gitmem.names import check_name, in_a_line, instant, name_problem, shard_of, slugify
from gitmem.records.check import at_most, bytes_at_most, not_blank, one_line, plain_text

SAME_DIGITS = 4  # of an id's digits; the first two are the shard
_CONTROL = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f]")


def notify(
    desk: Desk, *, to: str | Iterable[str], subject: str, text: str, project: str = "",
    category: Category = "info", priority: Priority = "normal", since: datetime | None = None,
) -> None:
    """Send a message from inside another verb, about what the caller has just done.

    The sender is the caller, who did it and can be answered; the commit's trailer names the verb. It is a transaction
    of its own that lands by itself, so it comes after those whose effect it tells of. Who did it is not told, and
    neither is who can have no inbox. The verb says when it is news; with `since`, who has had the same since then gets none.
    """
    named = [to] if isinstance(to, str) else list(dict.fromkeys(to))
    told = [each for each in named if each != desk.agent and (each == EVERYBODY or not name_problem(each))]
    if not told or name_problem(desk.agent) or desk.proposes:
        return  # what is only proposed is news to its reviewers alone
    where, about = project or desk.project, " ".join(_CONTROL.sub(" ", subject).split())[:SUBJECT_MAX]
    said = _CONTROL.sub(" ", text)[: BODY_MAX_BYTES // 4]
    made = [composed(desk, where, each, about, said if said.strip() else about, priority, category) for each in told]
    made = [each for each in made if since is None or not _was_sent(desk, where, each, since)]
    if made:
        post_apart(desk, where, f"message: {desk.agent} to {', '.join(each.to for each in made)}: {about}", lambda: made)


def _was_sent(desk: Desk, project: str, made: Message, since: datetime) -> bool:
    days = ((made.sent or since) - since.replace(hour=0, minute=0, second=0)).days
    dates = [(since + timedelta(days=each)).strftime("%Y-%m-%d") for each in range(days + 1)]
    said = (made.from_agent, made.to, made.subject, made.message)
    found = (each for each in alike(desk.memory.view(place_of(project)), made, dates) if each.sent and each.sent >= since)
    return any(said == (each.from_agent, each.to, each.subject, each.message) for each in found)


def alike(view: View, made: Message, days: Iterable[str]) -> Iterator[Message]:
    """The messages of some days whose ids begin as this one's. Listing their folders counts as read."""
    digits = made.id.rpartition("-")[2][:SAME_DIGITS]
    for folder in (f"{day}/{shard_of(made.id)}" for day in days):
        for name in view.names(folder):
            if name.endswith(".md") and name.removesuffix(".md").rpartition("-")[2].startswith(digits):
                record = view.record(f"{folder}/{name}")
                if isinstance(record, Message):
                    yield record


def post_apart(desk: Desk, project: str, subject: str, made: Callable[[], list[Message]]) -> None:
    """Land messages in a transaction of their own; the verb goes on answering with the commit of what it is about."""
    commit = desk.commit

    def land() -> None:
        with desk.transaction(subject, place_of(project)) as change:
            for each in made():
                post(change, each)

    desk.until_landed(land, "the message")
    desk.commit = commit or desk.commit


def post(change: Transaction, message: Message) -> Message:
    """Put a message where it is found: itself, and its name in the inbox and in the thread."""
    change.put_file(message.notice, b"")
    if message.turn:
        change.put_file(message.turn, b"")
    return change.put(message)


def composed(
    desk: Desk, project: str, to: str, subject: str, text: str, priority: Priority, category: Category
) -> Message:
    """A message of the caller's, sent now; without a subject, the first line is it. Raises BadArgument."""
    moment, text = instant(), text.replace("\r\n", "\n").strip("\n")
    subject = subject.strip() or _first_line(text)
    _check(subject, text)
    digest = hashlib.sha256(f"{desk.agent}\n{to}\n{subject}\n{text}".encode()).hexdigest()
    return Message(
        scope=f"projects/{project}",
        # The same text has the same first digits: whoever sends it twice is seen by the names in one folder.
        id=f"{slugify(subject)}-{digest[:SAME_DIGITS]}{secrets.token_hex(3)}",
        from_agent=check_name(desk.agent, "agent"), to=to, subject=subject, message=text,
        from_project=desk.asked_project if desk.asked_project != project else "",
        priority=priority, category=category, flags=destructive_acts(f"{subject}\n{text}"),
        sent=moment.replace(microsecond=0), microsecond=moment.microsecond, session=desk.caller.session,
    )


def _first_line(text: str) -> str:
    return in_a_line(next((line for line in text.splitlines() if line.strip()), ""), 80)


def _check(subject: str, text: str) -> None:
    problems = [f"message {what}" for test in (not_blank, bytes_at_most(BODY_MAX_BYTES), plain_text) if (what := test(text))]
    problems += [f"subject {what}" for test in (one_line, at_most(SUBJECT_MAX)) if subject and (what := test(subject))]
    if problems:
        raise BadArgument(
            f"The message was not sent: {'; '.join(problems)}.",
            fix="Keep what is long in a record with store, and send its id.",
        )
