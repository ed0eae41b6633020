"""Claims in two clones: whose claim the hub agreed to keeps the item."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gitmem.domains.backlog.record import BacklogItem
from gitmem.memory.settlers import settler
from gitmem.records.codec import encode

if TYPE_CHECKING:
    from gitmem.memory.merge import Draft

CLAIM = ("assigned_to", "started")


@settler
def claimed_once(draft: "Draft") -> None:
    """An item stays with whom the hub gave it to; whoever claimed it in another clone meanwhile is told."""
    if not draft.is_decided or draft.place.family != "main":
        return
    from gitmem.memory.versions import Loss  # imported late: the push hook loads this module and merges nothing

    for item, landed, other in list(_claimed_twice(draft)):
        why = f"{landed.assigned_to} has it: the hub agreed to that first"
        lost = encode(replace(item, assigned_to=other.assigned_to, started=other.started))
        draft.losses[:] = [each for each in draft.losses if each.path != item.path or not set(each.fields) <= set(CLAIM)]
        draft.losses.append(Loss(item.path, CLAIM[:1], lost, why, draft.other_side, is_told=True))
        draft.put(replace(item, assigned_to=landed.assigned_to, started=landed.started))


def _claimed_twice(draft: "Draft") -> Iterator[tuple[BacklogItem, BacklogItem, BacklogItem]]:
    for item in draft.changed(BacklogItem):
        base, landed, other = (view.record(item.path) for view in (draft.base, draft.landed, draft.other))
        before = base.assigned_to if isinstance(base, BacklogItem) else ""
        if isinstance(landed, BacklogItem) and isinstance(other, BacklogItem):
            claims = {landed.assigned_to, other.assigned_to}
            if len(claims) == 2 and before not in claims and "" not in claims:
                yield item, landed, other
