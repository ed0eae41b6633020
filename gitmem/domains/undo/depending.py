"""What depends on records that are undone: what links to them, waits for them, or is a part of them."""

from collections.abc import Collection, Iterator

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.backlog.record import BLOCKED_BY, PARENT, BacklogItem
from gitmem.domains.knowledge.record import Knowledge
from gitmem.memory.view import View
from gitmem.names import hex_of
from gitmem.records.kind import Record

LISTED_AT_MOST = 50


class Dependent(Struct, frozen=True):
    """A record that depends on one that is undone."""

    path: str
    how: str
    on: str


def dependents(desk: Desk, paths: Collection[str]) -> tuple[Dependent, ...]:
    """The records that depend on those at some paths and are not among them."""
    view = desk.view()
    found = {each.path: each for path in sorted(paths) for each in _of(desk, view, path) if each.path not in paths}
    return tuple(list(found.values())[:LISTED_AT_MOST])


def _of(desk: Desk, view: View, path: str) -> Iterator[Dependent]:
    match view.record(path):
        case Knowledge() as record:
            names = (record.id, hex_of(record.id) or record.id, record.title)
            for other in desk.index.paths("link", *names, view=view):
                yield Dependent(other, _relation(view.record(other), names), record.id)
        case BacklogItem() as item:
            for facet, how in ((BLOCKED_BY, "waits for it"), (PARENT, "is a part of it")):
                for other in desk.index.paths(facet, item.id, view=view):
                    yield Dependent(other, how, item.id)
        case _:
            pass


def _relation(record: Record | None, names: Collection[str]) -> str:
    if not isinstance(record, Knowledge):
        return "links to it"
    if record.superseded_by in names:
        return "is superseded by it"
    return next((f"links to it as {link.rel}" for link in record.links if link.to in names), "links to it")
