"""What becomes of an item when its fields are set: one table of fields, for new items, edits and batches."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk, UnknownProject
from gitmem.domains.backlog.assigning import assignee
from gitmem.domains.backlog.body import part_problem, tidy
from gitmem.domains.backlog.dependencies import items_of, open_blockers
from gitmem.domains.backlog.finding import find_item
from gitmem.domains.backlog.record import WAITS_FOR, BacklogItem
from gitmem.domains.projects import project_path
from gitmem.errors import BadArgument, GitmemError
from gitmem.memory.transaction import Transaction
from gitmem.names import counted, new_id, now
from gitmem.records.kind import kind_of

Given = Mapping[str, Any]
_SHARED = "shared"
# Fields that are told by name alone when they change: they are too long for a line.
LONG = ("title", "resolution")
MEND = "Mend what is listed and send it again."
PARTS: tuple[Literal["description", "plan", "result"], ...] = ("description", "plan", "result")


class Problems(BadArgument):
    """Several things are wrong with what was asked for."""

    def __init__(self, problems: list[GitmemError]) -> None:
        self.problems = problems
        listing = "\n".join(f"- {each.message}{'' if each.fix == MEND else f' {each.fix}'}" for each in problems)
        super().__init__(f"Nothing was written: {counted(len(problems), 'problem')}.\n{listing}", fix=MEND)


class Reference(Struct, frozen=True):
    """Another item, in short."""

    id: str
    title: str
    status: str
    assigned_to: str | None = None


class Written(Struct, frozen=True):
    """An item as it was just written, without its texts.

    `changed` tells the fields, `unblocked` what no longer waits for anything, `similar` unfinished items
    that have the same title.
    """

    id: str
    title: str
    status: str
    priority: str
    item_type: str
    project: str
    version: str
    assigned_to: str | None = None
    milestone: str | None = None
    blocked_by: tuple[str, ...] | None = None
    parent: str | None = None
    changed: tuple[str, ...] | None = None
    moved_from: str | None = None
    unblocked: tuple[Reference, ...] | None = None
    similar: tuple[Reference, ...] | None = None
    note: str | None = None


def each_of(error: GitmemError) -> list[GitmemError]:
    """The single problems of an error."""
    return error.problems if isinstance(error, Problems) else [error]


def raise_all(problems: list[GitmemError]) -> None:
    """Raise what was found wrong, if anything was."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Problems(problems)


def drafted(desk: Desk, scope: str, given: Given, problems: list[GitmemError]) -> BacklogItem:
    """A new item with the fields that were given; what is wrong with them is added to `problems`."""
    blank = BacklogItem(
        scope=scope, id=new_id(str(given.get("title", ""))), title="",
        created_by=desk.agent, session=desk.caller.session, created=now(),
    )  # fmt: skip
    return _with_fields(desk, blank, given, problems)


def revised(desk: Desk, old: BacklogItem, given: Given, problems: list[GitmemError]) -> BacklogItem:
    """An item with the fields that were given; what is wrong with them is added to `problems`."""
    return _dated(old, _with_fields(desk, old, given, problems), given)


def put(change: Transaction, old: BacklogItem, new: BacklogItem) -> BacklogItem:
    """Write what became of an item, at its new place if it moved."""
    if new.path != old.path:
        change.delete(old.path)
    return change.put(new)


# --- fields ---------------------------------------------------------------------------------------


def _with_fields(desk: Desk, item: BacklogItem, given: Given, problems: list[GitmemError]) -> BacklogItem:
    for name, set_field in _FIELDS.items():
        if given.get(name) is not None:
            try:
                item = set_field(desk, item, given[name])
            except GitmemError as problem:
                problems += each_of(problem)
    wrong = list(_record_problems(item))
    if wrong:
        title = f"{item.title[:40]!r}: " if item.title.strip() else ""
        problems.append(BadArgument(f"{title}{'; '.join(wrong)}.", fix=MEND))
    return item


def _record_problems(item: BacklogItem) -> Iterator[str]:
    for declared in kind_of(BacklogItem).fields:
        value = getattr(item, declared.name)
        for check in declared.checks:
            if value is not None and (what := check(value)):
                yield f"{'description, plan and result' if declared.name == 'text' else declared.name} {what}"


def _set(name: str) -> "Setter":
    return lambda _, item, value: replace(item, **{name: value})


def _set_line(name: str) -> "Setter":
    return lambda _, item, value: replace(item, **{name: value.strip()})


def _set_part(name: Literal["description", "plan", "result"]) -> "Setter":
    def set_part(_: Desk, item: BacklogItem, value: str) -> BacklogItem:
        if what := part_problem(tidy(value)):
            raise BadArgument(f"{name} {what}.", fix="set_plan and set_result write the plan and the result.")
        return item.with_part(name, value)

    return set_part


def _set_tags(_: Desk, item: BacklogItem, value: tuple[str, ...]) -> BacklogItem:
    return replace(item, tags=tuple(dict.fromkeys(tag.strip() for tag in value if tag.strip())))


def _set_assignee(desk: Desk, item: BacklogItem, value: str) -> BacklogItem:
    return replace(item, assigned_to=assignee(desk, item.scope, value))


def _set_blockers(desk: Desk, item: BacklogItem, value: tuple[str, ...]) -> BacklogItem:
    found, problems = [], list[GitmemError]()
    for each in dict.fromkeys(value):
        try:
            found += [find_item(desk, each).id] if each.strip() else []
        except GitmemError as problem:
            problems.append(problem)
    raise_all(problems)
    return replace(item, blocked_by=tuple(dict.fromkeys(found)))


def _set_parent(desk: Desk, item: BacklogItem, value: str) -> BacklogItem:
    return replace(item, parent=find_item(desk, value).id if value.strip() else "")


def _set_project(desk: Desk, item: BacklogItem, value: str) -> BacklogItem:
    name = value.strip()
    if name and name != _SHARED and desk.view().entry(project_path(name)) is None:
        raise UnknownProject(name, desk.projects())
    return replace(item, scope=item.scope if not name else _SHARED if name == _SHARED else f"projects/{name}")


Setter = Callable[[Desk, BacklogItem, Any], BacklogItem]
# The project first: who can be given an item depends on it.
_FIELDS: dict[str, Setter] = {
    "project": _set_project,
    "title": _set_line("title"),
    "status": _set("status"),
    "priority": _set("priority"),
    "item_type": _set("item_type"),
    "assigned_to": _set_assignee,
    "tags": _set_tags,
    "milestone": _set_line("milestone"),
    "blocked_by": _set_blockers,
    "parent": _set_parent,
    "resolution": _set_line("resolution"),
    **{name: _set_part(name) for name in PARTS},
}


def _dated(old: BacklogItem, new: BacklogItem, given: Given) -> BacklogItem:
    """With what goes along: a released item is open, times follow the status, what is open again is not resolved."""
    if given.get("assigned_to") == "" and given.get("status") is None and new.status == "in_progress":
        new = replace(new, status="open")
    if new.status == "in_progress" and (old.status, old.assigned_to) != (new.status, new.assigned_to):
        new = replace(new, started=now())
    if new.is_closed and not old.is_closed:
        return replace(new, closed=now())
    if old.is_closed and not new.is_closed:
        return replace(new, closed=None, resolution=new.resolution if given.get("resolution") else "")
    return new


# --- answers --------------------------------------------------------------------------------------


def changes(old: BacklogItem, new: BacklogItem) -> tuple[str, ...]:
    """What differs between two versions of an item, a field each."""
    found = [_told("project", old.project, new.project)] if old.scope != new.scope else []
    for declared in kind_of(BacklogItem).file_fields:
        was, now_is = getattr(old, declared.name), getattr(new, declared.name)
        if was != now_is and declared.name not in ("started", "closed"):
            found.append(declared.name if declared.name in LONG else _told(declared.name, was, now_is))
    was_parts, now_parts = old.parts, new.parts
    return (*found, *(name for name in PARTS if getattr(was_parts, name) != getattr(now_parts, name)))


def _told(name: str, was: object, now_is: object) -> str:
    before, after = (", ".join(each) if isinstance(each, tuple) else str(each) for each in (was, now_is))
    return f"{name}: {before or 'none'} -> {after or 'none'}"


def written(item: BacklogItem, **more: Any) -> Written:
    """What a write answers."""
    return Written(
        item.id, item.title, item.status, item.priority, item.item_type, item.project, item.version,
        item.assigned_to or None, item.milestone or None, item.blocked_by or None, item.parent or None, **more,
    )  # fmt: skip


def reference(item: BacklogItem) -> Reference:
    """An item in short."""
    return Reference(item.id, item.title, item.status, item.assigned_to or None)


def unblocked_by(desk: Desk, closing: list[BacklogItem]) -> tuple[Reference, ...]:
    """What waits for nothing any more once some items are closed."""
    view = desk.view().apart()  # looked at, not depended on
    items = items_of(view, closing)
    paths = desk.index.paths(WAITS_FOR, *(each.id for each in closing), view=view)
    waiting = (found for path in paths if isinstance(found := view.record(path), BacklogItem))
    return tuple(reference(each) for each in waiting if not each.is_closed and not open_blockers(items, each))
