"""The writer: many callers' changes become a chain of commits, one flush, one move of the ref.

Whoever finds nobody writing writes for all who wait (a leader among the callers' own threads, so there
is no daemon to lose). Across processes a file lock keeps the flushes apart, and the compare-and-swap of
the ref holds even against programs that know nothing of that lock, such as a push.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gitmem.git.locking import PrivateLock
from gitmem.git.maintenance import WRITE_LOCK, Upkeep
from gitmem.git.refs import RefLocked
from gitmem.git.repository import Repository
from gitmem.memory.chain import Chain
from gitmem.memory.pending import PendingCommit, Stale, StorageFailed

log = logging.getLogger(__name__)

_BATCH_MAX = 64
_GATHER_SECONDS = 0.004
_SWAP_TRIES = 20


class _Waiting:
    """A pending commit in the queue, and what became of it."""

    __slots__ = ("commit", "done", "error", "pending", "turn")

    def __init__(self, pending: PendingCommit) -> None:
        self.pending = pending
        self.commit = ""
        self.error: BaseException | None = None
        self.done = False
        self.turn = threading.Event()  # set when it is written, or when its caller is to lead

    def fail(self, error: BaseException) -> None:
        self.error, self.done = error, True

    def append_to(self, chain: Chain) -> None:
        """Put its commit at the end of a chain, or note why that cannot be."""
        self.error, self.commit = None, ""
        try:
            self.commit = chain.add(self.pending)
        except Stale as stale:
            self.error = stale


class _Alone(_Waiting):
    """Somebody in the queue who wants to do more than to propose: no batch goes past them."""

    __slots__ = ()

    def __init__(self) -> None:
        self.error, self.done, self.turn = None, False, threading.Event()


class Writer:
    """Serialises the commits of one process to one repository."""

    def __init__(self, repository: Repository, upkeep: Upkeep) -> None:
        self._repository = repository
        self._upkeep = upkeep
        self.listeners: list[Callable[[PendingCommit], None]] = []  # told what a lone caller is about to have flushed
        self._queue: list[_Waiting] = []
        self._changed = threading.Condition()
        self._is_led = False
        self._crowd = 1  # how many wrote together last time
        self._across_processes = PrivateLock(repository.private / WRITE_LOCK, thread_local=False)
        self._holders = 0  # of that lock in this process: the one who stands in line, and whoever leads meanwhile
        self._holding = threading.Lock()
        self._line = threading.RLock()  # who stands in line may have a part of the call stand in line again
        self._line_across_processes = PrivateLock(repository.private / "line.lock", thread_local=False)

    def land(self, pending: PendingCommit) -> str:
        """Commit what is pending durably; the id of its commit, "" if it changes nothing.

        Raises Stale if what it read has changed, StorageFailed if the disk refuses.
        """
        waiting = _Waiting(pending)
        leads = self._join(waiting)
        try:
            if not leads:
                waiting.turn.wait()
            if not waiting.done:
                self._lead()
        except BaseException:
            self._leave(waiting, leads=leads or waiting.turn.is_set())
            raise
        if waiting.error is not None:
            raise waiting.error
        return waiting.commit

    def _join(self, waiting: _Waiting) -> bool:
        """Get into the queue; whether that means to lead."""
        with self._changed:
            self._queue.append(waiting)
            self._changed.notify()
            leads, self._is_led = not self._is_led, True
        return leads

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all others of all processes from writing for the block, which should be short. Pushes do not ask."""
        waiting = _Alone()
        leads = self._join(waiting)
        try:
            if not leads:
                waiting.turn.wait()
            with self._apart():
                yield
        finally:
            self._leave(waiting, leads=leads or waiting.turn.is_set())

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """Stand in line with all others, of all processes, who lost races: one at a time is in the block.

        No other process writes meanwhile: it would be those who never stood in line who win again.
        """
        with self._line, self._line_across_processes.acquire(poll_interval=0.002), self._apart():
            yield

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Keep the other processes from writing."""
        with self._holding:
            if not self._holders:
                self._across_processes.acquire(poll_interval=0.002)
            self._holders += 1
        try:
            yield
        finally:
            with self._holding:
                self._holders -= 1
                if not self._holders:
                    self._across_processes.release()

    def _leave(self, waiting: _Waiting, *, leads: bool) -> None:
        # A caller that is interrupted must not keep its place, nor the lead that fell to it meanwhile.
        with self._changed:
            if waiting in self._queue:
                self._queue.remove(waiting)
                if leads:
                    self._pass_on()

    def _pass_on(self) -> None:
        self._is_led = bool(self._queue)
        if self._queue:
            self._queue[0].turn.set()

    def _lead(self) -> None:
        # the leader is always the first of the queue, so it is in the batch
        batch = self._gather()
        try:
            if len(batch) == 1:  # a crowd keeps the processor busy by itself
                self._tell(batch[0].pending)
            self._write(batch)
        finally:
            with self._changed:
                self._pass_on()
            for each in batch:
                each.turn.set()

    def _tell(self, pending: PendingCommit) -> None:
        for listener in self.listeners:
            try:
                listener(pending)
            except Exception:  # listeners save time, and no write may fail for that
                log.exception("a listener failed before a write to %s", pending.ref)

    def _gather(self) -> list[_Waiting]:
        # Whoever wrote together a moment ago is about to write again: waiting a little for them saves
        # a flush for each. A lone caller never waits.
        with self._changed:
            if self._crowd > 1:
                self._changed.wait_for(lambda: len(self._queue) >= self._crowd, timeout=_GATHER_SECONDS)
            alone = (place for place, each in enumerate(self._queue[:_BATCH_MAX]) if isinstance(each, _Alone))
            count = next(alone, _BATCH_MAX)
            batch, self._queue = self._queue[:count], self._queue[count:]
        self._crowd = len(batch)
        return batch

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            with self._apart():
                for ref in dict.fromkeys(each.pending.ref for each in batch):
                    self._write_ref(ref, [each for each in batch if each.pending.ref == ref])
        except OSError as error:
            for each in batch:
                if not each.done:
                    each.fail(StorageFailed(error))
        except BaseException as error:
            for each in batch:
                if not each.done:
                    each.fail(error)
            raise

    def _write_ref(self, ref: str, batch: list[_Waiting]) -> None:
        for _ in range(_SWAP_TRIES):
            tip = self._repository.refs.read(ref)
            chain = Chain(self._repository.objects, tip)
            for each in batch:
                each.append_to(chain)
            try:
                if chain.is_empty or self._publish(ref, tip, chain):
                    for each in batch:
                        each.done = True
                    return
            except (RefLocked, FileNotFoundError):
                continue  # `git gc --prune=now` clears away unfinished packs, those of the living too
        for each in batch:
            each.fail(StorageFailed(OSError(f"{ref} stays locked or keeps changing")))

    def _publish(self, ref: str, tip: str | None, chain: Chain) -> bool:
        with self._repository.objects.written(chain.new) as made:
            self._upkeep.flushed(made)
            return self._repository.refs.swap(ref, tip, chain.head)
