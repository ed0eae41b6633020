"""Refs: read, listed, and moved by durable compare-and-swap."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from gitmem.errors import GitmemError
from gitmem.git.durable import flush_folder
from gitmem.names import shown

_OID = re.compile(r"[0-9a-f]{40}")
_LOGGED = re.compile(r"(?P<old>[0-9a-f]{40}) (?P<new>[0-9a-f]{40}) [^\t]*> (?P<time>\d{1,11}) ")
_Stamp = tuple[int, int, int]  # of a file: when it changed, its size, its inode
_CONTENT_MAX = 4096  # bytes, of a ref's file
_LOCK_PATIENCE_SECONDS = 8.0
_LOCK_STALE_SECONDS = 3.0


class RefLocked(Exception):
    """Another program holds the ref's lock file: a lost race, try again."""


class BrokenRef(GitmemError):
    """A ref's file holds no object id, or the repository of the ref is gone: not the same as no ref."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name} cannot be read: {why}.",
            fix="See what 'git fsck' says of the repository; a clone or a backup has the commit.",
        )


class UnreadableRef(GitmemError):
    """A ref may well be in order, but its file cannot be read now."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(
            f"{name} cannot be read: {error.strerror or error}.",
            fix="See who may read its file, and how many files a process may have open (ulimit -n).",
        )


class NotFlushed(GitmemError):
    """A ref was moved, the disk did not confirm it, and it could not be moved back."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(
            f"{name} was moved, but the disk did not confirm it: {error.strerror or error}. "
            "The change is in place, and may be lost if the machine stops.",
            fix="See to the disk of the repository, and look whether the change is there before the call is repeated.",
        )


class Refs:
    """The refs of one repository. The files are the truth; what is kept is how packed-refs and logs were parsed."""

    def __init__(self, git_path: Path) -> None:
        self._root = git_path
        self._place = str(git_path)
        self._packed_at: _Stamp | None = None
        self._packed: dict[str, str] = {}
        self._pushes: dict[str, tuple[_Stamp, dict[str, tuple[str, datetime]]]] = {}

    def read(self, name: str) -> str | None:
        """The object id that a ref holds, or None. Symbolic refs are followed. Raises BrokenRef, UnreadableRef."""
        for _ in range(5):
            if ".." in name or "\0" in name:
                return None  # git has no such names, and they would lead out of the refs
            try:
                text = _content(f"{self._place}/{name}")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                # Packing writes packed-refs before it removes the loose file, so this order misses nothing.
                return self._read_packed().get(name)
            except OSError as error:
                raise UnreadableRef(name, error) from error
            if not text.startswith("ref: "):
                if not _OID.fullmatch(text):
                    raise BrokenRef(name, f"its file holds {shown(text)}, which is no object id")
                return text
            name = text.removeprefix("ref: ")
        return None

    def _read_packed(self) -> dict[str, str]:
        # plain stat: nearly every call looks at some ref that is not there, and Path objects double what that takes
        try:
            status = os.stat(f"{self._place}/packed-refs")
        except FileNotFoundError:
            if not os.path.exists(f"{self._place}/HEAD"):  # an open memory was moved or removed: it is not an empty one
                raise BrokenRef("refs/", f"there is no repository at {self._root} any more") from None
            return {}
        stamp = _stamp(status)
        if stamp != self._packed_at:
            lines = (self._root / "packed-refs").read_text("utf-8", "surrogateescape").splitlines()
            pairs = (line.split(" ", 1) for line in lines if line[:1] not in ("#", "^"))
            try:
                self._packed = {name: oid for oid, name in pairs}
            except ValueError:
                raise BrokenRef("packed-refs", "it has a line that is no ref") from None
            self._packed_at = stamp
        return self._packed

    def list(self, prefix: str) -> dict[str, str]:
        """All refs below a prefix such as `refs/gitmem/`, by name."""
        found = {name: oid for name, oid in self._read_packed().items() if name.startswith(prefix)}
        for name in self._loose(prefix):
            if (oid := self.read(name)) is not None:
                found[name] = oid
        return dict(sorted(found.items()))

    def names(self, prefix: str) -> set[str]:
        """The names of all refs below a prefix, without a look at what they hold."""
        return {*(name for name in self._read_packed() if name.startswith(prefix)), *self._loose(prefix)}

    def _loose(self, prefix: str) -> Iterator[str]:
        start = len(str(self._root)) + 1
        for folder, _, files in os.walk(self._root / prefix):
            for file in files:
                if not file.endswith(".lock"):
                    yield f"{folder[start:]}/{file}"

    def swap(self, name: str, old: str | None, new: str) -> bool:
        """Set a ref to `new` if it holds `old` (None: if there is none), flushed. False if it holds something else.

        Uses git's own lock file, so pushes and other programs are kept out. Raises RefLocked if that
        lock stays taken, OSError if the disk refuses and the ref is as it was, NotFlushed if it is not.
        """
        if not self._move(name, old, new):
            return False
        try:
            flush_folder((self._root / name).parent)
        except OSError as error:
            if not self._put_back(name, old, new):
                raise NotFlushed(name, error) from error
            raise
        return True

    def _put_back(self, name: str, old: str | None, new: str) -> bool:
        # Whoever is told that nothing was kept makes the change once more. What others have built on by now stays.
        with suppress(OSError, RefLocked, GitmemError):
            return self._move(name, new, old) if old else self.delete(name, new)
        return False

    def _move(self, name: str, old: str | None, new: str) -> bool:
        path = self._root / name
        lock = path.with_name(path.name + ".lock")
        try:
            number = self._take(lock)
        except FileNotFoundError:  # the first ref of its folder, or the first since git packed them
            path.parent.mkdir(parents=True, exist_ok=True)
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
        return True

    def delete(self, name: str, old: str) -> bool:
        """Remove a ref that holds `old`. False if it holds something else by now. Raises RefLocked."""
        from gitmem.git.repository import GitFailed, run_git  # imported late: that module imports this one

        try:
            # a packed ref goes by rewriting the file of all of them, which is git's to do
            run_git(self._root, "update-ref", "--no-deref", "-d", name, old)
        except GitFailed:
            current = self.read(name)
            if current == old:
                raise RefLocked(name) from None
            return current is None
        return True

    def note_arrival(self, name: str, old: str | None, new: str, why: str) -> None:
        """Log that a commit made elsewhere arrives, as git logs a push. Before the swap, so that no arrival goes without."""
        path = self._root / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{old or '0' * 40} {new} gitmem <gitmem@gitmem> {int(time.time())} +0000\t{why}\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(line)

    def pushes(self, name: str) -> dict[str, tuple[str, datetime]]:
        """What pushes and syncs made of a ref, as it was logged: for each new commit the one before it, and when it arrived."""
        try:
            status = os.stat(f"{self._place}/logs/{name}")
            stamp = _stamp(status)
            if (known := self._pushes.get(name)) and known[0] == stamp:
                return known[1]
            lines = (self._root / "logs" / name).read_text("utf-8", "surrogateescape").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        logged = (_LOGGED.match(line) for line in lines)
        found = {each["new"]: (each["old"], datetime.fromtimestamp(int(each["time"]), UTC)) for each in logged if each}
        self._pushes[name] = stamp, found
        return found

    def free_packed(self) -> None:
        """Take away what a killed program left of packing refs: git itself would refuse to pack them ever again."""
        lock = self._root / "packed-refs.lock"
        with suppress(RefLocked):  # somebody is at work there, and git will say so
            os.close(self._take(lock))
            (self._root / "packed-refs.new").unlink(missing_ok=True)
            lock.unlink()

    def _take(self, lock: Path) -> int:
        deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
        seen, since = _identity(lock), time.monotonic()
        while True:
            try:
                return os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                if (current := _identity(lock)) != seen:
                    seen, since = current, time.monotonic()
                # A program that was killed leaves its lock file; git holds one for milliseconds. It is watched,
                # since the age that its time stamp tells is wrong when a clock was set or a machine slept.
                elif time.monotonic() - since > _LOCK_STALE_SECONDS:
                    _remove(lock, seen)
                if time.monotonic() > deadline:
                    raise RefLocked(str(lock)) from None
                time.sleep(0.005)


@contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """Keep other processes of gitmem out, by a lock on the folder itself: it leaves no file behind."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _remove(lock: Path, seen: tuple[int, int] | None) -> None:
    # several may have watched the same one: what the first of them holds since must not go with the second
    with alone_at(lock.parent):
        if _identity(lock) == seen:
            lock.unlink(missing_ok=True)


def _content(path: str) -> str:
    # a call looks at a dozen refs, and a file object takes twice as long as the reading itself
    number = os.open(path, os.O_RDONLY)
    try:
        return os.read(number, _CONTENT_MAX).decode("ascii", "replace").strip()
    finally:
        os.close(number)


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
