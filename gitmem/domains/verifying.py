"""Verifying: whether each commit of the history might have been made by who is said to have made it.

Every commit passes the gate again, as its author, against the memory as it was before it: policies and owners count as
they stood then. The rules themselves are today's, so a history from before a rule is told of as what it is.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from importlib.metadata import version

from msgspec import Struct
from msgspec.structs import replace

import gitmem.domains.kinds  # noqa: F401  declares the record kinds and the gate's rules
from gitmem.domains.ownership.signers import keyring
from gitmem.errors import NotFound
from gitmem.git.bundles import Progress
from gitmem.git.objects import Commit
from gitmem.git.repository import run_git
from gitmem.git.signatures import is_signed, verified
from gitmem.memory import gate
from gitmem.memory.caller import GITMEM_PERSON, Caller
from gitmem.memory.marks import Mark
from gitmem.memory.memory import Memory
from gitmem.memory.pushers import UNPROVEN, Note, note_of
from gitmem.memory.view import MAIN_PLACE, Place, places
from gitmem.names import name_problem, shown
from gitmem.records.codec import Problem
from gitmem.records.kind import KINDS

_ONCE = ("Gitmem-Verb", "Gitmem-Session", "Gitmem-Key")
_NOTED = "verified"


class Fault(Struct, frozen=True):
    """Something that a commit should not have; `path` is "" if it is about the commit itself."""

    ref: str
    commit: str
    author: str
    time: datetime
    subject: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.commit[:10]} {self.author}: {self.what}"


class Verified(Struct, frozen=True):
    """What looking through the history found. `notes` are no faults, but worth knowing."""

    checked: int
    known: int  # that an earlier run had found in order
    signed: int
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


class _Step(Struct, frozen=True):
    """A commit to be judged, on its ref."""

    place: Place
    commit: Commit


def verify(memory: Memory, progress: Progress, *, since: str = "", afresh: bool = False) -> Verified:
    """Check the history of main and of what the team coordinates with. Raises BadArgument for a `since` that is nothing."""
    tips = {place: memory.head(place) for place in _places(memory)}
    known = [] if afresh or since else _noted(memory)
    begin = _beginning(memory, since) if since else None
    steps = [
        _Step(place, commit) for place, tip in tips.items()
        for commit in _commits(memory, tip, [begin.oid] if begin else known)
        if begin is None or place == MAIN_PLACE or commit.time >= begin.time
    ]
    judge = _Judge(memory)
    faults: list[Fault] = []
    notes: list[Fault] = []
    for number, step in enumerate(steps):
        faults += judge.faults(step)
        notes += judge.notes(step)
        progress(number + 1, len(steps))
    signed = [step for step in steps if is_signed(memory.repository.objects, step.commit.oid)]
    wrong, unsure = _signature_problems(memory, signed)
    faults, notes = [*faults, *wrong], [*notes, *unsure]
    if not (faults or since):
        _note(memory, list(tips.values()))
    in_all = sum(int(run_git(memory.path, "rev-list", "--count", tip)) for tip in tips.values())
    return Verified(len(steps), 0 if since else in_all - len(steps), len(signed), tuple(faults), tuple(notes))


def _beginning(memory: Memory, since: str) -> Commit | None:
    """The last commit of main that need not be looked at; None if all of them came since."""
    try:
        return memory.repository.objects.commit(memory.commit_as_of(since))
    except NotFound:
        return None


def _places(memory: Memory) -> Iterator[Place]:
    if memory.head():
        yield MAIN_PLACE
    families = {each.record.ref for each in KINDS.values() if not issubclass(each.record, Mark)} - {MAIN_PLACE.family}
    for family in sorted(families):
        found = places(memory.repository, family)
        yield from (place for place in found if place.project == "shared" or not name_problem(place.project))


def _commits(memory: Memory, tip: str, before: list[str]) -> Iterator[Commit]:
    """The commits of a ref that are new, the oldest first."""
    asked = "".join(f"{oid}\n" for oid in (tip, *(f"^{oid}" for oid in before)))
    for oid in run_git(memory.path, "rev-list", "--topo-order", "--reverse", "--stdin", stdin=asked).split():
        yield memory.repository.objects.commit(oid)


class _Judge:
    """Runs the gate on commits, with what it takes to know who let them in."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def faults(self, step: _Step) -> Iterator[Fault]:
        """What the gate and the commit's own words say against it."""
        yield from (_fault(step, "", what) for what in _message_problems(step.commit))
        problems = self._problems(step)
        if problems and (reviewer := self._reviewer(step)):
            # who took it over answers for it; what it says must be right all the same
            change = self._change(step, reviewer, reviewed=reviewer != step.commit.author.name)
            problems = gate.check(change)
            if problems and (merge := self._let_in.get(step.commit.oid)):
                # what counts is whether they might when they did, which they may have got the right to since it was proposed
                problems = gate.check(replace(change, before=self._memory.view(commit=merge.parents[0])))
        yield from (_fault(step, problem.path, str(problem)) for problem in problems)

    def _reviewer(self, step: _Step) -> str:
        """Who let a commit into main: by a merge, or by pushing what was proposed as it was; "" if nobody did."""
        if step.place != MAIN_PLACE:
            return ""
        merge, note = self._let_in.get(step.commit.oid), self._note(step)
        return merge.author.name if merge else note.let_in_by if note else ""

    def _problems(self, step: _Step) -> list[Problem]:
        change = self._change(step)
        if step.commit.parents or step.commit.author != GITMEM_PERSON or step.place == MAIN_PLACE:
            return gate.check(change)
        # A chain begins anew with what many have written over time: how that came about is in its archive.
        return list(gate.files_are_records(change))

    def notes(self, step: _Step) -> Iterator[Fault]:
        """Whether it came from somebody who proved nothing."""
        if step.place == MAIN_PLACE and (note := self._note(step)) and note.proof == UNPROVEN:
            yield _fault(step, "", f"was pushed by somebody who proved nothing ({note.pusher})")

    def _change(self, step: _Step, name: str = "", *, reviewed: bool = False) -> gate.Change:
        commit, objects = step.commit, self._memory.repository.objects
        before = self._memory.view(step.place, commit=commit.parents[0] if commit.parents else "")
        edits = {path: gate.Edit(old, new) for path, old, new in objects.changes(commit)}
        for parent in commit.parents[1:]:  # what a merge took from another side was judged there
            tree = objects.commit(parent).tree
            edits = {path: edit for path, edit in edits.items() if objects.entry(tree, path) != edit.new}
        return gate.Change(
            before, edits, self._caller(commit, name), objects.blob, forced=True, several=True,
            reviewed=frozenset(edits) if reviewed else frozenset(), made=commit.time,
        )

    def _caller(self, commit: Commit, name: str) -> Caller:
        if name:
            return Caller(name, "declared")
        note = note_of(self._memory.repository, commit.oid)
        if note is not None and commit.author == GITMEM_PERSON:  # that is nobody who pushes
            return Caller(note.pusher or "unknown", "push")
        return Caller(commit.author.name, "none" if commit.author == GITMEM_PERSON else "declared")

    def _note(self, step: _Step) -> Note | None:
        return note_of(self._memory.repository, step.commit.oid)

    @cached_property
    def _let_in(self) -> dict[str, Commit]:
        """The merge on main's own line that brought each commit beside that line."""
        objects, found = self._memory.repository.objects, {}
        path, head = self._memory.path, self._memory.head()
        for merge in run_git(path, "rev-list", "--first-parent", "--merges", "--reverse", head).split() if head else ():
            for oid in run_git(path, "rev-list", f"{merge}^1..{merge}").split():
                if oid != merge:
                    found[oid] = objects.commit(merge)
        return found


def _fault(step: _Step, path: str, what: str) -> Fault:
    commit = step.commit
    return Fault(step.place.ref, commit.oid, commit.author.name, commit.time, commit.subject, path, what)


def _message_problems(commit: Commit) -> Iterator[str]:
    last = commit.message.rstrip("\n").rpartition("\n\n")[2].split("\n")
    for name in _ONCE:
        if sum(line.startswith(f"{name}: ") for line in last) > 1:
            yield f"has more than one {name} trailer"
    session = commit.trailers.get("Gitmem-Session", "")
    if session and commit.author != GITMEM_PERSON and f"_{commit.author.name}_" not in session:
        yield f"says that it was written in the session {shown(session)}, which is not {shown(commit.author.name)}'s"


def _signature_problems(memory: Memory, signed: list[_Step]) -> tuple[list[Fault], list[Fault]]:
    """What is wrong with signatures, and what cannot be said of them."""
    wrong: list[Fault] = []
    unsure: list[Fault] = []
    if not signed:
        return wrong, unsure
    by_oid = {step.commit.oid: step for step in signed}
    for signature in verified(memory.path, list(by_oid), *keyring(memory.view())):
        if signature.wrong:
            (wrong if signature.is_forged else unsure).append(_fault(by_oid[signature.commit], "", signature.wrong))
    return wrong, unsure


# --- what an earlier run found in order -----------------------------------------------------------


def _noted(memory: Memory) -> list[str]:
    try:
        noted = json.loads((memory.repository.private / _NOTED).read_text())
        if noted["gitmem"] != version("gitmem-server"):  # other rules
            return []
        tips = [str(tip) for tip in noted["tips"]]
    except (OSError, ValueError, KeyError, TypeError):  # only a cache
        return []
    asked = "".join(f"{tip}\n" for tip in tips)
    here = run_git(memory.path, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked) if tips else ""
    return [line.split()[0] for line in here.splitlines() if line.endswith(" commit")]


def _note(memory: Memory, tips: list[str]) -> None:
    path = memory.repository.private / _NOTED
    beside = path.with_suffix(".new")
    try:
        beside.write_text(json.dumps({"gitmem": version("gitmem-server"), "tips": tips}))
        beside.replace(path)
    except OSError:  # a read-only memory is verified without it
        beside.unlink(missing_ok=True)
