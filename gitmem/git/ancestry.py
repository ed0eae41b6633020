"""Ancestry: where histories meet, as git tells it."""

from pathlib import Path

from gitmem.git.repository import ask_git


def merge_bases(folder: Path, one: str, other: str) -> list[str]:
    """The best common ancestors of two commits; none if their histories have nothing in common."""
    return ask_git(folder, "merge-base", "--all", one, other).split()


def merge_base(folder: Path, one: str, other: str) -> str:
    """The first of them; "" if there is none, or no commit."""
    return next(iter(merge_bases(folder, one, other)), "") if one and other else ""


def is_next(folder: Path, old: str, new: str) -> bool:
    """Whether a commit stands right on another, and on no other beside it."""
    return ask_git(folder, "rev-parse", f"{new}^@") == old


def is_ancestor(folder: Path, old: str, new: str) -> bool:
    """Whether `new` has `old` in its history, or is it."""
    return old == new or merge_bases(folder, old, new) == [old]
