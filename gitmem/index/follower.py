"""Keeping up with the memory: for any commit, an index and an overlay that together are exactly that commit."""

import logging
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice, pairwise
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitmem.errors import GitmemError
from gitmem.git.objects import MissingObject
from gitmem.index.changes import Changes
from gitmem.index.overlay import Overlay
from gitmem.index.passages import Change, Passage
from gitmem.index.schema import SCHEMA_VERSION
from gitmem.index.store import NOTHING, Base, Damaged, Edits, Store, place_of
from gitmem.memory.memory import Memory
from gitmem.memory.view import Place, View

log = logging.getLogger(__name__)

FOLD_AT = 64  # overlaid passages
FOLD_AFTER = timedelta(seconds=2)
_IDLE_SECONDS = 5.0  # without anything to fold, the writer is let go for other processes
_BULK = 2000  # differing files from which the index is brought up instead of an overlay
_STEPS_MAX = 500
_KEPT = 4
_BATCH = 10_000
_PATIENCE_SECONDS = 2.0  # that a search waits for another's rebuild before it answers with what there is


class Unwritable(GitmemError):
    """The index cannot be written where it belongs."""

    def __init__(self, folder: Path, error: Exception) -> None:
        super().__init__(
            f"The search index at {folder} cannot be written: {error}.",
            fix="Free space or make the folder writable; the records themselves are not touched by this.",
        )


class Snapshot(Struct, frozen=True):
    """All that a search at one commit needs."""

    base: Base
    overlay: Overlay
    step: int
    commit: str
    rebuilding: bool = False


class _Epoch(Struct, frozen=True):
    """An index and the overlay that grows on it."""

    base: Base
    overlay: Overlay

    def at(self, commit: str) -> Snapshot | None:
        step = self.overlay.step_of(commit)
        return None if step is None else Snapshot(self.base, self.overlay, step, commit)


def opened(store: Store, memory: Memory) -> Base:
    """The index as it is on disk. Raises Damaged also if it is one of another repository, or of a later state of this one."""
    base = store.open()
    try:
        if base.commit:
            memory.repository.objects.commit(base.commit)
    except MissingObject as error:
        raise Damaged(f"it reflects {base.commit}, which is not there") from error
    return base


class Follower:
    """The index of one memory, followed through its commits."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._store = Store(place_of(memory.repository))
        self._changes = Changes(memory)
        self._growing = threading.RLock()
        self._writing = threading.Lock()
        self._epochs: tuple[_Epoch, ...] = ()
        self._apart: dict[tuple[str, str], _Epoch] = {}
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._building = False
        self._aside = False

    # --- answering for a commit --------------------------------------------------------------------

    def at(self, view: View) -> Snapshot:
        """What to search for the state of a view. A view lives for one call, which looks at the files once."""
        kept = view.kept.get(self)
        if isinstance(kept, Snapshot) and not kept.rebuilding:
            return kept
        snapshot = view.kept[self] = self._looked_at(view)
        return snapshot

    def _looked_at(self, view: View) -> Snapshot:
        trusted = self._trusted()
        if trusted and (snapshot := self._known(view)):
            return snapshot
        with self._growing:
            snapshot = self._followed(view, trusted=trusted)
        return snapshot or self._mended(view)

    def whole_at(self, view: View) -> Snapshot:
        """The same, but never an incomplete one: waits for a rebuild that is under way."""
        while (snapshot := self.at(view)).commit != view.commit or not snapshot.base.complete:
            log.debug("waiting for the search index")
        return snapshot

    def distrust(self, base: Base, view: View) -> None:
        """Told that an index could not be read: it is looked at anew."""
        view.kept.pop(self, None)
        with self._growing:
            self._epochs = tuple(epoch for epoch in self._epochs if epoch.base is not base)
            self._apart.clear()

    @property
    def commit(self) -> str:
        """The commit that the index on disk reflects, as far as this process knows."""
        return self._epochs[0].base.commit if self._epochs else ""

    def _trusted(self) -> bool:
        """Whether the newest epoch's files are as they were when they were opened."""
        return bool(self._epochs) and (self._building or self._epochs[0].base.intact())

    def _known(self, view: View) -> Snapshot | None:
        """The snapshot of a commit that an epoch has reached already."""
        found = (epoch.at(view.commit) for epoch in self._epochs)
        return next((replace(each, rebuilding=self._building) for each in found if each), None)

    def _followed(self, view: View, *, trusted: bool = False) -> Snapshot | None:
        """A snapshot made by growing an overlay; None if the index itself has to be written first."""
        epoch = self._epochs[0] if trusted and self._epochs else self._current()
        if epoch is None:
            return None
        if snapshot := self._known(view):
            return snapshot
        is_present = view.commit == self._memory.head(view.place)
        line = self._line(epoch.overlay, view)
        differing = self._changes.between(line[0] if line else epoch.base.commit, view.commit, at_most=_BULK + 1)
        if len(differing) > _BULK and is_present:
            return None  # so much belongs into the index at once, not into an overlay
        if line is None and not is_present:
            return self._set_apart(epoch, view)
        if line is None:
            # far ahead, or another history than the overlay's: what comes next can be folded all the same
            epoch, line = self._put_in_front(_Epoch(epoch.base, Overlay(epoch.base.commit))), [epoch.base.commit, view.commit]
        for old, new in pairwise(line):
            is_whole = len(line) == 2 and len(differing) <= _BULK
            epoch.overlay.grow(new, self._changes.edits(old, new, differing if is_whole else None))
        self._fold_soon(epoch.overlay)
        return epoch.at(view.commit)

    def _put_in_front(self, epoch: _Epoch) -> _Epoch:
        self._epochs = (epoch, *self._epochs[: _KEPT - 1])
        return epoch

    def _opened(self) -> Base:
        return opened(self._store, self._memory)

    def _current(self) -> _Epoch | None:
        """The newest epoch, opened anew if the files changed; None if there is no whole index."""
        if self._trusted():
            return self._epochs[0]
        try:
            base = self._opened()
        except Damaged as damage:
            log.info("the search index has to be rebuilt: %s", damage)
            self._epochs = ()
            return None
        return self._adopt(base) if base.complete else None

    def _line(self, overlay: Overlay, view: View) -> list[str] | None:
        """The commits from the overlay's newest to the view's; None if that is not ahead of it, or not on the way to main's.

        What is only proposed is ahead of it, too, and must not get into the line.
        """
        line = self._way(overlay, view.place)
        return line[: line.index(view.commit) + 1] if view.commit in line and line[0] == overlay.tip else None

    def _way(self, overlay: Overlay, place: Place) -> list[str]:
        """What main was from a commit of the overlay's line on until now; empty if it does not lead there."""
        line: list[str] = []
        with suppress(MissingObject):  # the edge of a shallow clone
            # commits below the newest of a push are no states: nobody checked them
            for commit, _ in islice(self._memory.states(place), _STEPS_MAX + 1):
                line.append(commit)
                if overlay.step_of(commit) is not None:
                    return line[::-1]
        return []

    def _set_apart(self, epoch: _Epoch, view: View) -> Snapshot | None:
        """An answer for a commit that is not ahead of the index: an old one, or one of another history."""
        key = (epoch.base.commit, view.commit)
        if key not in self._apart:
            overlay = Overlay(epoch.base.commit)
            since = epoch.base.touched_since(self._memory.repository.objects.commit(view.commit).time)
            overlay.grow(view.commit, self._changes.back(epoch.base.commit, view.commit, since))
            while len(self._apart) >= _KEPT:
                self._apart.pop(next(iter(self._apart)))
            self._apart[key] = _Epoch(epoch.base, overlay)
        return self._apart[key].at(view.commit)

    def _adopt(self, base: Base) -> _Epoch:
        """Continue on a newer index: the overlay keeps what the index does not have yet."""
        with self._growing:
            overlay = Overlay(base.commit)
            if self._epochs:
                for commit, edits in self._epochs[0].overlay.after(base.commit):
                    overlay.grow(commit, edits)
            return self._put_in_front(_Epoch(base, overlay))

    def _mended(self, view: View) -> Snapshot:
        """The same as `at`, with an index that has to be written first: at its place, or aside if that cannot be."""
        try:
            return self._written(view)
        except Unwritable as error:
            self._move_aside(error)
            return self._written(view)

    def _written(self, view: View) -> Snapshot:
        """Write the index that is damaged, missing or far behind; or answer from what there is of it so far."""
        if self._take(_PATIENCE_SECONDS):
            try:
                self._bring_up(self._memory.head(view.place))  # not to what is only proposed
            finally:
                self._give_back()
            with self._growing:
                if snapshot := self._followed(view):
                    return snapshot
        return self._partial()

    def _bring_up(self, commit: str) -> None:
        try:
            base = self._opened()  # somebody else may have written it while we waited
            if base.complete:
                if base.commit != commit:
                    base = self._store.apply(base, self._changes.streamed(base.commit, commit), commit)
                self._adopt(base)
                return
        except Damaged as damage:
            log.info("the search index is rebuilt: %s", damage)
        self._adopt(self._build(self._memory.head(), None))

    def _move_aside(self, error: Unwritable) -> None:
        # a memory on a read-only or full disk can still be searched, with an index of this process alone
        with self._growing:
            if self._aside:
                raise error
            try:
                folder = Path(tempfile.mkdtemp(prefix="gitmem-index-"))
            except OSError:
                raise error from None
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            log.warning("%s It is kept in %s meanwhile.", error.message, folder)
            self._aside = True
            self._epochs = ()
            self._store = Store(folder / f"index-v{SCHEMA_VERSION}")

    def _partial(self) -> Snapshot:
        try:
            base = self._opened()
        except Damaged:
            base = NOTHING
        return Snapshot(base, Overlay(base.commit), 0, base.commit, rebuilding=True)

    def _take(self, patience: float) -> bool:
        """Become the one thread of the one process that writes the index."""
        if not self._writing.acquire(timeout=patience):
            return False
        try:
            held = self._store.acquire(timeout=patience)
        except OSError as error:
            self._writing.release()
            raise Unwritable(self._store.folder, error) from error
        except BaseException:
            self._writing.release()
            raise
        if not held:
            self._writing.release()
        return held

    def _give_back(self) -> None:
        self._store.release()
        self._writing.release()

    # --- folding and rebuilding ------------------------------------------------------------------------

    def fold(self) -> bool:
        """Move the overlay into the index. False if there is nothing to fold or another process is at it."""
        try:
            return self._fold()
        except Unwritable:
            return False
        finally:
            if self._thread is None and self._writing.acquire(blocking=False):
                self._give_back()

    def _fold(self) -> bool:
        """The same; goes on holding the index for the next time."""
        if not self._epochs or not self._take(0):
            return False
        try:
            base = self._opened()
            target = self._folded_to(base)
            if target:
                touched = {edit.path for _, edits in self._epochs[0].overlay.after(base.commit) for edit in edits}
                self._adopt(self._store.apply(base, self._changes.streamed(base.commit, target, touched), target))
        except Damaged as damage:
            log.info("the search index is rebuilt: %s", damage)
            self._adopt(self._build(self._memory.head(), None))
            return True
        finally:
            self._writing.release()
        return bool(target)

    def _folded_to(self, base: Base) -> str:
        """The commit to fold up to; "" if the index is there already."""
        with self._growing:
            if not base.complete:
                raise Damaged("its last rebuild was not finished")
            if base.commit != self.commit:
                self._adopt(base)
            tip = self._epochs[0].overlay.tip
            return tip if tip != base.commit else ""

    def merge(self) -> bool:
        """Make the segments that many folds have left one. False if they are few, or another process writes."""
        if self._closed or not self._take(0):
            return False
        try:
            merged = self._store.merge() if self._opened().complete else None
            if merged:
                self._adopt(merged)
            return merged is not None
        finally:
            self._writing.release()

    def rebuild(self, progress: Callable[[int, int], None] | None) -> int:
        """Make the index anew at the memory's present."""
        while not self._take(60.0):
            pass
        try:
            return self._adopt(self._build(self._memory.head(), progress)).base.records
        finally:
            self._give_back()

    def _build(self, commit: str, progress: Callable[[int, int], None] | None) -> Base:
        passages = self._counted(*self._changes.everything(commit), progress)
        self._building = True
        try:
            *_, last = self._store.build(passages, commit, batch=_BATCH)
        except (OSError, Damaged) as error:
            raise Unwritable(self._store.folder, error) from error
        finally:
            self._building = False
        return last

    @staticmethod
    def _counted(
        edits: Edits, total: int, progress: Callable[[int, int], None] | None
    ) -> Iterator[list[tuple[Passage, Change]]]:
        for done, (_, passages) in enumerate(edits, 1):
            if passages:
                yield passages
            if progress and (done % 100 == 0 or done == total):
                progress(done, total)
        if progress:
            progress(total, total)

    # --- in the background -----------------------------------------------------------------------------

    def _fold_soon(self, overlay: Overlay) -> None:
        """Have the overlay folded soon, at once if it has grown large."""
        if not overlay.size:
            return
        with self._wake:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._keep_folding, name="gitmem-index", daemon=True)
                self._thread.start()
            if overlay.size >= FOLD_AT:
                self._wake.notify()

    def _keep_folding(self) -> None:
        try:
            while self._wait_for_work():
                if not self._fold():
                    self._pause()  # another process is at it
            self.merge()
        except (GitmemError, OSError, Damaged) as error:
            # the next search finds out what is wrong, and mends it or says it
            log.warning("the search index could not be brought up to date: %s", error)
            self._thread = None
        finally:
            with self._writing:
                self._store.release()

    def _wait_for_work(self) -> bool:
        """Wait until there is something worth folding; False after a while without anything, and when closing."""
        with self._wake:
            patience = FOLD_AFTER.total_seconds() if self._overlay_size() else _IDLE_SECONDS
            if not self._closed and self._overlay_size() < FOLD_AT:
                self._wake.wait(patience)
            if self._closed or not self._overlay_size():
                self._thread = None
                return False
            return True

    def _pause(self) -> None:
        with self._wake:
            if not self._closed:
                self._wake.wait(FOLD_AFTER.total_seconds())

    def _overlay_size(self) -> int:
        return self._epochs[0].overlay.size if self._epochs else 0

    def close(self) -> None:
        """Stop folding and let others write."""
        self._changes.close()
        with self._wake:
            self._closed = True
            thread = self._thread
            self._wake.notify()
        if thread is not None:
            thread.join()
        with self._writing:
            self._store.release()
