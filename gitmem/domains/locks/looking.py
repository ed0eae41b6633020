"""Looking at locks: get_locks, check_paths, and what the briefing says of them."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains import sessions
from gitmem.domains.locks.patterns import canonical, checked, overlap, problem_of
from gitmem.domains.locks.record import HELD, BrokenLock, Lock, held_at, place_of
from gitmem.domains.locks.standing import HeldLock, described, in_the_way, last_signs, standing
from gitmem.domains.projects import Project, project_path
from gitmem.domains.work.record import OPEN, OverlappingWork, overlapping, works
from gitmem.memory.view import View
from gitmem.names import age_in_words, format_time, now
from gitmem.verbs import checked_limit, section, verb

LIMIT_MAX = 500
CHECKED_MAX = 1000


class LockList(Struct, frozen=True):
    """The locks of others and the caller's own, those that end first first."""

    locks: tuple[HeldLock, ...]
    your_locks: tuple[HeldLock, ...]
    count: int
    total: int


class PathsAnswer(Struct, frozen=True):
    """Whether nobody else holds or works on the paths of the call; otherwise who does, and on which of them."""

    clear: bool
    locks: tuple[HeldLock, ...]
    work: tuple[OverlappingWork, ...]


@verb()
def get_locks(desk: Desk, path_pattern: str = "", limit: int = 100) -> LockList:
    """See what is locked, by whom, why and until when. A stale lock can be broken; an expired one is in nobody's way.

    Args:
        path_pattern: only what meets this path, folder or glob.
        limit: at most this many, up to 500.
    """
    wanted = checked([path_pattern], most=1) if path_pattern else ()
    moment = now()
    found = [
        lock for lock in desk.view(place_of(desk.project)).records(Lock, HELD)
        if not wanted or overlap(lock.pattern, wanted[0])
    ]
    found.sort(key=lambda lock: lock.until or moment)
    shown = described(desk.memory, found[: checked_limit(limit, LIMIT_MAX)], moment)
    others = tuple(each for each in shown if each.held_by != desk.agent)
    return LockList(others, tuple(each for each in shown if each.held_by == desk.agent), len(shown), len(found))


@verb()
def check_paths(desk: Desk, files: tuple[str, ...]) -> PathsAnswer:
    """See whether anybody else holds or works on some paths, before you touch or commit them.

    Args:
        files: paths from the project's root, folders (src/) and globs, up to 1000.
    """
    patterns = checked(files, most=CHECKED_MAX, others=[] if files else ["files is empty; name what is to be checked"])
    moment = now()
    held = held_at(desk.view(place_of(desk.project)), moment)
    locks = in_the_way(desk.memory, held, desk.agent, patterns, "exclusive", moment)
    going_on = (work for work in works(desk.view(sessions.place_of(desk.project))) if work.status in OPEN)
    work = overlapping(going_on, desk.agent, patterns, moment)
    return PathsAnswer(not locks and not work, locks, work)


# --- the briefing -----------------------------------------------------------------------------------


@section(order=72, share=0.1, more="get_locks tells who holds what")
def locks(desk: Desk) -> list[str]:
    """What was taken from you, what you hold, and what others hold where you work."""
    view, moment = desk.aside(place_of(desk.project)), now()
    held = sorted(view.records(Lock, HELD), key=lambda lock: lock.until or moment)
    mine = (lock for lock in held if lock.agent == desk.agent)
    others = (lock for lock in held if lock.agent != desk.agent and lock.holds_at(moment))
    return [*_taken_away(desk, view, moment), *_mine(mine, moment), *_others(desk, others, moment)]


def _taken_away(desk: Desk, view: View, moment: datetime) -> Iterator[str]:
    for notice in view.records(BrokenLock, f"broken/{desk.agent}"):
        age = age_in_words(notice.at or moment, clock=moment)
        yield f"your lock on {notice.pattern} was broken by {notice.by} {age} ago: {notice.reason}"


def _mine(mine: Iterable[Lock], moment: datetime) -> Iterator[str]:
    for lock in mine:
        if lock.until:
            ends = "until" if lock.holds_at(moment) else "no longer, its time was over at"
            yield f"you hold {lock.pattern} {ends} {format_time(lock.until)}: {lock.reason}"


def _others(desk: Desk, others: Iterable[Lock], moment: datetime) -> Iterator[str]:
    where = _where_i_work(desk, moment)
    concerning = [lock for lock in others if not where or any(overlap(lock.pattern, each) for each in where)]
    seen = last_signs(desk.memory, concerning)
    for lock in concerning:
        stale = ", stale" if standing(lock, seen[lock.agent], moment).stale else ""
        until = f" until {format_time(lock.until)}" if lock.until else ""
        yield f"{lock.agent} holds {lock.pattern} ({lock.mode}{stale}){until}: {lock.reason}"


def _where_i_work(desk: Desk, moment: datetime) -> set[str]:
    """What the caller's work is about and what the project says is theirs; nothing if neither is known."""
    record = desk.view().record(project_path(desk.project))
    member = record.member(desk.agent) if isinstance(record, Project) else None
    paths = [canonical(path) for path in (member.paths if member else ()) if not problem_of(path)]
    all_work = works(desk.aside(sessions.place_of(desk.project)))
    own = [work for work in all_work if work.agent == desk.agent and work.goes_on_at(moment)]
    return {*paths, *(path for work in own for path in work.files_touched)}
