"""Adding items, changing them, closing them."""


from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk, Scope
from gitmem.domains.backlog.dependencies import check_circles
from gitmem.domains.backlog.drafting import (
    Given,
    Reference,
    Written,
    changes,
    drafted,
    put,
    raise_all,
    reference,
    revised,
    unblocked_by,
    written,
)
from gitmem.domains.backlog.finding import find_item
from gitmem.domains.backlog.record import TITLED, BacklogItem, ItemType, Priority, Status
from gitmem.errors import GitmemError
from gitmem.names import folded
from gitmem.verbs import check_version, verb

UNBLOCKED_MAX = 20  # told by name


@verb(writes=True, aliases={"target_version": "milestone"})
def add_backlog_item(
    desk: Desk,
    title: str,
    description: str = "",
    item_type: ItemType = "task",
    priority: Priority = "medium",
    assigned_to: str = "",
    tags: tuple[str, ...] = (),
    milestone: str = "",
    blocked_by: tuple[str, ...] = (),
    parent: str = "",
    scope: Scope = "project",
) -> Written:
    """Add something to be done, so that it is not forgotten and somebody can claim it.

    Args:
        title: what is to be done, in one line of at most 200 characters.
        description: what whoever does it needs to know, in Markdown.
        item_type: task, feature, bug or tech_debt.
        priority: critical, high, medium or low.
        assigned_to: a member of the project or an agent at work there; me; left out, whoever claims it.
        tags: words to find it by.
        milestone: the version or date that it is planned for, in your own words.
        blocked_by: ids of the items that must be done first.
        parent: the id of the item that this one is a part of.
        scope: project, or shared for something that is on every project's backlog.
    """
    given = {
        "title": title, "description": description, "item_type": item_type, "priority": priority, "tags": tags,
        "assigned_to": assigned_to, "milestone": milestone, "blocked_by": blocked_by, "parent": parent,
    }  # fmt: skip
    problems: list[GitmemError] = []
    item = drafted(desk, desk.scoped(scope), given, problems)
    raise_all(problems)
    similar = titled_alike(desk, item)
    with desk.transaction(f"backlog: add {item.title}") as change:
        return written(change.put(item), similar=similar or None)


def titled_alike(desk: Desk, item: BacklogItem) -> tuple[Reference, ...]:
    """Unfinished items of the same scope that have the same title."""
    view = desk.view().apart()  # looked at, not depended on
    found = (view.record(path) for path in desk.index.paths(TITLED, folded(item.title), view=view))
    return tuple(reference(each) for each in found if isinstance(each, BacklogItem) and each.scope == item.scope)


@verb(writes=True, in_project=False, aliases={"target_version": "milestone", "deferred_reason": "reason"})
def update_backlog_item(
    desk: Desk,
    id: str,  # noqa: A002  the argument's public name
    title: str | None = None,
    description: str | None = None,
    status: Status | None = None,
    priority: Priority | None = None,
    item_type: ItemType | None = None,
    assigned_to: str | None = None,
    tags: tuple[str, ...] | None = None,
    milestone: str | None = None,
    blocked_by: tuple[str, ...] | None = None,
    parent: str | None = None,
    resolution: str | None = None,
    project: str = "",
    reason: str = "",
    if_version: str = "",
) -> Written:
    """Change fields of an item; what you leave out stays. With project, move it there: it keeps its id and history.

    Args:
        id: the item; the last part of its id is enough.
        title: what is to be done, in one line.
        description: the new description, whole.
        status: open, in_progress, blocked, deferred, retest, needs_info, duplicate, done or wont_do.
        priority: critical, high, medium or low.
        item_type: task, feature, bug or tech_debt.
        assigned_to: a member, an agent at work there, or me; '' for nobody, and what was in progress is open again.
        tags: all its tags from now on.
        milestone: what it is planned for; '' for nothing.
        blocked_by: ids of all items that must be done first; an empty list if it has to wait for nothing any more.
        parent: the id of the item that it is a part of; '' for none.
        resolution: how it was resolved.
        project: only to move it: the project that it is to belong to, or shared.
        reason: why, for those who read the history.
        if_version: the version that your edit is based on; if it is no longer current, nothing is written.
    """
    given = {
        "title": title, "description": description, "status": status, "priority": priority, "item_type": item_type,
        "assigned_to": assigned_to, "tags": tags, "milestone": milestone, "blocked_by": blocked_by, "parent": parent,
        "resolution": resolution, "project": project,
    }  # fmt: skip
    # a project that is named says where it goes, not where it is
    old = find_item(desk, id, everywhere=bool(project))
    return _revise(desk, old, given, "update", reason=reason, if_version=if_version)


@verb(writes=True, idempotent=True)
def complete_backlog_item(
    desk: Desk,
    id: str,  # noqa: A002  the argument's public name
    resolution: str = "",
    wont_do: bool = False,
    if_version: str = "",
) -> Written:
    """Close an item: it is done, or it will not be done. The answer names what can be started because of it.

    Args:
        id: the item; the last part of its id is enough.
        resolution: how it was resolved, or why it will not be done.
        wont_do: it will not be done.
        if_version: the version that you looked at; if it is no longer current, nothing is written.
    """
    return _revise(desk, find_item(desk, id), completion(resolution, wont_do=wont_do), "complete", if_version=if_version)


def completion(resolution: str, *, wont_do: bool) -> Given:
    """The fields that closing an item sets."""
    return {"status": "wont_do" if wont_do else "done", "resolution": resolution or None}


@verb(writes=True, idempotent=True)
def set_plan(desk: Desk, id: str, plan: str, if_version: str = "") -> Written:  # noqa: A002  the argument's public name
    """Write down how an item is going to be done, in place of the plan that it has. get_backlog_item reads it.

    Args:
        id: the item; the last part of its id is enough.
        plan: the whole plan, in Markdown; '' takes it away.
        if_version: the version that your plan is based on.
    """
    return _revise(desk, find_item(desk, id), {"plan": plan}, "plan", if_version=if_version)


@verb(writes=True, idempotent=True)
def set_result(desk: Desk, id: str, result: str, if_version: str = "") -> Written:  # noqa: A002  the argument's public name
    """Write down what came of an item, in place of the result that it has. complete_backlog_item closes it.

    Args:
        id: the item; the last part of its id is enough.
        result: the whole result, in Markdown; '' takes it away.
        if_version: the version that your result is based on.
    """
    return _revise(desk, find_item(desk, id), {"result": result}, "result", if_version=if_version)


def _revise(desk: Desk, old: BacklogItem, given: Given, what: str, *, reason: str = "", if_version: str = "") -> Written:
    check_version(old, if_version)
    problems: list[GitmemError] = []
    new = revised(desk, old, given, problems)
    raise_all(problems or [*check_circles(desk.view(), [(old, new)])])
    changed, moved_from = changes(old, new), old.project if new.scope != old.scope else None
    unblocked = unblocked_by(desk, [new]) if new.is_closed and not old.is_closed else ()
    more = f"{len(unblocked) - UNBLOCKED_MAX} more are unblocked" if len(unblocked) > UNBLOCKED_MAX else None
    details = "" if changed == (what,) else f": {'; '.join(changed)}"
    with desk.transaction(f"backlog: {what} {new.id}{details}", body=reason) as change:
        return written(
            put(change, old, new), changed=changed, moved_from=moved_from, unblocked=unblocked[:UNBLOCKED_MAX] or None,
            note=more if changed else NOTHING_NEW,
        )  # fmt: skip
