"""Durable writes: a file, and the names in a folder, survive a power cut once these return."""

import os
import secrets
from contextlib import suppress
from itertools import count
from pathlib import Path

_NUMBERS = count()


def put(folder: str, final: str, data: bytes, prefix: str = "tmp_pack") -> None:
    """A new read-only file that appears under its name only when it is complete and flushed."""
    # git's own prefixes: `git gc` and `git prune` clear away what a crash leaves under them
    temporary = f"{folder}/{prefix}_{os.getpid()}_{next(_NUMBERS)}_{secrets.token_hex(4)}"
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(number, rest) :]
            os.fsync(number)
        finally:
            os.close(number)
        os.rename(temporary, final)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def flush_file(path: Path) -> None:
    """Flush a file that was written already."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush a folder, so that names just made in it survive a power cut."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
