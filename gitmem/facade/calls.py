"""Calls: from a name, arguments and what is known of the caller to a verb that runs. All facades come through here."""

import logging
import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct, field

import gitmem.domains.all  # noqa: F401  declares the verbs
from gitmem import verbs
from gitmem.desk import Desk
from gitmem.errors import BadArgument, GitmemError
from gitmem.facade.tending import Tending
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import check_name, name_problem, shown, slugify
from gitmem.records.shape import Json
from gitmem.verbs import Answer, Verb

if TYPE_CHECKING:
    from gitmem.index.search import Index

log = logging.getLogger(__name__)

META_PREFIX = "dev.gitmem/"
HEADER_PREFIX = "x-gitmem-"
NOBODY = "anonymous"
# A session starts with the agent's own word for who it is: nothing better is known yet.
INTRODUCES_AGENT = "start_session"
# What tells presence by itself.
TELL_PRESENCE = frozenset({INTRODUCES_AGENT, "end_session", "heartbeat"})
NOTED_SECONDS = 60.0


class Bug(GitmemError):
    """Something went wrong that is not the caller's doing. The log has the details under `code`."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"gitmem has a bug: this call failed inside, and the details were logged as {code}.",
            fix="Read back what you meant to change before you repeat the call, and report the code to who runs the server.",
        )


class Claims(Struct, frozen=True):
    """What came with a call beside its arguments; each facade fills in what it has.

    `meta` has keys such as `dev.gitmem/agent`, `headers` lower-case ones such as `x-gitmem-agent`;
    `agent` and `project` are the process's own settings, `client` the name of the calling program.
    """

    meta: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    agent: str = ""
    project: str = ""
    client: str = ""

    def stated(self, what: str) -> str:
        """The `agent` or `project` that was stated, by whatever is closest to the call; "" if none was."""
        for value in (self.meta.get(META_PREFIX + what), self.headers.get(HEADER_PREFIX + what), getattr(self, what)):
            if isinstance(value, str) and value.strip():
                return value.strip()
            if value and not isinstance(value, str):
                raise BadArgument(f"_meta {META_PREFIX + what} is {shown(str(value))}, not text.", fix=f"Send the {what}'s name.")
        return ""


class Standing(Struct, frozen=True):
    """Who calls, and about which project ("" if nothing says)."""

    caller: Caller
    project: str


def standing(memory: Memory, called: Verb, arguments: Mapping[str, Json], claims: Claims) -> Standing:
    """Who calls and about what. The first that is known counts: session, stated name, the client's own name.

    Nobody becomes somebody else by an argument: `session_id` proves, others are never looked at.
    """
    about = _stated(called, arguments, "project")
    session_id = _text(arguments, "session_id") if "session_id" not in called.parameters else ""
    if session_id:
        from gitmem.domains import sessions  # imported late: most servers know their caller without it

        agent, project = sessions.resolve(memory, session_id, called.name)
        return Standing(Caller(agent, "session", session_id), about or project)
    return Standing(_caller(called, arguments, claims), about or claims.stated("project"))


def _caller(called: Verb, arguments: Mapping[str, Json], claims: Claims) -> Caller:
    if agent := claims.stated("agent"):
        return Caller(check_name(agent, "agent"), "declared")
    if called.name == INTRODUCES_AGENT and (agent := _stated(called, arguments, "agent")):
        return Caller(check_name(agent, "agent"), "declared")
    own = slugify(claims.client)
    if claims.client and own != "untitled" and not name_problem(own):
        return Caller(own, "client")
    return Caller(NOBODY, "none")


def _stated(called: Verb, arguments: Mapping[str, Json], name: str) -> str:
    """An argument that is settled before the verb runs, in any of its spellings."""
    return next((stated for each in called.spellings(name) if (stated := _text(arguments, each))), "")


def _text(arguments: Mapping[str, Json], name: str) -> str:
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise BadArgument(f"{name} is {shown(str(value))}, not text.", fix=f"Send {name} as text, or leave it out.")
    return (value or "").strip()


class Office:
    """An open memory with what calls need: its index, and the process's own agent and project."""

    def __init__(
        self, memory: Memory, *, agent: str = "", project: str = "", one_client: bool = False,
        notes_presence: bool = False,
    ) -> None:
        if agent:
            check_name(agent, "agent")
        self.memory = memory
        self.agent = agent
        self.project = project
        self._is_bound = bool(project)
        self._notes_presence = notes_presence
        self._noted: dict[tuple[str, str], float] = {}
        self._one_client = one_client  # over stdio, whoever introduces itself is who goes on calling
        self._index: Index | None = None
        self._opening = threading.Lock()
        self._running = 0
        self._counting = threading.Condition()
        self._tending = Tending(self)

    @property
    def index(self) -> "Index":
        """The search index, opened when it is first asked for."""
        with self._opening:
            if self._index is None:
                from gitmem.index.search import Index  # imported late: it loads the search engine

                self._index = Index(self.memory)
            return self._index

    @property
    def index_commit(self) -> str:
        """The commit that the index reflects; "" while it is not open."""
        return self._index.commit if self._index else ""

    def warm(self) -> None:
        """Open the index, and bring it up to date, ahead of the first search. A failure is left to that search to tell."""
        try:
            self.index.search("first", view=self.memory.view(), limit=1)
        except (GitmemError, OSError, ValueError) as error:
            log.warning("the search index could not be opened ahead of its use: %s", error)

    def tend(self) -> None:
        """Look after the memory in the background, until the office is closed."""
        self._tending.start()

    def call(self, name: str, arguments: Mapping[str, Json], claims: Claims) -> Answer:
        """Run a verb for a caller. Raises GitmemError, and nothing else: other failures are logged and become Bug."""
        try:
            with self._counted():
                return self._call(name, arguments, claims)
        except GitmemError:
            raise
        except Exception as error:  # noqa: BLE001  a facade must answer whatever happens inside
            raise logged(error, f"verb {name[:60]}") from None

    def _call(self, name: str, arguments: Mapping[str, Json], claims: Claims) -> Answer:
        called = verbs.find(name)
        who = standing(self.memory, called, arguments, claims)
        desk = Desk(self.memory, self.index, who.caller, project=who.project, verb=called.name)
        answer = verbs.call(desk, called, _without_desk_arguments(called, arguments))
        if self._notes_presence and called.name not in TELL_PRESENCE:
            self._note_presence(desk, who)
        if self._one_client and called.name == INTRODUCES_AGENT:
            self._go_on_as(desk.agent, who.project)
        return answer

    def _go_on_as(self, agent: str, project: str) -> None:
        """The one client has begun a session: what it calls from now on is this agent's, in this project."""
        self.agent = self.agent or agent
        if agent == self.agent and not self._is_bound:
            self.project = project

    def _note_presence(self, desk: Desk, who: Standing) -> None:
        """Every call is a sign of life; one a minute is kept."""
        key, clock = (who.project, desk.agent), time.monotonic()
        if desk.caller.proof not in ("session", "declared") or clock - self._noted.get(key, -math.inf) < NOTED_SECONDS:
            return
        from gitmem.domains.presence import seen
        from gitmem.domains.projects import project_path

        try:
            if who.project and desk.view().peek(project_path(who.project)):
                seen(self.memory, who.project, desk.agent)
                self._noted[key] = clock
        except GitmemError as error:  # the call itself is answered all the same
            log.warning("presence of %s is not noted: %s", desk.agent, error)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._counting:
            self._running += 1
        try:
            yield
        finally:
            with self._counting:
                self._running -= 1
                self._counting.notify_all()

    def finished(self, within_seconds: float) -> bool:
        """Wait for the calls that are running; whether they all ended in time."""
        with self._counting:
            return self._counting.wait_for(lambda: self._running == 0, within_seconds)

    def close(self) -> None:
        """Let go of the index and let the memory's upkeep finish."""
        self._tending.stop()
        with self._opening:
            if self._index is not None:
                self._index.close()
                self._index = None
        self.memory.close()


def _without_desk_arguments(called: Verb, arguments: Mapping[str, Json]) -> dict[str, Json]:
    own = {*called.parameters, *called.aliases, "as_proposal"}  # which is settled where the verb runs
    return {name: value for name, value in arguments.items() if name not in verbs.DESK_ARGUMENTS or name in own}


def logged(error: Exception, where: str) -> Bug:
    """Log a failure of ours with its traceback, and the error that the caller gets instead."""
    code = secrets.token_hex(4)
    log.error("%s failed (%s)", where, code, exc_info=error)
    return Bug(code)


def problem(error: GitmemError) -> dict[str, Json]:
    """An error as a JSON object, the same in every facade."""
    return {"error": {"message": error.message, "fix": error.fix, "kind": type(error).__name__}}
