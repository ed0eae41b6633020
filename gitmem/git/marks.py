"""Marks: refs that hold one blob each, overwritten in place. For what changes all the time and needs no history."""

import time
import zlib
from contextlib import suppress
from pathlib import Path

from gitmem.git.objects import MissingObject, Objects, new_object
from gitmem.git.refs import Refs

# For whom still reads a mark that was just overwritten, such as a clone.
GRACE_SECONDS = 60
_HEAD = b"# refs/gitmem/"
_READ_TRIES = 20


class Marks:
    """The marks of one repository. The first line of each blob names its ref, so that what was overwritten is known as such."""

    def __init__(self, objects: Objects, refs: Refs) -> None:
        self._objects = objects
        self._refs = refs

    def read(self, ref: str) -> tuple[str, bytes] | None:
        """The blob id and content of a mark, or None if there is none."""
        for _ in range(_READ_TRIES):
            oid = self._refs.read(ref)
            if oid is None:
                return None
            try:
                return oid, self._objects.blob(oid).partition(b"\n")[2]
            except MissingObject:
                if self._refs.read(ref) == oid:  # not overwritten meanwhile: it is lost
                    raise
        raise MissingObject(ref)

    def swap(self, ref: str, old: str | None, content: bytes) -> bool:
        """Overwrite a mark, durably, if it still holds the blob `old` (None: if there is none); whether it did."""
        made = new_object("blob", f"# {ref}\n".encode() + content)
        self._objects.write_loose(made)
        return self._refs.swap(ref, old, made.oid)

    def drop_superseded(self) -> None:
        """Remove the blobs of marks that have been overwritten for a while."""
        # only loose objects: git packs what a ref holds now and then, which keeps one old blob a mark at most
        for folder in self._objects.path.glob("[0-9a-f][0-9a-f]"):
            for path in folder.iterdir():
                self._drop_if_superseded(path)
            with suppress(OSError):  # an empty folder takes a block, and there may be 256; others stay
                folder.rmdir()

    def _drop_if_superseded(self, path: Path) -> None:
        with suppress(FileNotFoundError, zlib.error):
            if time.time() - path.stat().st_mtime > GRACE_SECONDS and (ref := _mark_in(path.read_bytes())):
                oid = path.parent.name + path.name
                if self._refs.read(ref) != oid and not self._is_held_for_others(ref, oid):
                    path.unlink()

    def _is_held_for_others(self, ref: str, oid: str) -> bool:
        """Whether a ref that tells of another clone's mark holds the blob."""
        name = ref.removeprefix("refs/")
        places = [*self._refs.list("refs/remotes/").items(), *self._refs.list("refs/agreed/").items()]
        return any(held == oid and place.endswith(f"/{name}") for place, held in places)


def _mark_in(loose: bytes) -> str:
    """The ref that a loose object was a mark of; "" if it is something else."""
    start = zlib.decompressobj().decompress(loose, 1024)
    header, _, content = start.partition(b"\0")
    if not header.startswith(b"blob ") or not content.startswith(_HEAD):
        return ""
    return content.partition(b"\n")[0].removeprefix(b"# ").decode(errors="replace")
