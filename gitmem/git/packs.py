"""Packs as files: written without deltas and flushed, and read entry by entry as they are."""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dulwich.object_format import SHA1
from dulwich.pack import pack_object_header
from msgspec import Struct

from gitmem.git.durable import flush_folder, put

if TYPE_CHECKING:
    from gitmem.git.objects import NewObject

ObjectType = Literal["commit", "tree", "blob", "tag"]

TYPE_NUMBERS: dict[ObjectType, int] = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_DELTA_TYPES = (6, 7)
# Level 1, and 0 for trees, which are mostly ids: pushing entropy out of the last bytes costs many times the
# CPU, and upkeep repacks anyway.
ZLIB_LEVEL = 1
HEADER_BYTES = 12
KEEP_TEXT = b"gitmem: until a ref holds it\n"
KEEP_NAME = "kept"  # a file of gitmem's own that lends its name


def write_pack(folder: Path, new: Mapping[str, "NewObject"], *, keep: bool = False) -> Path:
    """Write an undeltified pack and its index, both flushed, the index last: git sees all or nothing."""
    entries: list[tuple[bytes, int, int]] = []
    chunks = [pack_header(len(new))]
    offset = len(chunks[0])
    for each in new.values():
        header = pack_object_header(TYPE_NUMBERS[each.type], None, len(each.data), SHA1)
        chunk = bytes(header) + zlib.compress(each.data, 0 if each.type == "tree" else ZLIB_LEVEL)
        entries.append((bytes.fromhex(each.oid), offset, zlib.crc32(chunk)))
        chunks.append(chunk)
        offset += len(chunk)
    return store_pack(folder, chunks, entries, keep=keep)


def pack_header(count: int) -> bytes:
    """The first twelve bytes of a pack of `count` objects."""
    return struct.pack(">4sII", b"PACK", 2, count)


def _pack_index(entries: list[tuple[bytes, int, int]], pack_checksum: bytes) -> bytes:
    # dulwich's writer makes one call a field, which costs more than the rest of a small flush together
    fan_out = [0] * 256
    for oid, _, _ in entries:
        fan_out[oid[0]] += 1
    offsets = [offset for _, offset, _ in entries]
    if offsets and max(offsets) >= 2**31:
        raise ValueError("a pack over 2 GiB is for `git repack` to write")
    number = len(entries)
    body = b"".join(
        (
            b"\xfftOc\0\0\0\2",
            struct.pack(">256I", *accumulate(fan_out)),
            b"".join(oid for oid, _, _ in entries),
            struct.pack(f">{number}I", *(crc for _, _, crc in entries)),
            struct.pack(f">{number}I", *offsets),
            pack_checksum,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def store_pack(folder: Path, chunks: list[bytes], entries: list[tuple[bytes, int, int]], *, keep: bool = False) -> Path:
    """Put the chunks of a pack on disk with the index of its (id, offset, crc32) entries; the index's path."""
    body = b"".join(chunks)
    checksum = hashlib.sha1(body, usedforsecurity=False).digest()
    entries.sort()
    name = hashlib.sha1(b"".join(oid for oid, _, _ in entries) + checksum, usedforsecurity=False).hexdigest()
    pack_path, index_path = folder / f"pack-{name}.pack", folder / f"pack-{name}.idx"
    kept = str(index_path.with_suffix(".keep"))
    try:
        if keep:
            _keep(folder, kept)
        put(str(folder), str(pack_path), body + checksum)
        put(str(folder), str(index_path), _pack_index(entries, checksum))
    except OSError:
        if keep:
            with suppress(OSError):
                os.unlink(kept)
        raise
    flush_folder(folder)
    return index_path


def _keep(folder: Path, kept: str) -> None:
    # a second name of one file that stays costs a fifth of a new file, and this is done at every flush
    token = f"{folder.parent.parent}/gitmem/{KEEP_NAME}"
    try:
        os.link(token, kept)
    except FileExistsError:
        return
    except OSError:
        Path(token).parent.mkdir(exist_ok=True)
        Path(token).write_bytes(KEEP_TEXT)
        Path(kept).write_bytes(KEEP_TEXT)


class RawPack(Struct, frozen=True):
    """A pack as it is on disk: (id, offset, crc32) of each entry, and the packed bytes between header and checksum."""

    entries: list[tuple[bytes, int, int]]
    body: bytes
    has_deltas: bool

    def chunks(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Each entry by itself, as (id, crc32, packed bytes)."""
        ordered = sorted(self.entries, key=lambda entry: entry[1])
        ends = [offset for _, offset, _ in ordered[1:]] + [HEADER_BYTES + len(self.body)]
        for (oid, offset, crc), end in zip(ordered, ends, strict=True):
            yield oid, crc, self.body[offset - HEADER_BYTES : end - HEADER_BYTES]


def read_pack(index: Path) -> RawPack | None:
    """The raw entries of a pack, or None if it is gone or of a format that is git's to handle."""
    try:
        table = index.read_bytes()
        pack = index.with_suffix(".pack").read_bytes()
    except FileNotFoundError:
        return None
    if table[:8] != b"\xfftOc\0\0\0\2" or pack[:4] != b"PACK":
        return None
    count = struct.unpack_from(">I", table, 8 + 255 * 4)[0]
    ids = 8 + 1024
    crcs = struct.unpack_from(f">{count}I", table, ids + 20 * count)
    offsets = struct.unpack_from(f">{count}I", table, ids + 24 * count)
    if any(offset & 0x80000000 for offset in offsets):
        return None
    names = [table[start : start + 20] for start in range(ids, ids + 20 * count, 20)]
    has_deltas = any((pack[offset] >> 4) & 7 in _DELTA_TYPES for offset in offsets)
    return RawPack(list(zip(names, offsets, crcs, strict=True)), pack[HEADER_BYTES:-20], has_deltas)


def pack_bytes(index: Path) -> int:
    """The size of a pack, given by its index; 0 if it is gone."""
    try:
        return index.with_suffix(".pack").stat().st_size
    except FileNotFoundError:
        return 0
