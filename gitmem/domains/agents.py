"""Agents: who belongs to a project or was seen there, what they can do, and whether they are at work."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages.shown import inbox_of
from gitmem.domains.people import UnknownAgent, known_in, live_in, members
from gitmem.domains.presence import STALE_AFTER, Presence, seen
from gitmem.domains.projects import Member
from gitmem.domains.sessions import LiveSession, Session, at_end, live_sessions
from gitmem.errors import BadArgument
from gitmem.names import age_in_words, name_problem, now
from gitmem.records.check import at_most, plain_text
from gitmem.verbs import checked_limit, section, verb

TASK_MAX = 500
LIMIT_MAX = 500
_SKILLED_NAMED = 40
Condition = Literal["idle", "busy", "error"]


class Heartbeat(Struct, frozen=True):
    """What was noted, and how many messages are new."""

    agent: str
    status: str
    current_task: str
    seen: datetime
    unread: int


class AgentState(Struct, frozen=True):
    """An agent or person of a project. `active` is who was heard of in the last five minutes and did not leave."""

    name: str
    type: str
    member: bool
    active: bool
    stale: bool
    status: str
    role: str | None = None
    tier: str | None = None
    capabilities: tuple[str, ...] | None = None
    current_task: str | None = None
    last_seen: datetime | None = None
    age: str | None = None
    sessions: tuple[str, ...] | None = None


class AgentList(Struct, frozen=True):
    """Agents, who is active first, and how many there are in all."""

    agents: tuple[AgentState, ...]
    count: int
    total: int


@verb(marks=True)
def heartbeat(desk: Desk, status: Condition = "idle", current_task: str | None = None) -> Heartbeat:
    """Tell the others that you are there and what you do. It answers how many messages are new for you.

    Args:
        status: idle, busy or error.
        current_task: what you do, in a line; left out, what you said last.
    """
    task = " ".join(current_task.split()) if current_task is not None else None
    if task and (what := at_most(TASK_MAX)(task) or plain_text(task)):
        raise BadArgument(f"current_task {what}.", fix="Say it in a line; details belong into update_work or a record.")
    noted = seen(desk.memory, desk.project, desk.agent, status=status, task=task)
    unread = inbox_of(desk.memory, desk.project, desk.agent).flags.count(0)
    return Heartbeat(desk.agent, noted.status, noted.current_task, noted.seen or now(), unread)


@verb()
def get_agent_status(desk: Desk, agent: str = "") -> AgentState:
    """See whether an agent is at work: what they said they do, when they were last seen, their live sessions.

    Args:
        agent: their name; left out, yourself.
    """
    name = agent.strip() or desk.agent
    found = next((each for each in _agents(desk) if each.name == name), None)
    if found is None:
        raise UnknownAgent(name, desk.project, known_in(desk, desk.project))
    return found


@verb()
def list_agents(desk: Desk, query: str = "", limit: int = 50) -> AgentList:
    """List who works on a project: members with role and capabilities, and who was seen there without being one.

    Args:
        query: words that all have to occur in the name, role, capabilities or task.
        limit: at most this many, up to 500.
    """
    most, words = checked_limit(limit, LIMIT_MAX), query.casefold().split()
    found = [each for each in _agents(desk) if all(word in _searched(each) for word in words)]
    found.sort(key=lambda each: (not each.active, each.name))
    return AgentList(tuple(found[:most]), min(len(found), most), len(found))


def _searched(agent: AgentState) -> str:
    return " ".join([agent.name, agent.role or "", *(agent.capabilities or ()), agent.current_task or ""]).casefold()


# --- what is known of them -------------------------------------------------------------------------


def _agents(desk: Desk) -> Iterator[AgentState]:
    known = {member.name: member for member in members(desk, desk.project).members}
    marks = {mark.agent: mark for mark in desk.memory.marks.all(Presence, desk.project)}
    live = _live_by_agent(desk)
    for name in sorted({*known, *marks, *live}):
        yield _state(name, known.get(name), marks.get(name), live.get(name, []))


def _live_by_agent(desk: Desk) -> dict[str, list[LiveSession]]:
    live: dict[str, list[LiveSession]] = {}
    for session in live_sessions(desk):
        live.setdefault(session.agent, []).append(session)
    return live


def _state(name: str, member: Member | None, mark: Presence | None, live: list[LiveSession]) -> AgentState:
    signs = [mark.seen if mark else None, *(session.started for session in live)]
    last = max((sign for sign in signs if sign), default=None)
    said = mark.status if mark else "unknown"
    status = "idle" if said == "gone" and live else said
    stale = last is None or now() - last >= STALE_AFTER
    task = (mark.current_task if mark else "") or next((session.task for session in live if session.task), "")
    return AgentState(
        name=name, type=member.type if member else "agent", member=member is not None, active=status != "gone" and not stale,
        stale=stale, status=status,
        role=(member.role if member else "") or next((session.role for session in live if session.role), "") or None,
        tier=member.tier if member else None, capabilities=_capabilities(member, live) or None, current_task=task or None,
        last_seen=last, age=age_in_words(last) if last else None, sessions=tuple(session.id for session in live) or None,
    )


def _capabilities(member: Member | None, live: list[LiveSession]) -> tuple[str, ...]:
    """What they can do, as the project says and as they said themselves."""
    own = [*(member.capabilities if member else ()), *(each for session in live for each in session.capabilities)]
    described: dict[str, str] = {}
    for each in own:
        described[each.name] = described.get(each.name) or each.desc
    return tuple(f"{name}: {desc}" if desc else name for name, desc in described.items())


@section(order=90, share=0.1, more="list_agents lists them all, and finds them by what they can do")
def skills(desk: Desk) -> list[str]:
    """Who can do what."""
    live = _live_by_agent(desk)
    known = {member.name: member for member in members(desk, desk.project).members}
    others = sorted({*known, *live} - {desk.agent})
    lines = [_skill(name, known.get(name), live.get(name, [])) for name in others[:_SKILLED_NAMED]]
    return [line for line in lines if line]


def _skill(name: str, member: Member | None, live: list[LiveSession]) -> str:
    state = _state(name, member, None, live)
    about = ", ".join(each for each in ("a person" if state.type == "human" else "", state.role or "") if each)
    able = ", ".join(state.capabilities or ())
    who = f"{name} ({about})" if about else name
    return f"{who}: {able}" if able else who if about else ""


# --- leaving ---------------------------------------------------------------------------------------


@at_end
def leave(desk: Desk, session: LiveSession | Session) -> None:
    """With an agent's last session, the agent is gone."""
    others = [each for each in live_in(desk, session.project) if each.agent == session.agent and each.id != session.id]
    if others or name_problem(session.agent):  # what was pushed may have a name that can have no mark
        return

    def edit(mark: Presence | None) -> Presence:
        old = mark or Presence(scope=session.scope, agent=session.agent)
        # whose session is ended by somebody else was not seen by that
        last = now() if desk.agent == session.agent else old.seen
        return old if old.status == "gone" else replace(old, status="gone", current_task="", seen=last)

    desk.memory.marks.change(Presence, session.project, session.agent, edit)
