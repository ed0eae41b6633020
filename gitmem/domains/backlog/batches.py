"""Many items in one commit: all of them or none, and every problem of every item at once."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

from msgspec import Struct

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk
from gitmem.domains.backlog.dependencies import check_circles
from gitmem.domains.backlog.drafting import (
    MEND,
    Problems,
    Reference,
    Written,
    changes,
    drafted,
    each_of,
    put,
    revised,
    unblocked_by,
    written,
)
from gitmem.domains.backlog.finding import find_item, scopes_of
from gitmem.domains.backlog.planning import add_backlog_item, complete_backlog_item, completion, update_backlog_item
from gitmem.domains.backlog.record import PARENT, WAITS_FOR, BacklogItem
from gitmem.domains.projects import may_act_for_others
from gitmem.errors import BadArgument, GitmemError, Refused
from gitmem.names import shown
from gitmem.records.shape import Json
from gitmem.verbs import DESK_ARGUMENTS, check_version, find, verb

ITEMS_MAX = 200
_PLACEHOLDER = "untitled"
Action = Literal["create", "update", "complete", "delete"]


class Batch(Struct, frozen=True):
    """What one commit did to several items, in the order in which they were sent."""

    action: str
    count: int
    ids: tuple[str, ...]
    items: tuple[Written, ...]
    unblocked: tuple[Reference, ...] | None = None
    note: str | None = None


class Step(Struct, frozen=True):
    """What becomes of one item: `old` is None for a new one, `new` for one that goes."""

    old: BacklogItem | None
    new: BacklogItem | None

    @property
    def item(self) -> BacklogItem:
        """The item as it will be, or as it was."""
        found = self.new or self.old
        assert found is not None
        return found


class NotYourItem(Refused):
    """Only who added an item, or an admin, may delete it."""

    def __init__(self, item: BacklogItem) -> None:
        super().__init__(
            f"{item.id} was added by {item.created_by or 'somebody unknown'}; only they or an admin may delete it.",
            fix="complete_backlog_item(wont_do=true) closes an item that will not be done.",
        )


class NeededByOthers(Refused):
    """Unfinished items wait for an item that is to be deleted, or are parts of it."""

    def __init__(self, item: BacklogItem, others: list[str]) -> None:
        super().__init__(
            f"{item.id} cannot be deleted, because others need it, as blocked_by or parent: {', '.join(others[:5])}.",
            fix="complete_backlog_item(wont_do=true) closes it and unblocks them; or change their blocked_by and parent.",
        )


@verb(writes=True, destructive=True)
def batch_backlog(desk: Desk, action: Action, items: tuple[dict[str, Json], ...], reason: str = "") -> Batch:
    """Create, update, complete or delete many items in one commit. If anything is wrong with one, nothing is written.

    Args:
        action: create, update, complete or delete.
        items: at most 200, each with the arguments of add_backlog_item, update_backlog_item or complete_backlog_item,
            or with the id (and if_version) to delete it; project in one to create or update says where it goes.
        reason: why, for those who read the history.
    """
    if not 1 <= len(items) <= ITEMS_MAX:
        raise BadArgument(f"batch_backlog got {len(items)} items.", fix=f"1 to {ITEMS_MAX} are accepted.")
    steps = _steps(desk, action, items)
    closing = [each.new for each in steps if each.new and each.old and each.new.is_closed and not each.old.is_closed]
    unblocked = [each for each in unblocked_by(desk, closing) if each.id not in {step.item.id for step in steps}]
    with desk.transaction(f"backlog: {action} {len(steps)} items", body=reason) as change:
        for each in steps:
            if each.new is None:
                change.delete(each.item.path)
        landing = tuple(_answer(each, put(change, each.old or each.new, each.new) if each.new else each.item) for each in steps)
    note = None if desk.commit else NOTHING_NEW
    return Batch(action, len(landing), tuple(each.id for each in landing), landing, tuple(unblocked) or None, note)


def _answer(step: Step, item: BacklogItem) -> Written:
    if step.old is None:
        return written(item)
    if step.new is None:
        return written(item, note="deleted; its history stays")
    moved_from = step.old.project if step.old.scope != step.new.scope else None
    return written(item, changed=changes(step.old, step.new), moved_from=moved_from)


def _steps(desk: Desk, action: Action, items: tuple[dict[str, Json], ...]) -> list[Step]:
    problems: list[GitmemError] = []
    steps = []
    for number, item in enumerate(items):
        found: list[GitmemError] = []
        step = _MAKERS[action](desk, item, found)
        problems += [_at(number, single) for each in found for single in each_of(each)]
        steps += [step] if step else []
    problems += _twice(steps)
    if not problems:
        problems += _together(desk, action, steps)
    if problems:
        raise Problems(problems)
    return steps


def _at(number: int, error: GitmemError) -> GitmemError:
    return BadArgument(f"items[{number}]: {error.message}", fix=error.fix)


def _twice(steps: list[Step]) -> Iterator[GitmemError]:
    seen: set[str] = set()
    for each in steps:
        if each.item.id in seen:
            yield BadArgument(f"{each.item.id} is there twice.", fix="Say once what becomes of an item.")
        seen.add(each.item.id)


def _together(desk: Desk, action: Action, steps: list[Step]) -> Iterator[GitmemError]:
    if action == "delete":
        yield from _needed(desk, [each.item for each in steps])
    else:
        yield from check_circles(desk.view(), [(each.old, each.new) for each in steps if each.old and each.new])


def _needed(desk: Desk, going: list[BacklogItem]) -> Iterator[GitmemError]:
    view, ids = desk.view(), {each.id for each in going}
    for scope in scopes_of(view):
        view.entry(f"{scope}/backlog")  # counts as read: who comes to need one meanwhile makes this run again
    for item in going:
        facets = (PARENT,) if item.is_closed else (PARENT, WAITS_FOR)  # nothing waits for what is closed
        paths = [path for facet in facets for path in desk.index.paths(facet, item.id, view=view)]
        found = (view.record(path) for path in dict.fromkeys(paths))
        others = [each.id for each in found if isinstance(each, BacklogItem) and not each.is_closed and each.id not in ids]
        if others:
            yield NeededByOthers(item, others)


def check_deletion(desk: Desk, item: BacklogItem) -> None:
    """Raise NotYourItem or NeededByOthers if an item cannot be deleted by the caller."""
    if not _may_delete(desk, item):
        raise NotYourItem(item)
    for problem in _needed(desk, [item]):
        raise problem


def _may_delete(desk: Desk, item: BacklogItem) -> bool:
    return item.created_by == desk.agent or may_act_for_others(desk, item.scope)


# --- one item of a batch ----------------------------------------------------------------------------


def _creation(desk: Desk, item: dict[str, Json], problems: list[GitmemError]) -> Step | None:
    given = _loaded(add_backlog_item.__name__, item, problems, own="project")
    given.setdefault("title", _PLACEHOLDER)  # that it is missing is known by now
    project = item.get("project") or ""
    if not isinstance(project, str):
        problems.append(BadArgument(f"project is {shown(str(project))}, not text.", fix=MEND))
        return None
    scope = "shared" if project or given.get("scope") == "shared" else desk.scope
    return Step(None, drafted(desk, scope, given | {"project": project}, problems))


def _update(desk: Desk, item: dict[str, Json], problems: list[GitmemError]) -> Step | None:
    given = _loaded(update_backlog_item.__name__, item, problems, own="project")
    if "reason" in given:
        problems.append(_of_the_whole("reason"))
    old = _found(desk, given, problems, everywhere=bool(given.get("project")))
    return Step(old, revised(desk, old, given, problems)) if old else None


def _completing(desk: Desk, item: dict[str, Json], problems: list[GitmemError]) -> Step | None:
    given = _loaded(complete_backlog_item.__name__, item, problems)
    old = _found(desk, given, problems)
    fields = completion(given.get("resolution", ""), wont_do=given.get("wont_do", False))
    return Step(old, revised(desk, old, fields, problems)) if old else None


def _deletion(desk: Desk, item: dict[str, Json], problems: list[GitmemError]) -> Step | None:
    given = _loaded(complete_backlog_item.__name__, item, problems)
    fix = "delete takes id and if_version; complete takes the others and keeps the item."
    lost = (name for name in given if name not in ("id", "if_version"))
    problems += [BadArgument(f"{name} says nothing about an item that is deleted.", fix=fix) for name in lost]
    old = _found(desk, given, problems)
    if old is not None and not _may_delete(desk, old):
        problems.append(NotYourItem(old))
    return Step(old, None) if old else None


_MAKERS: dict[Action, Callable[[Desk, dict[str, Json], list[GitmemError]], Step | None]] = {
    "create": _creation,
    "update": _update,
    "complete": _completing,
    "delete": _deletion,
}


def _loaded(verb_name: str, item: dict[str, Json], problems: list[GitmemError], *, own: str = "") -> dict[str, Any]:
    """The arguments of one item; `own` is what it may say although a call says it for all."""
    given, wrong = find(verb_name).load(item)
    problems += [BadArgument(each if each.endswith("?") else f"{each}.", fix=MEND) for each in wrong]
    # load leaves these to the facade, which sees none but those of the whole call
    problems += [_of_the_whole(name) for name in DESK_ARGUMENTS if item.get(name) is not None and name != own]
    return given


def _of_the_whole(name: str) -> GitmemError:
    return BadArgument(f"{name} is of the whole batch.", fix="Pass it beside items.")


def _found(desk: Desk, given: dict[str, Any], problems: list[GitmemError], *, everywhere: bool = False) -> BacklogItem | None:
    """The item that is meant, also if it is at another version than the one that was looked at: that is a problem then."""
    old = None
    try:
        if "id" in given:  # that it is missing is known by now
            old = find_item(desk, given["id"], everywhere=everywhere)
            check_version(old, given.get("if_version", ""))
    except GitmemError as problem:
        problems.append(problem)
    return old
