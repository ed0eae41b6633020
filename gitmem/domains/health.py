"""The health of a memory's refs and objects."""

import re
from collections.abc import Iterator
from pathlib import Path

from gitmem.domains.doctor import Finding
from gitmem.git.bundles import kinds_of
from gitmem.git.chains import ARCHIVES
from gitmem.git.refs import BrokenRef
from gitmem.git.repository import MAIN, GitFailed, Repository, run_git
from gitmem.memory.marks import Mark
from gitmem.names import name_problem, shown
from gitmem.records.kind import KINDS

OBJECTS_SHOWN = 5

MARKS_BELOW = "refs/gitmem"
_RECORDS = f"{MARKS_BELOW}/"
_PACKED_LINE = re.compile(r"#.*|\^[0-9a-f]{40}|[0-9a-f]{40} refs/\S.*")
_FROM_ELSEWHERE = "Fetch it from a clone, or restore a backup: 'gitmem restore'."
_CORRUPT = re.compile(r"^error: .*?(?P<path>(?:\./)?objects/[0-9a-f]{2}/[0-9a-f]{38})", re.MULTILINE)


def refs(repository: Repository) -> Iterator[Finding]:
    """Refs that cannot be read, lead nowhere, or are none that gitmem keeps."""
    found = [*_packed_refs(repository), *_loose_refs(repository)]
    if not found:
        tips = repository.refs.list("refs/")
        found = [*_leading_nowhere(repository, tips), *_unknown(tips)]
    yield from found or [Finding("refs", "ok", f"{len(tips)} can be read, and what they hold is there")]


def _packed_refs(repository: Repository) -> Iterator[Finding]:
    path = repository.path / "packed-refs"
    lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        if not _PACKED_LINE.fullmatch(line):
            help_ = f"Mend the line in {path}, which is an id, a space and a ref's name. A backup or a clone knows the id."
            yield Finding("refs", "problem", f"packed-refs has in line {number} {shown(line, 60)}, which is no ref", help_)


def _loose_refs(repository: Repository) -> Iterator[Finding]:
    for file in sorted((repository.path / "refs").rglob("*")):
        name = file.relative_to(repository.path).as_posix()
        if not file.is_file() or name.endswith(".lock"):
            continue
        try:
            repository.refs.read(name)
        except BrokenRef as error:
            yield _lost(repository, name, error.message.rstrip("."))


def _leading_nowhere(repository: Repository, tips: dict[str, str]) -> Iterator[Finding]:
    here = kinds_of(repository, tips.values())
    for name, oid in tips.items():
        if oid not in here:
            yield _lost(repository, name, f"{name} leads to {oid[:10]}, which is not in the repository")


def _lost(repository: Repository, name: str, what: str) -> Finding:
    if is_mark(name):
        return Finding("refs", "warning", what, "It is a mark, which is made anew when its agent is next seen.", "marks")
    last = next(reversed(repository.refs.pushes(name)), "")
    known = f" The last push to it that git logged brought {last}." if last else ""
    return Finding("refs", "problem", what, _FROM_ELSEWHERE + known)


def is_mark(name: str) -> bool:
    """Whether a ref holds a mark, which may be lost without loss."""
    family = name.removeprefix(_RECORDS).partition("/")[0]
    marks = {each.record.ref for each in KINDS.values() if issubclass(each.record, Mark)}
    return name.startswith(_RECORDS) and family in marks


def _unknown(tips: dict[str, str]) -> Iterator[Finding]:
    families = {each.record.ref for each in KINDS.values()} - {"main"}
    for name in tips:
        family, _, rest = name.removeprefix(_RECORDS).partition("/")
        if not name.startswith(_RECORDS) or name.startswith(ARCHIVES):
            continue
        # what proposals to several projects are kept under is no name that a project can have
        is_kept = rest == "shared" or not any(name_problem(part) for part in rest.split("/"))
        if family not in families or not is_kept:
            what = f"{shown(name, 100)} is no ref that gitmem keeps"
            yield Finding("refs", "warning", what, "See what it is; gitmem leaves it alone.")


def objects(repository: Repository) -> Iterator[Finding]:
    """Objects that are damaged or missing, as git itself finds in reading every one of them."""
    said = fsck(repository)
    damaged = damaged_objects(repository, said)
    for path in damaged:
        what = f"{path.relative_to(repository.path)} is damaged"
        yield Finding("objects", "problem", what, f"It is moved aside if a pack has it, too. {_FROM_ELSEWHERE}", "objects")
    lines = [line for line in said.splitlines() if line.startswith(("missing", "broken", "fatal", "error"))]
    for line in [each for each in lines if not _CORRUPT.match(each)][:OBJECTS_SHOWN]:
        yield Finding("objects", "problem", f"git fsck: {line}", _FROM_ELSEWHERE)
    if said and not (damaged or lines):
        yield Finding("objects", "problem", f"git fsck: {said.splitlines()[0]}", _FROM_ELSEWHERE)
    if not said:
        yield Finding("objects", "ok", f"all objects of {MAIN} and of every other ref are whole")


def fsck(repository: Repository) -> str:
    """What git says of objects that are damaged or missing; "" if all are whole."""
    try:
        run_git(repository.path, "fsck", "--full", "--no-dangling", "--no-progress")
    except GitFailed as error:
        return error.message.removeprefix("git fsck failed: ") or "it failed"
    return ""


def damaged_objects(repository: Repository, said: str | None = None) -> list[Path]:
    """The files of loose objects that git cannot read, by what its fsck said."""
    told = fsck(repository) if said is None else said
    return sorted({repository.path / found["path"] for found in _CORRUPT.finditer(told)})
