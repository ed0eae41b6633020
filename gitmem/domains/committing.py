"""What a commit to the code has to do with the memory: who is in its way, and which backlog item it belongs to.

Hooks of a code repository ask here, so nothing that is slow to import is needed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from gitmem.domains import sessions
from gitmem.domains.locks.patterns import PATTERN_MAX, canonical, overlap, problem_of
from gitmem.domains.locks.record import Lock, held_at, place_of
from gitmem.domains.locks.standing import HeldLock, described
from gitmem.domains.projects import project_path
from gitmem.domains.sessions import LiveSession
from gitmem.domains.work.record import OPEN, OverlappingWork, overlapping, works
from gitmem.errors import NotFound
from gitmem.git.repository import LOG, run_git
from gitmem.memory.memory import Memory
from gitmem.names import now, shown

if TYPE_CHECKING:
    from gitmem.domains.backlog.record import BacklogItem

# An item that was claimed longer ago, or before so many others of the same agent, is not looked for.
_CLAIMED_WITHIN = "30.days"
_CLAIMS_MOST = 50
# What a pattern cannot hold; one character of any kind stands for it.
_NOT_IN_PATTERNS = re.compile(r"[\x00-\x1f\x7f\\*?]|[^\x20-\U0010ffff]")


class InTheWay(Struct, frozen=True):
    """What others hold or do where a commit changes files."""

    held: tuple[HeldLock, ...]  # exclusively: nobody else may change them
    relied_on: tuple[HeldLock, ...]  # shared: somebody counts on their not changing
    work: tuple[OverlappingWork, ...]


class Link(Struct, frozen=True):
    """What a commit is linked to; "" for what is not known."""

    item: str
    session: str


def check_project(memory: Memory, project: str) -> None:
    """Raise NotFound if the memory has no such project."""
    view = memory.view()
    if not project or view.peek(project_path(project)) is None:
        named = f"no project {shown(project)}" if project else "nothing that says which project this is"
        raise NotFound(f"There is {named}.", fix="'gitmem hooks install --project NAME' sets it.")


def in_the_way(memory: Memory, project: str, agent: str, files: Sequence[str]) -> InTheWay:
    """Who holds or works on some of the files, given as paths from the repository's root."""
    check_project(memory, project)
    moment = now()
    patterns = {path: pattern for path in files if (pattern := pattern_of(path))}
    others = [lock for lock in held_at(memory.view(place_of(project)), moment) if lock.agent != agent]
    covered = {lock.path: touched for lock in others if (touched := tuple(_touched(lock.pattern, patterns)))}
    return InTheWay(
        _held(memory, others, covered, moment, "exclusive"), _held(memory, others, covered, moment, "shared"),
        tuple(_work(memory, project, agent, patterns.values(), moment)),
    )


def pattern_of(path: str) -> str:
    """The pattern that means the file at a path; "" if there is none."""
    pattern = "./" + _NOT_IN_PATTERNS.sub("?", path)
    return "" if len(path) > PATTERN_MAX - 2 or problem_of(pattern) else canonical(pattern)


def _touched(pattern: str, files: dict[str, str]) -> Iterator[str]:
    """The files that a pattern covers. Folders are asked first: a commit may have thousands of files in a few of them."""
    folders = {str(PurePosixPath(path).parent) for path in files}
    near = {folder for folder in folders if folder == "." or overlap(pattern, pattern_of(folder) + "/")}
    return (path for path, own in files.items() if str(PurePosixPath(path).parent) in near and overlap(pattern, own))


def _held(
    memory: Memory, others: Iterable[Lock], covered: dict[str, tuple[str, ...]], moment: datetime, mode: str
) -> tuple[HeldLock, ...]:
    return described(memory, (lock for lock in others if lock.path in covered and lock.mode == mode), moment, covered)


def _work(memory: Memory, project: str, agent: str, patterns: Iterable[str], moment: datetime) -> Iterator[OverlappingWork]:
    going_on = (work for work in works(memory.view(sessions.place_of(project))) if work.status in OPEN)
    yield from overlapping(going_on, agent, patterns, moment)


# --- which item -------------------------------------------------------------------------------------


def link_of(memory: Memory, project: str, agent: str, session_id: str) -> Link:
    """The item that an agent works on, if there is one and no doubt about it, and the session in which they do."""
    check_project(memory, project)
    live = [each for each in memory.view(sessions.place_of(project)).records(LiveSession) if each.agent == agent]
    session = next((each for each in live if each.id == session_id), live[0] if len(live) == 1 and not session_id else None)
    items = _in_progress(memory, project, agent)
    named = [item.id for item in items if session and item.id in session.task]
    chosen = named if len(named) == 1 else [item.id for item in items]
    return Link(chosen[0] if len(chosen) == 1 else "", session.id if session else "")


def _in_progress(memory: Memory, project: str, agent: str) -> "list[BacklogItem]":
    """The items that an agent has in progress.

    They are found by the agent's own commits: without the index, the backlog would have to be read from end to end.
    """
    from gitmem.domains.backlog.record import BacklogItem  # imported late: who asks for locks alone needs none

    view = memory.view()
    records = (view.record(path) for path in _claimed_paths(memory, project, agent))
    items = (each for each in records if isinstance(each, BacklogItem))
    return [each for each in items if (each.assigned_to, each.status) == (agent, "in_progress")]


def _claimed_paths(memory: Memory, project: str, agent: str) -> set[str]:
    head = memory.head()
    if not head:
        return set()
    folder = f"projects/{project}/backlog"
    listed = run_git(
        memory.path, "-c", "core.quotePath=false", *LOG, f"--since={_CLAIMED_WITHIN}", f"-n{_CLAIMS_MOST}", "--fixed-strings",
        f"--author={agent} <{agent}@gitmem>", "--format=", "--name-only", "--no-renames", head, "--", folder,
    )
    return {line for line in listed.splitlines() if line}
