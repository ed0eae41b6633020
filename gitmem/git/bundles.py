"""Backups: bundles of git that prove themselves, since a single wrong bit must be noticed before it is trusted.

A backup is a plain bundle (`git bundle verify`, `git clone FILE` and `git fetch FILE` work), with a few refs of its own:

    refs/gitmem/backup/about            a blob: what the backup says of itself
    refs/gitmem/backup/files/<path>     a blob each: files of the repository that are no objects, such as archives
    refs/gitmem/backup/seal             a blob: the other lines of the header, so that its id is their checksum

The pack that follows ends in its own checksum. Its header lists every ref, also those that have not moved since an earlier
backup: it tells which refs there are, and so which are gone.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from msgspec import Struct

from gitmem.errors import Refused
from gitmem.git.durable import flush_file, flush_folder
from gitmem.git.objects import new_object
from gitmem.git.repository import GitFailed, Repository, git_environment, git_program, run_git
from gitmem.git.scratch import make_scratch
from gitmem.names import shown

OWN = "refs/gitmem/backup/"
ABOUT = f"{OWN}about"
FILES = f"{OWN}files/"
SEAL = f"{OWN}seal"

_SIGNATURE = b"# v2 git bundle\n"
_BUNDLE = re.compile(rb"# v(\d+) git bundle\n")
_LINE = re.compile(rb"(-?)([0-9a-f]{40}) ([^\n]*)\n")
_HEADER_MAX = 64 * 1024 * 1024  # far more than there are refs
_PACK_START = 12
_CHECKSUM = 20
_CHUNK = 1 << 20
_LINE_END = re.compile(rb"[\r\n]")
_COUNTED = re.compile(rb"\((\d+)/(\d+)\)")

Progress = Callable[[int, int], None]


class NotABackup(Refused):
    """A file that gitmem did not write as a backup."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is not a backup of a memory: {why}. Nothing was changed.",
            fix="Name a file that 'gitmem backup' wrote; any other bundle of git is read by 'git clone'.",
        )


class DamagedBackup(Refused):
    """A backup that is not as it was written."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"The backup {path} is damaged: {why}. Nothing was changed.",
            fix="Take another copy of the file, or an earlier backup.",
        )


class Bundle(Struct, frozen=True):
    """A backup's file: what its header says, with `start` where the pack begins."""

    path: Path
    needs: tuple[str, ...]  # commits that an earlier backup has
    heads: Mapping[str, str]  # by the name of the ref, the backup's own refs included
    start: int
    objects: int
    size_bytes: int

    @property
    def seal(self) -> str:
        """What tells this backup from all others."""
        return self.heads[SEAL]

    @property
    def refs(self) -> dict[str, str]:
        """The refs of the memory."""
        return {name: oid for name, oid in self.heads.items() if name.startswith("refs/") and not name.startswith(OWN)}

    @property
    def files(self) -> dict[str, str]:
        """The blobs of the files that are no objects, by path."""
        return {name.removeprefix(FILES): oid for name, oid in self.heads.items() if name.startswith(FILES)}

    def unpack(self, repository: Repository, progress: Progress) -> None:
        """Bring its objects into a repository that has what it `needs`. Sets no ref. Raises GitFailed if one is missing."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            run_with_progress(repository.path, ("index-pack", "--stdin", "--fix-thin", "-v"), progress, stdin=file)
        heads = "".join(f"{oid}\n" for oid in self.heads.values())
        run_git(repository.path, "rev-list", "--objects", "--quiet", "--stdin", stdin=heads)


def read(path: Path, progress: Progress = lambda *_: None) -> Bundle:
    """A backup's header, after every byte of the file was checked. Raises NotABackup, DamagedBackup."""
    try:
        with path.open("rb") as file:
            bundle = _read_header(path, file)
            _check_pack(bundle, file, progress)
    except OSError as error:
        raise NotABackup(path, error.strerror or str(error)) from None
    return bundle


def _read_header(path: Path, file: IO[bytes]) -> Bundle:
    first = file.readline(80)
    if first != _SIGNATURE:
        newer = _BUNDLE.fullmatch(first)
        raise NotABackup(path, f"it is a bundle in version {int(newer[1])}, and a backup has 2" if newer else _what_else(first))
    needs, heads, text = [], {}, [first]
    for line in iter(lambda: file.readline(_CHUNK), b"\n"):
        found = _LINE.fullmatch(line)
        if found is None or file.tell() > _HEADER_MAX:
            what = f"its header has the line {shown(line[:100].decode(errors='replace'))}" if line else "it ends early"
            raise DamagedBackup(path, what)
        if found[1]:
            needs.append(found[2].decode())
        else:
            heads[found[3].decode(errors="surrogateescape")] = found[2].decode()
        text.append(line)
    if SEAL not in heads:
        raise NotABackup(path, "it is a bundle of git that has no seal of gitmem's")
    sealed = b"".join(line for line in text if not line.endswith(f" {SEAL}\n".encode()))
    if new_object("blob", sealed).oid != heads[SEAL] or len(text) != 1 + len(needs) + len(heads):
        raise DamagedBackup(path, "its header does not fit its seal")
    start = file.tell()
    pack = file.read(_PACK_START)
    if pack[:4] != b"PACK":
        raise DamagedBackup(path, "no pack follows its header")
    return Bundle(path, tuple(needs), heads, start, int.from_bytes(pack[8:], "big"), os.fstat(file.fileno()).st_size)


def _what_else(first: bytes) -> str:
    if not first:
        return "it is empty"
    return f"it begins with {shown(first[:30].decode(errors='replace'))}"


def _check_pack(bundle: Bundle, file: IO[bytes], progress: Progress) -> None:
    file.seek(bundle.start)
    left = bundle.size_bytes - bundle.start - _CHECKSUM
    digest = hashlib.sha1(usedforsecurity=False)
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        digest.update(chunk)
        left -= len(chunk)
        progress(bundle.size_bytes - left, bundle.size_bytes)
    if left or digest.digest() != file.read():
        raise DamagedBackup(bundle.path, "its content does not fit its checksum, or it ends early")


class Content(Struct, frozen=True):
    """What is to be written: refs with what they hold, files of the repository, and what the backup says of itself."""

    refs: Mapping[str, str]
    files: Mapping[str, Path]
    about: str


class Draft:
    """A backup in the making, in a folder of its own. Nothing is written into the repository that it is of."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self._repository = repository
        self._place = folder / "draft.git"
        self._made = folder / "made"
        make_scratch(self._place, lender=repository.objects.path)
        run_git(self._place, "config", "core.bigFileThreshold", "1m")  # in archives, which are compressed, there are no deltas
        self._own = Repository(self._place)

    def keep(self, refs: Mapping[str, str]) -> None:
        """Keep what might be gone soon: marks are overwritten all the time, and each is its ref's only copy."""
        for oid, kind in kinds_of(self._repository, refs.values()).items():
            if kind == "blob":
                self._own.objects.write_loose(new_object("blob", self._repository.objects.blob(oid)))

    def write(self, content: Content, had: Collection[str], progress: Progress) -> Bundle:
        """Write the backup without what those had who have the objects `had`, and check it."""
        heads = {**content.refs, ABOUT: self._keep_text(content.about)}
        heads |= {FILES + name: self._keep_file(path) for name, path in content.files.items()}
        known = kinds_of(self._own, had)
        needs = sorted(oid for oid, kind in known.items() if kind == "commit")
        header = _with_head(heads)
        sealed = header | {SEAL: self._keep_text(_text(needs, header))}
        wanted = "".join(f"{oid}\n" for oid in sealed.values()) + "".join(f"^{oid}\n" for oid in known)
        with self._made.open("wb") as file:
            file.write(_text(needs, sealed).encode("utf-8", "surrogateescape") + b"\n")
            file.flush()
            how = ("pack-objects", "--stdout", "--revs", "--thin", "--delta-base-offset", "--progress")
            run_with_progress(self._place, how, progress, given=wanted, stdout=file)
        flush_file(self._made)
        return self._checked(progress)

    def _keep_text(self, text: str) -> str:
        made = new_object("blob", text.encode("utf-8", "surrogateescape"))
        self._own.objects.write_loose(made)
        return made.oid

    def _keep_file(self, path: Path) -> str:
        return run_git(self._place, "hash-object", "-w", "--no-filters", str(path)).strip()

    def _checked(self, progress: Progress) -> Bundle:
        """The file, read back from the disk, makes the same objects again."""
        made = read(self._made)
        run_git(self._repository.path, "bundle", "verify", "-q", str(self._made))
        place = self._made.parent / "check.git"
        make_scratch(place, lender=self._own.objects.path if made.needs else None)
        made.unpack(Repository(place), progress)
        return made

    def publish(self, path: Path, *, replace: bool) -> None:
        """Give the backup its name. Raises FileExistsError unless it may replace another."""
        if replace:
            self._made.replace(path)
        else:
            try:
                os.link(self._made, path)
            except PermissionError:  # a disk that knows no links, such as a stick
                if path.exists():
                    raise FileExistsError(str(path)) from None
                self._made.rename(path)
        flush_folder(path.parent)


def _with_head(heads: Mapping[str, str]) -> dict[str, str]:
    # what `git clone FILE` checks out
    main = heads.get("refs/heads/main")
    return dict(sorted(heads.items())) | ({"HEAD": main} if main else {})


def _text(needs: list[str], heads: Mapping[str, str]) -> str:
    lines = [*(f"-{oid} \n" for oid in needs), *(f"{oid} {name}\n" for name, oid in heads.items())]
    return _SIGNATURE.decode() + "".join(lines)


def kinds_of(repository: Repository, oids: Collection[str]) -> dict[str, str]:
    """Which of the objects the repository has, and what each is."""
    asked = "".join(f"{oid}\n" for oid in dict.fromkeys(oids))
    lines = run_git(repository.path, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked).splitlines()
    return {oid: kind for oid, _, kind in (line.partition(" ") for line in lines) if kind != "missing"}


def run_with_progress(
    folder: Path, arguments: tuple[str, ...], progress: Progress, *,
    given: str | None = None, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None,
) -> None:
    """Run a git command that counts on standard error what it has done. Raises GitFailed with the rest that it said there."""
    with subprocess.Popen(
        [git_program(), "-C", str(folder), *arguments], stdin=subprocess.PIPE if given is not None else stdin,
        stdout=stdout or subprocess.DEVNULL, stderr=subprocess.PIPE, env=git_environment(),
    ) as process:
        assert process.stderr is not None
        if process.stdin is not None:
            process.stdin.write((given or "").encode())
            process.stdin.close()
        said = b"".join(_without_counts(process.stderr, progress))
    if process.returncode:
        raise GitFailed(arguments, said.decode(errors="replace"))


def _without_counts(stderr: IO[bytes], progress: Progress) -> Iterator[bytes]:
    for line in _lines(stderr):
        if counted := _COUNTED.search(line):
            progress(int(counted[1]), int(counted[2]))
        else:
            yield line + b"\n"


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := os.read(stream.fileno(), 4096):
        *lines, rest = _LINE_END.split(rest + chunk)  # git ends each count with \r, and the last of a kind with \n
        yield from lines
    yield rest
