"""What the briefing tells of the backlog: what is yours, what is ready to be claimed, which checklists are unfinished."""

from collections.abc import Iterator
from itertools import islice

from gitmem.desk import Desk
from gitmem.domains.backlog.claiming import ready_items
from gitmem.domains.backlog.record import ASSIGNED, PRIORITIES, BacklogItem
from gitmem.domains.checklists import unfinished
from gitmem.verbs import section

_MINE_MAX = 12
_READY_MAX = 5


@section(order=30, share=0.2, more="list_backlog(assigned_to='me') and ready_backlog list them all")
def backlog(desk: Desk) -> list[str]:
    """Your open items, then what is ready to be claimed."""
    return [*_mine(desk), *_ready(desk), *unfinished(desk)]


def _mine(desk: Desk) -> Iterator[str]:
    view = desk.view()
    where = {ASSIGNED: [f"{desk.scope} {desk.agent}", f"shared {desk.agent}"]}
    found = desk.index.search("", view=view, where=where, limit=_MINE_MAX)
    records = (view.record(hit.path) for hit in found.hits)
    items = sorted((each for each in records if isinstance(each, BacklogItem)), key=_urgency)
    yield from (f"yours: {each.title} [{each.priority}, {each.status}, {each.id}]" for each in items)
    if found.total > len(items):
        yield f"yours: {found.total - len(items)} more that you touched longer ago"


def _urgency(item: BacklogItem) -> tuple[bool, int, float]:
    age = item.created.timestamp() if item.created else float("inf")
    return item.status != "in_progress", PRIORITIES.index(item.priority), age


def _ready(desk: Desk) -> Iterator[str]:
    for each in islice(ready_items(desk, desk.view(), ("",)), _READY_MAX):
        yield f"ready to claim: {each.title} [{each.priority}, {each.item_type}, {each.id}]"
