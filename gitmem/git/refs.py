"""Refs: read, listed, and moved by durable compare-and-swap."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from gitmem.git.objects import flush_folder

_OID = re.compile(r"[0-9a-f]{40}")
_LOCK_PATIENCE_SECONDS = 8.0
_LOCK_STALE_SECONDS = 3.0


class RefLocked(Exception):
    """Another program holds the ref's lock file: a lost race, try again."""


class Refs:
    """The refs of one repository. The files are the truth; nothing is kept but parsed packed-refs."""

    def __init__(self, git_path: Path) -> None:
        self._root = git_path
        self._packed_at: tuple[int, int, int] | None = None
        self._packed: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        """The object id that a ref holds, or None. Symbolic refs are followed."""
        for _ in range(5):
            try:
                text = (self._root / name).read_text("ascii").strip()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                # Packing writes packed-refs before it removes the loose file, so this order misses nothing.
                return self._read_packed().get(name)
            if not text.startswith("ref: "):
                return text if _OID.fullmatch(text) else None
            name = text.removeprefix("ref: ")
        return None

    def _read_packed(self) -> dict[str, str]:
        path = self._root / "packed-refs"
        try:
            status = path.stat()
        except FileNotFoundError:
            return {}
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._packed_at:
            lines = path.read_text("utf-8", "surrogateescape").splitlines()
            pairs = (line.split(" ", 1) for line in lines if line[:1] not in ("#", "^"))
            self._packed = {name: oid for oid, name in pairs}
            self._packed_at = stamp
        return self._packed

    def list(self, prefix: str) -> dict[str, str]:
        """All refs below a prefix such as `refs/gitmem/`, by name."""
        found = {name: oid for name, oid in self._read_packed().items() if name.startswith(prefix)}
        for name in self._loose(prefix):
            if (oid := self.read(name)) is not None:
                found[name] = oid
        return dict(sorted(found.items()))

    def _loose(self, prefix: str) -> Iterator[str]:
        for folder, _, files in os.walk(self._root / prefix):
            for file in files:
                if not file.endswith(".lock"):
                    yield (Path(folder) / file).relative_to(self._root).as_posix()

    def swap(self, name: str, old: str | None, new: str) -> bool:
        """Set a ref to `new` if it holds `old` (None: if there is none), flushed. False if it holds something else.

        Uses git's own lock file, so pushes and other programs are kept out. Raises RefLocked if that
        lock stays taken.
        """
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock")
        number = self._take(lock)
        try:
            with os.fdopen(number, "wb") as file:
                if self.read(name) != old:
                    lock.unlink()
                    return False
                file.write(new.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            lock.rename(path)
        except BaseException:
            lock.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)
        return True

    def _take(self, lock: Path) -> int:
        deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            try:
                return os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                if self._is_stale(lock):
                    lock.unlink(missing_ok=True)
                elif time.monotonic() > deadline:
                    raise RefLocked(str(lock)) from None
                else:
                    time.sleep(0.005)

    @staticmethod
    def _is_stale(lock: Path) -> bool:
        # A program that was killed leaves its lock file. git holds one for milliseconds.
        try:
            return time.time() - lock.stat().st_mtime > _LOCK_STALE_SECONDS
        except FileNotFoundError:
            return False
