"""Guidelines: rules of the team that every agent gets at the start of a session, and is meant to follow."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk
from gitmem.domains.ownership.deciding import Deciding
from gitmem.errors import BadArgument, NotFound, closest
from gitmem.memory.gate import Change, rule
from gitmem.memory.view import View
from gitmem.names import check_name, now, shown
from gitmem.records.check import a_name, at_most, between, bytes_at_most, not_blank, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind, kind_of
from gitmem.records.merging import whoever_last
from gitmem.verbs import check_version, verb

RULE_MAX_BYTES = 8 * 1024  # everybody reads it at every start
Scope = Literal["project", "shared", "global"]


@kind
class Guideline(Record):
    """A rule that every agent gets at the start of a session."""

    home: ClassVar[str] = "{scope}/guidelines/{name}.md"
    body: ClassVar[str] = "rule"

    name: str = field("what it is called", index="title", check=a_name, example="small-commits")
    priority: int = field("1 to 100; 1 comes first", default=50, check=between(1, 100))
    author: str = field("who set it last", index="keyword", default="", check=at_most(100), merge=whoever_last)
    created: datetime | None = field("when it was first set", default=None)
    rule: str = field("what to do, in Markdown", index="text", check=(not_blank, bytes_at_most(RULE_MAX_BYTES), plain_text))


@rule
def admins_set_guidelines(change: Change) -> Iterator[Problem]:
    """What everybody is told to follow is let in by admins, or by those who own it by OWNERS.yaml."""
    if not change.asks_who:
        return
    deciding = Deciding(change)
    for path in change.edits:
        if (found := kind_of(Guideline).match(path)) is None:
            continue
        admins = deciding.admins(found["scope"])
        if not deciding.is_one_of([*admins, *deciding.listed(path)]):
            who = ", ".join(admins[:5]) or "nobody yet"
            what = f"is a guideline; {change.caller.name} may not change it, only an admin may: {who}"
            yield Problem(path, "", what, needs_review=True)


class Rule(Struct, frozen=True):
    """A guideline, to be followed."""

    name: str
    rule: str
    priority: int
    project: str
    author: str
    version: str


class Guidelines(Struct, frozen=True):
    """What was done, and the guidelines that it was about: shared ones first, each part from priority 1 on."""

    done: str
    rules: tuple[Rule, ...]
    count: int


class UnknownGuideline(NotFound):
    """There is no guideline of this name."""

    def __init__(self, name: str, place: str, known: list[str], *, is_shared: bool) -> None:
        near = closest(name, known)
        hint = f"Did you mean {' or '.join(near)}?" if near else "guidelines(action='list') shows them all."
        shared = f"{name} is a shared one: pass scope='shared'."
        super().__init__(f"There is no guideline {shown(name)} in {place}.", fix=shared if is_shared else hint)


@verb(writes=True, destructive=True, idempotent=True)
def guidelines(
    desk: Desk,
    action: Literal["list", "set", "delete", "get"],
    name: str = "",
    rule: str = "",
    scope: Scope | None = None,
    priority: int | None = None,
    if_version: str = "",
) -> Guidelines:
    """Look at the rules that all agents follow, which every session starts with. Admins set and delete them; others propose.

    Args:
        action: list, get, set or delete.
        name: the guideline; for everything but list.
        rule: what to do, in a few lines of Markdown; for set, left out: as it is.
        scope: project, or shared (or global) for all projects; left out, set and delete mean the project, list and get both.
        priority: 1 to 100, 1 comes first; for set, left out: as it is, or 50.
        if_version: for set and delete: the version that you saw; refused if somebody changed it since.
    """
    if action == "list":
        found = [each for where in _scopes(desk, scope) for each in guidelines_of(desk.view(), where)]
        return _answer("listed", *found)
    if not name.strip():
        raise BadArgument("The name of the guideline is missing.", fix="Pass name='...'; action='list' shows them.")
    called = check_name(name.strip(), "guideline")
    if action == "get":
        return _answer("found", _find(desk, called, _scopes(desk, scope)[::-1]))
    where = _scopes(desk, scope or "project")[0]
    if action == "delete":
        return _delete(desk, called, where, if_version)
    return _set(desk, called, where, rule, priority, if_version)


def guidelines_of(view: View, scope: str) -> list[Guideline]:
    """The readable guidelines of a scope, in their order."""
    return sorted(view.records(Guideline, f"{scope}/guidelines"), key=lambda each: (each.priority, each.name))


def _scopes(desk: Desk, scope: Scope | None) -> list[str]:
    if scope is None:
        return ["shared", desk.scope]
    return [desk.scope] if scope == "project" else ["shared"]


def _find(desk: Desk, name: str, scopes: list[str]) -> Guideline:
    for scope in scopes:
        found = desk.view().record(_path(scope, name))
        if isinstance(found, Guideline):
            return found
    known = [each.name for scope in scopes for each in guidelines_of(desk.memory.view(), scope)]
    places = [scope.removeprefix("projects/") for scope in scopes]
    is_shared = "shared" not in scopes and desk.view().entry(_path("shared", name)) is not None
    raise UnknownGuideline(name, " and ".join(places), known, is_shared=is_shared)


def _path(scope: str, name: str) -> str:
    return Guideline.home.format(scope=scope, name=name)


def _set(desk: Desk, name: str, scope: str, rule: str, priority: int | None, if_version: str) -> Guidelines:
    before = desk.view().record(_path(scope, name))
    check_version(before, if_version)
    old = before if isinstance(before, Guideline) else Guideline(scope=scope, name=name, created=now(), rule="")
    text = rule.replace("\r\n", "\n").strip("\n")
    if not (text or old.rule):
        raise BadArgument("rule is missing.", fix="Say what to do, in a few lines.")
    asked = replace(old, rule=text or old.rule, priority=old.priority if priority is None else priority)
    if asked == before:
        return _answer(NOTHING_NEW, asked)
    with desk.transaction(f"guideline: set {name}") as change:
        done = "proposed" if desk.proposes else "set; every agent gets it at the next start of a session"
        return _answer(done, change.put(replace(asked, author=desk.agent)))


def _delete(desk: Desk, name: str, scope: str, if_version: str) -> Guidelines:
    found = _find(desk, name, [scope])
    check_version(found, if_version)
    with desk.transaction(f"guideline: delete {name}") as change:
        change.delete(found.path)
    what = f"{name} from {found.project}"
    return _answer(f"proposed to delete {what}" if desk.proposes else f"deleted {what}; reverting the commit brings it back")


def _answer(done: str, *found: Guideline) -> Guidelines:
    rules = tuple(Rule(each.name, each.rule, each.priority, each.project, each.author, each.version) for each in found)
    return Guidelines(done, rules, len(rules))
