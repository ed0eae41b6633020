"""Cloning a memory: a bare repository that is a whole memory, or a worktree for a person."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gitmem.errors import BadArgument, GitmemError
from gitmem.founding import install_hooks
from gitmem.git.remote import Progress
from gitmem.git.repository import MAIN, Repository
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.settings import PATH, settings_of
from gitmem.memory.sync import Sync
from gitmem.names import shown


class NotEmpty(BadArgument):
    """Something is at the place already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already and not empty.", fix="Name another folder for the clone.")


class NoMemory(GitmemError):
    """The repository is no memory."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{shown(url, 200)} is no memory of gitmem: {why}.",
            fix="Check the address; 'gitmem init' makes a memory, and 'gitmem hub add URL' puts it on an empty repository.",
        )


def folder_for(url: str) -> Path:
    """The folder that a clone goes to if nobody names one: the last part of the address, as git has it."""
    last = url.rstrip("/").removesuffix("/.git").replace(":", "/").rpartition("/")[2].removesuffix(".git")
    if not last or last.startswith("."):
        raise BadArgument(f"{shown(url)} does not tell a folder's name.", fix="Name the folder after the address.")
    return Path(f"{last}.git")


def clone(url: str, path: Path, *, options: Sequence[str] = (), asks: bool = False, progress: Progress | None = None) -> Memory:
    """A whole memory at `path`, in step with the one at `url`. Nothing stays there if it fails."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise NotEmpty(path)
    existed = path.exists()
    try:
        return _cloned(url, path, options, asks=asks, progress=progress)
    except BaseException:
        _clear(path, keep=existed)
        raise


def _cloned(url: str, path: Path, options: Sequence[str], *, asks: bool, progress: Progress | None) -> Memory:
    repository = Repository.init(path)
    hub = hubs.add(repository, url)
    remote = hub.remote(repository, asks=asks, progress=progress)
    remote.fetch(*hub.refspecs(), options=options)
    memory = Memory(path)
    try:
        _check(memory, hub)
        Sync(memory, hub, remote).run()
    except BaseException:
        memory.close()
        raise
    install_hooks(memory.repository)
    return memory


def _check(memory: Memory, hub: hubs.Hub) -> None:
    head = memory.repository.refs.read(hub.tracking(MAIN))
    if head is None:
        raise NoMemory(hub.shown_url, "it has no branch main")
    view = memory.view(commit=head)
    if view.entry(PATH) is None:
        raise NoMemory(hub.shown_url, f"its branch main has no {PATH}")
    settings_of(view)


def _clear(path: Path, *, keep: bool) -> None:
    with suppress(OSError):
        for each in path.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        if not keep:
            path.rmdir()
