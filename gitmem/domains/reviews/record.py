"""The records of reviews: proposals, what is said about them, and what was approved; and the rules that belong to them."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from gitmem.domains.sessions import SESSION_ID_MAX
from gitmem.git.repository import PROPOSALS
from gitmem.memory.gate import Change, rule
from gitmem.memory.view import Place
from gitmem.records.check import a_name, at_most, bytes_at_most, each, not_blank, one_line, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import Along, furthest, whoever_last

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory

FAMILY = "reviews"
SHARED = "shared"
TITLE_MAX = 200
REASON_MAX_BYTES = 16 * 1024
PATHS_MAX = 200
NAME_MAX = 200

Status = Literal["open", "withdrawn", "rejected", "merged"]  # in the order in which they only move
STATUSES: tuple[Status, ...] = get_args(Status)
_WITH_STATUS = Along("status", quiet=True)


def a_commit(value: str) -> str | None:
    """A commit's id, or nothing."""
    is_one = not value or (len(value) == 40 and all(c in "0123456789abcdef" for c in value))
    return None if is_one else "is no commit id; 40 of 0-9 a-f are accepted"


def somebody(value: str) -> str | None:
    """Anybody's name, or nothing: people who push may have names that agents cannot have."""
    return (one_line(value) or at_most(NAME_MAX)(value)) if value else None


@kind
class Proposal(Record):
    """A change of main that waits for a review, or that was reviewed. Its commits are the branch `proposals/<id>`."""

    home: ClassVar[str] = "proposals/{shard}/{id}.md"
    ref: ClassVar[str] = FAMILY
    body: ClassVar[str] = "reason"

    id: str = field("its name, and its branch's", check=a_name, example="retry-twice-3fa2b81c")
    title: str = field("what it changes, in one line", check=(one_line, at_most(TITLE_MAX)), example="Retry twice")
    author: str = field("who proposed it", check=(one_line, at_most(NAME_MAX)), example="bob")
    session: str = field("the session in which it was proposed", default="", check=at_most(SESSION_ID_MAX))
    asked_in: str = field("the project in which its author hears of it", default="", check=at_most(80))
    created: datetime | None = field("when it was proposed", default=None)
    base: str = field("the commit of main that it changes", default="", check=a_commit, merge=_WITH_STATUS)
    tip: str = field("its last commit, when it was last looked at", default="", check=a_commit, merge=_WITH_STATUS)
    paths: tuple[str, ...] = field(
        "files that it changes", default=(), check=(at_most(PATHS_MAX), each(one_line)), merge=whoever_last
    )
    status: Status = field("how it stands", default="open", merge=furthest(*STATUSES))
    closed_by: str = field("who merged, rejected or withdrew it", default="", check=somebody, merge=_WITH_STATUS)
    closed: datetime | None = field("when that was", default=None, merge=_WITH_STATUS)
    why: str = field("why it was rejected or withdrawn", default="", check=(at_most(2000), plain_text), merge=_WITH_STATUS)
    commit: str = field("the commit of main with which it came in", default="", check=a_commit, merge=_WITH_STATUS)
    reason: str = field("why it should come in, in Markdown", default="", check=(bytes_at_most(REASON_MAX_BYTES), plain_text))

    @property
    def shard(self) -> str:
        """The folder of its file: a branch that a person named has no digits in its name."""
        return shard(self.id)


@kind
class Comment(Record):
    """What somebody said about a proposal."""

    home: ClassVar[str] = "comments/{proposal}/{id}.md"
    ref: ClassVar[str] = FAMILY
    body: ClassVar[str] = "comment"

    proposal: str = field("the proposal", check=a_name, example="retry-twice-3fa2b81c")
    id: str = field("its own id", check=a_name, example="looks-good-5be1c2d4")
    author: str = field("who said it", check=(one_line, at_most(NAME_MAX)), example="ann")
    at: datetime | None = field("when", default=None)
    comment: str = field("what was said, in Markdown", check=(not_blank, bytes_at_most(REASON_MAX_BYTES), plain_text))


@kind
class Approval(Record):
    """One version of a file that came in by way of a review, by its blob."""

    home: ClassVar[str] = "approved/{shard}/{blob}.yaml"
    ref: ClassVar[str] = FAMILY

    blob: str = field("the version", check=a_commit, example="3fa2b81c" * 5)
    proposal: str = field("with which proposal", check=a_name, example="retry-twice-3fa2b81c")
    approver: str = field("who let it in", check=(one_line, at_most(NAME_MAX)), example="ann")

    @property
    def shard(self) -> str:
        """The folder of its file."""
        return self.blob[:2]


def shard(proposal_id: str) -> str:
    """The folder that holds a proposal's file."""
    return hashlib.sha256(proposal_id.encode()).hexdigest()[:2]


def place_of(project: str) -> Place:
    """Where the proposals of a project are, or (`shared`) those that are about more than one."""
    return Place(FAMILY, project)


@lru_cache(maxsize=1000)
def path_of(proposal_id: str) -> str:
    """Where a proposal's record is."""
    return f"proposals/{shard(proposal_id)}/{proposal_id}.md"


def branch_of(proposal_id: str) -> str:
    """The ref of its commits."""
    return PROPOSALS + proposal_id


class Approvers:
    """Who let versions of a project's files in."""

    def __init__(self, memory: "Memory", project: str) -> None:
        places = [place_of(each) for each in dict.fromkeys((project, SHARED))]
        self._views = [memory.view(place, commit=head) for place in places if (head := memory.head(place))]

    def of(self, blob: str) -> str | None:
        """Who let a version in; None if nobody had to."""
        path = f"approved/{blob[:2]}/{blob}.yaml"
        found = (view.record(path) for view in self._views if view.peek(path))
        return next((each.approver for each in found if isinstance(each, Approval)), None)


# --- what holds for pushes as well --------------------------------------------------------------------


@rule
def reviews_stay_said(change: Change) -> Iterator[Problem]:
    """Who proposed, said or approved what is never rewritten, and nothing of it goes away."""
    if change.before.place.family != FAMILY:
        return
    for path, edit in change.edits.items():
        before = change.before.record(path)
        if before is None:
            continue
        if edit.new is None:
            yield Problem(path, "", "cannot be removed: what was proposed and said stays on record")
        elif not isinstance(before, Proposal):
            yield Problem(path, "", "cannot be changed: say something new instead")
        elif isinstance(after := _after(change, path), Proposal):
            yield from _moves(path, before, after)


def _moves(path: str, before: Proposal, after: Proposal) -> Iterator[Problem]:
    for name in ("author", "created"):
        if getattr(before, name) != getattr(after, name):
            yield Problem(path, name, f"cannot change; it is {getattr(before, name)}")
    if STATUSES.index(after.status) < STATUSES.index(before.status):
        yield Problem(path, "status", f"cannot go back from {before.status} to {after.status}")
    elif after.status == before.status != "open" and after.closed_by != before.closed_by:
        yield Problem(path, "closed_by", f"cannot change; it was {before.closed_by or 'nobody in particular'}")


@rule
def nobody_speaks_for_others(change: Change) -> Iterator[Problem]:
    """Whoever asks comments and closes in their own name, or for whom they may speak; nobody approves what is their own."""
    if change.before.place.family != FAMILY:
        return
    for path, edit in change.edits.items():
        after = _after(change, path) if edit.new else None
        if isinstance(after, Approval):
            yield from _approval_problems(change, path, after)
        if after is None or change.caller.is_gitmem:
            continue  # it notes what a push did, and merges what clones bring
        for name, who in _new_names(change.before.record(path), after):
            if who and not change.caller.may_speak_for(who):
                yield Problem(path, name, f"is {who}, and {change.caller.name} may not speak for {who}")


def _new_names(before: Record | None, after: Record) -> Iterator[tuple[str, str]]:
    """Who a record newly says that did something, by field."""
    match before, after:
        case _, Comment() if before is None:
            yield "author", after.author
        case Proposal(), Proposal() if before.status != after.status:
            yield "closed_by", after.closed_by
        case None, Proposal() if after.status != "open":
            yield "closed_by", after.closed_by


def _approval_problems(change: Change, path: str, approval: Approval) -> Iterator[Problem]:
    proposal = _after(change, path_of(approval.proposal))
    if not isinstance(proposal, Proposal) or proposal.status != "merged":
        yield Problem(path, "proposal", "is none that was merged")
    elif approval.approver != proposal.closed_by:
        yield Problem(path, "approver", f"is {approval.approver}, and {proposal.closed_by or 'nobody'} merged it")
    elif approval.approver == proposal.author:
        yield Problem(path, "approver", "proposed it; nobody approves their own")


def _after(change: Change, path: str) -> Record | None:
    decoded = change.decoded(path)
    return decoded.record if decoded and not decoded.problems else None
