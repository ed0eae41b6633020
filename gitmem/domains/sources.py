"""The sources of an import: the Markdown files below a folder of this machine, and the text of each."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from gitmem.domains.documents import SUFFIXES

FILE_MAX_BYTES = 5 * 1024 * 1024
# Other people's files that lie about in a checkout.
IGNORED_FOLDERS = frozenset((".git", "node_modules"))


class Notice(Struct, frozen=True):
    """Something to tell about one file."""

    source: str
    what: str


class LeftOut(Exception):
    """A file that is not imported; the text says why."""


def markdown_files(directory: Path, left_out: list[Notice]) -> Iterator[str]:
    """The paths of all Markdown files below a folder. Folders that cannot be read are told of."""

    def unreadable(error: OSError) -> None:
        left_out.append(Notice(_shown(directory, Path(error.filename)), f"cannot be read: {error.strerror}"))

    for folder, subfolders, names in os.walk(directory, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if name not in IGNORED_FOLDERS)
        for name in subfolders:
            if Path(folder, name).is_symlink():
                left_out.append(Notice(_shown(directory, Path(folder, name)), "is a link to a folder; links are not followed"))
        for name in names:
            if name.lower().endswith(SUFFIXES):
                yield Path(folder, name).relative_to(directory).as_posix()


def _shown(directory: Path, path: Path) -> str:
    return path.relative_to(directory).as_posix() if path != directory else "."


def text_of(directory: Path, source: str) -> str:
    """The text of a file. Raises LeftOut."""
    try:
        source.encode()
        data = _bytes_of(directory / source)
    except UnicodeEncodeError:
        raise LeftOut("has a name that is not UTF-8") from None
    except OSError as error:
        raise LeftOut(f"cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LeftOut(f"is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}") from None


def _bytes_of(path: Path) -> bytes:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise LeftOut("is a link; links are not followed")
    if not stat.S_ISREG(status.st_mode):
        raise LeftOut("is no plain file")  # opening a pipe would wait for ever
    if status.st_size > FILE_MAX_BYTES:
        raise LeftOut(f"has {status.st_size:,} bytes; at most {FILE_MAX_BYTES:,} are accepted")
    return path.read_bytes()
