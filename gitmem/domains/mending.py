"""What doctor can mend by itself: only what loses nothing. Each mending is named by the findings that it is for."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from gitmem import founding
from gitmem.domains import health
from gitmem.domains.doctor import Health
from gitmem.domains.examining import LOCK_STALE_SECONDS, examine, git_locks
from gitmem.errors import GitmemError
from gitmem.git.bundles import kinds_of
from gitmem.git.refs import BrokenRef
from gitmem.git.repository import GitFailed, run_git
from gitmem.memory.memory import Memory

ASIDE = "damaged"  # a folder among gitmem's own: what is moved away is kept


class Mended(Struct, frozen=True):
    """What was done about findings, or why it could not be."""

    name: str
    what: str
    done: bool


def mend(path: Path, *, records: bool = False, hubs: bool = False) -> tuple[tuple[Mended, ...], Health]:
    """Do what the findings about a memory name, then look again."""
    names = dict.fromkeys(each.fix for each in examine(path, records=records).findings if each.fix)
    done = tuple(_mended(path, name) for name in names)
    return done, examine(path, records=records, hubs=hubs)


def _mended(path: Path, name: str) -> Mended:
    try:
        with closing(Memory(path)) as memory:
            return Mended(name, MENDINGS[name](memory), done=True)
    except GitmemError as error:
        return Mended(name, error.message, done=False)
    except OSError as error:
        return Mended(name, str(error), done=False)


def _hooks(memory: Memory) -> str:
    founding.install_hooks(memory.repository)
    for name in founding.HOOKS:
        file = memory.path / "hooks" / name
        if file.read_text() == founding.hook_text(name):
            file.chmod(file.stat().st_mode | 0o111)
    return "gitmem's hooks were installed"


def _settings(memory: Memory) -> str:
    memory.repository.configure()
    return "git's settings were set"


def _locks(memory: Memory) -> str:
    removed = []
    for path, age in git_locks(memory):
        if age > LOCK_STALE_SECONDS:
            _move_aside(memory, path)
            removed.append(path.relative_to(memory.path).as_posix())
    return f"moved away: {', '.join(removed) or 'nothing'}"


def _marks(memory: Memory) -> str:
    dropped = []
    for file in sorted((memory.path / health.MARKS_BELOW).rglob("*")):
        name = file.relative_to(memory.path).as_posix()
        if file.is_file() and health.is_mark(name) and _is_lost(memory, name):
            _move_aside(memory, file)
            dropped.append(name)
    for name, oid in memory.repository.refs.list(f"{health.MARKS_BELOW}/").items():  # those that git has packed
        if health.is_mark(name) and oid not in kinds_of(memory.repository, [oid]):
            run_git(memory.path, "update-ref", "-d", name)
            dropped.append(name)
    return f"let go of {', '.join(dropped) or 'nothing'}"


def _is_lost(memory: Memory, name: str) -> bool:
    try:
        oid = memory.repository.refs.read(name)
    except BrokenRef:
        return True
    return oid is not None and oid not in kinds_of(memory.repository, [oid])


def _index(memory: Memory) -> str:
    from gitmem.index.search import Index  # imported late: only this needs it

    with closing(Index(memory)) as index:
        return f"the index was built anew, with {index.rebuild()} records"


def _storage(memory: Memory) -> str:
    memory.upkeep.run(thorough=True)
    return "the repository was repacked"


def _objects(memory: Memory) -> str:
    healed, lost = [], []
    for path in health.damaged_objects(memory.repository):
        aside = _move_aside(memory, path)
        oid = path.parent.name + path.name
        try:
            run_git(memory.path, "cat-file", "-e", oid)
            healed.append(oid[:10])
        except GitFailed:
            aside.rename(path)
            lost.append(oid[:10])
    told = [f"{', '.join(healed)} is read from a pack now"] if healed else []
    return "; ".join(told + ([f"nothing else here has {', '.join(lost)}"] if lost else [])) or "nothing was damaged"


def _move_aside(memory: Memory, path: Path) -> Path:
    aside = memory.repository.private / ASIDE / f"{time.time_ns()}-{path.name}"
    aside.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(aside)


MENDINGS: dict[str, Callable[[Memory], str]] = {
    "hooks": _hooks, "settings": _settings, "locks": _locks, "marks": _marks, "index": _index, "storage": _storage,
    "objects": _objects,
}  # fmt: skip
