"""The policy of one agent: whether it may act on messages without a person, and how far."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace

from gitmem.domains.messages import DEPTH_MAX
from gitmem.domains.ownership.deciding import Deciding, scope_of
from gitmem.memory.gate import Change, rule
from gitmem.records.check import a_name, at_most, between, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind, kind_of

BUDGET_MAX = 100  # an hour
REASON_MAX = 500


@kind
class Autopilot(Record):
    """Whether an agent may act on messages without a person, and how far. Admins set it."""

    home: ClassVar[str] = "{scope}/autopilot/{agent}.yaml"

    agent: str = field("whose policy it is", index="keyword", check=a_name, example="ann")
    enabled: bool = field("whether they may act without a person at all", default=False)
    depth_cap: int = field("on messages of at most this many replies", default=1, check=between(0, DEPTH_MAX))
    hourly_budget: int = field("on at most this many messages an hour", default=10, check=between(0, BUDGET_MAX))
    destructive_gate: bool = field("whether texts that ask for destructive acts need a person", default=True)
    paused: bool = field("whether it is stopped for now", default=False)
    reason: str = field("why it is stopped", default="", check=(at_most(REASON_MAX), plain_text))
    set_by: str = field("who set it last", default="", check=at_most(100))
    changed: datetime | None = field("when they did", default=None)


@rule
def admins_set_autopilot(change: Change) -> Iterator[Problem]:
    """Who may act without a person is for admins to say; an agent may stop itself."""
    if not change.asks_who:
        return
    deciding = Deciding(change)
    for path in change.edits:
        if kind_of(Autopilot).match(path) is None:
            continue
        admins = deciding.admins(scope_of(path))
        if not deciding.is_one_of(admins) and not _stops_itself(change, path):
            who = ", ".join(admins[:5]) or "nobody yet"
            yield Problem(path, "", f"is an autopilot; {change.caller.name} may not set it, only an admin may: {who}")


def _stops_itself(change: Change, path: str) -> bool:
    before, decoded = change.before.record(path), change.decoded(path)
    after = decoded.record if decoded else None
    if not isinstance(before, Autopilot) or not isinstance(after, Autopilot) or after.agent not in change.caller.names:
        return False
    return after.paused and after == replace(
        before, paused=True, reason=after.reason, set_by=after.set_by, changed=after.changed, version=after.version
    )
