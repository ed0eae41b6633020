"""Keeping a memory in step with a hub: fetch, settle every ref, push with a lease, then move the local refs.

The order makes it safe to be killed anywhere: what is pushed is complete, local refs only move by compare-and-swap,
and what both sides agreed on is noted last. Whoever comes again starts from what is there.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from filelock import FileLock, Timeout

from gitmem.errors import GitmemError
from gitmem.git.objects import NewObject
from gitmem.git.refs import RefLocked
from gitmem.git.remote import Progress, Pushed, Remote, Update
from gitmem.git.repository import MAIN, run_git
from gitmem.memory.hubs import Hub
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.memory.settling import Settled, settle_commits
from gitmem.memory.view import MAIN_PLACE

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


class Busy(GitmemError):
    """Another sync of the same memory is under way."""

    def __init__(self) -> None:
        super().__init__("Another sync of this memory is under way.", fix="Wait for it; sync again if it did not help.")


@dataclass(frozen=True)
class RefReport:
    """What a sync did to one ref: files that came and that went, whether both sides were merged."""

    ref: str
    came: int
    went: int
    merged: bool = False


@dataclass(frozen=True)
class Refusal:
    """A ref that could not be brought together, and why."""

    ref: str
    why: str
    fix: str = ""


@dataclass(frozen=True)
class Report:
    """What a sync with one hub did."""

    hub: str
    refs: tuple[RefReport, ...] = ()
    refused: tuple[Refusal, ...] = ()
    proposals: tuple[str, ...] = ()


class Sync:
    """One memory and one hub, for the time of one sync."""

    def __init__(self, memory: Memory, hub: Hub, remote: Remote) -> None:
        self._memory = memory
        self._repository = memory.repository
        self._hub = hub
        self._remote = remote
        self._done: dict[str, RefReport] = {}
        self._refused: dict[str, Refusal] = {}

    def run(self) -> Report:
        """Bring both sides together. Raises StillRacing, Busy, StorageFailed, and what the way to the hub raises."""
        patience = self._remote.patience
        lock = FileLock(self._repository.private / LOCK, timeout=_PATIENCE_SECONDS if patience is None else patience)
        try:
            with lock:
                self._run()
        except Timeout:
            raise Busy from None
        except OSError as error:
            raise StorageFailed(error) from error
        return Report(self._hub.name, tuple(self._done.values()), tuple(self._refused.values()))

    def _run(self) -> None:
        for _ in range(ROUNDS):
            self._remote.fetch(*self._hub.refspecs())
            if not (lost := self._round()):
                return
        raise StillRacing(self._hub, lost)

    def _round(self) -> list[str]:
        """Settle and move every ref once; those for which somebody else was faster."""
        self._refused.clear()
        settled = list(self._settled())
        with self._written([each for one in settled for each in one.objects]):
            pushed = {each.update.ref: each for each in self._push(settled)}
            return [one.ref for one in settled if not self._conclude(one, pushed.get(one.ref))]

    def _settled(self) -> Iterator[Settled]:
        try:
            yield settle_commits(
                self._memory, MAIN_PLACE, self._memory.head(), self._theirs(MAIN)
            )
        except GitmemError as error:
            self._refused[MAIN] = Refusal(MAIN, error.message, error.fix)

    def _theirs(self, ref: str) -> str:
        return self._repository.refs.read(self._hub.tracking(ref)) or ""

    def _agreed(self, ref: str) -> str:
        return self._repository.refs.read(self._hub.agreed(ref)) or ""

    def _written(self, new: list[NewObject]) -> ExitStack:
        stack = ExitStack()
        if new:
            self._memory.upkeep.flushed(stack.enter_context(self._repository.objects.written(new)))
        return stack

    def _push(self, settled: Sequence[Settled]) -> list[Pushed]:
        updates = [Update(each.ref, each.theirs, each.new) for each in settled if each.theirs != each.new]
        return self._remote.push(updates) if updates else []

    def _conclude(self, one: Settled, pushed: Pushed | None) -> bool:
        """Move the local ref, and note what was agreed; False if somebody else was faster, here or there."""
        if pushed and pushed.outcome == "lost":
            return False
        if one.ours != one.new and not self._take(one):
            return False
        if pushed and pushed.outcome == "refused":
            self._refused[one.ref] = Refusal(one.ref, pushed.said, "What is here stays here until the hub takes it.")
            one = replace(one, went=0)
        else:
            self._note_agreed(one)
        before = self._done.get(one.ref, RefReport(one.ref, 0, 0))
        if one.came or one.went:
            self._done[one.ref] = RefReport(one.ref, before.came + one.came, one.went, before.merged or one.is_merge)
        return True

    def _take(self, one: Settled) -> bool:
        with self._memory.writer.alone():
            self._repository.refs.note_arrival(one.ref, one.ours or None, one.new, f"sync: {self._hub.name}")
            try:
                return self._repository.refs.swap(one.ref, one.ours or None, one.new)
            except RefLocked:
                return False

    def _note_agreed(self, one: Settled) -> None:
        for ref in (self._hub.tracking(one.ref), self._hub.agreed(one.ref)):
            if self._repository.refs.read(ref) != one.new:
                run_git(self._repository.path, "update-ref", ref, one.new)


def sync_with(
    memory: Memory, hubs: Sequence[Hub], *, asks: bool = False, patience: float | None = None, progress: Progress | None = None
) -> list[Report]:
    """Sync with hubs in turn, again while one of them brought what the others lack; a report for each."""
    reports: dict[str, Report] = {}
    for _ in range(ROUNDS):
        heads = memory.repository.refs.list("refs/")
        for hub in hubs:
            report = Sync(memory, hub, hub.remote(memory.repository, patience=patience, asks=asks, progress=progress)).run()
            reports[hub.name] = _together(reports.get(hub.name), report)
        if len(hubs) == 1 or memory.repository.refs.list("refs/") == heads:
            break
    return list(reports.values())


def _together(before: Report | None, after: Report) -> Report:
    if before is None:
        return after
    return replace(after, refs=before.refs + after.refs, proposals=before.proposals + after.proposals)
