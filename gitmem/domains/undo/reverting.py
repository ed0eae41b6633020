"""The verb that undoes: a commit, a record's later versions, or all of one agent since a time."""

from collections.abc import Collection, Iterable
from itertools import takewhile

from msgspec import Struct

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk
from gitmem.domains.knowledge.past import pick_version, versions_of
from gitmem.domains.projects import may_act_for_others
from gitmem.domains.undo.depending import Dependent, dependents
from gitmem.domains.undo.taking_back import InTheWay, Step, TakingBack, steps_of
from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.git.ancestry import is_ancestor
from gitmem.git.objects import Commit
from gitmem.git.repository import MAIN, run_git
from gitmem.memory.caller import GITMEM_PERSON
from gitmem.memory.find import id_at
from gitmem.memory.gate import GateRefused
from gitmem.names import format_time, parse_when, shown
from gitmem.verbs import verb

JOINING = "start_session"
_SHOWN = 10


class Reverted(Struct, frozen=True):
    """What a revert put back, in one new commit.

    `kept`: files in which something stays that came later. `dependents`: records that refer to what was undone; look
    at them. `in_the_way` and `problems` are why it would be refused, told by a dry run.
    """

    reverted: str
    restored: tuple[str, ...]
    removed: tuple[str, ...]
    note: str
    kept: tuple[str, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    in_the_way: tuple[InTheWay, ...] = ()
    problems: tuple[str, ...] = ()


class ChangedSince(Refused):
    """Later changes stand in the way of a revert."""

    def __init__(self, what: str, in_the_way: Collection[InTheWay]) -> None:
        listing = "; ".join(f"{each.path} by {', '.join(each.by) or 'somebody'}" for each in list(in_the_way)[:_SHOWN])
        more = f" and {len(in_the_way) - _SHOWN} more" if len(in_the_way) > _SHOWN else ""
        super().__init__(
            f"{what} cannot be reverted whole: the same lines were changed again later: {listing}{more}. Nothing was written.",
            fix="Revert the later changes first, or put back single records with revert(id=..., version=...).",
        )


@verb(writes=True, destructive=True, in_project=True)
def revert(
    desk: Desk,
    commit: str = "",
    id: str = "",  # noqa: A002  the argument's public name
    version: str = "",
    agent: str = "",
    since: str = "",
    dry_run: bool = False,
) -> Reverted:
    """Undo a commit, put a record back to an earlier version, or undo an agent's changes since a time.

    It is one new commit; nothing is lost, and what others changed later in other lines stays.

    Args:
        commit: undo this commit; of a merge, all that it brought in.
        id: put back this record (with version).
        version: the version to put back, as history lists them.
        agent: undo this agent's changes (with since).
        since: a date or an age such as 2h.
        dry_run: only tell what would happen.
    """
    if commit and not (id or agent):
        return _revert_commit(desk, commit, dry_run)
    if id and version and not (commit or agent):
        return _revert_record(desk, id, version, dry_run)
    if agent and since and not (commit or id):
        return _revert_agent(desk, agent, since, dry_run)
    raise BadArgument(
        "revert needs to know what to undo.", fix="Pass commit='...', or id and version, or agent and since: one of the three."
    )


def _revert_commit(desk: Desk, name: str, dry_run: bool) -> Reverted:
    objects = desk.view().objects
    found = objects.commit(desk.memory.commit_named(name))
    main = _main_side(desk, found)
    before = objects.commit(main).tree if main else None
    authors = {found.author.name} if len(found.parents) < 2 else _authors_beside(desk, main, found)
    steps = steps_of(sorted(objects.differences(before, found.tree)))
    taken = TakingBack(desk.memory.repository, desk.view())
    for step in steps:
        taken.take_back(step, found.oid)
    _check_rights(desk, authors, [*taken.touched, *_paths(steps)])
    return _land(desk, taken, f"revert {found.oid[:10]}: {found.subject}", (found.oid, f"Commit {found.oid[:10]}"), dry_run)


def _main_side(desk: Desk, commit: Commit) -> str:
    """The parent of a commit that was on main before it came; "" for the first commit.

    A merge made here has main as its first parent. Who merged elsewhere, as `git pull` does, has it as another: the one
    that has what main was when the push arrived.
    """
    if len(commit.parents) < 2 or commit.committer == GITMEM_PERSON:
        return commit.parents[0] if commit.parents else ""
    place = desk.memory.path
    for new, (old, _) in desk.memory.repository.refs.pushes(MAIN).items():
        if old.strip("0") and is_ancestor(place, commit.oid, new) and not is_ancestor(place, commit.oid, old):
            return next((parent for parent in commit.parents if is_ancestor(place, old, parent)), commit.parents[0])
    return commit.parents[0]


def _authors_beside(desk: Desk, main: str, merge: Commit) -> set[str]:
    """Who wrote what a merge brought in."""
    oids = run_git(desk.memory.path, "rev-list", "--no-merges", f"{main}..{merge.oid}").split()
    return {desk.view().objects.commit(oid).author.name for oid in oids} | {merge.author.name}


def _revert_record(desk: Desk, record_id: str, version: str, dry_run: bool) -> Reverted:
    versions = versions_of(desk, record_id)
    wanted = pick_version([each for each in versions if each.blob], version, versions[0])
    path = _current_path(desk, record_id) or wanted.path
    since = takewhile(lambda each: each != wanted, versions)
    _check_rights(desk, {each.commit.author.name for each in since}, [path])
    taken = TakingBack(desk.memory.repository, desk.view())
    taken.files[path] = desk.view().objects.blob(wanted.blob)
    return _land(desk, taken, f"revert {id_at(path)} to {wanted.blob[:10]}", (wanted.blob, id_at(path)), dry_run)


def _current_path(desk: Desk, record_id: str) -> str | None:
    try:
        return desk.find(record_id)
    except NotFound:
        return None


def _revert_agent(desk: Desk, agent: str, since: str, dry_run: bool) -> Reverted:
    moment = parse_when(since)
    if moment is None:
        raise BadArgument(f"{shown(since)} is no time.", fix="Pass a date such as 2026-01-31 or an age such as 2h.")
    view = desk.view()
    history = desk.memory.repository.log(view.commit) if view.commit else iter(())
    lately = takewhile(lambda each: each.time >= moment, history)
    # a merge brings in what others wrote, and who joined is a member for an admin to remove
    theirs = [
        each for each in lately
        if each.author.name == agent and len(each.parents) < 2 and each.trailers.get("Gitmem-Verb") != JOINING
    ]
    steps = [(step, each.oid) for each in theirs for step in steps_of(view.objects.changes(each))]
    if not steps:
        raise NotFound(f"{shown(agent)} changed nothing since {since}.", fix="recent_changes(agent=...) lists what they did.")
    taken = TakingBack(desk.memory.repository, view)
    for step, oid in steps:
        taken.take_back(step, oid)
    _check_rights(desk, {agent}, [*taken.touched, *_paths(step for step, _ in steps)])
    what = f"what {agent} did since {format_time(moment)}"  # an age says nothing to who reads the log later
    return _land(desk, taken, f"revert {what}", (agent, f"W{what[1:]}"), dry_run)


def _paths(steps: Iterable[Step]) -> set[str]:
    return {path for step in steps for path in (step.path, step.old_path)}


def _check_rights(desk: Desk, authors: set[str], paths: Iterable[str]) -> None:
    others = authors - {desk.agent}
    scopes = {"/".join(path.split("/")[:2]) if path.startswith("projects/") else "shared" for path in paths}
    if others and not all(may_act_for_others(desk, scope) for scope in scopes):
        raise Refused(
            f"This would undo changes of {', '.join(sorted(others))}, and you are no admin of {', '.join(sorted(scopes))}.",
            fix="Ask them or an admin to revert it.",
        )


def _land(desk: Desk, taken: TakingBack, subject: str, what: tuple[str, str], dry_run: bool) -> Reverted:
    in_the_way = tuple(taken.in_the_way.values())
    if in_the_way and not dry_run:
        raise ChangedSince(what[1], in_the_way)
    changes = taken.changes()
    depending = dependents(desk, changes.keys())
    problems = _write(desk, subject, changes, dry_run)
    return Reverted(
        what[0],
        restored=tuple(sorted(path for path, data in changes.items() if data is not None)),
        removed=tuple(sorted(path for path, data in changes.items() if data is None)),
        note=_note(bool(changes), bool(in_the_way or problems), dry_run),
        kept=tuple(sorted(taken.merged & changes.keys())),
        dependents=depending, in_the_way=in_the_way, problems=problems,
    )  # fmt: skip


def _write(desk: Desk, subject: str, changes: dict[str, bytes | None], dry_run: bool) -> tuple[str, ...]:
    """Write the commit; for a dry run, only what the gate says to it."""
    try:
        with desk.transaction(subject) as change:
            change.dry_run = dry_run
            for path, data in changes.items():
                if data is None:
                    change.delete(path)
                else:
                    change.put_file(path, data)
    except GateRefused as refused:
        if not dry_run:
            raise
        return tuple(map(str, refused.problems))
    return ()


def _note(differs: bool, stuck: bool, dry_run: bool) -> str:
    if stuck:
        return "nothing was written, and it would be refused; see in_the_way and problems"
    if not differs:
        return NOTHING_NEW
    if dry_run:
        return "nothing was written; this is what would be undone"
    return "undone in one new commit; reverting that commit brings it back"
