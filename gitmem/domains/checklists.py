"""Checklists: what must be done before a launch or a deployment, and who ticked it off."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk, Scope
from gitmem.domains.projects import may_act_for_others
from gitmem.errors import BadArgument, NotFound, Refused, closest
from gitmem.names import check_name, folded, now, shown
from gitmem.records.check import a_name, at_most, one_line, plain_text
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import keyed, whoever_last
from gitmem.verbs import check_version, verb

ITEMS_MAX = 200
TEXT_MAX = 300
NOTES_MAX = 2000
Action = Literal["create", "get", "add", "check", "uncheck", "remove", "delete", "list"]
_LISTED_IN_ERRORS = 20
_BRIEFED_MAX = 10


class ChecklistItem(Struct, frozen=True, kw_only=True):
    """One line of a checklist. `by` and `when` tell who ticked it off."""

    text: str
    done: bool = False
    by: str = ""
    when: datetime | None = None
    notes: str = ""


def items_are_lines(items: tuple[ChecklistItem, ...]) -> str | None:
    """Every item is a line, and no two say the same."""
    seen: set[str] = set()
    for number, item in enumerate(items):
        if what := one_line(item.text) or at_most(TEXT_MAX)(item.text):
            return f"has an item {number} whose text {what}"
        if what := plain_text(item.notes) or at_most(NOTES_MAX)(item.notes):
            return f"has an item {number} whose notes {what}"
        if folded(item.text) in seen:
            return f"has the item {shown(item.text)} twice; each is accepted once"
        seen.add(folded(item.text))
    return None


@kind
class Checklist(Record):
    """A list of things to tick off, in order."""

    home: ClassVar[str] = "{scope}/checklists/{name}.yaml"

    name: str = field("the checklist's name", index="title", check=a_name, example="launch")
    created_by: str = field("who made it", index="keyword", default="", check=at_most(100))
    created: datetime | None = field("when it was made", default=None)
    items: tuple[ChecklistItem, ...] = field(
        "what there is to do", default=(), check=(at_most(ITEMS_MAX), items_are_lines),
        merge=keyed(lambda item: folded(item.text), by=whoever_last),
    )  # fmt: skip

    @property
    def done(self) -> int:
        """How many items are ticked off."""
        return sum(item.done for item in self.items)

    @property
    def progress(self) -> str:
        """How far it is: `3 of 5`."""
        return f"{self.done} of {len(self.items)}"


class ItemState(Struct, frozen=True):
    """An item of a checklist, and its place, counted from 0."""

    index: int
    item: str
    done: bool
    checked_by: str | None = None
    checked_at: datetime | None = None
    notes: str | None = None


class ChecklistSummary(Struct, frozen=True):
    """A checklist in a list."""

    name: str
    project: str
    progress: str
    created_by: str


class ChecklistAnswer(Struct, frozen=True):
    """What was done, and how far the checklist is, or which checklists there are."""

    action: str
    name: str | None = None
    project: str | None = None
    progress: str | None = None
    item: str | None = None
    items: tuple[ItemState, ...] | None = None
    created_by: str | None = None
    version: str | None = None
    checklists: tuple[ChecklistSummary, ...] | None = None
    count: int | None = None
    note: str | None = None


class UnknownChecklist(NotFound):
    """No checklist has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = closest(name, known)
        hint = f"Did you mean {' or '.join(near)}? " if near else f"There are {', '.join(known[:10]) or 'none yet'}. "
        super().__init__(f"There is no checklist {shown(name)}.", fix=f"{hint}checklist(action='create') makes one.")


class ChecklistExists(Refused):
    """A checklist of this name is there already."""

    def __init__(self, name: str) -> None:
        fix = "checklist(action='add') adds items to it; or choose another name."
        super().__init__(f"The checklist {name} exists already.", fix=fix)


class NoSuchLine(BadArgument):
    """What was said of an item fits none, or several."""

    def __init__(self, what: str, items: Iterable[tuple[int, ChecklistItem]]) -> None:
        lines = [f"{number}: {shown(item.text, 80)}" for number, item in items]
        more = f", and {len(lines) - _LISTED_IN_ERRORS} more" if len(lines) > _LISTED_IN_ERRORS else ""
        super().__init__(what, fix=f"Its items are {'; '.join(lines[:_LISTED_IN_ERRORS]) or 'none'}{more}.")


class NotYourChecklist(Refused):
    """Only who made a checklist, or an admin, may delete it."""

    def __init__(self, found: Checklist) -> None:
        super().__init__(
            f"{found.name} was made by {found.created_by or 'somebody unknown'}; only they or an admin may delete it.",
            fix=f"Ask {found.created_by or 'an admin'} or an admin of {found.project}.",
        )


@verb(writes=True, destructive=True)
def checklist(
    desk: Desk,
    action: Action,
    name: str = "",
    items: tuple[str, ...] = (),
    item_index: int | None = None,
    item_text: str = "",
    notes: str | None = None,
    done: bool | None = None,
    scope: Scope = "project",
    if_version: str = "",
) -> ChecklistAnswer:
    """Keep a checklist with your team, for a launch or a deployment: who ticked off what, when, and what is left.

    Args:
        action: create (name, items), get, add (items), check, uncheck or remove (one item), delete, or list all.
        name: the checklist: lower case, a-z 0-9 . _ -; needed for everything but list.
        items: the texts of the items, for create and add.
        item_index: which item, counted from 0, as get shows it.
        item_text: instead: its text, or words of it that no other item has; safer while others remove items.
        notes: what there is to say of the item; kept with it.
        done: for check: false unticks the item.
        scope: for create: project, or shared for all projects.
        if_version: the version that you saw; if it is no longer current, nothing is written.
    """
    if action == "list":
        return _list(desk)
    if action == "create":
        return _create(desk, name, items, desk.scoped(scope))
    found = _find(desk, name)
    if action == "get":
        return _answer(action, found)
    check_version(found, if_version)
    if action == "delete":
        return _delete(desk, found)
    if action == "add":
        return _land(desk, action, found, replace(found, items=(*found.items, *_new(items))))
    number = _number(found, item_index, item_text)
    edit = _EDITS["uncheck" if action == "check" and done is False else action]
    return _land(desk, action, found, edit(found, number, desk.agent, notes), found.items[number].text)


# --- what the actions do ------------------------------------------------------------------------------


def _list(desk: Desk) -> ChecklistAnswer:
    found = list(_all(desk))
    found.sort(key=lambda each: (each.done == len(each.items), each.name))
    listed = tuple(ChecklistSummary(each.name, each.project, each.progress, each.created_by) for each in found)
    return ChecklistAnswer("list", checklists=listed, count=len(listed))


def _create(desk: Desk, name: str, items: tuple[str, ...], scope: str) -> ChecklistAnswer:
    made = Checklist(
        scope=scope, name=check_name(name, "checklist"), created_by=desk.agent, created=now(), items=_new(items)
    )
    if desk.view().entry(made.path) is not None:
        raise ChecklistExists(name)
    return _land(desk, "create", None, made)


def _new(items: tuple[str, ...]) -> tuple[ChecklistItem, ...]:
    if not items:
        raise BadArgument("There are no items.", fix="Pass items=['...', '...'], the texts of what there is to do.")
    return tuple(ChecklistItem(text=text.strip()) for text in items)


def _delete(desk: Desk, found: Checklist) -> ChecklistAnswer:
    if found.created_by != desk.agent and not may_act_for_others(desk, found.scope):
        raise NotYourChecklist(found)
    with desk.transaction(f"checklist: delete {found.name}") as change:
        change.delete(found.path)
    note = f"revert(commit='{desk.commit[:12]}') brings it back"
    return ChecklistAnswer("delete", found.name, found.project, found.progress, note=note)


def _land(desk: Desk, action: str, old: Checklist | None, new: Checklist, item: str | None = None) -> ChecklistAnswer:
    problems = at_most(ITEMS_MAX)(new.items) or items_are_lines(new.items)
    if problems:
        raise BadArgument(f"The checklist {new.name} {problems}.", fix="Nothing was written; send it again without that.")
    told = f": {item}" if item else ""
    with desk.transaction(f"checklist: {action} {new.name}{told}") as change:
        return _answer(action, change.put(new), item, note=NOTHING_NEW if new == old else None)


def _answer(action: str, found: Checklist, item: str | None = None, *, note: str | None = None) -> ChecklistAnswer:
    states = tuple(
        ItemState(number, each.text, each.done, each.by or None, each.when, each.notes or None)
        for number, each in enumerate(found.items)
    )
    return ChecklistAnswer(
        action, found.name, found.project, found.progress, item, states, found.created_by or None, found.version, note=note
    )


# --- one item -------------------------------------------------------------------------------------------


def _number(found: Checklist, index: int | None, text: str) -> int:
    if index is None and not text.strip():
        raise NoSuchLine("Which item is meant? Pass item_index, counted from 0, or item_text.", enumerate(found.items))
    if index is not None and not 0 <= index < len(found.items):
        accepted = f"0 to {len(found.items) - 1} are accepted" if found.items else "it has no items"
        raise NoSuchLine(f"item_index is {index}; {accepted}.", enumerate(found.items))
    if not text.strip():
        assert index is not None
        return index
    matching = _matching(found, text)
    if index is not None and index not in matching:
        raise NoSuchLine(f"Item {index} does not say {shown(text)}.", enumerate(found.items))
    if index is None and len(matching) != 1:
        listed = [(number, found.items[number]) for number in matching] or list(enumerate(found.items))
        raise NoSuchLine(f"{len(matching) or 'No'} items say {shown(text)}.", listed)
    return matching[0] if index is None else index


def _matching(found: Checklist, text: str) -> list[int]:
    wanted = folded(text)
    texts = [folded(item.text) for item in found.items]
    return [texts.index(wanted)] if wanted in texts else [number for number, each in enumerate(texts) if wanted in each]


Edit = Callable[[Checklist, int, str, str | None], Checklist]


def _with_item(found: Checklist, number: int, item: ChecklistItem) -> Checklist:
    return replace(found, items=(*found.items[:number], item, *found.items[number + 1 :]))


def _check(found: Checklist, number: int, who: str, notes: str | None) -> Checklist:
    item = found.items[number]
    noted = item if notes is None else replace(item, notes=notes.strip())
    # who ticked it off first did it
    return _with_item(found, number, noted if item.done else replace(noted, done=True, by=who, when=now()))


def _uncheck(found: Checklist, number: int, _: str, notes: str | None) -> Checklist:
    item = found.items[number]
    return _with_item(
        found, number, replace(item, done=False, by="", when=None, notes=item.notes if notes is None else notes.strip())
    )


def _remove(found: Checklist, number: int, _: str, __: str | None) -> Checklist:
    return replace(found, items=(*found.items[:number], *found.items[number + 1 :]))


_EDITS: dict[str, Edit] = {"check": _check, "uncheck": _uncheck, "remove": _remove}


# --- finding --------------------------------------------------------------------------------------------


def _find(desk: Desk, name: str) -> Checklist:
    wanted = check_name(name, "checklist")
    for scope in (desk.scope, "shared"):
        path = f"{scope}/checklists/{wanted}.yaml"
        if desk.view().entry(path) is not None:
            return desk.view().get(Checklist, path)
    raise UnknownChecklist(name, sorted(each.name for each in _all(desk)))


def _all(desk: Desk) -> Iterator[Checklist]:
    for scope in (desk.scope, "shared"):
        yield from desk.view().records(Checklist, f"{scope}/checklists")


def unfinished(desk: Desk) -> list[str]:
    """The checklists on which something is left, in a line each, for the briefing."""
    view = desk.view().apart()
    paths = [path for scope in (desk.scope, "shared") for path, _ in view.files(f"{scope}/checklists")]
    if len(paths) > _BRIEFED_MAX:
        return [f"{len(paths)} checklists; checklist(action='list') tells how far they are"]
    found = [each for path in paths if isinstance(each := view.record(path), Checklist)]
    return [f"checklist {each.name}: {each.progress} done" for each in found if each.done < len(each.items)]
