"""Settling one ref between two clones: what both are to have, given what each has and what they last agreed on.

Nothing is written here. The scenarios of a branch of commits, main or a chain:

1. both have the same: nothing to do;
2. only one side has moved on: the other follows;
3. a chain began anew on one side (upkeep), the other has the same records or nothing new: theirs is taken;
4. both have moved on: one merge commit, the same whoever makes it;
5. nothing in common: a memory that holds nothing but its founding takes the other side's history; else it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitmem.errors import GitmemError
from gitmem.git.objects import NewObject, Objects
from gitmem.git.repository import GitFailed, Repository, run_git
from gitmem.memory import gate
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.memory.view import NO_TREE, Place
from gitmem.records.codec import Problem

FOUNDING = "found this memory"
MESSAGE = "merge what two clones did\n\nGitmem-Verb: sync\n"
# Who wrote what comes in was checked by the side that it comes from; here it is checked what it says.
SYNC = Caller("gitmem", "push")


class UnrelatedHistory(GitmemError):
    """Two memories that have nothing in common."""

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"{ref} here and there have no history in common: they are two memories, not two clones of one.",
            fix="Clone the other one with 'gitmem clone', and bring documents over with 'gitmem import'. Nothing was changed.",
        )


class BadArrival(GitmemError):
    """What came in does not pass the gate."""

    def __init__(self, ref: str, problems: Sequence[Problem]) -> None:
        self.problems = problems
        listing = "\n".join(f"- {problem}" for problem in problems)
        super().__init__(
            f"{ref} was not taken over, {len(problems)} problem{'s' if len(problems) > 1 else ''}:\n{listing}",
            fix="Mend the files where they come from, and sync again. Nothing of it was changed here.",
        )


@dataclass(frozen=True)
class Settled:
    """What a ref is to be on both sides ("": there is none), and what that means.

    `came` and `went` count the files that differ here and there afterwards. `objects` are new.
    """

    ref: str
    ours: str
    theirs: str
    new: str
    came: int = 0
    went: int = 0
    is_merge: bool = False
    objects: tuple[NewObject, ...] = ()
    proposals: Mapping[str, str] = field(default_factory=dict)  # what lost in the merge: branches by their commits


def settle_commits(memory: Memory, place: Place, ours: str, theirs: str) -> Settled:
    """Settle main or a chain. Raises UnrelatedHistory, BadArrival."""
    objects, ref = memory.repository.objects, place.ref
    if ours == theirs or not theirs:
        return _moved(objects, ref, ours, theirs, ours)
    if not ours:
        return _moved(objects, ref, ours, theirs, theirs)  # one bad file must not keep anybody from cloning
    bases = merge_bases(memory.repository, ours, theirs)
    if theirs in bases:
        return _moved(objects, ref, ours, theirs, ours)
    if ours in bases:
        return _checked(memory, place, _moved(objects, ref, ours, theirs, theirs))
    raise UnrelatedHistory(ref)


def merge_bases(repository: Repository, ours: str, theirs: str) -> list[str]:
    """The best common ancestors of two commits."""
    try:
        return run_git(repository.path, "merge-base", "--all", ours, theirs).split()
    except GitFailed:  # there is none
        return []


def _moved(objects: Objects, ref: str, ours: str, theirs: str, new: str) -> Settled:
    came, went = (_differing(objects, old, new) for old in (ours, theirs))
    return Settled(ref, ours, theirs, new, came, went)


def _differing(objects: Objects, old: str, new: str) -> int:
    if old == new:
        return 0
    return sum(1 for _ in objects.differences(_tree(objects, old), _tree(objects, new)))


def _tree(objects: Objects, commit: str) -> str | None:
    tree = objects.commit(commit).tree if commit else NO_TREE
    return None if tree == NO_TREE else tree


def _checked(memory: Memory, place: Place, settled: Settled) -> Settled:
    before = memory.view(place, commit=settled.ours)
    objects = memory.repository.objects
    edits = objects.differences(_tree(objects, settled.ours), _tree(objects, settled.new))
    change = gate.Change(
        before, {path: gate.Edit(was, now) for path, was, now in edits}, SYNC, objects.blob, forced=True, proposed=True
    )
    if problems := gate.check(change):
        raise BadArrival(settled.ref, problems)
    return settled


def holds_only_its_founding(memory: Memory, tip: str) -> bool:
    """Whether nothing was written yet to a memory whose main is at `tip`."""
    commit = memory.repository.objects.commit(tip)
    return not commit.parents and commit.subject == FOUNDING
