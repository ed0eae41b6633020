"""Scratch repositories: they are needed for a moment, to pack, to check or to try something apart from the memory."""

import os
from pathlib import Path

from gitmem.git.repository import run_git


def make_scratch(place: Path, *, lender: Path | None = None) -> None:
    """Make a bare repository at `place`, which reads the objects in the folder `lender` as well."""
    run_git(place.parent, "init", "-q", "--bare", "--template=", "--initial-branch=main", str(place))
    if lender:
        borrow(place / "objects", lender)


def borrow(folder: Path, lender: Path) -> None:
    """Have the repository whose objects are in `folder` read those in `lender`, too, without a copy."""
    name = os.fsencode(lender)
    if b"\n" in name:  # quoted as in C, which git alone reads; others know only paths as they are
        name = b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "alternates").write_bytes(name + b"\n")
