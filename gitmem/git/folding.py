"""Folding: the entries of many small packs become one, without recompressing, tier by tier."""

from collections.abc import Collection, Mapping
from pathlib import Path

from gitmem.git.packs import HEADER_BYTES, RawPack, pack_bytes, pack_header, read_pack, store_pack
from gitmem.git.repository import Repository

FOLD_AT = 16  # packs of one tier
TIER_FACTOR = 8
TIER_BYTES = 256 * 1024


def fold(repository: Repository, *, leave: Collection[str] = ()) -> int:
    """Fold small packs, tier by tier, until no tier has many; those named in `leave` stay. The number that went."""
    gone, left = 0, set(leave)
    while crowd := _crowded_tier([each for each in repository.objects.packs() if each.name not in left]):
        packs = {index: pack for index in crowd if (pack := read_pack(index)) is not None}
        # an offset delta points into its own pack; such packs come from pushes and repacks and are git's
        whole = {index: pack for index, pack in packs.items() if not pack.has_deltas}
        left |= {index.name for index in crowd if index not in whole}
        if len(whole) > 1:
            _fold_packs(repository.objects.pack_folder, whole)
            gone += len(whole) - 1
        elif len(whole) == len(crowd):
            break
    return gone


def _crowded_tier(packs: list[Path]) -> list[Path]:
    tiers: dict[int, list[Path]] = {}
    for path in packs:
        # a pack of what no ref holds tells by its .mtimes when each may go
        if path.with_suffix(".keep").exists() or path.with_suffix(".mtimes").exists():
            continue
        size, tier = pack_bytes(path), 0
        while size > TIER_BYTES * TIER_FACTOR**tier:
            tier += 1
        tiers.setdefault(tier, []).append(path)
    lowest = (tiers[tier] for tier in sorted(tiers) if len(tiers[tier]) >= (FOLD_AT if tier == 0 else FOLD_AT // 2))
    return next(lowest, [])


def _fold_packs(folder: Path, packs: Mapping[Path, RawPack]) -> None:
    body, entries, end, seen = [b""], list[tuple[bytes, int, int]](), HEADER_BYTES, set[bytes]()
    for pack in packs.values():
        names = {oid for oid, _, _ in pack.entries}
        if seen.isdisjoint(names):
            entries += [(oid, offset + end - HEADER_BYTES, crc) for oid, offset, crc in pack.entries]
            body.append(pack.body)
            end += len(pack.body)
        else:  # the same object was written twice; a pack holds it once
            for oid, crc, chunk in pack.chunks():
                if oid not in seen:
                    entries.append((oid, end, crc))
                    body.append(chunk)
                    end += len(chunk)
        seen |= names
    body[0] = pack_header(len(entries))
    made = store_pack(folder, body, entries)
    # git's cache of where objects are, if a person made one, must not name packs that are gone
    (folder / "multi-pack-index").unlink(missing_ok=True)
    for index in packs:
        if index != made:
            _remove_pack(index)


def _remove_pack(index: Path) -> None:
    # the index first: without it nobody looks for the pack; whoever has it open reads on
    for suffix in (".idx", ".rev", ".bitmap", ".pack"):
        index.with_suffix(suffix).unlink(missing_ok=True)
