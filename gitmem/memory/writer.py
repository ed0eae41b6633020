"""The writer: many callers' changes become a chain of commits, one flush, one move of the ref.

Whoever finds nobody writing writes for all who wait (a leader among the callers' own threads, so there
is no daemon to lose). Across processes a file lock keeps the flushes apart, and the compare-and-swap of
the ref holds even against programs that know nothing of that lock, such as a push.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from filelock import FileLock

from gitmem.git.maintenance import WRITE_LOCK, Upkeep
from gitmem.git.objects import EMPTY_TREE, FILE, FOLDER, Commit, Entry, NewObject, Objects, Person, new_object
from gitmem.git.refs import RefLocked
from gitmem.git.repository import Repository
from gitmem.memory.pending import PendingCommit, Stale, StorageFailed
from gitmem.memory.view import NO_TREE, names_at

GITMEM = Person("gitmem", "gitmem@gitmem")
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
        self._queue: list[_Waiting] = []
        self._changed = threading.Condition()
        self._is_led = False
        self._crowd = 1  # how many wrote together last time
        self._across_processes = FileLock(repository.private / WRITE_LOCK, thread_local=False)
        self._holders = 0  # of that lock in this process: the one who stands in line, and whoever leads meanwhile
        self._holding = threading.Lock()
        self._line = threading.RLock()  # who stands in line may have a part of the call stand in line again
        self._line_across_processes = FileLock(repository.private / "line.lock", thread_local=False)

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
            self._write(batch)
        finally:
            with self._changed:
                self._pass_on()
            for each in batch:
                each.turn.set()

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
            chain = _Chain(self._repository.objects, tip)
            for each in batch:
                chain.add(each)
            try:
                if chain.is_empty or self._publish(ref, tip, chain):
                    for each in batch:
                        each.done = True
                    return
            except (RefLocked, FileNotFoundError):
                continue  # `git gc --prune=now` clears away unfinished packs, those of the living too
        for each in batch:
            each.fail(StorageFailed(OSError(f"{ref} stays locked or keeps changing")))

    def _publish(self, ref: str, tip: str | None, chain: "_Chain") -> bool:
        with self._repository.objects.written(chain.new) as made:
            self._upkeep.flushed(made)
            return self._repository.refs.swap(ref, tip, chain.head)


class _Chain:
    """Commits in memory on top of a tip, to be written in one flush."""

    def __init__(self, objects: Objects, tip: str | None) -> None:
        self._objects = objects
        self._tip = self.head = tip or ""
        self._tree = objects.commit(tip).tree if tip else NO_TREE
        self.new: list[NewObject] = []

    @property
    def is_empty(self) -> bool:
        return self.head == self._tip

    def add(self, waiting: _Waiting) -> None:
        """Append its commit, or note why that cannot be."""
        waiting.error, waiting.commit = None, ""
        pending = waiting.pending
        if pending.base != self.head and (changed := self._changed(pending)):
            waiting.error = Stale(self.head, changed)
            return
        tree, new = graft(self._objects, self._tree, pending.edits)
        if tree == self._tree and not pending.merges:
            return
        parents = ((self.head,) if self.head else ()) + pending.merges
        commit = Commit(tree, parents, pending.author, GITMEM, pending.time, pending.message)
        made = new_object("commit", commit.encode())
        waiting.commit = made.oid
        self._objects.keep_commit(replace(commit, oid=made.oid))
        self.new += [*new, made]
        self.head, self._tree = made.oid, tree

    def _changed(self, pending: PendingCommit) -> list[str]:
        read = [path for path, seen in pending.reads.items() if self._entry(path) != seen]
        listed = [path for path, seen in pending.listings.items() if names_at(self._objects, self._tree, path) != seen]
        return read + listed

    def _entry(self, path: str) -> Entry | None:
        # the tree of an emptied ref is written with the batch, so it may not be there yet
        return self._objects.entry(self._tree, path) if self._tree != NO_TREE else None


def graft(objects: Objects, tree_oid: str, edits: Mapping[str, NewObject | None]) -> tuple[str, list[NewObject]]:
    """A tree with files set or removed: its id, and the objects that are new. Folders that get empty go."""
    new: list[NewObject] = [blob for blob in edits.values() if blob is not None]
    oid = _graft(objects, tree_oid, {tuple(path.split("/")): blob for path, blob in edits.items()}, new)
    if oid is None:
        new.append(new_object("tree", b""))  # git wants even the empty tree to be there
    return oid or NO_TREE, new


def _graft(
    objects: Objects, tree_oid: str, edits: Mapping[tuple[str, ...], NewObject | None], new: list[NewObject]
) -> str | None:
    tree = objects.tree(tree_oid) if tree_oid != NO_TREE else EMPTY_TREE
    below: dict[str, dict[tuple[str, ...], NewObject | None]] = {}
    for (name, *rest), blob in edits.items():
        if rest:
            below.setdefault(name, {})[tuple(rest)] = blob
        else:
            tree = tree.with_entry(name, Entry(FILE, blob.oid) if blob else None)
    for name, inner in below.items():
        old = tree.entries.get(name)
        start = old.oid if old and old.mode == FOLDER else NO_TREE
        grafted = _graft(objects, start, inner, new)
        tree = tree.with_entry(name, Entry(FOLDER, grafted) if grafted else None)
    if not tree.entries:
        return None
    made = new_object("tree", tree.data)
    if made.oid != tree_oid:
        objects.keep_tree(made.oid, tree)
        new.append(made)
    return made.oid
