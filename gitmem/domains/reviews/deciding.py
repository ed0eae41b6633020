"""The verbs that say something about a proposal: comment, approve, reject, withdraw."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.projects import admins_of
from gitmem.domains.reviews.closing import Ending, close, recorded, tell_author
from gitmem.domains.reviews.merging import Conflict, Taken, merged
from gitmem.domains.reviews.record import SHARED, Comment, Proposal, Status, place_of
from gitmem.domains.reviews.reviewers import NOBODY_YET, who_could
from gitmem.domains.reviews.standing import Standing, find, may_review
from gitmem.errors import BadArgument, Refused
from gitmem.memory.draft import PROPOSAL_TRAILER
from gitmem.memory.gate import GateRefused
from gitmem.memory.pushers import UNKNOWN
from gitmem.names import age_in_words, in_a_line, new_id, now, shown
from gitmem.records.check import at_most, not_blank, plain_text
from gitmem.records.codec import Problem
from gitmem.verbs import verb

APPROVER_TRAILER = "Gitmem-Approver"
_LISTED = 10


class Decided(Struct, frozen=True):
    """How a proposal stands now. `paths` are the files of main that changed."""

    id: str
    title: str
    status: Status
    author: str
    paths: tuple[str, ...]
    note: str


class Commented(Struct, frozen=True):
    """A comment that was recorded."""

    id: str
    proposal: str
    author: str
    comment: str
    version: str


class OwnProposal(Refused):
    """Nobody lets in what they wrote themselves."""

    def __init__(self, found: Standing, agent: str) -> None:
        others = who_could(found.memory.view(), found.changes, found.authors)
        ask = f"Ask {' or '.join(others)} to approve it" if others else f"Somebody else has to, and {NOBODY_YET}"
        super().__init__(
            f"{found.id} has changes of {agent}'s own, and nobody approves their own. Nothing was changed.",
            fix=f"{ask}; withdraw_proposal takes it back.",
        )


class ProposalIsOver(Refused):
    """The proposal is over."""

    def __init__(self, found: Standing) -> None:
        by = f" by {found.record.closed_by}" if found.record and found.record.closed_by else ""
        super().__init__(
            f"{found.id} is {found.status} already{by}. Nothing was changed.",
            fix="get_proposal shows it; to go on with it, make a new proposal.",
        )


class HasMoved(Refused):
    """The proposal has changed since it was read."""

    def __init__(self, found: Standing, seen: str) -> None:
        what = f"{found.id} was at {shown(seen, 40)} when you read it, and is at {found.tip} now"
        super().__init__(f"{what}. Nothing was changed.", fix="get_proposal shows it as it is now; approve that.")


class MayNotReview(Refused):
    """Somebody who has no say in what a proposal changes."""

    def __init__(self, what: str, agent: str, admins: Sequence[str]) -> None:
        who = f"Ask {' or '.join(admins[:5])}" if admins else "Ask a member of the project"
        fix = f"{who}; comment_proposal says what you think of it."
        super().__init__(f"{agent} may not {what}. Nothing was changed.", fix=fix)


class DoesNotFit(Refused):
    """The proposal and main have both changed the same files, in ways that exclude each other."""

    def __init__(self, proposal_id: str, conflicts: Sequence[Conflict]) -> None:
        lines = [f"- {each.path} {each.what}{_by(each)}" for each in conflicts[:_LISTED]]
        more = [f"- and {len(conflicts) - _LISTED} more"] if len(conflicts) > _LISTED else []
        super().__init__(
            "\n".join([f"{proposal_id} no longer fits main, and was not merged:", *lines, *more]),
            fix=f"Propose it again on what main says now, or merge main into the branch proposals/{proposal_id} in git.",
        )


class NotAccepted(Refused):
    """The gate does not let the merge in."""

    def __init__(self, proposal_id: str, problems: Sequence[Problem], *, is_nobodys: bool) -> None:
        listing = "\n".join(f"- {problem}" for problem in problems[:_LISTED])
        anew = "It is nobody known who has proposed this: propose it in your own name, and have somebody else approve that."
        super().__init__(
            f"{proposal_id} was not merged, since main does not take it from you:\n{listing}",
            fix=anew if is_nobodys else "Have somebody approve it who may change these files, or mend the branch.",
        )


def _by(conflict: Conflict) -> str:
    return f" by {conflict.by}{f', {age_in_words(conflict.when)} ago' if conflict.when else ''}" if conflict.by else ""


@verb(writes=True, at_once=True, in_project=False)
def comment_proposal(desk: Desk, id: str, comment: str) -> Commented:  # noqa: A002  the argument's public name
    """Say something about a proposal, for its author and for all who review it.

    Args:
        id: the proposal.
        comment: what you think of it, in Markdown.
    """
    found = find(desk.memory, id)
    text = comment.replace("\r\n", "\n").strip("\n")
    if what := not_blank(text) or at_most(8000)(text) or plain_text(text):
        raise BadArgument(f"comment {what}.", fix="Say it shorter and in plain text.")
    place = place_of(found.project)
    said = Comment(
        scope=place.scope, proposal=found.id, id=new_id(in_a_line(text, 40)), author=desk.agent, at=now(), comment=text
    )
    with desk.transaction(f"proposal {found.id}: comment", place) as change:
        made = change.put(said)
        if found.record is None and found.status == "open":
            change.put(recorded(found))
    if found.record and found.author != desk.agent:
        tell_author(desk, found.record, f"{desk.agent} on your proposal: {found.title}", text)
    return Commented(made.id, found.id, made.author, made.comment, made.version)


@verb(writes=True, at_once=True, in_project=False)
def approve_proposal(desk: Desk, id: str, tip: str = "") -> Decided:  # noqa: A002  the argument's public name
    """Let a proposal of somebody else in: it is merged into main as it stands, in your name as its approver.

    Args:
        id: the proposal.
        tip: its last commit when you read it, as get_proposal gave it: what was added since is not let in unseen.
    """
    with _in_turn(desk):
        found = _open(desk, id)
        if tip and not found.tip.startswith(tip.strip().lower()):
            raise HasMoved(found, tip)
        if desk.agent in found.authors:
            raise OwnProposal(found, desk.agent)
        _check_member(desk, found, f"approve {found.id}")
        main = desk.view()
        taken = merged(found, main)
        if taken.conflicts:
            raise DoesNotFit(found.id, taken.conflicts)
        base, versions = found.base, _versions(found)
        _merge(desk, found, taken)
        # A crash here leaves main with the proposal and a branch that is merged, which everybody sees.
        close(desk, found, Ending("merged", desk.agent, commit=desk.commit, base=base, versions=(*versions, *_new(desk, taken))))
    return Decided(
        found.id, found.title, "merged", found.author, tuple(taken.edits), f"merged into main; {found.author} stays its author"
    )


def _merge(desk: Desk, found: Standing, taken: Taken) -> None:
    try:
        with desk.transaction(f"merge proposal {found.id}: {found.title}") as change:
            for path, new in taken.edits.items():
                if new is None:
                    change.delete(path)
                elif isinstance(new, bytes):
                    change.put_file(path, new)
                else:
                    change.restore(path, new)
            change.merges = (found.tip,)
            # what nobody known has proposed could be the approver's own
            change.reviewed = frozenset() if UNKNOWN in found.authors else frozenset(taken.edits)
            change.trailers = ((PROPOSAL_TRAILER, found.id), (APPROVER_TRAILER, desk.agent))
    except GateRefused as refused:
        raise NotAccepted(found.id, refused.problems, is_nobodys=UNKNOWN in found.authors) from None


def _versions(found: Standing) -> tuple[str, ...]:
    return tuple(new.oid for _, _, new in found.changes if new)


def _new(desk: Desk, taken: Taken) -> list[str]:
    there = (desk.view().peek(path) for path, new in taken.edits.items() if isinstance(new, bytes))
    return [entry.oid for entry in there if entry]


@contextmanager
def _in_turn(desk: Desk) -> Iterator[None]:
    """One at a time, of all processes: what is approved is not withdrawn meanwhile, which two refs could not tell."""
    with desk.memory.writer.in_line():
        desk.restart()
        yield


def _open(desk: Desk, wanted: str) -> Standing:
    found = find(desk.memory, wanted)
    if found.status != "open":
        raise ProposalIsOver(found)
    return found


def _check_member(desk: Desk, found: Standing, what: str) -> None:
    if not may_review(desk.view(), found.paths, desk.agent):
        where = "a project" if found.project == SHARED else found.project
        raise MayNotReview(f"{what}: only members of {where} who are not pending review it", desk.agent, _admins(desk, found))


def _admins(desk: Desk, found: Standing) -> list[str]:
    return admins_of(desk.view(), "shared" if found.project == SHARED else f"projects/{found.project}")


@verb(writes=True, at_once=True, in_project=False)
def reject_proposal(desk: Desk, id: str, reason: str) -> Decided:  # noqa: A002  the argument's public name
    """Turn a proposal down. It stays readable, and its author is told why.

    Args:
        id: the proposal.
        reason: why, for its author.
    """
    if what := not_blank(reason) or at_most(2000)(reason) or plain_text(reason):
        raise BadArgument(f"reason {what}.", fix="Say in a few lines why, and what would be accepted.")
    with _in_turn(desk):
        found = _open(desk, id)
        if desk.agent in found.authors:
            raise OwnProposal(found, desk.agent)
        _check_member(desk, found, f"reject {found.id}")
        return _ended(close(desk, found, Ending("rejected", desk.agent, why=reason.strip())))


@verb(writes=True, at_once=True, in_project=False)
def withdraw_proposal(desk: Desk, id: str, reason: str = "") -> Decided:  # noqa: A002  the argument's public name
    """Take a proposal of yours back. It stays readable.

    Args:
        id: the proposal.
        reason: why, for those who look at it later.
    """
    if what := at_most(2000)(reason) or plain_text(reason):
        raise BadArgument(f"reason {what}.", fix="Say it shorter and in plain text.")
    with _in_turn(desk):
        found = _open(desk, id)
        if desk.agent != found.author and desk.agent not in _admins(desk, found):
            raise MayNotReview(f"withdraw {found.id}, which {found.author} proposed", desk.agent, [found.author])
        return _ended(close(desk, found, Ending("withdrawn", desk.agent, why=reason.strip())))


def _ended(closed: Proposal) -> Decided:
    note = f"its branch is gone; get_proposal shows it, and git has it as the tag closed/{closed.id}"
    return Decided(closed.id, closed.title, closed.status, closed.author, (), note)
