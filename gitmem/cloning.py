"""Cloning a memory: a bare repository that is a whole memory, or a worktree for a person."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gitmem.errors import BadArgument
from gitmem.founding import NotEmpty, install_hooks
from gitmem.git.hooking import Site, installation
from gitmem.git.merge_driver import configure_driver
from gitmem.git.remote import NoRepository, NoSuchRef, Progress, Remote
from gitmem.git.repository import Repository
from gitmem.git.steps import take
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.memory.settings import FORMAT_VERSION, PATH, NewerFormat, Settings
from gitmem.memory.settling import NoMemory
from gitmem.memory.sync import Sync
from gitmem.names import shown
from gitmem.records.codec import decode
from gitmem.records.kind import kind_at


def folder_for(url: str, *, work: bool = False) -> Path:
    """The folder that a clone goes to if nobody names one: the last part of the address, as git has it."""
    last = url.rstrip("/").removesuffix("/.git").replace(":", "/").rpartition("/")[2].removesuffix(".git")
    if not last or last.startswith("."):
        raise BadArgument(f"{shown(url)} does not tell a folder's name.", fix="Name the folder after the address.")
    return Path(last if work else f"{last}.git")


def clone(url: str, path: Path, *, options: Sequence[str] = (), asks: bool = False, progress: Progress | None = None) -> Memory:
    """A whole memory at `path`, in step with the one at `url`. Nothing stays there if it fails."""
    with _made_at(path):
        if Path(url).expanduser().absolute() == path.absolute():  # what is made must not be taken for what is cloned
            raise NoRepository(url, "there is nothing")
        return _cloned(url, path, options, asks=asks, progress=progress)


@contextmanager
def _made_at(path: Path) -> Iterator[None]:
    """Something is made at `path`, where nothing may be yet; if that fails, nothing stays. Raises NotEmpty, StorageFailed."""
    existed = path.exists()
    if existed and not (path.is_dir() and not any(path.iterdir())):
        raise NotEmpty(path)
    try:
        yield
    except OSError as error:
        _clear(path, keep=existed)
        raise StorageFailed(error) from error
    except BaseException:
        _clear(path, keep=existed)
        raise


def _cloned(url: str, path: Path, options: Sequence[str], *, asks: bool, progress: Progress | None) -> Memory:
    repository = Repository.init(path)
    hub = hubs.add(repository, url)
    remote = hub.remote(repository, asks=asks, progress=progress)
    if options:  # a shallow or partial clone stays one in every fetch after the first
        with suppress(NoSuchRef):
            remote.fetch(*hub.refspecs(), options=options)
    memory = Memory(path)
    try:
        Sync(memory, hub, remote).run()
        if not memory.head():
            raise NoMemory(hub.shown_url, "it has no branch main")
    except BaseException:
        memory.close()
        raise
    install_hooks(repository)
    configure_driver(path)
    return memory


def clone_to_work(url: str, path: Path, *, asks: bool = False, progress: Progress | None = None) -> Path:
    """A person's clone, with the files of main in it: for editors, plain git and pull requests."""
    with _made_at(path):
        path.mkdir(parents=True, exist_ok=True)
        Remote(path, "origin", url, asks=asks, progress=progress).clone_here(hubs.address(url))
        _check_worktree(path, url)
        configure_driver(path)
        take(installation(Site.at(path)).steps)
    return path


def _check_worktree(path: Path, url: str) -> None:
    file, declared = path / PATH, kind_at(PATH, "main")
    if not file.is_file() or declared is None:
        raise NoMemory(url, f"its branch main has no {PATH}")
    record = decode(declared, PATH, file.read_bytes()).record
    if isinstance(record, Settings) and record.format > FORMAT_VERSION:
        raise NewerFormat(record.format)


def _clear(path: Path, *, keep: bool) -> None:
    with suppress(OSError):
        for each in path.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        if not keep:
            path.rmdir()
