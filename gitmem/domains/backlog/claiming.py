"""Who does what next: what is ready to be started, and claims that exactly one wins."""

import secrets
from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk
from gitmem.domains.backlog.dependencies import items_of, open_blockers
from gitmem.domains.backlog.drafting import raise_all, revised
from gitmem.domains.backlog.finding import find_item
from gitmem.domains.backlog.order import Queue
from gitmem.domains.backlog.record import STARTABLE, UNCLOSED, WAITS_FOR, BacklogItem
from gitmem.domains.presence import last_seen
from gitmem.domains.syncing import told_local_only
from gitmem.errors import BadArgument, GitmemError, NotFound, Refused
from gitmem.memory.find import id_at
from gitmem.memory.view import MAIN_PLACE, View
from gitmem.names import age_in_words
from gitmem.verbs import checked_limit, verb

# After lost races a caller chooses among so many more of the best items, so that not all run for the same one again.
_SPREAD = 16
LIMIT_MAX = 100


class Claimed(Struct, frozen=True):
    """An item that is yours now, with all that its file says. Its texts were recorded by others.

    `local_only`: why the hub does not know of it, so that somebody in another clone may have claimed the same.
    """

    id: str
    title: str
    status: str
    priority: str
    item_type: str
    project: str
    assigned_to: str
    version: str
    description: str | None = None
    plan: str | None = None
    result: str | None = None
    milestone: str | None = None
    tags: tuple[str, ...] | None = None
    parent: str | None = None
    note: str | None = None
    local_only: str | None = None


class ReadyItem(Struct, frozen=True):
    """An item that can be started now."""

    id: str
    title: str
    priority: str
    item_type: str
    project: str
    version: str
    assigned_to: str | None = None
    milestone: str | None = None
    tags: tuple[str, ...] | None = None
    age: str | None = None


class Ready(Struct, frozen=True):
    """What can be started now, best first, and how much there is in all."""

    items: tuple[ReadyItem, ...]
    count: int
    total: int


class TakenByAnother(Refused):
    """The item is somebody else's."""

    def __init__(self, desk: Desk, item: BacklogItem) -> None:
        since = f" for {age_in_words(item.started)}" if item.started and item.status == "in_progress" else ""
        seen = last_seen(desk.memory, item.project, item.assigned_to) if item.scope != "shared" else None
        sign = f", who was last seen {age_in_words(seen)} ago" if seen else ""
        super().__init__(
            f"{item.id} is assigned to {item.assigned_to}{sign}; it is {item.status}{since}.",
            fix=f"claim_backlog_item(next=true) takes another one. If {item.assigned_to} gives it up or is gone, "
            f"update_backlog_item(id='{item.id}', assigned_to='me') makes it yours.",
        )


class AlreadyClosed(Refused):
    """There is nothing left to do."""

    def __init__(self, item: BacklogItem) -> None:
        since = f", and was closed {age_in_words(item.closed)} ago" if item.closed else ""
        super().__init__(
            f"{item.id} is {item.status}{since}.",
            fix=f"update_backlog_item(id='{item.id}', status='open') opens it again, if there is something left to do.",
        )


class StillBlocked(Refused):
    """The item waits for others."""

    def __init__(self, item: BacklogItem, blockers: list[BacklogItem]) -> None:
        named = ", ".join(
            f"{each.id} ({each.status}{f', {each.assigned_to}' if each.assigned_to else ''})" for each in blockers[:5]
        )
        super().__init__(
            f"{item.id} waits for {named}.",
            fix="Do that first, or take it out with update_backlog_item(blocked_by=...) if it need not wait any more.",
        )


class NothingReady(NotFound):
    """There is nothing to claim."""

    def __init__(self, project: str) -> None:
        super().__init__(
            f"Nothing in {project} is ready: all that is open is somebody's, or waits for something.",
            fix="list_backlog(status='in_progress') tells who does what; add_backlog_item adds what is missing.",
        )


@verb(writes=True, at_once=True, core=True)
def claim_backlog_item(desk: Desk, id: str = "", next: bool = False) -> Claimed:  # noqa: A002  the arguments' public names
    """Take an item and start it; if several try, exactly one gets it. Claiming what is yours is fine.

    Args:
        id: the item; the last part of its id is enough.
        next: instead of an id: the best item that is ready, a different one for each who asks at the same time.
    """
    if bool(id.strip()) == next:
        raise BadArgument("claim_backlog_item needs to know which item.", fix="Pass id='...', or next=true for the best one.")
    item = _next(desk) if next else find_item(desk, id)
    _check_free(desk, item)
    problems: list[GitmemError] = []
    started = revised(desk, item, {"status": "in_progress", "assigned_to": desk.agent}, problems)
    raise_all(problems)
    with desk.transaction(f"backlog: {desk.agent} claims {item.id}", agreed=True) as change:
        claimed = _claimed(change.put(started), note=NOTHING_NEW if started == item else None)
    return replace(claimed, local_only=told_local_only(desk))


def _check_free(desk: Desk, item: BacklogItem) -> None:
    if item.is_closed:
        raise AlreadyClosed(item)
    if item.assigned_to not in ("", desk.agent):
        desk.ask_hub(MAIN_PLACE)
        raise TakenByAnother(desk, item)
    if item.status != "in_progress" and (blockers := open_blockers(items_of(desk.view()), item)):
        raise StillBlocked(item, blockers)


def _next(desk: Desk) -> BacklogItem:
    # looked at aside: what was passed over must not make this claim run again when it changes
    aside = desk.view().apart()
    best = list(islice(ready_items(desk, aside, ("", desk.agent)), 1 + _SPREAD * desk.attempt))
    if not best:
        raise NothingReady(desk.project)
    chosen = best[secrets.randbelow(len(best))]
    return desk.view().get(BacklogItem, chosen.path)


def _claimed(item: BacklogItem, *, note: str | None) -> Claimed:
    parts = item.parts
    return Claimed(
        item.id, item.title, item.status, item.priority, item.item_type, item.project, item.assigned_to, item.version,
        parts.description or None, parts.plan or None, parts.result or None,
        item.milestone or None, item.tags or None, item.parent or None, note,
    )  # fmt: skip


@verb()
def ready_backlog(desk: Desk, limit: int = 10) -> Ready:
    """List what can be started now: open, nobody's or yours, waiting for nothing. Best first: by priority, then by age.

    Args:
        limit: at most this many, up to 100.
    """
    view, who = desk.view(), ("", desk.agent)
    most = checked_limit(limit, LIMIT_MAX)
    listed = tuple(_ready_item(each) for each in islice(ready_items(desk, view, who), most))
    return Ready(listed, len(listed), len(listed) if len(listed) < most else ready_total(desk, view, who))


def _ready_item(item: BacklogItem) -> ReadyItem:
    return ReadyItem(
        item.id, item.title, item.priority, item.item_type, item.project, item.version, item.assigned_to or None,
        item.milestone or None, item.tags or None, age_in_words(item.created) if item.created else None,
    )  # fmt: skip


def ready_items(desk: Desk, view: View, assignees: Sequence[str]) -> Iterator[BacklogItem]:
    """What can be started of what these have ("" is nobody), best first; read one by one, as they are asked for.

    Of equals in priority and age, that comes first for which most others wait.
    """
    items = items_of(view)
    queue = _startable(desk, view, assignees)
    found = (view.record(path) for path in queue.paths())
    return (each for each in found if isinstance(each, BacklogItem) and not open_blockers(items, each))


def ready_total(desk: Desk, view: View, assignees: Sequence[str]) -> int:
    """How many items can be started, without reading them."""
    where = _where(desk, assignees)
    named = desk.index.count(view=view, by=WAITS_FOR, where=where)
    unfinished = [id_at(path) for path in desk.index.paths(UNCLOSED, *named, view=view)] if named else []
    waiting = desk.index.count(view=view, by="kind", where=where | {WAITS_FOR: unfinished}) if unfinished else {}
    return _startable(desk, view, assignees).total - sum(waiting.values())


def _startable(desk: Desk, view: View, assignees: Sequence[str]) -> Queue:
    return Queue(
        desk, view, (desk.scope, "shared"), _where(desk, assignees), lambda: desk.index.count(view=view, by=WAITS_FOR)
    )


def _where(desk: Desk, assignees: Sequence[str]) -> dict[str, list[str]]:
    return {STARTABLE: [f"{scope} {each}" for scope in (desk.scope, "shared") for each in assignees]}
