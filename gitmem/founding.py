"""Founding a memory: the bare repository, its first commit, and the hook that guards pushes."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from gitmem import assets
from gitmem.errors import Refused
from gitmem.git.hooking import MARK, OURS, hook_text, refreshing
from gitmem.git.repository import Repository, is_vacant
from gitmem.git.steps import take
from gitmem.memory.caller import GITMEM
from gitmem.memory.memory import FOUNDING, Memory
from gitmem.memory.pending import Stale

__all__ = ["HOOKS", "NotEmpty", "found", "hook_is_installed", "hook_text", "install_hooks"]

HOOKS = OURS["memory"]
# A leading dot would hide the file among the templates.
_FILE_NAMES = {"gitattributes": ".gitattributes"}


class NotEmpty(Refused):
    """There is something where a memory should be made."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is there already and not empty. Nothing was changed.", fix="Name a new or empty folder.")


def found(path: Path) -> tuple[Memory, bool]:
    """The memory at `path`, made if there is none; whether it was made. Doing it again changes nothing."""
    is_new = is_vacant(path)
    Repository.init(path)
    memory = Memory(path)
    install_hooks(memory.repository)
    if not memory.head():
        _first_commit(memory)
    return memory, is_new


def _first_commit(memory: Memory) -> None:
    try:
        # without the id, memories that are made at the same second would begin with the same commit
        with memory.transaction(memory.view(), GITMEM, FOUNDING, body=f"Memory {secrets.token_hex(16)}") as change:
            for name, data in _templates():
                change.put_file(name, data)
    except Stale:
        pass  # two processes started at once on a new path: the other one's first commit is as good


def _templates() -> Iterator[tuple[str, bytes]]:
    for file in sorted((assets.folder("templates") / "memory").iterdir()):
        yield _FILE_NAMES.get(file.name, file.name), file.read_bytes()


def install_hooks(repository: Repository) -> None:
    """Put gitmem's hooks into its own bare repository, each pointing to this interpreter. Those of others are let alone."""
    # a push at this moment runs the old hook or the new one, never an empty one
    take(refreshing(repository.path))


def hook_is_installed(repository: Repository, name: str) -> bool:
    """Whether the repository has gitmem's hook, ready to run."""
    file = repository.path / "hooks" / name
    return file.is_file() and MARK in file.read_text() and bool(file.stat().st_mode & 0o111)
