"""The policy of one agent: whether it may act on messages without a person, and how far."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from gitmem.domains.messages import DEPTH_MAX
from gitmem.records.check import a_name, at_most, between, plain_text
from gitmem.records.kind import Record, field, kind

BUDGET_MAX = 100  # an hour
REASON_MAX = 500


@kind
@dataclass(frozen=True, kw_only=True)
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
