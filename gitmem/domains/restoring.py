"""Restoring: a memory from its backups, checked before it is there, or nothing at all."""

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

import gitmem.domains.kinds  # noqa: F401  declares the record kinds and the gate's rules
from gitmem import founding
from gitmem.domains.backup import ARCHIVE, FORMAT_VERSION, LOG, is_kept
from gitmem.domains.health import fsck
from gitmem.errors import Refused
from gitmem.git import bundles
from gitmem.git.ancestry import is_ancestor
from gitmem.git.bundles import Bundle, DamagedBackup, NotABackup, Progress
from gitmem.git.durable import flush_file
from gitmem.git.objects import MissingObject
from gitmem.git.repository import MAIN, GitFailed, Repository, run_git
from gitmem.memory import gate
from gitmem.memory.caller import GITMEM
from gitmem.memory.memory import Memory
from gitmem.names import parse_time, shown
from gitmem.records.codec import Problem

_SHOWN = 20  # problems


class EarlierMissing(Refused):
    """An incremental backup without what it builds upon."""

    def __init__(self, path: Path, missing: str) -> None:
        super().__init__(
            f"{path} has only what changed since an earlier backup, and that is not among those before it: "
            f"commit {missing[:10]} is missing. Nothing was changed.",
            fix="Give all backups since the last whole one, the oldest first.",
        )


class OutOfOrder(Refused):
    """Backups that were given newest first would bring back the oldest."""

    def __init__(self, path: Path, before: Path) -> None:
        super().__init__(
            f"{path} does not go on from {before}, which was given before it. Nothing was changed.",
            fix="Give backups of one memory, the oldest first.",
        )


class NewerBackup(Refused):
    """A backup that a newer gitmem wrote."""

    def __init__(self, path: Path, found: object) -> None:
        super().__init__(
            f"{path} is a backup of format {shown(str(found))}; this gitmem knows formats up to {FORMAT_VERSION}. "
            "Nothing was changed.",
            fix="Upgrade gitmem-server.",
        )


class NotAsItShouldBe(Refused):
    """What was restored is whole, but has something that would not be let in."""

    def __init__(self, problems: Sequence[str]) -> None:
        listing = "\n".join(f"- {each}" for each in problems[:_SHOWN])
        more = f"\n- and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        super().__init__(
            f"The backup is undamaged, but what it holds has {len(problems)} problems. Nothing was changed.\n{listing}{more}",
            fix="Pass --as-it-is to restore it nevertheless and mend it then, or take an earlier backup.",
        )


class Restored(Struct, frozen=True):
    """A memory that was brought back."""

    path: str
    refs: int
    files: int
    commit: str
    written: datetime | None  # when its last backup was
    problems: tuple[str, ...]


def restore(files: Sequence[Path], folder: Path, progress: Progress, *, as_it_is: bool = False) -> Restored:
    """Bring a memory back from a whole backup and those that build upon it. It is checked before it is there."""
    folder = folder.expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise founding.NotEmpty(folder)
    found = [bundles.read(each.expanduser().absolute(), progress) for each in files]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        place = Path(beside) / "memory.git"
        written = _unpacked(found, Repository.init(place), progress)
        memory, _ = founding.found(place)
        with closing(memory):
            objects = (f"git fsck: {line}" for line in fsck(memory.repository).splitlines()[:_SHOWN])
            problems = (*objects, *map(str, _gate_problems(memory)))
            if problems and not as_it_is:
                raise NotAsItShouldBe(problems)
            count = sum(1 for _ in memory.view().files())
        place.rename(folder)
    return Restored(str(folder), len(found[-1].refs), count, found[-1].refs.get(MAIN, ""), written, problems)


def _unpacked(found: Sequence[Bundle], repository: Repository, progress: Progress) -> datetime | None:
    """Put all objects, and the refs and files of the last one, into a new repository; when that one was written."""
    before: Bundle | None = None
    for bundle in found:
        _check_needs(bundle, repository)
        try:
            bundle.unpack(repository, progress)
        except GitFailed as error:
            raise DamagedBackup(bundle.path, error.message) from None
        about = _read_about(bundle, repository)
        if before and not _goes_on(repository, before, bundle):
            raise OutOfOrder(bundle.path, before.path)
        before = bundle
    _set_refs(found[-1], repository)
    _put_files(found[-1], repository)
    _set_settings(about, repository)
    return parse_time(str(about["written"]))


def _goes_on(repository: Repository, before: Bundle, bundle: Bundle) -> bool:
    old, new = before.refs.get(MAIN), bundle.refs.get(MAIN)
    if old is None or new is None:
        return old is None
    return is_ancestor(repository.path, old, new)


def _check_needs(bundle: Bundle, repository: Repository) -> None:
    here = bundles.kinds_of(repository, bundle.needs)
    if missing := [oid for oid in bundle.needs if oid not in here]:
        raise EarlierMissing(bundle.path, missing[0])


def _read_about(bundle: Bundle, repository: Repository) -> dict[str, object]:
    try:
        about = json.loads(repository.objects.blob(bundle.heads[bundles.ABOUT]))
        if not (isinstance(about, dict) and isinstance(about["backup"], int)):
            raise TypeError
        parse_time(str(about["written"]))
    except (MissingObject, KeyError, ValueError, TypeError):
        raise NotABackup(bundle.path, "it does not say what it is") from None
    if about["backup"] > FORMAT_VERSION:
        raise NewerBackup(bundle.path, about["backup"])
    return about


def _set_refs(bundle: Bundle, repository: Repository) -> None:
    orders = "".join(f"create {name} {oid}\n" for name, oid in bundle.refs.items())
    try:
        # git would log that all came at this moment, and the memory then look as if it had not been there before
        run_git(repository.path, "-c", "core.logAllRefUpdates=false", "update-ref", "--stdin", stdin=orders)
    except GitFailed as error:
        raise DamagedBackup(bundle.path, error.message) from None


def _put_files(bundle: Bundle, repository: Repository) -> None:
    for name, oid in bundle.files.items():
        if name == LOG or (name.startswith(ARCHIVE) and name.endswith(".bundle") and name.count("/") == 1):
            path = repository.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(repository.objects.blob(oid))
            flush_file(path)


def _set_settings(about: dict[str, object], repository: Repository) -> None:
    settings = about.get("settings")
    for name, value in settings if isinstance(settings, list) else ():
        if isinstance(name, str) and isinstance(value, str) and is_kept(name):
            run_git(repository.path, "config", "--add", name, value)


def _gate_problems(memory: Memory) -> list[Problem]:
    """What of main would not be let in today. Who wrote it is not asked here: `verify` does that."""
    view = memory.view()
    edits = {path: gate.Edit(None, entry) for path, entry in view.files()}
    nothing = memory.view(commit="")
    return gate.check(gate.Change(nothing, edits, GITMEM, view.objects.blob, forced=True, several=True, proposed=True))
