"""Backups: the whole memory as one file, or what is new in it since an earlier one."""

import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from msgspec import Struct

from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.git import bundles
from gitmem.git.bundles import Bundle, Content, Draft, Progress
from gitmem.git.repository import MAIN, GitFailed, Repository, run_git
from gitmem.memory.memory import Memory
from gitmem.names import format_time, name_problem, now

FORMAT_VERSION = 1
ARCHIVE = "archive/"
LOG = f"logs/{MAIN}"  # when pushes arrived, which their commits do not tell
# What a memory was told of other places. Nothing else of its configuration goes along: git's can name programs to run.
_KEPT_SETTINGS = ("gitmem.",)
_KEPT_OF_REMOTES = frozenset({"url", "pushurl", "fetch", "push", "tagopt", "gitmem"})
_TRIES = 5  # to see all refs hold still, and to write past upkeep, which may take packs away


class OnlyAPart(Refused):
    """A clone that lacks history cannot be backed up."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} has only a part of the memory's history, so a backup of it could not be restored. Nothing was written.",
            fix="Back up the memory that it was cloned from, or fetch the whole history first.",
        )


class BackupExists(Refused):
    """The name of the new backup is taken."""

    def __init__(self, path: Path) -> None:
        what = "is a folder" if path.is_dir() else "exists already"
        fix = "Name a file in it." if path.is_dir() else "Choose another name, or pass --force to replace it."
        super().__init__(f"{path} {what}. Nothing was written.", fix=fix)


class OfAnotherMemory(Refused):
    """An increment was asked for to a backup of something else."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not a backup of this memory: what it says main was is no commit here. Nothing was written.",
            fix="Name an earlier backup of this memory, or leave --since out for a whole one.",
        )


class BackedUp(Struct, frozen=True):
    """A backup that was written and checked."""

    path: str
    refs: int
    objects: int
    size_bytes: int
    commit: str
    since: str  # the backup, or the commit of main, that it builds upon


def back_up(memory: Memory, path: Path, progress: Progress, *, since: str = "", replace: bool = False) -> BackedUp:
    """Write a backup of all refs and archives to `path`; with `since`, of what an earlier backup lacks.

    It has its name only after it was read back and checked.
    """
    path = path.expanduser().absolute()
    if path.is_dir() or (path.exists() and not replace):
        raise BackupExists(path)
    if not path.parent.is_dir():
        raise BadArgument(f"There is no folder {path.parent} to write the backup into.", fix="Make it, or name another.")
    if (memory.path / "shallow").exists() or any(memory.repository.objects.pack_folder.glob("*.promisor")):
        raise OnlyAPart(memory.path)
    had, base = _had(memory, since) if since else (frozenset[str](), "")
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        draft, made = _written(memory, Path(folder), had, base, progress)
        try:
            draft.publish(path, replace=replace)
        except FileExistsError:
            raise BackupExists(path) from None
    return BackedUp(str(path), len(made.refs), made.objects, made.size_bytes, made.refs.get(MAIN, ""), base)


def _had(memory: Memory, since: str) -> tuple[frozenset[str], str]:
    """The objects that whoever restores has already, and in a word what that is."""
    earlier = Path(since).expanduser()
    if not earlier.exists():
        if os.sep in since or earlier.suffix:
            fix = "Name an earlier backup, a commit, a date or an age."
            raise NotFound(f"There is no file {earlier}. Nothing was written.", fix=fix)
        commit = memory.commit_as_of(since)
        return frozenset({commit}), commit
    bundle = bundles.read(earlier)
    kinds = bundles.kinds_of(memory.repository, bundle.heads.values())
    if bundle.heads.get("HEAD") not in kinds:
        raise OfAnotherMemory(earlier)
    commits = {oid for oid, kind in kinds.items() if kind == "commit"}
    # a chain that began anew, or a proposal that went, leaves commits that may go at any time
    left = run_git(memory.path, "rev-list", "--not", "--all", "--not", "--stdin", stdin="".join(f"{oid}\n" for oid in commits))
    return frozenset(bundle.heads.values()) - set(left.split()), bundle.seal


def _written(memory: Memory, folder: Path, had: frozenset[str], base: str, progress: Progress) -> tuple[Draft, Bundle]:
    for attempt in range(_TRIES):
        place = folder / str(attempt)
        place.mkdir()
        try:
            draft = Draft(memory.repository, place)
            refs = _refs_at_one_moment(memory)
            draft.keep(refs)
            return draft, draft.write(Content(refs, dict(_files(memory.path)), _about(memory, base)), had, progress)
        except GitFailed as error:
            failed = error  # upkeep may have replaced the packs that git was reading
    raise failed


def _refs_at_one_moment(memory: Memory) -> dict[str, str]:
    """All refs as they were at one moment, between two looks that saw the same."""
    for attempt in range(_TRIES):
        # whoever writes all the time is kept waiting for a moment; a push is seen by the second look
        with memory.writer.alone() if attempt > 1 else nullcontext():
            first, second = (_refs(memory.repository) for _ in range(2))
        if first == second:
            return first
    raise Refused("The refs of the memory keep changing.", fix="Call it again when fewer people push.")


def _refs(repository: Repository) -> dict[str, str]:
    return {name: oid for name, oid in repository.refs.list("refs/").items() if not name.startswith(bundles.OWN)}


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted((path / ARCHIVE).glob("*.bundle")):
        yield ARCHIVE + file.name, file
    if (path / LOG).exists():
        yield LOG, path / LOG


def _about(memory: Memory, base: str) -> str:
    about = {
        "backup": FORMAT_VERSION, "written": format_time(now()), "of": str(memory.path), "since": base,
        "settings": [(name, _without_password(value)) for name, value in memory.repository.settings() if is_kept(name)],
    }
    return json.dumps(about, indent=1) + "\n"


def is_kept(name: str) -> bool:
    """Whether a git setting belongs to a backup."""
    section, _, rest = name.partition(".")
    remote, _, key = rest.rpartition(".")
    return name.startswith(_KEPT_SETTINGS) or (section == "remote" and key in _KEPT_OF_REMOTES and not name_problem(remote))


def _without_password(value: str) -> str:
    try:
        password = urlsplit(value).password
    except ValueError:
        return value
    return value.replace(f":{password}@", "@", 1) if password else value
