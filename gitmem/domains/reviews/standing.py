"""How a proposal stands: what its record says, what its branch is, and what main has of it by now."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from gitmem.domains.ownership.signers import names_of
from gitmem.domains.projects import Project, project_path
from gitmem.domains.reviews.record import FAMILY, SHARED, STATUSES, TITLE_MAX, Proposal, Status, path_of
from gitmem.errors import BadArgument, NotFound, closest
from gitmem.git.ancestry import is_ancestor, merge_base
from gitmem.git.objects import Commit, Difference, MissingObject
from gitmem.git.repository import CLOSED, MAIN, PROPOSALS, GitFailed, run_git, written_in
from gitmem.memory.memory import Memory
from gitmem.memory.pushers import note_of
from gitmem.memory.settings import settings_of
from gitmem.memory.view import View, places
from gitmem.names import in_a_line, name_problem, shown

MERGED_ELSEWHERE = "everything of it is on main already"
GONE = "its branch was removed"
_PART_MIN = 4


class UnknownProposal(NotFound):
    """There is no proposal of this name."""

    def __init__(self, wanted: str, known: list[str]) -> None:
        near = closest(wanted, known)
        hint = f"Did you mean {' or '.join(near)}?" if near else "list_proposals shows them."
        super().__init__(f"There is no proposal {shown(wanted)}.", fix=hint)


class Standing(Struct, frozen=True, dict=True):
    """A proposal as it is now. `record` is None where nothing is recorded yet: it came as a branch."""

    memory: Memory
    id: str
    record: Proposal | None
    branch: str  # the commit that the branch is at; "" if there is no branch
    kept: str  # the commit that the tag of a closed one is at
    status: Status
    note: str = ""

    @property
    def tip(self) -> str:
        """Its last commit."""
        return self.branch or self.kept or (self.record.tip if self.record else "")

    @cached_property
    def last(self) -> Commit | None:
        """Its last commit; None if that is gone."""
        return _commit(self.memory, self.tip)

    @cached_property
    def base(self) -> str:
        """The commit of main that it goes out from; "" if it has none."""
        if self.status != "merged" or self.record is None:
            return merge_base(self.memory.path, self.memory.head(), self.tip)
        before = _commit(self.memory, self.record.commit)
        if before and len(before.parents) > 1:
            return merge_base(self.memory.path, before.parents[0], self.tip)
        return self.record.base

    @property
    def title(self) -> str:
        """What it is, in one line."""
        if self.record:
            return self.record.title
        return in_a_line(self.last.subject if self.last else "", TITLE_MAX) or self.id

    @property
    def author(self) -> str:
        """Who proposed it: as recorded, or as its last commit says."""
        return self.record.author if self.record else self.last.author.name if self.last else ""

    @cached_property
    def authors(self) -> frozenset[str]:
        """All who proposed any of it: whose commits it has, and who pushed those of others than members."""
        found = {self.author}
        for commit in self._commits():
            names = names_of(commit.author, settings_of(self.memory.view()))
            pusher = self._pusher(commit.oid) if names.isdisjoint(self._members) else ""
            found |= {commit.author.name, *names, pusher}
        return frozenset(found - {""})

    def _commits(self) -> Iterator[Commit]:
        try:
            written = written_in(self.memory.path, self.tip, *([f"^{self.base}"] if self.base else [])) if self.tip else []
        except GitFailed:
            return
        yield from (self.memory.repository.objects.commit(oid) for oid in written)

    def _pusher(self, commit: str) -> str:
        note = note_of(self.memory.repository, commit)
        return note.pusher if note else ""

    @cached_property
    def _members(self) -> set[str]:
        view = self.memory.view()
        found = (view.record(project_path(name)) for name in view.names("projects"))
        return {member.name for each in found if isinstance(each, Project) for member in each.members}

    @cached_property
    def changes(self) -> tuple[Difference, ...]:
        """What it changes, by path."""
        base = _commit(self.memory, self.base)
        if self.last is None:
            return ()
        return tuple(sorted(self.memory.repository.objects.differences(base.tree if base else None, self.last.tree)))

    @property
    def paths(self) -> list[str]:
        """The files that it changes."""
        return [path for path, _, _ in self.changes]

    @property
    def project(self) -> str:
        """The project that it is about; `shared` if it is about more than one, or about none."""
        return self.record.project if self.record else project_of(self.paths)


def _commit(memory: Memory, oid: str) -> Commit | None:
    try:
        return memory.repository.objects.commit(oid) if oid else None
    except MissingObject:
        return None


def project_of(paths: Iterable[str]) -> str:
    """The one project that paths are in; `shared` if there is no such one."""
    scopes = {path.split("/")[1] if path.startswith("projects/") else SHARED for path in paths}
    return scopes.pop() if len(scopes) == 1 else SHARED


def projects_of(paths: Iterable[str]) -> set[str]:
    """The projects that paths are in, for those that are in one."""
    return {path.split("/")[1] for path in paths if path.startswith("projects/")}


def branches(memory: Memory) -> dict[str, str]:
    """The branches of proposals: where each is, by id."""
    refs = memory.repository.refs.list(PROPOSALS)
    return {ref.removeprefix(PROPOSALS): oid for ref, oid in refs.items()}


def views(memory: Memory) -> list[View]:
    """All places that have proposals."""
    return [memory.view(place) for place in places(memory.repository, FAMILY)]


def record_of(memory: Memory, proposal_id: str) -> Proposal | None:
    """What is recorded of a proposal; where two clones both recorded it, what is further on."""
    if name_problem(proposal_id):
        return None
    path = path_of(proposal_id)
    found = [record for view in views(memory) if isinstance(record := view.record(path), Proposal)]
    return max(found, key=lambda each: STATUSES.index(each.status), default=None)


def records(memory: Memory) -> Iterator[Proposal]:
    """All that is recorded."""
    for view in views(memory):
        yield from view.records(Proposal, "proposals")


def look(memory: Memory, proposal_id: str) -> Standing:
    """How a proposal stands. Raises UnknownProposal."""
    at = branches(memory)  # listed, since an id that is no name must not lead to another ref
    record, branch = record_of(memory, proposal_id), at.get(proposal_id, "")
    if record is None and not branch:
        raise UnknownProposal(proposal_id, sorted({*at, *(each.id for each in records(memory))}))
    return standing(memory, proposal_id, record, branch, is_merged=bool(branch) and is_on_main(memory, branch))


def standing(memory: Memory, proposal_id: str, record: Proposal | None, branch: str, *, is_merged: bool) -> Standing:
    """How a proposal stands, of which it is known already whether main has its branch's last commit."""
    recorded = record.status if record else "open"
    kept = memory.repository.refs.read(CLOSED + proposal_id) or "" if recorded != "open" or not branch else ""
    if is_merged:
        return Standing(memory, proposal_id, record, branch, kept, "merged")
    if recorded != "open" and branch in ("", kept):
        return Standing(memory, proposal_id, record, branch, kept, recorded)
    note = f"it was {recorded} before; its branch has new commits" if recorded != "open" else ""
    open_ = Standing(memory, proposal_id, record, branch, kept, "open", note)
    if branch:
        if open_.base and _is_all_on_main(memory, open_):  # squashed, rebased, or written by somebody else
            return Standing(memory, proposal_id, record, branch, kept, "merged", MERGED_ELSEWHERE)
        return open_
    if record and record.tip and is_on_main(memory, record.tip):
        return Standing(memory, proposal_id, record, "", kept, "merged")
    return Standing(memory, proposal_id, record, "", kept, "withdrawn", GONE)


def is_on_main(memory: Memory, commit: str) -> bool:
    """Whether main has a commit in its history."""
    head = memory.head()
    return bool(head) and is_ancestor(memory.path, commit, head)


def _is_all_on_main(memory: Memory, found: Standing) -> bool:
    main = memory.view()
    return all(main.entry(path) == new for path, _, new in found.changes)


def merged_branches(memory: Memory) -> set[str]:
    """The ids of all branches whose last commit main has."""
    listing = run_git(memory.path, "for-each-ref", f"--merged={MAIN}", "--format=%(refname)", PROPOSALS)
    return {ref.removeprefix(PROPOSALS) for ref in listing.splitlines()}


def all_of(memory: Memory) -> Iterator[Standing]:
    """How every proposal stands: those with a branch first, then what is recorded of others."""
    at = branches(memory)
    merged = merged_branches(memory) if at and memory.head() else set()
    for proposal_id, tip in at.items():
        yield standing(memory, proposal_id, record_of(memory, proposal_id), tip, is_merged=proposal_id in merged)
    for record in records(memory):
        if record.id not in at:
            yield standing(memory, record.id, record, "", is_merged=False)


def find(memory: Memory, wanted: str) -> Standing:
    """The proposal that an id, its branch's name or any unambiguous part of them means. Raises UnknownProposal."""
    text = wanted.strip().removeprefix("refs/heads/").removeprefix("proposals/")
    try:
        return look(memory, text)
    except UnknownProposal:
        known = sorted({*branches(memory), *(each.id for each in records(memory))})
        found = [each for each in known if _means(text.lower(), each)]
        if len(found) == 1:
            return look(memory, found[0])
        if found:
            raise BadArgument(
                f"{shown(wanted)} could be any of {len(found)} proposals.", fix=f"Give more of the id: {', '.join(found[:5])}."
            ) from None
        raise


def _means(text: str, proposal_id: str) -> bool:
    return len(text) >= _PART_MIN and text in proposal_id


# --- who may let it in ------------------------------------------------------------------------------


def may_review(view: View, paths: Iterable[str], agent: str) -> bool:
    """Whether somebody is a member of every project that paths are in; of any, where they are in none."""
    projects = projects_of(paths)
    return all(_is_member(view, name, agent) for name in projects) if projects else _is_anywhere(view, agent)


def _is_anywhere(view: View, agent: str) -> bool:
    return any(_is_member(view, name, agent) for name in view.names("projects"))


def _is_member(view: View, project: str, agent: str) -> bool:
    found = view.record(project_path(project))
    if not isinstance(found, Project) or not found.members:  # a project that the proposal makes has none yet
        return True
    member = found.member(agent)
    return member is not None and member.tier != "pending"
