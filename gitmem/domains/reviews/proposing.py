"""Making proposals: `propose`, and any call that writes main and is to be reviewed first."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import Any

from msgspec import Struct

from gitmem import verbs
from gitmem.answers import NOT_YET, plain
from gitmem.desk import Conflict, Desk, NotProposable
from gitmem.domains.messages.posting import notify
from gitmem.domains.projects import admins_of
from gitmem.domains.reviews.closing import tidy
from gitmem.domains.reviews.diff import FILES_MAX, FileChange, files_of
from gitmem.domains.reviews.record import PATHS_MAX, REASON_MAX_BYTES, TITLE_MAX, Proposal, branch_of, place_of
from gitmem.domains.reviews.reviewers import NOBODY_YET, who_could
from gitmem.domains.reviews.standing import look, project_of
from gitmem.errors import BadArgument, GitmemError, Refused
from gitmem.memory.draft import Draft
from gitmem.names import in_a_line, name_problem, now
from gitmem.records.check import at_most, bytes_at_most, one_line, plain_text
from gitmem.records.shape import Json
from gitmem.verbs import Answer, Verb, verb

TOLD_MAX = 5
CHANGES_MAX = 200


class ProposedChange(Struct, frozen=True, kw_only=True):
    """One change: a call (verb, arguments), or a file (path, with its whole content, or delete)."""

    verb: str = ""
    arguments: dict[str, Json] | None = None
    path: str = ""
    content: str | None = None
    delete: bool = False


class Proposed(Struct, frozen=True):
    """A proposal that waits for its review. `answers` are what its calls answered."""

    proposal: str
    title: str
    author: str
    project: str
    branch: str
    files: tuple[FileChange, ...]
    reviewers: tuple[str, ...]
    answers: tuple[dict[str, Json], ...]
    note: str


class NothingProposed(Refused):
    """The changes of a proposal change nothing."""

    def __init__(self) -> None:
        super().__init__(
            "These changes change nothing: main is as they would make it. Nothing was proposed.",
            fix="Look at what there is with get_by_id or query, and say what is to be different.",
        )


@verb(writes=True, at_once=True)
def propose(desk: Desk, title: str, reason: str, changes: tuple[ProposedChange, ...]) -> Proposed:
    """Propose changes for review instead of making them, also of what others own. All of them come in together, or none.

    Args:
        title: what changes, in one line.
        reason: why, for those who review it, in Markdown.
        changes: each a call {verb, arguments}, or a file {path, content} or {path, delete: true}.
    """
    _check(title, reason, changes)
    with drafted(desk) as draft:
        draft.named(title)
        answers = [each for is_file, group in groupby(changes, _is_file) for each in _made(desk, is_file, list(group))]
        if draft.is_empty:
            raise NothingProposed
        keep(draft)
    opened = record(desk, draft, reason)
    reviewers = tell_reviewers(desk, opened)
    return Proposed(
        opened.id, opened.title, opened.author, opened.project, f"proposals/{opened.id}",
        tuple(files_of(look(desk.memory, opened.id))[:FILES_MAX]), tuple(reviewers), tuple(answers),
        f"{NOT_YET} {_waits_for(desk, opened, reviewers)}",
    )  # fmt: skip


def _check(title: str, reason: str, changes: Sequence[ProposedChange]) -> None:
    problems = [f"title {what}" for test in (one_line, at_most(TITLE_MAX)) if (what := test(title))][:1]
    problems += [f"reason {what}" for test in (bytes_at_most(REASON_MAX_BYTES), plain_text) if (what := test(reason))]
    if not reason.strip():
        problems.append("reason is empty; who reviews it needs to know why")
    if not changes or len(changes) > CHANGES_MAX:
        problems.append(f"changes has {len(changes)} items; 1 to {CHANGES_MAX} are accepted")
    problems += [f"changes[{number}] {what}" for number, each in enumerate(changes) if (what := _problem(each))]
    if problems:
        fix = "A change is {verb, arguments}, {path, content} or {path, delete: true}."
        raise BadArgument(f"propose: {'; '.join(problems)}.", fix=fix)


def _problem(change: ProposedChange) -> str:
    if bool(change.verb) == bool(change.path):
        return "needs either a verb or a path"
    if change.verb and (change.content is not None or change.delete):
        return "has a verb, which goes with arguments alone"
    if change.path and change.arguments is not None:
        return "has a path, which goes with content or delete"
    if change.path and (change.content is None) != change.delete:
        return "needs either content or delete: true"
    return ""


def _is_file(change: ProposedChange) -> bool:
    return bool(change.path)


def _made(desk: Desk, is_file: bool, changes: list[ProposedChange]) -> Iterator[dict[str, Json]]:
    if not is_file:
        yield from (_called(desk, each) for each in changes)
        return
    with desk.transaction(f"propose: {', '.join(each.path for each in changes)}") as change:
        for each in changes:
            if each.content is not None:
                change.put_file(each.path, each.content.encode())
            elif desk.view().entry(each.path) is None:
                raise BadArgument(f"There is no file {each.path[:200]!r} to delete.", fix="Paths are as get_by_id tells them.")
            else:
                change.delete(each.path)


def _called(desk: Desk, change: ProposedChange) -> dict[str, Json]:
    called = verbs.find(change.verb.removeprefix("memory_"))
    if not verbs.proposable(called):
        raise NotProposable(called.name, at_once=called.writes)
    arguments = change.arguments or {}
    project = arguments.get("project") if "project" in called.parameters and called.in_project else None
    part = desk.working_with(called.name, project if isinstance(project, str) else "")
    value: dict[str, Json] = plain(called.function(part, **called.bind(arguments)))
    desk.restart()
    desk.commit = part.commit or desk.commit
    return value


# --- any call ---------------------------------------------------------------------------------------


@verbs.proposer
def propose_call(desk: Desk, called: Verb, run: Callable[[], Any], reason: str) -> Answer:
    """Run a verb so that what it writes to main becomes a proposal."""
    if what := bytes_at_most(REASON_MAX_BYTES)(reason) or plain_text(reason):
        raise BadArgument(f"as_proposal {what}.", fix="Give the reason in plain text.")
    with drafted(desk) as draft:
        value = run()
        if draft.is_empty:
            return Answer(called, value, "")
        keep(draft)
    opened = record(desk, draft, reason)
    return Answer(called, value, desk.commit, opened.id, _waits_for(desk, opened, tell_reviewers(desk, opened)))


def _waits_for(desk: Desk, opened: Proposal, admins: Sequence[str]) -> str:
    """What a proposal waits for, for its author."""
    who = admins or who_could(desk.memory.view(), look(desk.memory, opened.id).changes, (desk.agent,))
    if not who:
        return f"Somebody else has to let it in, and {NOBODY_YET}."
    return f"Somebody else, such as {', '.join(who)}, has to let it in; you get a message when they decide."


@contextmanager
def drafted(desk: Desk) -> Iterator[Draft]:
    """Have what a desk writes to main go to a draft, for the block."""
    desk.restart()
    desk.draft, desk.commit = desk.memory.draft(), ""
    try:
        yield desk.draft
    finally:
        desk.draft.close()
        desk.draft = None
        desk.restart()


def keep(draft: Draft) -> None:
    """Give a draft its branch. From then on it is a proposal, even if a crash keeps it from being recorded as one."""
    if not draft.keep(branch_of(draft.id)):
        raise Conflict(f"There is a proposal {draft.id} already. Nothing was proposed.", fix="Call it again.")


def record(desk: Desk, draft: Draft, reason: str) -> Proposal:
    """Record who proposes what a draft has, and why."""
    objects, commit = desk.memory.repository.objects, desk.commit
    before = objects.commit(draft.start).tree if draft.start else None
    paths = sorted(path for path, _, _ in objects.differences(before, objects.commit(draft.tip).tree))
    place = place_of(project_of(paths))
    made = Proposal(
        scope=place.scope, id=draft.id, title=in_a_line(draft.title, TITLE_MAX), author=desk.agent, session=desk.caller.session,
        asked_in=desk.asked_project, created=now(), base=draft.start, tip=draft.tip, paths=tuple(paths[:PATHS_MAX]),
        reason=reason.replace("\r\n", "\n").strip("\n"),
    )  # fmt: skip

    def put() -> Proposal:
        with desk.transaction(f"proposal {made.id}: {made.title}", place) as change:
            return change.put(made)

    opened = desk.until_landed(put, "the proposal")
    with suppress(GitmemError):  # what a crash or a merge elsewhere left; the next proposal tries again
        tidy(desk, but=(made.id,))
    desk.commit = commit
    return opened


def tell_reviewers(desk: Desk, opened: Proposal) -> list[str]:
    """Tell the admins of a proposal; who they are."""
    scope = "shared" if opened.project == "shared" else opened.scope
    found = [name for name in admins_of(desk.view(), scope) if name != desk.agent]
    if found and opened.asked_in:
        text = f"get_proposal(id='{opened.id}') shows what it changes; approve_proposal or reject_proposal settles it."
        notify(
            desk, to=found[:TOLD_MAX], subject=f"Please review: {opened.title}", text=text, project=opened.asked_in,
            category="review",
        )  # fmt: skip
    return [name for name in found if not name_problem(name)][:TOLD_MAX]
