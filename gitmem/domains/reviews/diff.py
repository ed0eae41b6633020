"""What a proposal changes, to be read: the files with how much of each, and the text of the difference in pages."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from gitmem.domains.reviews.standing import Standing
from gitmem.errors import BadArgument, closest
from gitmem.git.objects import NO_TREE
from gitmem.git.repository import run_git
from gitmem.names import shown

DIFF_MAX = 20_000  # characters of one page
LINE_MAX = 2000
FILES_MAX = 100


class FileChange(Struct, frozen=True):
    """What a proposal does to one file, and how many lines it adds and removes there."""

    path: str
    change: Literal["added", "changed", "removed"]
    added: int
    removed: int


class Page(Struct, frozen=True):
    """A part of a difference, and where the next one begins ("" if this is the last)."""

    text: str
    cursor: str


def files_of(found: Standing) -> list[FileChange]:
    """The files that a proposal changes."""
    kinds: dict[str, Literal["added", "changed", "removed"]] = {
        path: "added" if old is None else "removed" if new is None else "changed" for path, old, new in found.changes
    }
    counts = _counts(found)
    return [FileChange(path, kind, *counts.get(path, (0, 0))) for path, kind in kinds.items()]


def _counts(found: Standing) -> dict[str, tuple[int, int]]:
    counted: dict[str, tuple[int, int]] = {}
    for line in _git_diff(found, "--numstat", "-z").split("\0"):
        added, _, rest = line.partition("\t")
        removed, _, path = rest.partition("\t")
        if path:  # what is no text has dashes for numbers
            counted[path] = (int(added) if added.isdecimal() else 0, int(removed) if removed.isdecimal() else 0)
    return counted


def page_of(found: Standing, paths: Sequence[str], cursor: str) -> Page:
    """One page of the unified diff of a proposal, or of some of its files. Raises BadArgument."""
    known = found.paths
    for path in paths:
        if path not in known:
            near = closest(path, known) or known[:3]
            raise BadArgument(f"{found.id} does not change {shown(path, 200)}.", fix=f"It changes {', '.join(near)}.")
    lines = [_cut(line) for line in _git_diff(found, paths=paths).split("\n")]
    start, end, size = _start(cursor, len(lines)), 0, 0
    for end in range(start, len(lines)):
        size += len(lines[end]) + 1
        if size > DIFF_MAX and end > start:
            return Page("\n".join(lines[start:end]), str(end))
    return Page("\n".join(lines[start:]).rstrip("\n"), "")


def _start(cursor: str, count: int) -> int:
    if not cursor:
        return 0
    if cursor.isdecimal() and len(cursor) < 10 and int(cursor) < count:
        return int(cursor)
    raise BadArgument(f"{cursor[:40]!r} is no cursor.", fix="Pass the cursor of the answer before, or leave it out.")


def _cut(line: str) -> str:
    return line if len(line) <= LINE_MAX else f"{line[:LINE_MAX]}… ({len(line):,} characters)"


def _git_diff(found: Standing, *how: str, paths: Sequence[str] = ()) -> str:
    if found.last is None:
        return ""
    options = ("--no-color", "--no-ext-diff", "--no-renames", *how)
    only = ["--", *(f":(literal){path}" for path in paths)] if paths else []
    return run_git(found.memory.path, "diff", *options, found.base or NO_TREE, found.tip, *only)
