"""Selections: which files an entry of a settings file means, by gitignore patterns, by kinds, or by both."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from gitmem.names import shown
from gitmem.records.check import one_line
from gitmem.records.kind import kind_at

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Selecting(Protocol):
    """An entry of a list in which the last one that selects a file counts. Without patterns it means files anywhere."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Gitignore patterns."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of kinds of record."""
        ...


S = TypeVar("S", bound=Selecting)


def last_selecting(entries: Sequence[S], path: str) -> S | None:
    """The last entry that selects a file of `main`."""
    return next((entry for entry in reversed(entries) if selects(entry, path)), None)


def selects(entry: Selecting, path: str) -> bool:
    """Whether an entry means the file at a path."""
    if entry.kinds:
        found = kind_at(path)
        if found is None or found.name not in entry.kinds:
            return False
    return _spec(entry.paths).match_file(path) if entry.paths else bool(entry.kinds)


@lru_cache(maxsize=1000)
def _spec(patterns: tuple[str, ...]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # imported late: most memories have no patterns, and the push hook starts fast

    return GitIgnoreSpec.from_lines(patterns)


def selection_problem(entries: Iterable[Selecting]) -> str | None:
    """What is wrong with what a list's entries select, or None."""
    for position, entry in enumerate(entries, 1):
        if not entry.paths and not entry.kinds:
            return f"has entry {position} without paths and kinds, which selects nothing"
        for pattern in entry.paths:
            if problem := pattern_problem(pattern):
                return f"has in entry {position} the pattern {shown(pattern)}, which {problem}"
    return None


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a gitignore pattern, or None."""
    if problem := one_line(pattern):
        return problem
    if pattern.startswith("#"):
        return "is a comment; write \\# for a name that starts so"
    try:
        _spec((pattern,))
    except ValueError as error:
        return f"is no gitignore pattern: {shown(str(error), 100)}"
    return None
