"""Upkeep of a repository that is written to all day: few packs, no loose objects, packed refs.

Every flush makes one small pack. Folding copies the entries of many small packs into one, without
recompressing, in tiers: a pack is copied about log16(n) times in its life. Now and then git repacks what has
been folded, for deltas. Both keep every object, reachable or not: a commit that is being written is
not reachable yet. What upkeep did is judged by what is on disk afterwards, not by an exit code.
"""

import logging
import os
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gitmem.errors import GitmemError
from gitmem.git.objects import KEEP_TEXT, pack_header, store_pack
from gitmem.git.repository import Repository, run_git

FOLD_AT = 16  # packs of one tier
PACKS_MAX = 48  # the writer itself folds before it would make more
TIER_FACTOR = 8
TIER_BYTES = 64 * 1024
REPACK_AT_BYTES = 48 * 1024 * 1024  # folded, undeltified bytes
LOOSE_MAX = 500
LOOSE_REFS_MAX = 500
_DELTA_TYPES = (6, 7)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Condition:
    """What there is on disk."""

    packs: int
    pack_bytes: int
    loose_objects: int
    loose_refs: int


class Upkeep:
    """Keeps one repository tidy, in a background thread that starts when there is something to do."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._lock = FileLock(repository.private / "upkeep.lock", thread_local=False)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._flushes = 0

    def flushed(self, made: Path) -> None:
        """Told by the writer, under its lock, after each flush: folds behind it at a threshold, at once at the limit."""
        self._flushes += 1
        if self._flushes % 4 != 1:  # the first one counts: a command is a process that writes once
            return
        _release_kept(made)
        count = len(self._repository.objects.packs())
        if count >= PACKS_MAX:
            # a repack in another process may take minutes; too many packs for that long are the lesser evil
            with suppress(Timeout), self._lock.acquire(timeout=0):
                fold(self._repository)
        elif count >= FOLD_AT:
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
            with self._lock.acquire(timeout=60 if thorough else 0):
                fold(self._repository)
                before = self.condition()
                if thorough or self._undeltified_bytes() > REPACK_AT_BYTES or before.loose_objects > LOOSE_MAX:
                    repack(self._repository, thorough=thorough)
                    self._note_repacked()
                if thorough or before.loose_refs > LOOSE_REFS_MAX:
                    self._repository.refs.free_packed()
                    run_git(self._repository.path, "pack-refs", "--all")
        except Timeout:
            pass  # another process is at it
        except OSError as error:
            raise GitmemError(f"Upkeep could not write: {error}.", fix="Free space or make the folder writable.") from error
        return self.condition()

    def condition(self) -> Condition:
        """What there is on disk now."""
        objects = self._repository.objects.path
        packs = self._repository.objects.packs()
        loose = sum(len(os.listdir(folder)) for folder in objects.glob("[0-9a-f][0-9a-f]"))
        refs = sum(len(files) for _, _, files in os.walk(self._repository.path / "refs"))
        return Condition(len(packs), sum(_size(path.with_suffix(".pack")) for path in packs), loose, refs)

    def _undeltified_bytes(self) -> int:
        known = self._repacked()
        return sum(_size(each.with_suffix(".pack")) for each in self._repository.objects.packs() if each.name not in known)

    def _repacked(self) -> set[str]:
        # a note of what git made; lost, it costs one repack that was not needed
        note = self._repository.private / "repacked"
        return set(note.read_text().split()) if note.exists() else set()

    def _note_repacked(self) -> None:
        names = [each.name for each in self._repository.objects.packs()]
        (self._repository.private / "repacked").write_text("\n".join(names))

    def close(self) -> None:
        """Wait for the background thread."""
        if self._thread is not None:
            self._thread.join(timeout=60)


def _release_kept(made: Path) -> None:
    # whoever holds the writer's lock is the only one to write: other packs that are kept are of killed processes
    for keep in made.parent.glob("pack-*.keep"):
        with suppress(FileNotFoundError):  # a push took its own away
            if keep.stem != made.stem and keep.read_bytes() == KEEP_TEXT:
                keep.unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@dataclass(frozen=True)
class RawPack:
    """A pack's entries as they are on disk: (id, crc32, packed bytes) each."""

    entries: list[tuple[bytes, int, bytes]]
    has_deltas: bool


def read_pack(index: Path) -> RawPack | None:
    """The raw entries of a pack, or None if it is gone or of a format that is git's to handle."""
    try:
        table = index.read_bytes()
        body = index.with_suffix(".pack").read_bytes()
    except FileNotFoundError:
        return None
    if table[:8] != b"\xfftOc\0\0\0\2" or body[:4] != b"PACK":
        return None
    count = struct.unpack_from(">I", table, 8 + 255 * 4)[0]
    ids = 8 + 1024
    crcs = struct.unpack_from(f">{count}I", table, ids + 20 * count)
    offsets = struct.unpack_from(f">{count}I", table, ids + 24 * count)
    if any(offset & 0x80000000 for offset in offsets):
        return None
    order = sorted(range(count), key=offsets.__getitem__)
    ends = [offsets[i] for i in order[1:]] + [len(body) - 20]
    spans = zip(order, ends, strict=True)
    entries = [(table[ids + 20 * i : ids + 20 * i + 20], crcs[i], body[offsets[i] : end]) for i, end in spans]
    return RawPack(entries, any((chunk[0] >> 4) & 7 in _DELTA_TYPES for _, _, chunk in entries))


def fold(repository: Repository) -> int:
    """Fold small packs, tier by tier, until no tier has many. The number of packs that went."""
    gone = 0
    while crowd := _crowded_tier(repository.objects.packs()):
        folded = _fold_packs(repository.objects.pack_folder, crowd)
        if not folded:
            break
        gone += folded
    return gone


def _crowded_tier(packs: list[Path]) -> list[Path]:
    tiers: dict[int, list[Path]] = {}
    for path in packs:
        if path.with_suffix(".keep").exists():
            continue
        size, tier = _size(path.with_suffix(".pack")), 0
        while size > TIER_BYTES * TIER_FACTOR**tier:
            tier += 1
        tiers.setdefault(tier, []).append(path)
    lowest = (tiers[tier] for tier in sorted(tiers) if len(tiers[tier]) >= (FOLD_AT if tier == 0 else FOLD_AT // 2))
    return next(lowest, [])


def _fold_packs(folder: Path, indexes: list[Path]) -> int:
    chunks: dict[bytes, tuple[int, bytes]] = {}
    folded: list[Path] = []
    for index in indexes:
        pack = read_pack(index)
        # an offset delta points into its own pack; such packs come from pushes and repacks and are git's
        if pack is not None and not pack.has_deltas:
            chunks.update((oid, (crc, chunk)) for oid, crc, chunk in pack.entries)
            folded.append(index)
    if len(folded) < 2:
        return 0
    body, entries, offset = [pack_header(len(chunks))], [], 12
    for oid, (crc, chunk) in chunks.items():
        entries.append((oid, offset, crc))
        body.append(chunk)
        offset += len(chunk)
    made = store_pack(folder, body, entries)
    # git's cache of where objects are, if a person made one, must not name packs that are gone
    (folder / "multi-pack-index").unlink(missing_ok=True)
    for index in folded:
        if index != made:
            _remove_pack(index)
    return len(folded) - 1


def _remove_pack(index: Path) -> None:
    # the index first: without it nobody looks for the pack; whoever has it open reads on
    for suffix in (".idx", ".rev", ".bitmap", ".pack"):
        index.with_suffix(suffix).unlink(missing_ok=True)


def repack(repository: Repository, *, thorough: bool = False) -> None:
    """Let git find deltas. Unreachable objects are kept: some belong to commits that are about to land.

    `-F`, because git takes two whole objects of one pack for tried already, and a fold has put them there.
    """
    which = ("-a", "-k") if thorough else ("--geometric=2",)
    run_git(repository.path, "repack", "-d", "-F", "-q", *which)
