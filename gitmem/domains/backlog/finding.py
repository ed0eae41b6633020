"""Finding items: by id for verbs, by full id for what goes along dependencies."""

from collections.abc import Callable, Iterable

from gitmem.desk import Desk
from gitmem.domains.backlog.record import BacklogItem
from gitmem.errors import BadArgument, NotFound
from gitmem.memory.find import Ambiguous, find_path, id_at
from gitmem.memory.view import View
from gitmem.names import hex_of, shard_of, shown
from gitmem.records.kind import kind_of

_NEAR_MAX = 3
_WORDS_MAX = 200  # characters


class UnknownItem(NotFound):
    """No backlog item has this id."""

    def __init__(self, item_id: str, near: list[str]) -> None:
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        super().__init__(
            f"There is no backlog item {shown(item_id)}.",
            fix=f"{hint}list_backlog shows the items; the last part of an id, such as '3fa2b81c', is enough.",
        )


def item_path(desk: Desk, item_id: str, view: View | None = None, *, everywhere: bool = False) -> str:
    """The path of the item that an id means, in the desk's project first unless `everywhere`. Nothing counts as read.

    Raises UnknownItem, Ambiguous.
    """
    at, declared = view or desk.view(), kind_of(BacklogItem)
    try:
        return find_path(at, item_id, kind=declared) if everywhere else desk.find(item_id, at, kind=declared)
    except Ambiguous:
        raise
    except (NotFound, BadArgument):
        raise UnknownItem(item_id, _near(desk, item_id)) from None


def find_item(desk: Desk, item_id: str, *, everywhere: bool = False) -> BacklogItem:
    """The item that an id means. Raises UnknownItem, Ambiguous."""
    return desk.view().get(BacklogItem, item_path(desk, item_id, everywhere=everywhere))


def _near(desk: Desk, item_id: str) -> list[str]:
    # the slug of an id is its title, and a title is what else may have been sent
    words = item_id.strip()[:_WORDS_MAX].replace("-", " ").replace("_", " ")
    found = desk.index.search(words, view=desk.memory.view(), where={"kind": ["backlogitem"]}, limit=_NEAR_MAX)
    return [id_at(hit.path) for hit in found.hits]


def scopes_of(view: View) -> list[str]:
    """Every scope that can have a backlog."""
    projects = view.peek("projects")
    names = view.objects.tree(projects.oid).entries if projects else ()
    return [*(f"projects/{name}" for name in names), "shared"]


def path_in(scopes: Iterable[str], has: Callable[[str], bool], item_id: str) -> str | None:
    """The path at which an item of this full id stands, or None."""
    if hex_of(item_id) is None:
        return None
    paths = (f"{scope}/backlog/{shard_of(item_id)}/{item_id}.md" for scope in scopes)
    return next((path for path in paths if has(path)), None)
