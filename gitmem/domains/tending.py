"""What may leave the refs of locks, work and messages. Nothing that somebody has not read yet ever does."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache

from gitmem.domains.locks import record as locks
from gitmem.domains.messages import record as messages
from gitmem.domains.messages.record import EVERYBODY, Message, Slot
from gitmem.domains.messages.shown import Inbox, Shown, inbox_of, renew
from gitmem.domains.projects import Project, project_path
from gitmem.domains.sessions import FAMILY as SESSIONS
from gitmem.domains.upkeep import Look, tended
from gitmem.domains.work import record as work


@tended(locks.FAMILY)
def expired_locks(look: Look) -> Iterator[str]:
    """Locks whose time is over, and notes of broken ones that their holders have had long enough."""
    yield from locks.over(look.view, look.time)


@tended(SESSIONS)
def finished_work(look: Look) -> Iterator[str]:
    """Work that is done or was left, and signals that nobody will wait for any more."""
    yield from work.over(look.view, look.time)


@tended(messages.FAMILY)
def read_messages(look: Look) -> Iterator[str]:
    """Messages older than the team keeps them which everybody concerned has read, with what lists and answers them."""
    before = look.time - timedelta(days=look.settings.message_days)
    was_read = _reading(look)
    for message in _sent_before(look, before):
        if was_read(message):
            yield message.path
            yield message.notice
            yield from (path for path in [message.turn] if path)
            yield from (path for path, _ in look.view.files(message.path.removesuffix(".md")))


@tended(messages.FAMILY)
def told_by_recent_commits(look: Look) -> Iterator[str]:
    """Nothing: marks of what was shown are made to count by a recent commit, for an old history is archived and then gone."""
    renew(look.memory, look.project, before=look.time - timedelta(days=1))
    yield from ()


def _sent_before(look: Look, before: datetime) -> Iterator[Message]:
    days = (day for day in look.view.names("") if messages.a_day(day) is None and day <= before.strftime("%Y-%m-%d"))
    for day in days:
        yield from (each for each in look.view.records(Message, day) if each.sent and each.sent < before)


def _reading(look: Look) -> Callable[[Message], bool]:
    """Whether all whom a message is for have been shown it, or are through with it."""

    @cache
    def inbox(agent: str) -> Inbox:
        return inbox_of(look.memory, look.project, agent)

    project = look.memory.view().record(project_path(look.project))
    members = [each.name for each in project.members] if isinstance(project, Project) else []
    everybody = {*members, *(mark.agent for mark in look.memory.marks.all(Shown, look.project))}

    def was_read(message: Message) -> bool:
        concerned = everybody if message.to == EVERYBODY else [message.to]
        return all(_is_through(inbox(agent), message.slot) for agent in concerned)

    return was_read


def _is_through(inbox: Inbox, slot: Slot) -> bool:
    return inbox.listing.position(slot) is None or inbox.is_shown(slot)
