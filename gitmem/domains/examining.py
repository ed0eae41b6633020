"""Examining a memory: what is looked at, what was found, what helps. Looking changes nothing."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gitmem.domains.kinds  # noqa: F401  declares the record kinds
from gitmem import founding
from gitmem.domains import health, surroundings
from gitmem.domains.doctor import Finding, Health
from gitmem.domains.sessions import count_live
from gitmem.errors import GitmemError
from gitmem.git.maintenance import LOOSE_MAX, LOOSE_REFS_MAX, PACKS_MAX
from gitmem.git.repository import SETTINGS, Repository, run_git
from gitmem.index.follower import opened
from gitmem.index.store import Damaged, Missing, Store, place_of
from gitmem.memory import settings
from gitmem.memory.memory import Memory

GIT_MIN = (2, 31)
SPACE_MIN_BYTES = 200 * 1024 * 1024
# Git holds a lock for the time of one write; one that is this old was left by a process that died.
LOCK_STALE_SECONDS = 600
UNREADABLE_SHOWN = 5


def examine(path: Path, *, records: bool = False, hubs: bool = False) -> Health:
    """Look at the memory at `path`; at each of its records and at its hubs if that is asked for, since it takes longer."""
    found = [_git()]
    try:
        memory = Memory(path)
    except GitmemError as error:
        found += [Finding("repository", "problem", error.message, error.fix), *_without_memory(path)]
    else:
        looks = [*LOOKS, *(DEEP_LOOKS if records else []), *([_hubs] if hubs else [])]
        found += [finding for look in looks for finding in _seen(look, memory)]
        memory.close()
    return Health(str(path), all(finding.state != "problem" for finding in found), tuple(found))


def _without_memory(path: Path) -> list[Finding]:
    """What can be said of a memory that cannot be opened."""
    try:
        return list(health.refs(Repository(path)))
    except GitmemError:  # that was told already
        return []


Look = Callable[[Memory], Iterator[Finding]]


def _seen(look: Look, memory: Memory) -> list[Finding]:
    # what one look stumbles over is a finding too, and must not hide the others
    try:
        return list(look(memory))
    except GitmemError as error:
        return [Finding(look.__name__.strip("_"), "problem", error.message, error.fix)]
    except OSError as error:
        return [Finding(look.__name__.strip("_"), "problem", str(error), "Check the folder's owner and permissions.")]


def _git() -> Finding:
    try:
        version = run_git(Path.cwd(), "--version").strip().removeprefix("git version ")
    except GitmemError as error:
        return Finding("git", "problem", error.message, error.fix)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    needed = ".".join(map(str, GIT_MIN))
    if numbers < GIT_MIN:
        return Finding("git", "problem", f"git {version} is older than {needed}", f"Install git {needed} or newer.")
    return Finding("git", "ok", f"git {version}")


def _repository(memory: Memory) -> Iterator[Finding]:
    folders = (memory.path, memory.path / "objects", memory.path / "refs", memory.repository.private)
    if locked := [str(folder) for folder in folders if not os.access(folder, os.W_OK)]:
        help_ = "Make them writable for the user that runs gitmem."
        yield Finding("repository", "problem", f"cannot be written: {', '.join(locked)}", help_)
    else:
        yield Finding("repository", "ok", f"{memory.path} can be read and written")


def _head(memory: Memory) -> Iterator[Finding]:
    head = memory.head()
    if not head:
        yield Finding("head", "warning", "main has no commit yet", f"Run: gitmem init {memory.path}")
        return
    commit = memory.repository.objects.commit(head)
    count = sum(1 for _ in memory.view().files())
    yield Finding("head", "ok", f"main is at {head[:10]} ({commit.subject}) with {count} files")


def _format(memory: Memory) -> Iterator[Finding]:
    decoded = memory.view().decoded(settings.PATH)
    if decoded is None:
        what = f"there is no {settings.PATH}; format version {settings.FORMAT_VERSION} is assumed"
        yield Finding("format", "warning", what, f"Commit one that says: format: {settings.FORMAT_VERSION}")
    elif decoded.problems:
        yield Finding("format", "problem", str(decoded.problems[0]), "Mend the file and push it.")
    else:
        yield Finding("format", "ok", f"format version {settings.settings_of(memory.view()).format}")


def _settings(memory: Memory) -> Iterator[Finding]:
    current = dict(memory.repository.settings())
    wrong = [f"{name} is {current.get(name.lower(), 'not set')}, not {value}"
             for name, value in SETTINGS if current.get(name.lower()) != value]
    if wrong:
        yield Finding("settings", "warning", "; ".join(wrong), f"Run: gitmem init {memory.path}", "settings")
    else:
        yield Finding("settings", "ok", f"all {len(SETTINGS)} git settings are as they should be")


def _hooks(memory: Memory) -> Iterator[Finding]:
    mend = f"Run: gitmem hooks install {memory.path}"
    for name in founding.HOOKS:
        file = memory.path / "hooks" / name
        if not file.exists():
            yield Finding("hook", "problem", f"{name} is not installed: nothing checks what is pushed", mend, "hooks")
        elif not os.access(file, os.X_OK):
            ours = "hooks" if founding.hook_text(name) == file.read_text() else ""
            what = f"{name} is not executable: nothing checks what is pushed"
            yield Finding("hook", "problem", what, f"Run: chmod +x {file}", ours)
        elif not founding.hook_is_installed(memory.repository, name):
            yield Finding("hook", "warning", f"{name} is not gitmem's: what is pushed may not be checked",
                          f"Call gitmem's hook from it, or move it away and run: gitmem hooks install {memory.path}")
        elif file.read_text() != founding.hook_text(name):
            yield Finding("hook", "warning", f"{name} was installed by another gitmem or Python than this one", mend, "hooks")
        else:
            yield Finding("hook", "ok", f"{name} is installed and executable")
    yield from surroundings.hooks_in_force(memory)


def _storage(memory: Memory) -> Iterator[Finding]:
    condition = memory.upkeep.condition()
    what = str(condition)
    crowded = condition.packs > PACKS_MAX or condition.loose_objects > LOOSE_MAX or condition.loose_refs > LOOSE_REFS_MAX
    crowding = Finding("storage", "warning", what, "Run: gitmem upkeep", "storage")
    yield crowding if crowded else Finding("storage", "ok", what)


def _space(memory: Memory) -> Iterator[Finding]:
    free = shutil.disk_usage(memory.path).free
    what = f"{free / 1024**2:,.0f} MiB are free on the disk"
    scarce = free < SPACE_MIN_BYTES
    yield Finding("space", "warning", what, "Free some: writes fail on a full disk.") if scarce else Finding("space", "ok", what)


def _index(memory: Memory) -> Iterator[Finding]:
    head = memory.head()
    try:
        base = opened(Store(place_of(memory.repository)), memory)
    except Missing:
        yield Finding("index", "ok", "there is none yet; the first search builds it")
    except Damaged as damage:
        help_ = "Run: gitmem reindex (or the next search does it)."
        yield Finding("index", "warning", f"is of no use: {damage}", help_, "index")
    else:
        if not base.complete:
            yield Finding("index", "warning", "is being built, or its building was cut off", "Run: gitmem reindex", "index")
        elif base.commit != head:
            yield Finding("index", "ok", f"reflects {base.commit[:10]}; the next search follows to {head[:10]}")
        else:
            yield Finding("index", "ok", f"reflects the head, {base.records} records")


def _sessions(memory: Memory) -> Iterator[Finding]:
    count = count_live(memory)
    yield Finding("sessions", "ok", f"{count} {'is' if count == 1 else 'are'} live")


def _locks(memory: Memory) -> Iterator[Finding]:
    old = [(path, age) for path, age in git_locks(memory) if age > LOCK_STALE_SECONDS]
    for path, age in old:
        what = f"{path.relative_to(memory.path)} has been there for {age / 60:,.0f} minutes: nothing can be written past it"
        help_ = "If no git process is at work here, its owner died: move the file away."
        yield Finding("lock", "problem", what, help_, "locks")
    if not old:
        yield Finding("lock", "ok", "no lock file was left behind")


def git_locks(memory: Memory) -> Iterator[tuple[Path, float]]:
    """Git's own lock files with their ages in seconds. Those in gitmem's folder stay there between uses."""
    others = (memory.repository.private, memory.path / "objects")
    for folder, subfolders, names in os.walk(memory.path):
        subfolders[:] = [each for each in subfolders if Path(folder, each) not in others]
        for name in names:
            if name.endswith(".lock") and (path := Path(folder, name)).exists():
                yield path, time.time() - path.stat().st_mtime


def _records(memory: Memory) -> Iterator[Finding]:
    view = memory.view()
    decoded = [found for path, _ in view.files() if (found := view.decoded(path))]
    problems = [problem for each in decoded for problem in each.problems]
    for problem in problems[:UNREADABLE_SHOWN]:
        yield Finding("record", "warning", str(problem), "Mend the file in a clone and push it.")
    if len(problems) > UNREADABLE_SHOWN:
        yield Finding("record", "warning", f"{len(problems) - UNREADABLE_SHOWN} more problems in records")
    if not problems:
        yield Finding("record", "ok", f"all {len(decoded)} records can be read")


def _refs(memory: Memory) -> Iterator[Finding]:
    yield from health.refs(memory.repository)


def _proposals(memory: Memory) -> Iterator[Finding]:
    yield from surroundings.proposals(memory)


def _hubs(memory: Memory) -> Iterator[Finding]:
    yield from surroundings.answering(memory)


def _objects(memory: Memory) -> Iterator[Finding]:
    yield from health.objects(memory.repository)


LOOKS: tuple[Look, ...] = (
    _repository, _head, _format, _settings, _hooks, _refs, _proposals, _storage, _space, _index, _sessions, _locks,
)
DEEP_LOOKS: tuple[Look, ...] = (_objects, _records)
