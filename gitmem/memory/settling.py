"""Settling one ref between two clones: what both are to have, given what each has and what they last agreed on.

Nothing is written here. Scenarios of a ref that holds commits:

1. Both have the same: nothing to do.
2. Only one side has it: the other gets it, unless they agreed on it before; then the other side has removed it.
3. One side is ahead: the other follows.
4. A chain began anew on the other side (upkeep), and ours says nothing that is not there: the new one stays.
5. Both have moved on: one merge commit, the same whoever makes it. What loses in it becomes a proposal.
6. Nothing in common: a memory that holds nothing but its founding takes over the other's history; two that hold more
   are refused. Chains are merged all the same: they do not keep their history.

A tag that differs is taken as the other side has it. Marks have no history: they are merged with what was agreed on.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

from msgspec import Struct, field
from msgspec.structs import replace

from gitmem.errors import GitmemError
from gitmem.git.ancestry import is_ancestor, merge_bases
from gitmem.git.log import last_touched
from gitmem.git.objects import NO_TREE, Commit, NewObject, Objects, new_object
from gitmem.git.repository import CLOSED, PROPOSALS, Repository
from gitmem.memory import gate
from gitmem.memory.caller import GITMEM, GITMEM_PERSON
from gitmem.memory.chain import graft
from gitmem.memory.memory import FOUNDING, Memory
from gitmem.memory.merge import Merged, Side, merge_trees
from gitmem.memory.settings import PATH, settings_of
from gitmem.memory.versions import Loss, SideName, merge_mark
from gitmem.memory.view import MAIN_PLACE, Place, View
from gitmem.names import counted, shown, slugify
from gitmem.records.codec import Problem

_MERGE = "merge what two clones did\n\nGitmem-Verb: sync\n"
_SLUG_MAX = 40
_NEVER = datetime.fromtimestamp(0, UTC)


class UnrelatedHistory(GitmemError):
    """Two memories that have nothing in common."""

    def __init__(self) -> None:
        super().__init__(
            "The memory here and the one there have no history in common: they are two memories, not two clones of one.",
            fix="Clone the other one with 'gitmem clone', and bring documents over with 'gitmem import'. Nothing was changed.",
        )


class NoMemory(GitmemError):
    """The repository is no memory."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            f"{shown(where, 200)} is no memory of gitmem: {why}.",
            fix="Check the address; 'gitmem init' makes a memory, and 'gitmem hub add URL' puts it on an empty repository.",
        )


class BadArrival(GitmemError):
    """What came in does not pass the gate."""

    def __init__(self, ref: str, problems: Sequence[Problem]) -> None:
        self.problems = problems
        listing = "\n".join(f"- {problem}" for problem in problems)
        super().__init__(
            f"{ref} was not taken over, {counted(len(problems), 'problem')}:\n{listing}",
            fix="Mend the files where they come from, and sync again. Nothing of it was changed here.",
        )


class Meeting(Struct, frozen=True):
    """A ref of two clones: what each has, and what both had when they last agreed ("": nothing)."""

    ref: str
    ours: str
    theirs: str
    agreed: str
    landed: SideName | None = None  # the side that decides, if one does


class Settled(Struct, frozen=True):
    """What a ref is to be on both sides ("": nothing), and how that came about.

    `came` and `went` count the files that are new to each side. `objects` are not on disk yet. `losses` are what the
    merge could not hold, `proposals` the branches, by their commits, that keep what it lost on `main`.
    """

    ref: str
    ours: str
    theirs: str
    new: str
    came: int = 0
    went: int = 0
    is_merge: bool = False
    objects: tuple[NewObject, ...] = ()
    losses: tuple[Loss, ...] = ()
    proposals: Mapping[str, str] = field(default_factory=dict)


def settle(memory: Memory, meeting: Meeting) -> Settled:
    """What a ref is to be on both sides. Raises UnrelatedHistory, NoMemory, NewerFormat, BadArrival."""
    kept = Settled(meeting.ref, meeting.ours, meeting.theirs, meeting.ours or meeting.theirs)
    if meeting.ours == meeting.theirs:  # 1
        return kept
    if meeting.ref.startswith("refs/tags/"):
        return replace(kept, new=meeting.theirs or meeting.ours)
    if is_mark(meeting.ref):
        return _settle_mark(memory, meeting)
    return _Commits(memory, meeting).settled()


def is_mark(ref: str) -> bool:
    """Whether a ref holds a mark: an agent's file, which is no commit."""
    return ref.startswith("refs/gitmem/") and ref.count("/") > 3


def place_of(ref: str) -> Place:
    """The place whose kinds and rules a ref's files follow."""
    family, _, project = ref.removeprefix("refs/gitmem/").partition("/")
    return Place(family, project) if ref.startswith("refs/gitmem/") else MAIN_PLACE


class _Commits:
    """The settling of one ref that holds commits."""

    def __init__(self, memory: Memory, meeting: Meeting) -> None:
        self._memory = memory
        self._objects = memory.repository.objects
        self._meeting = meeting
        self._place = place_of(meeting.ref)
        self._is_chain = self._place != MAIN_PLACE
        self._ours, self._theirs = meeting.ours, meeting.theirs

    def settled(self) -> Settled:
        if self._meeting.ref == MAIN_PLACE.ref and self._theirs:
            _check_is_memory(self._memory.view(commit=self._theirs))
        if not (self._ours and self._theirs):  # 2
            return self._one_sided()
        bases = merge_bases(self._memory.path, self._ours, self._theirs)
        if self._theirs in bases:  # 3
            return self._moved_to(self._ours)
        if self._ours in bases:
            self._check_arrival(self._ours)
            return self._moved_to(self._theirs)
        if self._is_chain and (anew := self._began_anew(bases)):  # 4
            return self._moved_to(anew)
        return self._merged(bases) if bases or self._is_chain else self._joined()  # 5, 6

    def _one_sided(self) -> Settled:
        there, ref = self._ours or self._theirs, self._meeting.ref
        is_over = not self._ours and self._memory.repository.refs.read(CLOSED + ref.removeprefix(PROPOSALS)) is not None
        removed = ref.startswith(PROPOSALS) and (there == self._meeting.agreed or is_over)
        return self._moved_to("" if removed else there)

    def _moved_to(self, new: str) -> Settled:
        came, went = (self._differing(old, new) for old in (self._ours, self._theirs))
        return Settled(self._meeting.ref, self._ours, self._theirs, new, came, went)

    def _differing(self, old: str, new: str) -> int:
        return sum(1 for _ in self._objects.differences(self._tree(old), self._tree(new)))

    def _tree(self, commit: str) -> str:
        return self._objects.commit(commit).tree if commit else NO_TREE

    def _began_anew(self, bases: Sequence[str]) -> str:
        agreed = self._meeting.agreed
        if self._theirs == agreed:
            return ""  # it is ours that did, and a hub does not let its own be rewritten: it gets a merge
        if self._tree(self._theirs) == self._tree(self._ours):
            return self._theirs
        unsaid = not bases and agreed and self._tree(self._ours) == self._tree(agreed)
        return self._theirs if unsaid else ""

    # --- both have moved on --------------------------------------------------------------------------

    def _merged(self, bases: Sequence[str]) -> Settled:
        agreed = self._meeting.agreed
        if self._is_chain and agreed and not any(is_ancestor(self._memory.path, agreed, each) for each in bases):
            # A chain that began anew somewhere: what leads to both by history is older than what both last had.
            bases = [agreed]
        self._check_arrival(bases[0] if bases else "")
        return self._merged_from(self._base_tree(sorted(bases)))

    def _merged_from(self, base_tree: str) -> Settled:
        ours = Side(self._tree(self._ours), Touched(self._memory.repository, self._ours, self._theirs))
        theirs = Side(self._tree(self._theirs), Touched(self._memory.repository, self._theirs, self._ours))
        merged = self._merge(base_tree, ours, theirs, landed=self._meeting.landed)
        tree, objects = graft(self._objects, ours.tree, merged.edits(self._objects))
        parents = tuple(sorted((self._ours, self._theirs)))
        time = max(self._objects.commit(each).time for each in parents)
        commit = self._made(Commit(tree, parents, GITMEM_PERSON, GITMEM_PERSON, time, _MERGE))
        found = replace(
            self._moved_to(commit.oid), is_merge=True, objects=(*objects, commit), losses=merged.losses
        )
        return found if self._is_chain else self._with_proposals(found)

    def _merge(self, base_tree: str, ours: Side, theirs: Side, *, landed: SideName | None = None) -> Merged:
        parsed = self._memory.view(self._place, commit="").parsed
        return merge_trees(self._objects, parsed, self._place, base_tree, ours, theirs, landed=landed)

    def _made(self, commit: Commit) -> NewObject:
        made = new_object("commit", commit.encode())
        self._objects.keep_commit(replace(commit, oid=made.oid))
        return made

    def _base_tree(self, bases: Sequence[str]) -> str:
        """The tree that both come from. Several are merged with each other, as git does, without anything being lost by it."""
        if not bases:
            return NO_TREE
        tree = self._tree(bases[0])
        for other in bases[1:]:
            common = merge_bases(self._memory.path, bases[0], other)
            first = Side(tree, Touched(self._memory.repository, bases[0], other))
            second = Side(self._tree(other), Touched(self._memory.repository, other, bases[0]))
            merged = self._merge(self._tree(min(common, default="")), first, second)
            for blob in merged.blobs.values():
                self._objects.keep_blob(blob.oid, blob.data)
            tree, _ = graft(self._objects, tree, merged.edits(self._objects))
        return tree

    def _with_proposals(self, settled: Settled) -> Settled:
        made: dict[str, str] = {}
        objects: list[NewObject] = []
        onto = self._objects.commit(settled.new)
        for loss in settled.losses:
            if loss.is_told:
                continue
            blob = None if loss.lost is None else new_object("blob", loss.lost)
            tree, new = graft(self._objects, onto.tree, {loss.path: blob})
            if tree == onto.tree:
                continue
            message = f"keep what was lost of {loss.path}\n\n{loss.why}\n\nGitmem-Verb: sync\n"
            commit = self._made(Commit(tree, (settled.new,), GITMEM_PERSON, GITMEM_PERSON, onto.time, message))
            made[proposal_ref(loss)] = commit.oid
            objects += [*new, commit]
        return replace(settled, objects=(*settled.objects, *objects), proposals=made)

    # --- nothing in common -----------------------------------------------------------------------------

    def _joined(self) -> Settled:
        if self._holds_only_its_founding(self._ours):
            return self._moved_to(self._theirs)
        if self._holds_only_its_founding(self._theirs):
            return self._merged_from(self._tree(self._theirs))
        raise UnrelatedHistory

    def _holds_only_its_founding(self, tip: str) -> bool:
        commit = self._objects.commit(tip)
        return not commit.parents and commit.subject == FOUNDING

    # --- what comes in -----------------------------------------------------------------------------------

    def _check_arrival(self, base: str) -> None:
        """What the other side did since `base` passes the gate, but for who did it."""
        before = self._memory.view(self._place, commit=base)
        changes = self._objects.differences(before.tree, self._tree(self._theirs))
        edits = {path: gate.Edit(was, now) for path, was, now in changes}
        # who wrote it was checked by the side that it comes from; here it is checked what it says
        change = gate.Change(before, edits, GITMEM, self._objects.blob, forced=True, several=True, proposed=True)
        if problems := gate.check(change):
            raise BadArrival(self._meeting.ref, problems)


class Touched:
    """When each path was last touched by the commits that lead to a tip and not to another; the tip's time for "" and others.

    Git is asked, once and only if it matters: it goes through thousands of commits in the time of a few here.
    """

    def __init__(self, repository: Repository, tip: str, other: str) -> None:
        self._repository = repository
        self._tip = tip
        self._other = other

    def __call__(self, path: str) -> datetime:
        """The time for a path."""
        tip = self._repository.objects.commit(self._tip).time
        return self._times.get(path, tip) if path else tip

    @cached_property
    def _times(self) -> dict[str, datetime]:
        return last_touched(self._repository.path, self._tip, self._other)


def _check_is_memory(view: View) -> None:
    if view.entry(PATH) is None:
        raise NoMemory("The repository", f"its branch main has no {PATH}")
    settings_of(view)


def proposal_ref(loss: Loss) -> str:
    """The branch that keeps what a merge lost: the same in every clone that loses the same."""
    what = "\0".join((loss.path, *loss.fields)).encode() + b"\0" + (loss.lost or b"")
    name = slugify(loss.path.rpartition("/")[2].rpartition(".")[0])[:_SLUG_MAX].strip("-.")
    return f"{PROPOSALS}{name}-{sha256(what).hexdigest()[:8]}"


def _settle_mark(memory: Memory, meeting: Meeting) -> Settled:
    place, _, _ = meeting.ref.rpartition("/")
    family, project = place.removeprefix("refs/gitmem/").split("/", 1)
    base, ours, theirs = (_content(memory.repository.objects, oid) for oid in (meeting.agreed, meeting.ours, meeting.theirs))
    if ours is None or theirs is None:
        return Settled(meeting.ref, meeting.ours, meeting.theirs, meeting.ours or meeting.theirs)
    data = merge_mark(family, project, base, ours, theirs, ours_time=_NEVER, theirs_time=_NEVER)
    blob = new_object("blob", f"# {meeting.ref}\n".encode() + (data or b""))
    return Settled(meeting.ref, meeting.ours, meeting.theirs, blob.oid, objects=(blob,))


def _content(objects: Objects, oid: str) -> bytes | None:
    return objects.blob(oid).partition(b"\n")[2] if oid else None


def all_refs(names: Iterable[str]) -> list[str]:
    """The refs that are settled, `main` first: what is wrong with it is wrong with all."""
    return sorted({MAIN_PLACE.ref, *names}, key=lambda ref: (ref != MAIN_PLACE.ref, ref))
