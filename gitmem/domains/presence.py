"""Presence: who is there, doing what, and when they were last seen. Marks, never commits."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec.structs import replace

from gitmem.memory.marks import Mark
from gitmem.names import now
from gitmem.records.check import at_most
from gitmem.records.kind import field, kind
from gitmem.records.merging import Along, greatest

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory

Status = Literal["idle", "busy", "error", "gone"]
# Who has not been seen for this long is not counted on.
STALE_AFTER = timedelta(minutes=5)
# Whose locks may be broken.
IDLE_AFTER = timedelta(minutes=30)
# A sign of life that tells nothing new is not written more often.
_QUIET = timedelta(seconds=30)


@kind
class Presence(Mark):
    """An agent's last sign of life in a project."""

    ref: ClassVar[str] = "presence"

    status: Status = field("what they said they are", default="idle", merge=Along("seen", quiet=True))
    current_task: str = field("what they said they do", default="", check=at_most(500), merge=Along("seen", quiet=True))
    seen: datetime | None = field("when they were last heard of", default=None, merge=greatest)


def seen(memory: "Memory", project: str, agent: str, *, status: Status | None = None, task: str | None = None) -> Presence:
    """Note that an agent is there; what they say of themselves stays if they say nothing new."""

    def edit(current: Presence | None) -> Presence:
        old = current or Presence(scope=f"projects/{project}", agent=agent)
        back = "idle" if old.status == "gone" else old.status
        made = replace(old, status=status or back, current_task=old.current_task if task is None else task, seen=now())
        # what a clock that ran ahead has left is not fresh: it would keep its agent there for as long
        fresh = old.seen is not None and timedelta(0) <= now() - old.seen < _QUIET
        return old if fresh and replace(made, seen=old.seen) == old else made

    return memory.marks.change(Presence, project, agent, edit)


def last_seen(memory: "Memory", project: str, agent: str) -> datetime | None:
    """When an agent was last heard of in a project."""
    found = memory.marks.read(Presence, project, agent)
    return found.seen if found else None
