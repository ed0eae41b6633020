"""update_work: telling what one works on, waiting for signals, and raising them."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains import sessions
from gitmem.domains.locks.patterns import checked
from gitmem.domains.locks.record import held_at
from gitmem.domains.locks.record import place_of as place_of_locks
from gitmem.domains.locks.standing import HeldLock, few, in_the_way
from gitmem.domains.people import UnknownAgent, check_known
from gitmem.domains.work.record import FILES_MAX, OPEN, OverlappingWork, Signal, Work, WorkStatus, over, overlapping, works
from gitmem.domains.work.signals import HeardSignal, Unblocked, heard_by, heard_signal, raised_by, set_going, tell, waiting_for
from gitmem.errors import Refused
from gitmem.memory.transaction import Transaction
from gitmem.names import now, shown
from gitmem.records.kind import Record, kind_of
from gitmem.verbs import verb

SIGNALS_MAX = 20
WORK_MAX = 100


class WorkAnswer(Struct, frozen=True):
    """How the work stands now, who else touches the same files, and what became of signals."""

    id: str
    title: str
    status: WorkStatus
    overlaps: tuple[OverlappingWork, ...]
    locks: tuple[HeldLock, ...]
    warning: str | None = None
    signals_broadcast: tuple[str, ...] | None = None
    unblocked: tuple[Unblocked, ...] | None = None
    heard: HeardSignal | None = None


class TooMuchWork(Refused):
    """One agent would have more work told of than anybody reads."""

    def __init__(self, agent: str) -> None:
        super().__init__(
            f"{agent} has {WORK_MAX} pieces of work already; no more are accepted. Nothing was written.",
            fix="Update one of them under its own title; get_active_work lists them. What is done goes after a day.",
        )


@verb(writes=True, at_once=True)
def update_work(
    desk: Desk,
    title: str,
    status: WorkStatus = "in_progress",
    files_touched: tuple[str, ...] = (),
    notes: str = "",
    blocked_by: str = "",
    blocked_reason: str = "",
    waiting_for_signal: str = "",
    signals: tuple[str, ...] = (),
    signal_details: str = "",
) -> WorkAnswer:
    """Tell what you work on, at its start, as it changes and when it is done; you are warned of others on the same files.

    Signals that you raise set going again, and tell, whoever waits for them.

    Args:
        title: what you work on, in one line; the same title again updates the same work.
        status: in_progress, blocked, completed or abandoned.
        files_touched: paths from the project's root, folders (src/) and globs; left out, as you said before.
        notes: what others should know; left out, as you said before.
        blocked_by: the agent that you wait for.
        blocked_reason: what you need from them.
        waiting_for_signal: the signal that you wait for, such as schema-ready; raised in the last 7 days, you need not wait.
        signals: signals that you raise, such as schema-ready.
        signal_details: what those who wait for the signals need to know.
    """
    told = Work(
        scope=desk.scope, agent=desk.agent, title=" ".join(title.split()), status=status, notes=notes.strip(),
        blocked_by=blocked_by.strip(), blocked_reason=blocked_reason.strip(), waiting_for_signal=waiting_for_signal.strip(),
        session=desk.caller.session, created=now(), updated=now(),
    )
    raised = raised_by(desk, signals, signal_details)
    files = checked(files_touched, most=FILES_MAX, others=_problems(told, raised, signal_details))
    view = desk.view(sessions.place_of(desk.project))
    work = _carried_on(replace(told, files_touched=files), view.record(told.path))
    heard = heard_by(view, work, raised)
    waiting = [(each, signal) for each, signal in waiting_for(view, raised) if each.path != work.path]
    made = [set_going(work, heard) if heard else work, *raised, *(set_going(each, signal) for each, signal in waiting)]
    with desk.transaction(f"work: {work.title} ({work.status.replace('_', ' ')})", view.place) as change:
        _make_room(change, work)
        for record in made:
            change.put(record)
    # A crash here leaves the work set going and its agents untold: raising the signal again tells them.
    tell(desk, raised)
    return _answer(desk, work, heard, raised, waiting)


def _problems(told: Work, raised: Sequence[Signal], details: str) -> list[str]:
    """All that is wrong with a call, by the names of its arguments."""
    wrong = list(_wrong_fields(told))
    if len(raised) > SIGNALS_MAX:
        wrong.append(f"signals has {len(raised)} items; at most {SIGNALS_MAX} are accepted")
    else:
        wrong += [f"signals: {what}" for signal in raised for what in _wrong_fields(signal)]
    if details.strip() and not raised:
        wrong.append("signal_details is given without signals")
    if told.waiting_for_signal and told.status not in OPEN:
        wrong.append(f"waiting_for_signal is given for work that is {told.status}")
    return wrong


def _wrong_fields(record: Record) -> Iterator[str]:
    for f in kind_of(type(record)).fields:
        value = getattr(record, f.name)
        yield from (f"{f.name} {what}" for check in f.checks if value is not None and (what := check(value)))


def _carried_on(told: Work, old: Record | None) -> Work:
    """What is told now, with what was told before where it is left out; only blocked work goes on waiting."""
    if not isinstance(old, Work):
        return told
    files, notes = told.files_touched or old.files_touched, told.notes or old.notes
    kept = replace(told, files_touched=files, notes=notes, created=old.created or told.created)
    if told.status != "blocked" or told.blocked_by or told.blocked_reason or told.waiting_for_signal:
        return kept
    return replace(
        kept, blocked_by=old.blocked_by, blocked_reason=old.blocked_reason, waiting_for_signal=old.waiting_for_signal
    )


def _make_room(change: Transaction, work: Work) -> None:
    """Drop what is over, without the rest of the tree counting as read; no agent fills the tree."""
    aside = change.view.apart()
    gone = over(aside, now())
    for path in gone:
        change.delete(path)
    own = {each.path for each in works(aside) if each.agent == work.agent and each.path not in gone}
    if len(own - {work.path}) >= WORK_MAX:
        raise TooMuchWork(work.agent)


def _answer(
    desk: Desk, work: Work, heard: Signal | None, raised: Sequence[Signal], waiting: Sequence[tuple[Work, Signal]]
) -> WorkAnswer:
    moment, landed = now(), set_going(work, heard) if heard else work
    files = work.files_touched if work.status in OPEN else ()
    # looked up after the commit: of two who start on the same file at once, the second sees the first
    overlaps = overlapping(works(desk.memory.view(sessions.place_of(desk.project))), work.agent, files, moment)
    held = held_at(desk.memory.view(place_of_locks(desk.project)), moment)
    locks = in_the_way(desk.memory, held, work.agent, files, "exclusive", moment)
    warnings = [*_unknown(desk, landed.blocked_by), *_warnings(overlaps, locks)]
    return WorkAnswer(
        landed.id, landed.title, landed.status, overlaps, locks, " ".join(warnings) or None,
        signals_broadcast=tuple(signal.name for signal in raised) or None,
        unblocked=tuple(Unblocked(each.agent, each.title, signal.name) for each, signal in waiting) or None,
        heard=heard_signal(heard) if heard else None,
    )


def _unknown(desk: Desk, blocker: str) -> Iterator[str]:
    try:
        if blocker:
            check_known(desk, blocker)
    except UnknownAgent as error:  # they may be about to come, so it is no more than said
        yield f"blocked_by: {error}"


def _warnings(overlaps: Sequence[OverlappingWork], locks: Sequence[HeldLock]) -> Iterator[str]:
    told = [f"{each.held_by} holds {each.file} ({shown(each.reason)})" for each in locks]
    told += [f"{each.agent} {_does(each)} {few(each.files)} ({shown(each.title)}, {each.age} ago)" for each in overlaps]
    if told:
        yield f"{few(told, '; ')}. Talk to them before you go on."


def _does(work: OverlappingWork) -> str:
    return "works on" if work.status in OPEN else "has just changed"
