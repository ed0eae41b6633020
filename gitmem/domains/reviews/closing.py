"""Closing proposals: merged, rejected or withdrawn. What is closed without being merged stays readable, under a tag.

A proposal is two refs, its record and its branch. A crash between them leaves what the next look sees through: main
that has the branch's commits says that it is merged, whatever the record says; a record that says that it is over
counts, although the branch is still there. `tidy` brings the refs in line with that.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages.posting import notify
from gitmem.domains.projects import project_path
from gitmem.domains.reviews.record import (
    PATHS_MAX,
    STATUSES,
    TITLE_MAX,
    Approval,
    Proposal,
    Status,
    branch_of,
    place_of,
)
from gitmem.domains.reviews.standing import Standing, branches, merged_branches, record_of, standing
from gitmem.git.ancestry import merge_base
from gitmem.git.refs import RefLocked
from gitmem.git.repository import CLOSED
from gitmem.memory.pending import StorageFailed
from gitmem.names import in_a_line, now

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory

APPROVALS_MAX = 2000


class Ending(Struct, frozen=True):
    """How a proposal ends: by whom ("" if nobody is known), why, and with which commit of main."""

    status: Status
    by: str
    why: str = ""
    commit: str = ""
    base: str = ""
    versions: tuple[str, ...] = ()  # blobs that came in


def recorded(found: Standing) -> Proposal:
    """The record of a proposal; one that came as a branch is recorded as that branch tells."""
    if found.record is not None:
        return replace(found.record, tip=found.tip or found.record.tip)
    place = place_of(found.project)
    return Proposal(
        scope=place.scope, id=found.id, title=in_a_line(found.title, TITLE_MAX), author=found.author, created=now(),
        base=found.base, tip=found.tip, paths=tuple(found.paths[:PATHS_MAX]),
    )  # fmt: skip


def close(desk: Desk, found: Standing, ending: Ending) -> Proposal:
    """Record how a proposal ended, let go of its branch, and tell its author. Safe to repeat."""
    if ending.status != "merged":
        _keep_commits(desk.memory, found)
    commit = desk.commit
    closed = desk.until_landed(lambda: _record(desk, found, ending), "the proposal's end")
    drop_branch(desk.memory, found.id)
    if closed.author != ending.by:
        _tell_end(desk, closed)
    desk.commit = commit or desk.commit
    return closed


def _record(desk: Desk, found: Standing, ending: Ending) -> Proposal:
    before = record_of(desk.memory, found.id)
    start = recorded(replace(found, record=before))
    if STATUSES.index(start.status) >= STATUSES.index(ending.status):
        return start  # its end is on record already; what was added to its branch since goes the same way
    closed = replace(
        start, status=ending.status, closed_by=ending.by, closed=now(), why=ending.why, commit=ending.commit,
        base=ending.base or found.base or start.base, tip=found.tip or start.tip,
    )  # fmt: skip
    place = place_of(start.project)
    by = f" by {ending.by}" if ending.by else ""
    with desk.transaction(f"proposal {found.id}: {ending.status}{by}", place) as change:
        if ending.by and ending.by != closed.author and ending.by not in found.authors:
            for version in ending.versions[:APPROVALS_MAX]:
                made = Approval(scope=place.scope, blob=version, proposal=closed.id, approver=ending.by)
                if change.record(made.path) is None:
                    change.put(made)
        return change.put(closed)


def _tell_end(desk: Desk, closed: Proposal) -> None:
    by = f" by {closed.closed_by}" if closed.closed_by else ""
    why = f"\n\n{closed.why}" if closed.why else ""
    text = f"Your proposal {closed.id} is {closed.status}{by}.{why}"
    tell_author(desk, closed, f"{closed.status.capitalize()}{by}: {closed.title}", text)


def tell_author(desk: Desk, proposal: Proposal, subject: str, text: str) -> None:
    """Send whoever made a proposal a message, in the project in which they asked, if that is still there."""
    if proposal.asked_in and desk.view().peek(project_path(proposal.asked_in)):
        notify(desk, to=proposal.author, subject=subject, text=text, project=proposal.asked_in, category="review")


# --- branches ---------------------------------------------------------------------------------------


def _keep_commits(memory: "Memory", found: Standing) -> None:
    # Before all else: what is closed must be held by something when its branch goes. A ref of its own, since the
    # history of reviews may be archived, and since a clone of a person brings tags along.
    try:
        if found.branch:
            hold(memory, found.id, found.branch)
    except RefLocked as error:
        raise StorageFailed(OSError(f"{error} stays locked")) from error
    except OSError as error:
        raise StorageFailed(error) from error


def hold(memory: "Memory", proposal_id: str, tip: str) -> None:
    """Have the tag of a closed proposal hold its last commit. Raises RefLocked, NotFlushed, OSError."""
    refs, ref = memory.repository.refs, CLOSED + proposal_id
    if (kept := refs.read(ref)) != tip:
        refs.swap(ref, kept, tip)


def drop_branch(memory: "Memory", proposal_id: str) -> bool:
    """Let go of the branch of a proposal that is over; False if it could not be now, and stays for `tidy`.

    Commits that were added to it at the last moment are kept under the tag as well.
    """
    refs, ref = memory.repository.refs, branch_of(proposal_id)
    try:
        while tip := refs.read(ref):
            if refs.read(CLOSED + proposal_id):
                hold(memory, proposal_id, tip)
            if refs.delete(ref, tip):
                return True
    except (RefLocked, OSError):
        return False
    return True


def tidy(desk: Desk, *, merged_by: str = "", before: str = "", but: Iterable[str] = ()) -> list[Proposal]:
    """Close what main has by now, and let go of branches of what is over; what was closed.

    `merged_by` brought main from the commit `before` to where it is.
    """
    memory = desk.memory
    at = branches(memory)
    merged = merged_branches(memory) if at and memory.head() else set()
    closed = []
    for proposal_id, tip in at.items():
        if proposal_id in but:
            continue
        record = record_of(memory, proposal_id)
        if proposal_id in merged:
            found = standing(memory, proposal_id, record, tip, is_merged=True)
            closed.append(close(desk, found, _as_merged(found, merged_by, before)))
        elif record and record.status != "open" and memory.repository.refs.read(CLOSED + proposal_id) == tip:
            drop_branch(memory, proposal_id)
    return closed


def _as_merged(found: Standing, by: str, before: str) -> Ending:
    base = merge_base(found.memory.path, before, found.tip) if before else found.record.base if found.record else ""
    objects = found.memory.repository.objects
    last, start = found.last, objects.commit(base).tree if base else None
    changes = objects.differences(start, last.tree) if last else ()
    return Ending("merged", by, commit=found.memory.head(), base=base, versions=tuple(new.oid for _, _, new in changes if new))
