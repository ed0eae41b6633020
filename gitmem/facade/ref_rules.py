"""What holds for each ref that a push wants to move: main and proposals, other branches, tags, what agents coordinate with."""

import re
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from gitmem.domains.ownership.deciding import owners_decide
from gitmem.domains.reviews.record import FAMILY, Proposal, path_of
from gitmem.domains.specs.record import Spec, State
from gitmem.facade.proposed import proposers_of, reviewed_in, speaks_for_any
from gitmem.facade.pushing import Push, Update, git_here, merge_base
from gitmem.git.log import RAW, raw_changes
from gitmem.git.objects import FILE, Entry
from gitmem.git.repository import CLOSED, MAIN, NO_COMMIT, PROPOSALS, Repository
from gitmem.memory import gate
from gitmem.memory.checking import report
from gitmem.memory.marks import Mark
from gitmem.memory.pushers import UNKNOWN
from gitmem.memory.view import MAIN_PLACE, ParsedFiles, Place, View, places
from gitmem.names import name_problem, shown
from gitmem.records.codec import Problem
from gitmem.records.kind import KINDS

RECORDS = "refs/gitmem/"
TO_PROPOSE = "git push origin HEAD:refs/heads/proposals/NAME"
SPEAKING = "an admin may let somebody speak for others, by speaks_for in people of gitmem.yaml"
_MENDING = {
    True: "mend the files, commit (or amend), and push again",
    False: f"push what is yours, and mend what else is listed; {SPEAKING}",
}
# What git itself calls so, and what it takes for the whole name of another ref.
_MEANS_MORE = re.compile(r"([A-Z]+_)?HEAD$|(refs|heads|tags|remotes)/")
_LOOKED_AT_MOST = 5000  # commits
_TOLD_MOST = 5
_SPEC_HOMES = {"specs": Spec.home, "state": State.home}

Reasons = Iterator[str]


def reasons_of(push: Push, update: Update) -> Reasons:
    """The reasons to refuse one of the updates of a push."""
    if not update.is_gone and _is_ambiguous(push, update.ref):
        name = update.ref.removeprefix("refs/").partition("/")[2]
        yield (
            f"gitmem: with {shown(update.ref, 100)}, nobody's git would know any more what {shown(name, 100)} stands for. "
            "Nothing was changed.\nfix: choose another name."
        )
        return
    for prefix, rule in _BY_REF.items():
        if update.ref.startswith(prefix):
            yield from rule(push, update)
            return
    yield f"gitmem: {shown(update.ref, 100)} is no branch, tag or note; a memory keeps nothing else. Nothing was changed."


def _is_ambiguous(push: Push, ref: str) -> bool:
    """Whether the name of a branch or tag stands for something else, too: others' `git push origin main` would fail."""
    family, _, name = ref.removeprefix("refs/").partition("/")
    if family == "tags" and (f"refs/heads/{name}" == MAIN or push.repository.refs.read(f"refs/heads/{name}")):
        return True
    return family in ("heads", "tags") and bool(_MEANS_MORE.match(name))


def _to_main(push: Push, update: Update) -> Reasons:
    if update.ref != MAIN:
        yield from _to_branch(push, update)
    elif update.is_gone or not push.pusher.is_known:
        yield from _cannot_go(push, update)
    elif (reason := _rewrites(push, update)) is None:
        yield from _gate(push, push.main if push.main.commit == update.old else _view(push, MAIN_PLACE, update.old), update.new)
    else:
        yield reason


def _to_proposal(push: Push, update: Update) -> Reasons:
    name = update.ref.removeprefix(PROPOSALS)
    if problem := name_problem(name):
        yield f"gitmem: {shown(name)} cannot be the name of a proposal: {problem}. Nothing was changed."
        return
    former = _over(push, name) if update.is_new else ""
    if former and not _is_ancestor(push.repository, former, update.new):
        yield (
            f"gitmem: a proposal {name} is over already, and its name stays with it. Nothing was changed.\n"
            f"fix: choose another name: '{TO_PROPOSE}'."
        )
        return
    if former or not update.is_new:
        proposers, who = sorted(proposers_of(push, former or update.old)), push.pusher
        # a clone brings what the agents of others decided there
        if (who.is_known or former) and who.name not in proposers and not speaks_for_any(push, [*proposers, *push.admins]):
            by = " and ".join(proposers)
            yield (
                f"gitmem: proposals/{name} is by {by}, and {who.name or UNKNOWN} may not change it. Nothing was changed.\n"
                f"fix: make a proposal of your own: '{TO_PROPOSE}'."
            )
            return
    if update.is_gone:
        return
    if reason := _rewrites(push, update):
        yield reason
        return
    base = merge_base(push.main.commit, update.new)
    if not base:
        yield f"gitmem: proposals/{name} has no history in common with main. Nothing was changed.\nfix: begin from main."
        return
    yield from _gate(push, _view(push, MAIN_PLACE, base), update.new, proposed=True)


def _over(push: Push, name: str) -> str:
    """The last commit of a proposal of that name that is over; "" if there is none."""
    if kept := push.repository.refs.read(CLOSED + name):
        return kept
    views = (_view(push, place, push.repository.refs.read(place.ref) or "") for place in places(push.repository, FAMILY))
    found = (record for view in views if isinstance(record := view.record(path_of(name)), Proposal))
    return next((record.tip for record in found if record.status != "open"), "")


def _to_branch(push: Push, update: Update) -> Reasons:
    if update.ref == PROPOSALS.rstrip("/"):
        yield f"gitmem: {update.ref} is where proposals are. Nothing was changed.\nfix: give the branch another name."
    elif not update.is_gone and (reason := _rewrites(push, update)):
        yield reason


def _to_tag(push: Push, update: Update) -> Reasons:
    kind, _, rest = update.ref.removeprefix("refs/tags/").partition("/")
    if not update.is_new and (kind in _SPEC_HOMES or not push.is_admin()):
        what = "versions stay what they are" if kind in _SPEC_HOMES else "only an admin of the memory may move or remove it"
        yield f"gitmem: the tag {update.ref.removeprefix('refs/tags/')} is there already: {what}. Nothing was changed."
    elif kind in _SPEC_HOMES and not _is_version(push, update, kind, rest):
        tag = update.ref.removeprefix("refs/tags/")
        yield (
            f"gitmem: {tag} is no version that main has had in that commit. Nothing was changed.\n"
            "fix: push the new version to main; gitmem sets its tag."
        )


def _is_version(push: Push, update: Update, kind: str, rest: str) -> bool:
    project, _, named = rest.partition("/")
    name, _, version = named.rpartition("/")
    if push.kind_of(update.new) not in ("commit", "tag"):
        return False
    scope = "shared" if project == "shared" else f"projects/{project}"
    commit = push.repository.objects.commit(update.new).oid
    found = _view(push, MAIN_PLACE, commit).record(_SPEC_HOMES[kind].format(scope=scope, name=name))
    main = next((each.new for each in push.updates if each.ref == MAIN), push.main.commit)
    return isinstance(found, Spec | State) and f"v{found.release}" == version and merge_base(main, commit) == commit


def _to_notes(_: Push, update: Update) -> Reasons:
    yield f"gitmem: {update.ref} is kept by the memory itself: it says who pushed what. Nothing was changed."


def _to_other_notes(_: Push, __: Update) -> Reasons:
    yield from ()


def _to_records(push: Push, update: Update) -> Reasons:
    import gitmem.domains.kinds  # noqa: F401  imported late: few pushes touch the refs that the team coordinates on

    family, _, rest = update.ref.removeprefix(RECORDS).partition("/")
    kinds = [kind for kind in KINDS.values() if kind.record.ref == family]
    if any(issubclass(kind.record, Mark) for kind in kinds):
        yield from _to_mark(push, update, family, rest)
    elif not kinds or (name_problem(rest) and rest != "shared"):
        yield f"gitmem: {shown(update.ref, 100)} is no ref that gitmem keeps. Nothing was changed."
    elif update.is_gone or not push.pusher.is_known:
        yield from _cannot_go(push, update)
    elif reason := _rewrites(push, update):
        yield reason
    else:
        before = "" if update.is_new else update.old
        yield from _gate(push, _view(push, Place(family, rest), before), update.new)


def _to_mark(push: Push, update: Update, family: str, rest: str) -> Reasons:
    project, _, agent = rest.partition("/")
    if name_problem(project) or name_problem(agent):
        yield f"gitmem: {shown(update.ref, 100)} is no ref that gitmem keeps. Nothing was changed."
    elif update.is_gone:
        yield from _cannot_go(push, update)
    elif push.pusher.is_known and not push.pusher.caller().may_speak_for(agent):
        who = f"{push.pusher.name}, who pushes, may not speak for {agent}"
        yield (
            f"gitmem: {update.ref} is of {agent}, and {who}. Nothing was changed.\n"
            f"fix: {SPEAKING}."
        )
    elif problem := _mark_problem(push, update, Place(family, project), agent):
        yield f"gitmem: {update.ref} {problem}. Nothing was changed.\nfix: push what gitmem has written there."


def _mark_problem(push: Push, update: Update, place: Place, agent: str) -> str:
    if push.kind_of(update.new) != "blob":
        return "is to hold one small file, and no commit"
    data = push.repository.objects.blob(update.new)
    if len(data) > gate.FILE_MAX_BYTES:
        return f"has {len(data):,} bytes; at most {gate.FILE_MAX_BYTES:,} are accepted"
    head, _, text = data.partition(b"\n")
    if head != f"# {update.ref}".encode():
        return "does not begin with a line that names it"
    decoded = ParsedFiles().get(lambda _: text, place, f"{agent}.yaml", update.new)
    problems = decoded.problems if decoded else ()
    return "; ".join(f"{each.field} {each.what}".strip() for each in problems[:_TOLD_MOST])


def _cannot_go(_: Push, update: Update) -> Reasons:
    if update.is_gone:
        yield f"gitmem: {update.ref} cannot be deleted: it is the team's memory. Nothing was changed."


# The first prefix that a ref has says what holds for it. What stands nowhere here is not kept.
_BY_REF: dict[str, Callable[[Push, Update], Reasons]] = {
    MAIN: _to_main,
    PROPOSALS: _to_proposal,
    "refs/heads/": _to_branch,
    "refs/tags/": _to_tag,
    "refs/notes/pushers": _to_notes,
    "refs/notes/": _to_other_notes,
    RECORDS: _to_records,
}


def _view(push: Push, place: Place, commit: str) -> View:
    return View(push.repository.objects, ParsedFiles(), place, "" if commit == NO_COMMIT else commit)


def _rewrites(push: Push, update: Update) -> str | None:
    if update.is_new or _is_ancestor(push.repository, update.old, update.new):
        return None
    return (
        f"gitmem: the push to {update.ref} would rewrite history. Nothing was changed.\n"
        "fix: fetch, then merge or rebase your commits on top, and push again."
    )


def _is_ancestor(repository: Repository, old: str, new: str) -> bool:
    looked_at = 0
    for commit in repository.log(new, limit=_LOOKED_AT_MOST):
        if commit.oid == old:
            return True
        looked_at += 1
    # git itself refuses the rest (receive.denyNonFastForwards); here it is about saying so in good words
    return looked_at == _LOOKED_AT_MOST


def _gate(push: Push, before: View, new: str, *, proposed: bool = False) -> Reasons:
    if push.kind_of(new) != "commit":
        yield "gitmem: a branch of the memory holds commits, and this is none. Nothing was changed."
        return
    change = push.change(before, push.repository.objects.commit(new), proposed=proposed)
    if any(policy.review == "review" for policy in push.settings.policies) and not proposed:
        change = replace(change, reviewed=reviewed_in(push, change))
    problems = gate.check(change)
    if change.several and not proposed and before.place == MAIN_PLACE:
        told = {each.path for each in problems}
        problems += {each.path: each for each in _steps(change, new) if each.path not in told}.values()
    if problems:
        only_who = not proposed and before.place == MAIN_PLACE and not gate.check(replace(change, proposed=True))
        fix = f"propose it with '{TO_PROPOSE}'" if only_who else _MENDING[before.place == MAIN_PLACE]
        yield from report(problems, "push", fix)


def _steps(change: gate.Change, new: str) -> Iterator[Problem]:
    """Versions of others' specs that a push makes on its way: they would stay in history, and be versions for ever."""
    homes = [f":(glob){scope}/{folder}/*" for scope in ("projects/*", "shared") for folder in _SPEC_HOMES]
    for commit, changes in raw_changes(git_here(*RAW, new, f"^{change.before.commit}", "--", *homes)):
        for path, _, blob in changes:
            was, entry = change.before.entry(path), Entry(FILE, blob) if blob else None
            if was is not None and entry not in (was, change.edits[path].new if path in change.edits else was):
                step = replace(change, edits={path: gate.Edit(was, entry)})
                yield from (replace(each, what=f"{each.what} (in commit {commit[:8]})") for each in owners_decide(step))
