"""What leads to a commit and what does not."""

import heapq
from collections.abc import Iterator

from gitmem.git.objects import Commit, MissingObject, Objects


def only_in(objects: Objects, tip: str, other: str) -> Iterator[Commit]:
    """The commits that lead to `tip` and not to `other`, newest first; what a shallow clone lacks is left out.

    Where a clock ran behind, so that a parent is younger than its child, a few may be told that lead to both.
    """
    queue: list[tuple[float, str]] = []
    is_common: dict[str, bool] = {}

    def add(oid: str, common: bool) -> None:
        if oid not in is_common:
            try:
                heapq.heappush(queue, (-objects.commit(oid).time.timestamp(), oid))
            except MissingObject:
                return
        is_common[oid] = is_common.get(oid, False) or common

    add(tip, False)
    if other:
        add(other, True)
    # Parents are older than children: a commit's turn comes when all that leads to it has been looked at.
    while any(not is_common[oid] for _, oid in queue):
        _, oid = heapq.heappop(queue)
        commit = objects.commit(oid)
        for parent in commit.parents:
            add(parent, is_common[oid])
        if not is_common[oid]:
            yield commit
