"""Sessions: an agent's time of work, from the briefing at its start to the handoff at its end.

Live sessions are records on `refs/gitmem/sessions/<project>`, so a restarted server knows them. Ended
ones are files on `main`, for the next one to read.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.projects import Capability, a_capability
from gitmem.errors import BadArgument, NotFound, closest
from gitmem.git.objects import FILE
from gitmem.memory.gate import BODY_MAX_BYTES
from gitmem.memory.view import Place, View, places
from gitmem.names import check_name, name_problem, now, shown
from gitmem.records.check import at_most, bytes_at_most, each, one_line, plain_text
from gitmem.records.codec import encode
from gitmem.records.kind import Record, field, kind, kind_of
from gitmem.records.merging import keyed
from gitmem.verbs import checked_limit, verb

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory

FAMILY = "sessions"
SESSION_ID_MAX = 200
LIMIT_MAX = 200


def a_session_id(value: str) -> str | None:
    """`<project>_<agent>_<hex>` in the characters of names."""
    plain = value.replace("_", "").replace("-", "").replace(".", "")
    return None if plain.isalnum() and plain.isascii() and len(value) <= SESSION_ID_MAX else "is no session id"


@kind
class LiveSession(Record):
    """A session that has not ended."""

    home: ClassVar[str] = "{id}.yaml"
    ref: ClassVar[str] = FAMILY
    ends: ClassVar[bool] = True

    id: str = field("`<project>_<agent>_<hex>`", check=a_session_id, example="web-shop_ann_3fa2b81c")
    agent: str = field("who works", check=one_line, example="ann")
    task: str = field("what they work on", default="", check=(at_most(2000), plain_text))
    role: str = field("as what", default="", check=(at_most(500), plain_text))
    capabilities: tuple[Capability, ...] = field(
        "what they can do", default=(), check=(at_most(100), each(a_capability)), merge=keyed("name")
    )
    working_directory: str = field("where on their machine", default="", check=(at_most(500), plain_text))
    spawned_by: str = field("the agent that started this one", default="", check=at_most(100))
    started: datetime | None = field("when it began", default=None)


@kind
class Session(Record):
    """An ended session: what was done, and what the next one has to know."""

    home: ClassVar[str] = "{scope}/sessions/{month}/{id}.md"
    body: ClassVar[str] = "handoff_notes"

    id: str = field("`<project>_<agent>_<hex>`", index="keyword", check=a_session_id, example="web-shop_ann_3fa2b81c")
    agent: str = field("who worked", index="keyword", check=one_line, example="ann")
    task: str = field("what they worked on", index="title", default="", check=(at_most(2000), plain_text))
    started: datetime | None = field("when it began", default=None)
    ended: datetime | None = field("when it ended", default=None)
    summary: str = field("what was done", index="text", default="", check=(bytes_at_most(8 * 1024), plain_text))
    files_modified: tuple[str, ...] = field(
        "paths that were changed", index="path", default=(), check=(at_most(500), each(one_line), each(at_most(400)))
    )
    learnings: tuple[str, ...] = field(
        "what was found out, or ids of it", index="text", default=(),
        check=(at_most(100), each(at_most(1000)), each(plain_text)),
    )
    handoff_notes: str = field(
        "what the next one has to know, in Markdown", index="text", default="", check=(bytes_at_most(BODY_MAX_BYTES), plain_text)
    )

    @property
    def month(self) -> str:
        """The folder: the month in which it ended."""
        return self.ended.strftime("%Y-%m") if self.ended else "undated"


class SessionSummary(Struct, frozen=True):
    """A session in a list."""

    id: str
    agent: str
    project: str
    status: Literal["active", "ended"]
    task: str
    started: datetime | None
    ended: datetime | None = None


class SessionList(Struct, frozen=True):
    """Sessions, newest first, and how many there are in all."""

    sessions: tuple[SessionSummary, ...]
    count: int
    total: int


class SessionDetail(Struct, frozen=True):
    """One session, live or ended."""

    id: str
    agent: str
    project: str
    status: Literal["active", "ended"]
    task: str
    started: datetime | None
    ended: datetime | None = None
    summary: str | None = None
    files_modified: tuple[str, ...] | None = None
    learnings: tuple[str, ...] | None = None
    handoff_notes: str | None = None


class Ended(Struct, frozen=True):
    """An ended session: where its handoff is kept."""

    session_id: str
    path: str
    note: str


class UnknownSession(NotFound):
    """No live session has this id."""

    def __init__(self, session_id: str, *, ended: bool = False) -> None:
        what = "has ended" if ended else "is not known"
        super().__init__(f"The session {shown(session_id, 200)} {what}.", fix="Call start_session for a new one.")


def place_of(project: str) -> Place:
    """Where the live sessions of a project are."""
    return Place(FAMILY, project)


# What may be called with a session that has ended: ending is safe to repeat.
AFTER_THE_END = frozenset({"end_session"})


def resolve(memory: "Memory", session_id: str, verb_name: str = "") -> tuple[str, str]:
    """The agent and project of a session that `verb_name` may be called with. Raises UnknownSession."""
    projects = _possible_projects(session_id)
    for project in projects:
        if (found := _live(memory.view(place_of(project)), session_id)) is not None:
            return found.agent, project
    for project in projects:
        if (ended := _ended(memory.view(), project, session_id)) is not None:
            if verb_name in AFTER_THE_END:
                return ended.agent, project
            raise UnknownSession(session_id, ended=True)
    raise UnknownSession(session_id)


def _possible_projects(session_id: str) -> list[str]:
    if a_session_id(session_id):
        return []
    # names may hold the separator too, so every split is tried
    parts = session_id.split("_")
    projects = ("_".join(parts[:count]) for count in range(1, len(parts) - 1))
    return [project for project in projects if name_problem(project) is None]


def count_live(memory: "Memory") -> int:
    """How many sessions are live in all projects."""
    objects = memory.repository.objects
    trees = (objects.tree(memory.view(place).tree) for place in places(memory.repository, FAMILY))
    return sum(entry.mode == FILE for tree in trees for entry in tree.entries.values())


def check_start(**arguments: object) -> None:
    """Refuse what a live session could not hold, before anything is registered for it. Raises BadArgument with all of it."""
    fields = {each.name: each for each in kind_of(LiveSession).fields}
    wrong = (
        f"{name} {what}" for name, value in arguments.items()
        for check in fields[name.removesuffix("_description")].checks if (what := check(value))
    )  # fmt: skip
    if problems := "; ".join(wrong):
        raise BadArgument(f"start_session: {problems}.", fix="Mend that and call it again; nothing was registered.")


def begin(
    desk: Desk, *, task: str, role: str, capabilities: tuple[Capability, ...], directory: str, spawned_by: str
) -> LiveSession:
    """Register a live session for the desk's agent."""
    agent = check_name(desk.agent, "agent")
    session = LiveSession(
        scope=desk.scope,
        id=f"{desk.project}_{agent}_{secrets.token_hex(4)}",
        agent=agent,
        task=task.strip(),
        role=role.strip(),
        capabilities=capabilities,
        working_directory=directory,
        spawned_by=spawned_by,
        started=now(),
    )
    with desk.transaction(f"session: {agent} starts", place_of(desk.project)) as change:
        return change.put(session)


def live_sessions(desk: Desk) -> list[LiveSession]:
    """The live sessions of the desk's project, newest first."""
    # a view of its own: who else is at work must not make two who start or end at once collide
    view = desk.aside(place_of(desk.project))
    found = list(view.records(LiveSession))
    return sorted(found, key=lambda each: each.started.timestamp() if each.started else 0.0, reverse=True)


# Called when a session is over, each in its own transaction, safe to repeat: what it held is let go.
Ending = Callable[[Desk, LiveSession | Session], None]
ENDINGS: list[Ending] = []


def at_end(function: Ending) -> Ending:
    """Decorator: have something done at the end of every session, also of one that was swept."""
    ENDINGS.append(function)
    return function


@verb(writes=True, at_once=True, core=True, idempotent=True)
def end_session(
    desk: Desk,
    summary: str = "",
    files_modified: tuple[str, ...] = (),
    learnings: tuple[str, ...] = (),
    handoff_notes: str = "",
) -> Ended:
    """End your session and leave a handoff that the next session starts with. Call it when you stop, also when half done.

    Args:
        summary: what you did, in a few lines.
        files_modified: paths that you changed.
        learnings: what you found out, one line each; record the important ones with record_learning first.
        handoff_notes: what the next one has to know to go on: state, next steps, traps.
    """
    given = {"summary": summary, "files_modified": files_modified, "learnings": learnings, "handoff_notes": handoff_notes}
    if desk.caller.session and (done := _ended(desk.view(), desk.project, desk.caller.session)):
        return _leave(desk, done, lost=_differing(done, given))
    session = _own(desk)
    if half := _ended(desk.view(), desk.project, session.id):  # cut off between its two commits; the handoff stays as it was
        return _leave(desk, half, lost=_differing(half, given))
    blank = Session(
        scope=desk.scope, id=session.id, agent=session.agent, task=session.task, started=session.started, ended=now()
    )
    ended = replace(blank, **given)
    with desk.transaction(f"session: {session.agent} hands off", body=summary[:500]) as change:
        change.put(ended)
    # A crash here leaves the handoff written and the session live; ending it again does only what follows.
    return _leave(desk, ended)


def _differing(kept: Session, given: Mapping[str, object]) -> list[str]:
    """What was given and is something else than what was kept, as a file says it."""
    file = encode(kept)
    return [name for name, value in given.items() if value and encode(replace(kept, **{name: value})) != file]


def _leave(desk: Desk, ended: Session, *, lost: Sequence[str] = ()) -> Ended:
    commit = desk.commit

    def leave() -> None:
        with desk.transaction(f"session: {ended.agent} ends", place_of(desk.project)) as change:
            change.delete(f"{ended.id}.yaml")

    for ending in ENDINGS:
        ending(desk, ended)
    desk.until_landed(leave, "end_session")
    desk.commit = commit or desk.commit
    note = "ended; the handoff is kept and the next session starts with it"
    if lost:
        note = (
            f"it had ended before, and what was kept then stays; NOT kept, because it differs: {', '.join(lost)}. "
            "store with memory_type='handoff' keeps what the next one has to know"
        )
    return Ended(ended.id, ended.path, note)


def _own(desk: Desk) -> LiveSession:
    if desk.caller.session:
        if (found := _live(desk.view(place_of(desk.project)), desk.caller.session)) is None:
            raise UnknownSession(desk.caller.session)
        return found
    mine = [each for each in live_sessions(desk) if each.agent == desk.agent]
    if not mine:
        fix = "Call start_session first, or pass session_id."
        raise NotFound(f"{desk.agent} has no live session in {desk.project}.", fix=fix)
    if len(mine) > 1:
        known = ", ".join(each.id for each in mine)
        raise BadArgument(f"{desk.agent} has {len(mine)} live sessions: {known}.", fix="Say which with session_id.")
    return mine[0]


def _live(view: View, session_id: str) -> LiveSession | None:
    found = view.record(f"{session_id}.yaml")
    return found if isinstance(found, LiveSession) else None


def _ended(view: View, project: str, session_id: str) -> Session | None:
    folder = f"projects/{project}/sessions"
    months = view.peek(folder)
    names = view.objects.tree(months.oid).entries if months else {}
    paths = (f"{folder}/{month}/{session_id}.md" for month in names)
    found = next((view.record(path) for path in paths if view.peek(path)), None)
    return found if isinstance(found, Session) else None


@verb()
def list_sessions(
    desk: Desk, agent: str = "", status: Literal["all", "active", "ended"] = "all", limit: int = 20
) -> SessionList:
    """List the sessions of a project, live ones first, then ended ones from the newest back.

    Args:
        agent: only this agent's.
        status: active, ended or all.
        limit: at most this many, up to 200.
    """
    most = checked_limit(limit, LIMIT_MAX)
    live = [each for each in live_sessions(desk) if not agent or each.agent == agent] if status != "ended" else []
    ended, total = _ended_sessions(desk, agent, max(1, most - len(live))) if status != "active" else ([], 0)
    sessions: list[LiveSession | Session] = [*live, *ended]
    found = [_summary(each) for each in sessions[:most]]
    if agent and not found and not _ended_sessions(desk, agent, 1)[1]:  # of a worker that left, nothing else tells
        from gitmem.domains.people import check_known  # imported late: who is known is told by live sessions

        check_known(desk, agent)
    return SessionList(tuple(found), len(found), len(live) + total)


def _ended_sessions(desk: Desk, agent: str, limit: int) -> tuple[list[Session], int]:
    where = {"kind": ["session"], "scope": [desk.scope]} | ({"agent": [agent]} if agent else {})
    found = desk.index.search("", view=desk.view(), where=where, limit=limit)
    records = (desk.view().record(hit.path) for hit in found.hits)
    return [each for each in records if isinstance(each, Session)], found.total


def _summary(session: LiveSession | Session) -> SessionSummary:
    ended = session.ended if isinstance(session, Session) else None
    status: Literal["active", "ended"] = "ended" if isinstance(session, Session) else "active"
    return SessionSummary(session.id, session.agent, session.project, status, session.task, session.started, ended)


@verb()
def get_session(desk: Desk, id: str) -> SessionDetail:  # noqa: A002  the argument's public name
    """Read one session whole: what it was about, and its handoff if it has ended.

    Args:
        id: the session's id, as start_session or list_sessions gave it.
    """
    found = None if a_session_id(id) else _live(desk.view(place_of(desk.project)), id) or _ended(desk.view(), desk.project, id)
    if found is None:
        known = [each.id for each in live_sessions(desk)]
        near = closest(id, known)
        raise NotFound(
            f"There is no session {shown(id, 200)} in {desk.project}.",
            fix=f"Did you mean {near[0]}?" if near else "list_sessions shows them.",
        )
    if isinstance(found, LiveSession):
        return SessionDetail(found.id, found.agent, found.project, "active", found.task, found.started)
    return SessionDetail(
        found.id, found.agent, found.project, "ended", found.task, found.started, found.ended,
        found.summary, found.files_modified, found.learnings, found.handoff_notes,
    )
