"""Steps: changes to files that are shown first, as a diff, and then taken in order."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from msgspec import Struct

from gitmem.errors import GitmemError

SCRIPT = 0o755
PLAIN = 0o644


class NotWritable(GitmemError):
    """A file that should be changed cannot be."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"{error.filename} cannot be changed: {error.strerror or error}.",
            fix="Make its folder writable, or free space, and do it again: what is done already stays.",
        )


class BusyConfig(GitmemError):
    """Somebody else is writing git's configuration."""

    def __init__(self, lock: Path) -> None:
        super().__init__(
            f"{lock} is there: another git is writing this configuration.",
            fix="Do it again in a moment. If no git is at work, its owner died: move that file away.",
        )


class Write(Struct, frozen=True):
    """A file gets these bytes and this mode; None as `mode` keeps the one it has."""

    path: Path
    data: bytes
    mode: int | None = None

    @property
    def is_needed(self) -> bool:
        """Whether it changes anything."""
        old = _read(self.path)
        return old != self.data or (self.mode is not None and stat.S_IMODE(self.path.stat().st_mode) != self.mode)

    @property
    def summary(self) -> str:
        """What happens, in a line."""
        return f"{'change' if self.path.exists() else 'create'} {self.path}"

    def diff(self) -> Iterator[str]:
        """What changes in the file."""
        return _diff(self.path, _read(self.path) or b"", self.data)

    def take(self) -> None:
        """Do it: whoever reads the file meanwhile finds the old bytes or the new ones."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        beside.write_bytes(self.data)
        beside.chmod(stat.S_IMODE(self.path.stat().st_mode) if self.mode is None and self.path.exists() else self.mode or PLAIN)
        beside.replace(self.path)


class WriteConfig(Write, frozen=True):
    """A file of git's configuration, which other programs may be writing: under git's own lock."""

    def take(self) -> None:
        """Do it. Raises BusyConfig."""
        place = self.path.resolve()
        lock = place.with_name(f"{place.name}.lock")
        try:
            number = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IMODE(place.stat().st_mode))
        except FileExistsError:
            raise BusyConfig(lock) from None
        try:
            with os.fdopen(number, "wb") as file:
                file.write(self.data)
            lock.chmod(stat.S_IMODE(place.stat().st_mode))
            lock.replace(place)
        except BaseException:
            lock.unlink(missing_ok=True)
            raise


class Delete(Struct, frozen=True):
    """A file goes, and its folder with it if that was the last one."""

    path: Path
    is_needed = True

    @property
    def summary(self) -> str:
        """What happens, in a line."""
        return f"delete {self.path}"

    def diff(self) -> Iterator[str]:
        """What goes."""
        return _diff(self.path, _read(self.path) or b"", b"")

    def take(self) -> None:
        """Do it."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty
            self.path.parent.rmdir()


class Rename(Struct, frozen=True):
    """A file gets another name, with its bytes, its mode and whatever else it has."""

    path: Path
    to: Path
    is_needed = True

    @property
    def summary(self) -> str:
        """What happens, in a line."""
        return f"rename {self.path} to {self.to.name if self.to.parent == self.path.parent else self.to}"

    def diff(self) -> Iterator[str]:
        """Nothing: no byte changes."""
        return iter(())

    def take(self) -> None:
        """Do it."""
        self.to.parent.mkdir(parents=True, exist_ok=True)
        self.path.rename(self.to)


Step = Write | Delete | Rename


def needed(steps: Sequence[Step]) -> list[Step]:
    """Those that change anything."""
    return [step for step in steps if step.is_needed]


def shown(steps: Sequence[Step]) -> Iterator[str]:
    """The steps for a person, in lines. Of those that do the same to several files, the diff is shown once."""
    for diff, alike in groupby(steps, key=lambda step: [line for line in step.diff() if line[:3] not in ("---", "+++")]):
        same = list(alike)
        yield from (f"{step.summary}{'' if step is same[0] or not diff else ', the same'}" for step in same)
        yield from same[0].diff()


def take(steps: Sequence[Step]) -> None:
    """Do them in order. Raises NotWritable, BusyConfig."""
    try:
        for step in steps:
            step.take()
    except OSError as error:
        raise NotWritable(error) from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _diff(path: Path, old: bytes, new: bytes) -> Iterator[str]:
    from difflib import unified_diff  # imported late: founding a memory shows nothing

    before, after = (data.decode("utf-8", "replace").splitlines() for data in (old, new))
    names = (str(path) if old else "/dev/null", str(path) if new else "/dev/null")
    return unified_diff(before, after, *names, lineterm="")
