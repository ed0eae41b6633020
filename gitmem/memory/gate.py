"""The gate: the one list of rules that every change passes, whichever way it comes in.

A rule is a pure function from a change to problems. Domains add theirs with `@rule`. The same rules
run in a verb's transaction, in the pre-receive hook, and on what is checked or brought in from outside.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from gitmem.errors import Refused
from gitmem.git.objects import FILE, Entry
from gitmem.memory.caller import Caller
from gitmem.memory.view import View
from gitmem.names import counted, name_problem, now, shown
from gitmem.records.codec import Decoded, Problem
from gitmem.records.kind import KINDS, kind_at

BODY_MAX_BYTES = 50 * 1024
FILE_MAX_BYTES = BODY_MAX_BYTES + 34 * 1024
PATH_MAX_BYTES = 400
# The trailer of a commit whose author means what looks like a slip, for those whom it reaches by a push.
FORCED = "Gitmem-Forced"
# Of what a forge reads there are only these: any other workflow could run what it likes with the forge's secrets.
FORGE_FILES = frozenset({".github/workflows/gitmem-check.yml", ".github/pull_request_template.md"})
# Files of `main` that belong to the team and are no records.
FREE_FILES = FORGE_FILES | {"README.md", "AGENTS.md", ".gitattributes", ".gitignore", "CODEOWNERS", "allowed_signers"}

_SCOPE_NAME = re.compile(r"projects/([^/]*)/")
# A lone ======= underlines a Markdown heading; only the arrows prove a conflict.
_CONFLICT = re.compile(rb"<{7} |>{7} ")


class Edit(Struct, frozen=True):
    """What a change does to one path: from `old` to `new`; None where there is no file."""

    old: Entry | None
    new: Entry | None


class Change(Struct, frozen=True):
    """A change that asks to be let in: the view before it, what differs, and who asks.

    `proposed`: it is only proposed, so what it may say is checked, but not who may say it. `reviewed`: paths of it
    that were proposed by somebody else than the caller, who lets them in.
    """

    before: View
    edits: Mapping[str, Edit]
    caller: Caller
    read: Callable[[str], bytes]  # a file's bytes by blob id, also of one that is not in the repository yet
    forced: bool = False  # the caller means it: rules that only guard against slips let it through
    several: bool = False  # it is many steps in one: what one of them named, a later one may have taken away
    proposed: bool = False
    reviewed: frozenset[str] = frozenset()
    made: datetime | None = None  # when, if it is judged afterwards

    @property
    def moment(self) -> datetime:
        """The time at which it has to be right."""
        return self.made or now()

    @property
    def asks_who(self) -> bool:
        """Whether it matters who asks: not for what is only proposed, nor for what the memory itself does to `main`."""
        return self.before.place.family == "main" and not self.proposed and not self.caller.is_gitmem

    def written(self) -> Iterator[tuple[str, Entry]]:
        """The paths that the change adds or edits."""
        for path, edit in self.edits.items():
            if edit.new is not None:
                yield path, edit.new

    def has(self, path: str) -> bool:
        """Whether there will be something at a path."""
        edit = self.edits.get(path)
        return edit.new is not None if edit else self.before.entry(path) is not None

    def decoded(self, path: str) -> Decoded | None:
        """The file at `path` as it will be; None if it will not be there or is of no kind."""
        if path not in self.edits:
            return self.before.decoded(path)
        new = self.edits[path].new
        if new is None or new.mode != FILE:
            return None  # a submodule's commit is not even here
        return self.before.parsed.get(self.read, self.before.place, path, new.oid)


Rule = Callable[[Change], Iterator[Problem]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Decorator: add a rule to the gate."""
    RULES.append(function)
    return function


class GateRefused(Refused):
    """A change with problems; all of them are listed."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        listing = "\n".join(f"- {problem}" for problem in problems)
        count = counted(len(problems), "problem")
        super().__init__(f"Nothing was written: {count}.\n{listing}", fix="Mend what is listed and try again.")


class NeedsReview(GateRefused):
    """A change with nothing wrong in it, but somebody else has to let it in."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.fix = "Propose it: the same call with as_proposal=True, or a branch proposals/NAME in git."


def check(change: Change) -> list[Problem]:
    """All problems of a change; none means it may land."""
    return [problem for each in RULES for problem in each(change)]


@rule
def paths_are_portable(change: Change) -> Iterator[Problem]:
    """A memory can be checked out on any system."""
    for path, entry in change.written():
        if entry.mode != FILE:
            yield Problem(path, "", f"has the file mode {entry.mode:o}; only plain files (100644) are accepted, "
                          "no links, submodules or executables")
        if len(path.encode("utf-8", "surrogateescape")) > PATH_MAX_BYTES:
            yield Problem(shown(path), "", f"is a path of over {PATH_MAX_BYTES} bytes")
        if not path.isascii() or not path.isprintable() or any(c in path for c in '\\:*?"<>|'):
            what = "has a character in its path that not every system takes; a-z 0-9 . _ - are accepted"
            yield Problem(shown(path, 200), "", what)


@rule
def files_are_records(change: Change) -> Iterator[Problem]:
    """Every file has a home, decodes without a problem, and stands where its values say."""
    family = change.before.place.family
    for path, entry in change.written():
        if entry.mode != FILE:
            continue
        if family == "main" and path in FREE_FILES:
            yield from _text_problems(change, path, entry)
        elif kind_at(path, family) is None:
            yield Problem(path, "", f"is no place for a file: {_homes_near(path, family)}")
        elif (scope := _SCOPE_NAME.match(path)) and (problem := name_problem(scope[1])):
            yield Problem(path, "", f"is in a folder that is no project's: {problem}")
        else:
            yield from _record_problems(change, path, entry)


def _record_problems(change: Change, path: str, entry: Entry) -> Iterator[Problem]:
    yield from _text_problems(change, path, entry)
    if len(change.read(entry.oid)) > FILE_MAX_BYTES:
        return
    decoded = change.decoded(path)
    if decoded is None:
        return
    yield from decoded.problems
    if decoded.record is not None and not decoded.problems and decoded.record.path != path:
        yield Problem(path, "", f"belongs at {decoded.record.path}")


def _text_problems(change: Change, path: str, entry: Entry) -> Iterator[Problem]:
    data = change.read(entry.oid)
    if len(data) > FILE_MAX_BYTES:
        yield Problem(path, "", f"has {len(data):,} bytes; at most {FILE_MAX_BYTES:,} are accepted")
        return
    if b"<<<<<<< " in data or b">>>>>>> " in data:
        yield from conflict_markers(path, data)


def conflict_markers(path: str, data: bytes) -> Iterator[Problem]:
    """Problems for the lines that a merge left in a file, outside of fenced code."""
    fenced = False
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.startswith((b"```", b"~~~")):
            fenced = not fenced
        elif not fenced and _CONFLICT.match(line):
            marker = shown(line.decode(errors="replace"), 30)
            yield Problem(path, "", f"has a conflict marker: {marker}; if it is meant, put it into a ``` block", number)


def _homes_near(path: str, family: str) -> str:
    homes = [k.record.home for k in KINDS.values() if k.record.ref == family]
    parts = set(path.split("/"))
    # the likeliest first: what shares folders with the path, and of those what holds most
    best = sorted(homes, key=lambda home: (-len(parts & set(home.split("/"))), -home.count("/")))
    if not homes:
        return "gitmem keeps nothing here"
    ids = "; an id ends in a dash and eight hex digits, and the shard is the first two of them"
    return f"files live at {', '.join(best[:3])}{ids if any('{shard}' in home for home in best[:3]) else ''}"
