"""Keeping a memory in step with a hub: fetch, settle every ref, push with a lease, then move the local refs.

The order makes it safe to be killed anywhere: what is pushed is complete, local refs only move by compare-and-swap,
and what both sides agreed on is noted last. Whoever comes again starts from what is there.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

from filelock import Timeout
from msgspec import Struct
from msgspec.structs import replace

from gitmem.errors import GitmemError
from gitmem.git.locking import PrivateLock
from gitmem.git.objects import NewObject
from gitmem.git.refs import RefLocked
from gitmem.git.remote import NoSuchRef, Progress, Pushed, Remote, Update
from gitmem.git.repository import MAIN, PROPOSALS, GitFailed, run_git
from gitmem.memory.hubs import TAGS, Hub
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.memory.settings import NewerFormat
from gitmem.memory.settling import (
    Meeting,
    NoMemory,
    Settled,
    UnrelatedHistory,
    all_refs,
    is_mark,
    settle,
)
from gitmem.memory.telling import TELLERS, Lost
from gitmem.names import name_problem
from gitmem.records.kind import KINDS

ROUNDS = 12
LOCK = "sync.lock"
_PATIENCE_SECONDS = 600.0


class StillRacing(GitmemError):
    """The hub kept moving."""

    def __init__(self, hub: Hub, refs: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(refs)} of {hub.name} kept changing while {ROUNDS} attempts were made. Nothing was lost.",
            fix="Sync again in a moment.",
        )


class AlreadySyncing(GitmemError):
    """Another sync of the same memory is under way."""

    def __init__(self) -> None:
        super().__init__("Another sync of this memory is under way.", fix="Wait for it; sync again if it did not help.")


class RefReport(Struct, frozen=True):
    """What a sync did to one ref: how many files came and went, and whether both sides were merged."""

    ref: str
    came: int
    went: int
    merged: bool = False


class Refusal(Struct, frozen=True):
    """A ref that could not be brought together, and why."""

    ref: str
    why: str
    fix: str = ""


class Report(Struct, frozen=True):
    """What a sync with one hub did. `proposals` are the branches that keep what was lost on main."""

    hub: str
    refs: tuple[RefReport, ...] = ()
    refused: tuple[Refusal, ...] = ()
    lost: tuple[Lost, ...] = ()
    proposals: tuple[str, ...] = ()

    def after(self, earlier: "Report") -> "Report":
        """Both as one: what could not be done counts as it is now."""
        known = {each.ref: each for each in earlier.refs}
        for each in self.refs:
            before = known.get(each.ref, RefReport(each.ref, 0, 0))
            known[each.ref] = RefReport(
                each.ref, before.came + each.came, before.went + each.went, before.merged or each.merged
            )
        return replace(
            self, refs=tuple(known.values()), lost=earlier.lost + self.lost, proposals=earlier.proposals + self.proposals
        )


class Sync:
    """One memory and one hub, for the time of one sync. `only`: one ref instead of all."""

    def __init__(self, memory: Memory, hub: Hub, remote: Remote, *, only: str = "") -> None:
        self._memory = memory
        self._repository = memory.repository
        self._hub = hub
        self._remote = remote
        self._only = only
        self._report = Report(hub.name)
        self._refused: set[str] = set()

    def run(self) -> Report:
        """Bring both sides together. Raises StillRacing, AlreadySyncing, StorageFailed, and what the way to the hub raises."""
        try:
            with self._alone():
                self._run()
        except Timeout:
            raise AlreadySyncing from None
        except OSError as error:
            raise StorageFailed(error) from error
        finally:
            if ours := [each for each in self._report.lost if each.loss.side == "ours"]:
                for tell in TELLERS:
                    tell(self._memory, ours)
        return self._report

    def _alone(self) -> AbstractContextManager[object]:
        # a call that asks about one ref does not wait for a sync of everything
        return nullcontext() if self._only else PrivateLock(self._repository.private / LOCK).acquire(timeout=_PATIENCE_SECONDS)

    def _run(self) -> None:
        lost: list[str] = []
        for _ in range(ROUNDS):
            self._fetch()
            if not (lost := self._round()):
                return
        raise StillRacing(self._hub, lost)

    def _fetch(self) -> None:
        refspecs = self._hub.refspecs(self._only)
        try:
            self._remote.fetch(*refspecs)
        except NoSuchRef:  # a hub that is empty has no main, which is the only ref that is named as a whole
            self._remote.fetch(*(each for each in refspecs if f"{MAIN}:" not in each))
            self._update({self._hub.tracking(MAIN): ""})
        if self._repository.is_partial:
            tips = self._repository.refs.list(self._hub.tracking("")).items()
            self._remote.complete(*(oid for ref, oid in tips if not is_mark(self._hub.untracked(ref))))

    def _round(self) -> list[str]:
        """Settle and move every ref once; those for which somebody else was faster."""
        self._report = replace(self._report, refused=())
        self._refused.clear()
        settled = list(self._settled())
        with self._written(settled):
            pushed = self._pushed(settled)
            lost = [one.ref for one in settled if not self._conclude(one, pushed.get(one.ref))]
        agreed = (one for one in settled if one.ref not in lost and one.ref not in self._refused)
        self._update({ref: one.new for one in agreed for ref in (self._hub.tracking(one.ref), self._hub.agreed(one.ref))})
        self._memory.upkeep.fetched()
        return lost

    # --- settling ----------------------------------------------------------------------------------

    def _settled(self) -> Iterator[Settled]:
        for meeting in self._meetings():
            try:
                one = settle(self._memory, meeting)
            except (UnrelatedHistory, NoMemory, NewerFormat):
                raise
            except GitmemError as error:
                self._refuse(meeting.ref, error.message, error.fix)
                continue
            yield one
            for ref, commit in one.proposals.items():
                ours, theirs = (self._repository.refs.read(name) or "" for name in (ref, self._hub.tracking(ref)))
                if not (ours or theirs):
                    yield Settled(ref, "", "", commit)

    def _meetings(self) -> Iterator[Meeting]:
        refs, hub = self._repository.refs, self._hub
        ours = shared_refs(self._memory)
        theirs = {hub.untracked(ref): oid for ref, oid in refs.list(hub.tracking("")).items()}
        for ref in all_refs(ours.keys() | theirs.keys()):
            if is_shared(ref) and self._only in ("", ref):
                agreed = refs.read(hub.agreed(ref)) or ""
                yield Meeting(ref, ours.get(ref, ""), theirs.get(ref, ""), agreed, "theirs" if hub.decides else None)

    # --- moving --------------------------------------------------------------------------------------

    def _written(self, settled: Iterable[Settled]) -> ExitStack:
        new: list[NewObject] = []
        for one in settled:
            if is_mark(one.ref):
                for each in one.objects:  # goes by itself when it is overwritten
                    self._repository.objects.write_loose(each)
            else:
                new += one.objects
        stack = ExitStack()
        if new:
            stack.enter_context(self._repository.objects.written(new))
        return stack

    def _pushed(self, settled: Sequence[Settled]) -> dict[str, Pushed]:
        """Push all that is to move; what a hook refuses with the others is tried again by itself."""
        updates = [Update(each.ref, each.theirs, each.new) for each in settled if each.theirs != each.new]
        done = {each.update.ref: each for each in self._remote.push(updates)} if updates else {}
        refused = [each.update for each in done.values() if each.outcome == "refused"]
        if len(updates) > 1:
            marks = [each for each in refused if is_mark(each.ref)]
            alone = [[each] for each in refused if not is_mark(each.ref)]
            done |= {each.update.ref: each for group in [*alone, marks] if group for each in self._remote.push(group)}
        return done

    def _conclude(self, one: Settled, pushed: Pushed | None) -> bool:
        """Move the local ref; False if somebody else was faster, here or there."""
        if pushed and pushed.outcome == "lost":
            return False
        if one.ours != one.new and not self._take(one):
            return False
        refused = pushed is not None and pushed.outcome == "refused"
        if pushed is not None and refused:
            self._refuse(one.ref, pushed.said, "What is here stays here until the hub takes it.")
        self._note(replace(one, went=0) if refused else one)
        return True

    def _take(self, one: Settled) -> bool:
        if not one.new:
            return self._update({one.ref: ""}, old=one.ours)
        with self._memory.writer.alone():
            if not is_mark(one.ref):
                self._repository.refs.note_arrival(one.ref, one.ours or None, one.new, f"sync: {self._hub.name}")
            try:
                return self._repository.refs.swap(one.ref, one.ours or None, one.new)
            except RefLocked:
                return False

    def _update(self, refs: dict[str, str], *, old: str = "") -> bool:
        """Set or remove refs of our own; whether that could be done."""
        moving = {ref: new for ref, new in refs.items() if (self._repository.refs.read(ref) or "") != new}
        lines = "".join(f"update {ref} {new}\n" if new else f"delete {ref} {old}\n" for ref, new in moving.items())
        if lines:
            try:
                run_git(self._repository.path, "update-ref", "--stdin", stdin=lines)
            except GitFailed:
                return False
        return True

    # --- telling -------------------------------------------------------------------------------------

    def _refuse(self, ref: str, why: str, fix: str) -> None:
        # there may be a mark for each agent, and what holds for one mostly holds for all
        if not (is_mark(ref) and any(map(is_mark, self._refused))):
            self._report = replace(self._report, refused=(*self._report.refused, Refusal(ref, why, fix)))
        self._refused.add(ref)

    def _note(self, one: Settled) -> None:
        told = (RefReport(one.ref, one.came, one.went, one.is_merge),) if one.came or one.went or one.is_merge else ()
        step = Report(
            self._hub.name, told, self._report.refused, tuple(Lost(one.ref, loss) for loss in one.losses), tuple(one.proposals)
        )
        self._report = step.after(self._report)


def shared_refs(memory: Memory) -> dict[str, str]:
    """The refs of a memory that clones share."""
    prefixes = ("refs/heads/", *TAGS, "refs/gitmem/")
    every = {ref: oid for prefix in prefixes for ref, oid in memory.repository.refs.list(prefix).items()}
    return {ref: oid for ref, oid in every.items() if is_shared(ref)}


def is_shared(ref: str) -> bool:
    """Whether a ref is one that clones share; a hub may have others, of a newer gitmem or of nobody."""
    if not ref.startswith("refs/gitmem/"):
        return ref == MAIN or ref.startswith((PROPOSALS, *TAGS))
    family, *names = ref.removeprefix("refs/gitmem/").split("/")
    known = any(kind.record.ref == family for kind in KINDS.values())
    return known and 1 <= len(names) <= 2 and not any(name_problem(each) for each in names if each != "shared")


def sync_with(
    memory: Memory, hubs: Sequence[Hub], *, asks: bool = False, patience: float | None = None, progress: Progress | None = None
) -> list[Report]:
    """Sync with hubs in turn, again while one of them brought what the others lack; a report for each."""
    reports: dict[str, Report] = {}
    for _ in range(ROUNDS):
        before = shared_refs(memory)
        for hub in hubs:
            report = Sync(memory, hub, hub.remote(memory.repository, patience=patience, asks=asks, progress=progress)).run()
            reports[hub.name] = report.after(reports[hub.name]) if hub.name in reports else report
        if len(hubs) == 1 or shared_refs(memory) == before:
            break
    return list(reports.values())
