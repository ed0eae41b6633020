"""The order of the backlog, from the index alone: by priority, then by age. No item is read for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby, islice
from operator import itemgetter

from gitmem.desk import Desk
from gitmem.domains.backlog.record import order_group, order_within
from gitmem.memory.view import View
from gitmem.names import shard_of

Where = Mapping[str, Sequence[str]]


class Queue:
    """The items of some scopes that a filter lets through, in order. `waited_for` tells, on ties, who comes first."""

    def __init__(
        self, desk: Desk, view: View, scopes: Sequence[str], where: Where,
        waited_for: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._desk = desk
        self._view = view
        self._scopes = [scope for scope in scopes if view.peek(f"{scope}/backlog")]
        self._where = where
        self._waited_for = waited_for

    @cached_property
    def _groups(self) -> dict[str, dict[str, int]]:
        return {scope: self._count(order_group(scope)) for scope in self._scopes}

    @property
    def total(self) -> int:
        """How many items there are."""
        return sum(sum(groups.values()) for groups in self._groups.values())

    def paths(self, skip: int = 0) -> Iterator[str]:
        """Their paths in order, without the first `skip`."""
        for group in sorted({group for groups in self._groups.values() for group in groups}):
            size = sum(groups.get(group, 0) for groups in self._groups.values())
            if skip < size:
                yield from islice(self._group(group), skip, None)
            skip = max(0, skip - size)

    def _group(self, group: str) -> Iterator[str]:
        found = sorted(
            (*value.split(" ", 1), scope)
            for scope in self._scopes if group in self._groups[scope]
            for value in self._count(order_within(scope, group))
        )
        for _, run in groupby(found, key=itemgetter(0)):
            for _, item_id, scope in self._of_one_moment(list(run)):
                yield f"{scope}/backlog/{shard_of(item_id)}/{item_id}.md"

    def _of_one_moment(self, run: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return sorted(run, key=lambda each: -self._weights.get(each[1], 0)) if len(run) > 1 else run

    @cached_property
    def _weights(self) -> Mapping[str, int]:
        return self._waited_for()

    def _count(self, facet: str) -> dict[str, int]:
        return self._desk.index.count(view=self._view, by=facet, where=self._where)
