"""Upkeep of a repository that is written to all day: few packs, no loose objects, packed refs.

Every flush makes one small pack. Folding copies the entries of many small packs into one, without
recompressing, in tiers, so that a pack is copied a few times in its life. Now and then git repacks what has
been folded, for deltas; that may take long, and folding goes on meanwhile with what is newer. Both keep every
object, reachable or not: a commit that is being written is not reachable yet. Only a thorough repack lets go of
what no ref has held for long (see `expiry`). What upkeep did is judged by what is on disk afterwards, not by an exit code.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import Timeout
from msgspec import Struct

from gitmem.errors import GitmemError
from gitmem.git.expiry import Expiry
from gitmem.git.folding import FOLD_AT, fold
from gitmem.git.locking import PrivateLock
from gitmem.git.packs import KEEP_TEXT, pack_bytes
from gitmem.git.repacking import clear_halves, repack
from gitmem.git.repository import Repository, run_git
from gitmem.names import counted

PACKS_MAX = 48  # the writer itself folds before it would make more
REPACK_AT_BYTES = 48 * 1024 * 1024  # folded, undeltified bytes
LOOSE_MAX = 500
MARKS_AT = 256  # marks written by one process
LOOSE_REFS_MAX = 500
LEFT_OVER_SECONDS = 24 * 3600  # what killed programs left unfinished goes after a day
_PATIENCE_SECONDS = 60.0
_LISTING_SECONDS = 2.0  # within which git, once started, has seen which packs there are
_FOLD_PATIENCE_SECONDS = 2.0  # for which a writer waits at the limit

WRITE_LOCK = "write.lock"  # held by who flushes, in gitmem's folder

log = logging.getLogger(__name__)


class Condition(Struct, frozen=True):
    """What there is on disk."""

    packs: int
    pack_bytes: int
    loose_objects: int
    loose_refs: int

    def __str__(self) -> str:
        packs = f"{counted(self.packs, 'pack')} of {self.pack_bytes / 1024:,.0f} KiB"
        return f"{packs}, {counted(self.loose_objects, 'loose object')}, {counted(self.loose_refs, 'loose ref')}"


class Upkeep:
    """Keeps one repository tidy, in a background thread that starts when there is something to do."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._folding = _Alone(repository.private / "upkeep.lock")
        self._repacking = _Alone(repository.private / "repack.lock")
        self._expiry = Expiry(repository.private / "referenced")
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._flushes = 0
        self._marks = 0

    def marked(self) -> None:
        """Told after each mark that was written: clears away superseded ones in the background, now and then."""
        self._marks += 1
        if self._marks % MARKS_AT == 0:
            self._start()

    def flushed(self, made: Path) -> None:
        """Told by the writer, under its lock, after each flush: folds behind it at a threshold, at once at the limit."""
        self._flushes += 1
        if self._flushes % 4 != 1:  # the first one counts: a command is a process that writes once
            return
        _release_kept(made)
        count = len(self._repository.objects.packs())
        if count >= PACKS_MAX:
            with suppress(Timeout):
                self._fold(_FOLD_PATIENCE_SECONDS)
        elif count >= FOLD_AT:
            self._start()

    def fetched(self) -> None:
        """Told after packs came from elsewhere: tidies up in the background once there are many."""
        if len(self._repository.objects.packs()) >= PACKS_MAX:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._in_background, name="gitmem-upkeep", daemon=True)
                self._thread.start()

    def _in_background(self) -> None:
        try:
            self.run()
        except (GitmemError, OSError) as error:
            # The writer's own limit still holds the number of packs; `doctor` shows the condition.
            log.warning("upkeep: %s", error)

    def run(self, *, thorough: bool = False) -> Condition:
        """Do what the thresholds ask for; everything there is to do if `thorough`. The condition afterwards."""
        try:
            with suppress(Timeout):  # another process is at it
                self._fold(_PATIENCE_SECONDS if thorough else 0)
            self._repository.marks.drop_superseded()
            before = self.condition()
            with suppress(Timeout), self._repacking.entered(_PATIENCE_SECONDS if thorough else 0):
                if thorough or self._wants_repack(before):
                    self._repack(thorough=thorough)
                if thorough or before.loose_refs > LOOSE_REFS_MAX:
                    self._repository.refs.free_packed()
                    # past the guard of refs: it would be asked about each, and can only guess what packing is
                    run_git(self._repository.path, "-c", "core.hooksPath=/dev/null", "pack-refs", "--all")
                _clear_left_over(self._repository.objects.path)
        except OSError as error:
            raise GitmemError(f"Upkeep could not write: {error}.", fix="Free space or make the folder writable.") from error
        return self.condition()

    def _fold(self, patience: float) -> None:
        with self._folding.entered(patience):
            fold(self._repository, leave=self._being_repacked())

    def _wants_repack(self, before: Condition) -> bool:
        # packs that pushes brought have deltas inside and are not ours to fold
        many = before.packs > PACKS_MAX or before.loose_objects > LOOSE_MAX
        return many or self._undeltified_bytes() > REPACK_AT_BYTES

    def wants_thorough(self) -> bool:
        """Whether a thorough run is due: one a week lets what no ref holds leave in time."""
        return self._expiry.is_due()

    @property
    def last_thorough(self) -> float:
        """When the last thorough run began; 0 if that is not known."""
        return self._expiry.latest

    def _repack(self, *, thorough: bool) -> None:
        note = self._repository.private / "repacking"
        with PrivateLock(self._repository.private / WRITE_LOCK).acquire(timeout=_PATIENCE_SECONDS):
            clear_halves(self._repository, flushed=True)
        with self._folding.entered(_PATIENCE_SECONDS):  # a fold that is under way knows nothing of the note yet
            clear_halves(self._repository, flushed=False)
            note.write_text("\n".join(each.name for each in self._repository.objects.packs()))
        try:
            if thorough:
                with self._expiry.round() as expires:
                    repack(self._repository, thorough=True, expires=expires)
            else:
                repack(self._repository)
        finally:
            note.unlink(missing_ok=True)
        names = [each.name for each in self._repository.objects.packs()]
        (self._repository.private / "repacked").write_text("\n".join(names))

    def _being_repacked(self) -> set[str]:
        note = self._repository.private / "repacking"
        names = _noted(note)
        if not names:
            return names
        with suppress(Timeout), self._repacking.entered(0):
            note.unlink(missing_ok=True)  # of a killed process
            return set()
        # git makes a list of its own soon after the note, and gives up if a pack of it is gone
        until = _modified(note) + _LISTING_SECONDS
        return names | {each.name for each in self._repository.objects.packs() if _modified(each) < until}

    def condition(self) -> Condition:
        """What there is on disk now."""
        objects = self._repository.objects.path
        packs = self._repository.objects.packs()
        loose = sum(len(os.listdir(folder)) for folder in objects.glob("[0-9a-f][0-9a-f]"))
        refs = sum(len(files) for _, _, files in os.walk(self._repository.path / "refs"))
        return Condition(len(packs), sum(pack_bytes(path) for path in packs), loose, refs)

    def _undeltified_bytes(self) -> int:
        # a note of what git made; lost, it costs one repack that was not needed
        known = _noted(self._repository.private / "repacked")
        return sum(pack_bytes(each) for each in self._repository.objects.packs() if each.name not in known)

    def close(self) -> None:
        """Wait for the background thread."""
        if self._thread is not None:
            self._thread.join(timeout=60)


class _Alone:
    """A lock between processes that also keeps the threads of one process apart."""

    def __init__(self, path: Path) -> None:
        self._threads = threading.Lock()
        self._processes = PrivateLock(path, thread_local=False)

    @contextmanager
    def entered(self, patience: float) -> Iterator[None]:
        """Hold it for the block. Raises Timeout after `patience` seconds."""
        if not self._threads.acquire(timeout=patience):
            raise Timeout(self._processes.lock_file)
        try:
            with self._processes.acquire(timeout=patience):
                yield
        finally:
            self._threads.release()


def _noted(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except FileNotFoundError:
        return set()


def _clear_left_over(objects: Path) -> None:
    for left in [*(objects / "pack").glob("tmp_*"), *objects.glob("tmp_objdir-*"), *objects.glob("*/tmp_obj_*")]:
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _release_kept(made: Path) -> None:
    # whoever holds the writer's lock is the only one to write: other packs that are kept are of killed processes
    for keep in made.parent.glob("pack-*.keep"):
        with suppress(FileNotFoundError):  # a push took its own away
            if keep.stem != made.stem and keep.read_bytes() == KEEP_TEXT:
                keep.unlink()


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
