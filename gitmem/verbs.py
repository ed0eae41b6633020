"""Verbs: what agents, people and scripts can call. Each is declared once, as a typed function.

From the declaration follow the MCP tool, the command, the schema, the reference page and the contract
tests. A verb has no effect but its transactions, so that it can be run again when it lost a race.
"""

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from msgspec import Struct, field

from gitmem.desk import Conflict, Desk, NotProposable
from gitmem.errors import BadArgument, closest
from gitmem.memory.gate import NeedsReview
from gitmem.names import shown
from gitmem.records.kind import Record
from gitmem.records.shape import Json, Mismatch, Shape, shape_of

# Accepted by every verb and settled before it runs: by the facade that makes the desk.
DESK_ARGUMENTS = {
    "project": "the project; left out: yours",
    "session_id": "your session, if the server does not know you in another way",
    "as_proposal": "true, or the reason, to propose it for review instead of writing it at once",
}
VERSION_MIN = 4  # digits of a version or commit that are taken for it
# Spellings that other memory servers' clients use, accepted everywhere.
ALIASES = {"claude_instance": "agent", "doc_id": "id", "item_id": "id", "message_id": "id", "func_id": "id"}

F = TypeVar("F", bound=Callable[..., Any])


class UnknownVerb(BadArgument):
    """No verb has this name."""

    def __init__(self, name: str) -> None:
        near = closest(name, list(VERBS))
        hint = f"Did you mean {' or '.join(near)}?" if near else "help lists what there is."
        super().__init__(f"There is no tool {name[:60]!r}.", fix=hint)


class Parameter(Struct, frozen=True):
    """One argument of a verb."""

    name: str
    shape: Shape
    required: bool
    default: Any
    description: str

    @property
    def schema(self) -> dict[str, Json]:
        """Its JSON schema."""
        schema = {**self.shape.schema, "description": self.description}
        if not self.required and self.default not in (None, "", ()):
            schema["default"] = self.shape.dump(self.default)
        return schema


class Verb(Struct, frozen=True, eq=False, dict=True):
    """A declared verb."""

    name: str
    function: Callable[..., Any]
    writes: bool
    destructive: bool
    idempotent: bool
    core: bool
    in_project: bool
    aliases: Mapping[str, str] = field(default_factory=dict)
    marks: bool = False
    waits: bool = False
    at_once: bool = False

    @property
    def group(self) -> str:
        """The domain that declares it."""
        return self.function.__module__.split(".")[2]

    @cached_property
    def summary(self) -> str:
        """What it is for: the docstring above `Args:`, in one paragraph."""
        return " ".join(_sections(self.function)[0].split())

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Its arguments, in order."""
        hints = typing.get_type_hints(self.function)
        described = _described(self.function)
        found = {}
        for p in list(inspect.signature(self.function).parameters.values())[1:]:
            required = p.default is inspect.Parameter.empty
            shape = shape_of(hints[p.name])
            found[p.name] = Parameter(p.name, shape, required, None if required else p.default, described.get(p.name, ""))
        if self.in_project:
            found["project"] = Parameter("project", shape_of(str), False, "", DESK_ARGUMENTS["project"])
        return found

    @cached_property
    def returns(self) -> type:
        """The type of its answer."""
        return typing.cast(type, typing.get_type_hints(self.function)["return"])

    @cached_property
    def schema(self) -> dict[str, Json]:
        """The JSON schema of its arguments."""
        required = [p.name for p in self.parameters.values() if p.required]
        schema: dict[str, Json] = {"type": "object", "properties": {p.name: p.schema for p in self.parameters.values()}}
        return schema | ({"required": required} if required else {})

    def spellings(self, name: str) -> list[str]:
        """An argument's name, and the others that it may be given under."""
        return [name, *(alias for alias, meant in {**ALIASES, **self.aliases}.items() if meant == name)]

    def bind(self, arguments: Mapping[str, Json]) -> dict[str, Any]:
        """The call's arguments as typed values. Raises BadArgument with every problem at once."""
        bound, problems = self.load(arguments)
        if problems:
            raise BadArgument(f"{self.name}: " + "; ".join(problems) + ".", fix=f"{self.name} takes {self._usage()}.")
        return bound

    def load(self, arguments: Mapping[str, Json]) -> tuple[dict[str, Any], list[str]]:
        """What of the arguments can be typed, and what is wrong with the others."""
        problems: list[str] = []
        bound: dict[str, Any] = {}
        given = self._canonical(arguments, problems)
        for name, value in given.items():
            if value is None or (name in DESK_ARGUMENTS and name not in self._own):
                continue  # an optional argument sent as null is one left out
            try:
                bound[name] = self.parameters[name].shape.load(value)
            except Mismatch as mismatch:
                problems += [f"{mismatch_place(name, where)} {what}" for where, what in mismatch.problems]
        missing = [p for p in self.parameters.values() if p.required and p.name not in bound]
        problems += [f"{p.name} is missing ({p.description.rstrip('.')})" for p in missing if given.get(p.name) is None]
        return bound, problems

    @cached_property
    def _own(self) -> frozenset[str]:
        # an argument of the function may be called as one that is settled before: then it is the verb's
        return frozenset(inspect.signature(self.function).parameters)

    def _canonical(self, arguments: Mapping[str, Json], problems: list[str]) -> dict[str, Json]:
        aliases = {alias: name for alias, name in {**ALIASES, **self.aliases}.items() if name in self.parameters}
        known = [*self.parameters, *(name for name in DESK_ARGUMENTS if name not in aliases)]
        named: dict[str, Json] = {}
        for given, value in arguments.items():
            name = given if given in known else aliases.get(given, given)
            if name not in known:
                near = closest(given, known, most=1)
                problems.append(f"{given[:60]!r} is not an argument" + (f", did you mean {near[0]!r}?" if near else ""))
            elif name in named:
                problems.append(f"{name} is given twice")
            else:
                named[name] = value
        return named

    def _usage(self) -> str:
        parts = [p.name if p.required else f"[{p.name}]" for p in self.parameters.values()]
        return ", ".join(parts) or "no arguments"


def mismatch_place(name: str, where: str) -> str:
    """How an error names the part of an argument that is wrong."""
    return f"{name}{where}" if where.startswith("[") or not where else f"{name}.{where}"


VERBS: dict[str, Verb] = {}


def verb(
    *,
    writes: bool = False,
    destructive: bool = False,
    idempotent: bool | None = None,
    core: bool = False,
    in_project: bool = True,
    aliases: Mapping[str, str] | None = None,
    marks: bool = False,
    waits: bool = False,
    at_once: bool = False,
) -> Callable[[F], F]:
    """Decorator: declare a verb.

    Args:
        writes: it may change the memory.
        destructive: it may remove or replace what others made.
        idempotent: calling it again changes nothing more; left out: whatever reads is.
        core: listed in the default tool profile.
        in_project: it takes `project` (and works at the desk's project if that is left out).
        aliases: other spellings of its arguments.
        marks: it leaves a mark of the caller's (a heartbeat, a read counter), which is no commit.
        waits: it may wait for others, so it must not take a thread from those that do not.
        at_once: it does more than to write main, so it cannot wait for a review.
    """

    def declare(function: F) -> F:
        name = function.__name__
        if name in VERBS:
            raise TypeError(f"two verbs are called {name}")
        settled = not writes if idempotent is None else idempotent
        VERBS[name] = Verb(name, function, writes, destructive, settled, core, in_project, aliases or {}, marks, waits, at_once)
        return function

    return declare


def find(name: str) -> Verb:
    """The verb of that name. Raises UnknownVerb with near names."""
    try:
        return VERBS[name]
    except KeyError:
        raise UnknownVerb(name) from None


class Answer(Struct, frozen=True):
    """What a verb answered, and the commit that it made ("" if it made none).

    `proposal`: the id of the proposal that it became instead of being written to main; `note` tells who reviews it.
    """

    verb: Verb
    value: Any
    commit: str
    proposal: str = ""
    note: str = ""


def call(desk: Desk, called: Verb, arguments: Mapping[str, Json]) -> Answer:
    """Run a verb, again on the present if it lost a race; as a proposal if that was asked or is needed. Raises GitmemError."""
    own, asked = _as_proposal(called, arguments)
    bound = called.bind(own)

    def run() -> Any:
        return called.function(desk, **bound)

    reason = bound.get("reason")
    if asked is not None:
        return _PROPOSER[0](desk, called, run, asked or (reason if isinstance(reason, str) else ""))
    try:
        return Answer(called, desk.until_landed(run, called.name), desk.commit)
    except NeedsReview:
        if desk.commit or not proposable(called):
            raise
        return _PROPOSER[0](desk, called, run, reason if isinstance(reason, str) else "")


# Runs a part of a verb so that all that it writes to main becomes a proposal with a reason.
Proposer = Callable[[Desk, Verb, Callable[[], Any], str], Answer]
_PROPOSER: list[Proposer] = []


def proposer(function: Proposer) -> Proposer:
    """Decorator: this is how a call becomes a proposal."""
    _PROPOSER[:] = [function]
    return function


def proposable(called: Verb) -> bool:
    """Whether a verb may write something to main that can wait for a review."""
    return called.writes and not called.marks and not called.at_once


def _as_proposal(called: Verb, arguments: Mapping[str, Json]) -> tuple[Mapping[str, Json], str | None]:
    """The verb's arguments, and the reason with which it is to be proposed; None if it is not."""
    own = {name: value for name, value in arguments.items() if name != "as_proposal"}
    asked = arguments.get("as_proposal")
    try:
        given = "" if asked is None else str(asked).lower() if isinstance(asked, bool) else shape_of(str).load(asked)
    except Mismatch as mismatch:
        what = mismatch.problems[0][1]
        raise BadArgument(f"as_proposal {what}.", fix="Send true, or the reason as text.") from None
    word = given.strip().lower()
    if word in ("", "false"):
        return own, None
    reason = "" if word == "true" else given
    if not proposable(called):
        raise NotProposable(called.name, at_once=called.writes)
    return own, reason


def check_version(current: Record | None, if_version: str) -> None:
    """Refuse an edit that was made from another version than the current one; None: there is none any more.

    Raises Conflict, or BadArgument for what is no version.
    """
    given = if_version.strip().lower()
    if given and len(given) < VERSION_MIN:
        raise BadArgument(
            f"if_version is {shown(given)}, which fits many versions.",
            fix=f"Pass the version as it was told, or its first {VERSION_MIN} digits or more.",
        )
    if given and current is None:
        raise Conflict(
            f"There is no version {shown(if_version, 20)} here: somebody removed it meanwhile, or it is in the other scope.",
            fix="Look at what there is now; to write it anew, leave if_version out.",
        )
    if given and current is not None and not current.version.startswith(given):
        raise Conflict(
            f"{current.path} is at version {current.version[:12]}, not {shown(if_version, 20)}: somebody changed it meanwhile.",
            fix="Read it again, apply your edit to what it says now, and send the new version.",
        )


def checked_limit(limit: int, most: int) -> int:
    """How many to list: `limit`, but not more than `most`. Raises BadArgument for none."""
    if limit < 1:
        raise BadArgument(f"limit is {limit}.", fix=f"1 to {most} are accepted.")
    return min(limit, most)


def checked_offset(cursor: str) -> int:
    """How many of a ranked list come before a page: what its cursor says. Raises BadArgument for what is none."""
    if not cursor:
        return 0
    if cursor.isdecimal() and len(cursor) < 8:
        return int(cursor)
    raise BadArgument(f"{cursor[:40]!r} is no cursor.", fix="Pass the cursor of the answer before, or leave it out.")


_ARGS = re.compile(r"^\s*Args:\s*$", re.MULTILINE)
_ARG = re.compile(r"^(?P<indent> {4})(?P<name>\w+): (?P<text>.*)$")


def _sections(function: Callable[..., Any]) -> tuple[str, str]:
    text = inspect.cleandoc(function.__doc__ or "")
    parts = _ARGS.split(text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _described(function: Callable[..., Any]) -> dict[str, str]:
    described: dict[str, str] = {}
    name = ""
    for line in _sections(function)[1].splitlines():
        if found := _ARG.match(line):
            name = found["name"]
            described[name] = found["text"]
        elif line.startswith("        ") and name:
            described[name] += " " + line.strip()
        elif line.strip():
            break
    return described


# --- sections of the briefing ---------------------------------------------------------------


class Section(Struct, frozen=True):
    """One part of the briefing: what it says, how urgent it is, its share of the token budget."""

    name: str
    order: int
    share: float
    more: str
    lines: Callable[[Desk], list[str]]
    followed: bool = False


SECTIONS: dict[str, Section] = {}


def section(
    *, order: int, share: float, more: str, followed: bool = False
) -> Callable[[Callable[[Desk], list[str]]], Callable[[Desk], list[str]]]:
    """Decorator: contribute a section to the briefing.

    Args:
        order: lower is more urgent and comes first.
        share: the part of the budget that it may use, 0 to 1.
        more: the call that reads what was left out.
        followed: what it says is meant to be followed. All else is recorded content, of which no line break is told:
            it could pass for a line of gitmem's own.
    """

    def declare(function: Callable[[Desk], list[str]]) -> Callable[[Desk], list[str]]:
        SECTIONS[function.__name__] = Section(function.__name__, order, share, more, function, followed)
        return function

    return declare
