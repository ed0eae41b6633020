"""Signals: who waits for one is set going when it is raised, or at once if it has been raised already."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages.posting import notify
from gitmem.domains.sessions import place_of
from gitmem.domains.work.record import Signal, Work, is_over, signal_path, works
from gitmem.memory.view import View
from gitmem.names import now


class HeardSignal(Struct, frozen=True):
    """A signal that has been raised, by whom, and what they said of it."""

    name: str
    raised_by: str
    raised: datetime | None
    details: str | None = None


class Unblocked(Struct, frozen=True):
    """Work that a signal has set going again."""

    agent: str
    title: str
    signal: str


def heard_signal(signal: Signal) -> HeardSignal:
    """A signal as answers tell it."""
    return HeardSignal(signal.name, signal.raised_by, signal.raised, signal.details or None)


def set_going(work: Work, signal: Signal) -> Work:
    """Work that no longer waits, because of a signal."""
    return replace(
        work, status="in_progress" if work.status == "blocked" else work.status, blocked_by="", blocked_reason="",
        waiting_for_signal="", heard=signal.name, heard_from=signal.raised_by, heard_at=signal.raised,
    )


def raised_by(desk: Desk, names: Iterable[str], details: str) -> list[Signal]:
    """The signals that the caller raises, each once."""
    once = dict.fromkeys(name.strip() for name in names)
    return [Signal(scope=desk.scope, name=name, raised_by=desk.agent, raised=now(), details=details.strip()) for name in once]


def heard_by(view: View, work: Work, raised: Sequence[Signal]) -> Signal | None:
    """The signal that work waits for, if it is raised now or has been lately."""
    if not work.waiting_for_signal:
        return None
    now_raised = (signal for signal in raised if signal.name == work.waiting_for_signal)
    found = next(now_raised, None) or view.record(signal_path(work.waiting_for_signal))
    return found if isinstance(found, Signal) and not is_over(found, now()) else None


def waiting_for(view: View, raised: Sequence[Signal]) -> list[tuple[Work, Signal]]:
    """The work that waits for signals. All work counts as read: whoever starts to wait meanwhile is not missed."""
    by_name = {signal.name: signal for signal in raised}
    everything = works(view) if raised else ()
    return [(work, by_name[work.waiting_for_signal]) for work in everything if work.waiting_for_signal in by_name]


def tell(desk: Desk, raised: Sequence[Signal]) -> None:
    """Send a message to everybody whose work one of these signals has set going, and who has not said anything since."""
    view = desk.memory.view(place_of(desk.project))
    for signal in raised:
        agents = sorted({work.agent for work in works(view) if work.heard == signal.name})
        text = f"{signal.raised_by} raised {signal.name}, which you waited for, so your work can go on.\n\n{signal.details}"
        notify(desk, to=agents, subject=f"{signal.name} is raised", text=text)
