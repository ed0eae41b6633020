"""What waits for what: blockers and parents are there, and nothing waits for itself by way of others."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from gitmem.domains.backlog.finding import path_in, scopes_of
from gitmem.domains.backlog.record import BacklogItem
from gitmem.errors import BadArgument
from gitmem.memory.gate import Change, rule
from gitmem.memory.settlers import settler
from gitmem.memory.view import View
from gitmem.names import hex_of, shown
from gitmem.records.codec import Problem
from gitmem.records.kind import kind_at

if TYPE_CHECKING:
    from gitmem.memory.merge import Draft

Link = Literal["blocked_by", "parent"]
_SPELLED_MAX = 12  # items of a circle


class Circle(BadArgument):
    """An item would wait for itself, or be a part of itself."""

    def __init__(self, link: Link, way: list[str]) -> None:
        what = "wait for itself" if link == "blocked_by" else "be a part of itself"
        super().__init__(
            f"{way[0]} would {what}: {spelled(way)}. Nothing was written.",
            fix=f"Take one of these steps out with update_backlog_item({link}=...), or leave this one out.",
        )


class Items:
    """Backlog items by their full ids, as they are after a change."""

    def __init__(
        self, scopes: Iterable[str], has: Callable[[str], bool], read: Callable[[str], object],
        edited: Iterable[BacklogItem] = (),
    ) -> None:
        self._scopes = list(scopes)
        self._has = has
        self._read = read
        self._known: dict[str, BacklogItem | None] = {each.id: each for each in edited}

    def get(self, item_id: str) -> BacklogItem | None:
        """The item, or None if there is none that can be read."""
        if item_id not in self._known:
            path = path_in(self._scopes, self._has, item_id)
            found = self._read(path) if path else None
            self._known[item_id] = found if isinstance(found, BacklogItem) else None
            if isinstance(found, BacklogItem):
                # what belongs together is mostly in one project, so that is where to look first
                self._scopes.sort(key=lambda scope: scope != found.scope)
        return self._known[item_id]

    def all(self, item_ids: Iterable[str]) -> list[BacklogItem]:
        """Those of the items that are there."""
        return [found for each in item_ids if (found := self.get(each))]

    def links(self, item_id: str, link: Link) -> tuple[str, ...]:
        """The ids that an item names as blockers, or as parent."""
        found = self.get(item_id)
        if found is None:
            return ()
        return _links(found, link)

    def circle(self, item_id: str, link: Link) -> list[str]:
        """The way from an item along its links back to itself; empty if there is none."""
        came_from: dict[str, str] = {}
        waiting = [item_id]
        while waiting:
            current = waiting.pop()
            for following in self.links(current, link):
                if following == item_id:
                    return _way(came_from, item_id, current)
                if following not in came_from:
                    came_from[following] = current
                    waiting.append(following)
        return []


def _way(came_from: Mapping[str, str], start: str, end: str) -> list[str]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return [*reversed(way), start]


def spelled(way: list[str]) -> str:
    """A circle for a reader: a -> b -> a."""
    half = _SPELLED_MAX // 2
    cut = [*way[:half], f"({len(way) - 2 * half} more)", *way[-half:]] if len(way) > _SPELLED_MAX else way
    return " -> ".join(cut)


def items_of(view: View, edited: Iterable[BacklogItem] = ()) -> Items:
    """The items of a view, with edits that have not landed. What is looked up counts as read."""
    return Items(scopes_of(view), lambda path: view.peek(path) is not None, view.record, edited)


def open_blockers(items: Items, item: BacklogItem) -> list[BacklogItem]:
    """What an item waits for. A blocker that is gone blocks nothing."""
    return [each for each in items.all(item.blocked_by) if not each.is_closed]


def check_circles(view: View, pairs: Iterable[tuple[BacklogItem, BacklogItem]]) -> list[Circle]:
    """The circles that a change would close, given what each item was and what it becomes."""
    changes = list(pairs)
    items = items_of(view, [new for _, new in changes])
    links: tuple[Link, ...] = ("blocked_by", "parent")
    return [
        Circle(link, way)
        for old, new in changes
        for link in links
        if getattr(new, link) != getattr(old, link) and (way := items.circle(new.id, link))
    ]


@rule
def dependencies_hold(change: Change) -> Iterator[Problem]:
    """What an item newly waits for or is a part of is there, and closes no circle; and no item is in two places."""
    if change.before.place.family != "main":
        return
    touched = [path for path in change.edits if _is_item(path)]
    if not touched:
        return
    scopes = _scopes_after(change)
    after = Items(scopes, lambda path: _will_be(change, path), lambda path: _record(change, path))
    before = {each.id: each for path in touched if isinstance(each := change.before.record(path), BacklogItem)}
    for path in touched:
        item = _record(change, path)
        if isinstance(item, BacklogItem):
            yield from _place_problems(change, path, item, [scope for scope in scopes if scope != item.scope])
            yield from _link_problems(change, after, path, item, before.get(item.id))


def _is_item(path: str) -> bool:
    declared = kind_at(path)
    return declared is not None and declared.record is BacklogItem


def _record(change: Change, path: str) -> object:
    decoded = change.decoded(path)
    return decoded.record if decoded else None


def _will_be(change: Change, path: str) -> bool:
    edit = change.edits.get(path)
    return edit.new is not None if edit else change.before.peek(path) is not None


def _scopes_after(change: Change) -> list[str]:
    new = ("/".join(path.split("/")[:2]) for path in change.edits if path.startswith("projects/"))
    return list(dict.fromkeys([*scopes_of(change.before), *new]))


def _place_problems(change: Change, path: str, item: BacklogItem, others: list[str]) -> Iterator[Problem]:
    if change.edits[path].old is not None:
        return
    other = path_in(others, lambda each: _will_be(change, each), item.id)
    if other:
        yield Problem(path, "", f"is the same item as {other}; an item is in one place, so remove one of the two files")


def _link_problems(change: Change, after: Items, path: str, item: BacklogItem, old: BacklogItem | None) -> Iterator[Problem]:
    links: tuple[Link, ...] = ("blocked_by", "parent")
    for link in links:
        named = after.links(item.id, link)
        known = () if old is None else old.blocked_by if link == "blocked_by" else (old.parent,)
        new = [each for each in named if each not in known]
        for each in new:
            # what was removed since, in the same change, is missing rightly
            if not change.several and after.get(each) is None and hex_of(each):
                yield Problem(path, link, f"names {shown(each)}, which is no backlog item; full ids of items are accepted")
        if new and (way := after.circle(item.id, link)):
            what = "waits for itself" if link == "blocked_by" else "is a part of itself"
            yield Problem(path, link, f"closes a circle, so that it {what}: {spelled(way)}; take one of them out")


# --- what holds after a merge ----------------------------------------------------------------------


@settler
def merged_dependencies_hold(draft: "Draft") -> None:
    """What one side made something wait for is there, even if the other removed it; and no circle comes of two edits."""
    if draft.place.family != "main" or not any(map(_is_item, draft.result)):
        return
    scopes = sorted({*scopes_of(draft.landed), *scopes_of(draft.other), *scopes_of(draft.base)})
    _bring_back(draft, scopes)
    for path in sorted(filter(_is_item, draft.result)):
        for link in ("blocked_by", "parent"):
            _open_circles(draft, scopes, path, link)


def _items(draft: "Draft", scopes: list[str]) -> Items:
    return Items(scopes, lambda path: draft.entry(path) is not None, draft.record)


def _items_before(view: View, scopes: list[str]) -> Items:
    return Items(scopes, lambda path: view.peek(path) is not None, view.record)


def _bring_back(draft: "Draft", scopes: list[str]) -> None:
    after, before = _items(draft, scopes), _items_before(draft.base, scopes)
    for item in list(draft.changed(BacklogItem)):
        named = {*item.blocked_by, *filter(None, [item.parent])}
        known = {*before.links(item.id, "blocked_by"), *before.links(item.id, "parent")}
        for each in sorted(named - known):
            if after.get(each) is None and (gone := before.get(each)) is not None:
                draft.take(gone.path, None)


def _open_circles(draft: "Draft", scopes: list[str], path: str, link: Link) -> None:
    """Take out the links that the landed side does not have, as long as they lead in a circle."""
    item = draft.record(path)
    if not isinstance(item, BacklogItem):
        return
    known = _items_before(draft.landed, scopes).links(item.id, link)
    if set(_links(item, link)) <= set(known):
        return
    while (way := _items(draft, scopes).circle(item.id, link)) and way[1] not in known:
        draft.lose(path, f"closes a circle: {spelled(way)}", fields=(link,))
        left = tuple(each for each in item.blocked_by if each != way[1])
        item = replace(item, blocked_by=left) if link == "blocked_by" else replace(item, parent="")
        draft.put(item)


def _links(item: BacklogItem, link: Link) -> tuple[str, ...]:
    return item.blocked_by if link == "blocked_by" else (item.parent,) if item.parent else ()
