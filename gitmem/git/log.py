"""What git knows of a file's past: its versions, who wrote which line, how two versions differ."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gitmem.git.objects import Commit
from gitmem.git.repository import Repository, run_git

_NO_BLOB = "0" * 40
_BLAME_HEAD = re.compile(r"([0-9a-f]{40}) \d+ (\d+)(?: \d+)?")


@dataclass(frozen=True)
class FileVersion:
    """What one commit did to a file: `blob` is its new version, "" if the commit removed it."""

    commit: Commit
    path: str
    blob: str
    old_blob: str


def file_versions(repository: Repository, head: str, name: str) -> Iterator[FileVersion]:
    """The commits that touched a file called `name`, in whatever folder, newest first."""
    return _versions(repository, head, f":(glob)**/{name}")


def path_versions(repository: Repository, head: str, *paths: str) -> Iterator[FileVersion]:
    """The commits that touched these files, or files in these folders, children first."""
    # a merge is told as what it changed on main, so that what was settled in a merge is found as well
    how = ("--topo-order", "--diff-merges=first-parent")
    return _versions(repository, head, *(f":(literal){path}" for path in paths), how=how)


def _versions(repository: Repository, head: str, *pathspecs: str, how: tuple[str, ...] = ()) -> Iterator[FileVersion]:
    arguments = ("--format=%x01%H", "--raw", "--no-abbrev", "--no-renames", "-z", *how)
    output = run_git(repository.path, "log", *arguments, head, "--", *pathspecs)
    for block in output.split("\x01")[1:]:
        oid, _, rest = block.partition("\0")
        fields = [field for field in rest.lstrip("\n").split("\0") if field]
        for change, path in zip(fields[::2], fields[1::2], strict=False):
            _, _, old, new, _ = change.lstrip(":").split(" ")
            blobs = ["" if blob == _NO_BLOB else blob for blob in (new, old)]
            yield FileVersion(repository.objects.commit(oid.strip()), path, *blobs)


def blame(repository: Repository, head: str, path: str) -> Iterator[tuple[Commit, str]]:
    """The lines of a file, each with the commit that wrote it."""
    commit = ""
    for line in run_git(repository.path, "blame", "--porcelain", head, "--", path).split("\n"):
        if found := _BLAME_HEAD.fullmatch(line):
            commit = found[1]
        elif line.startswith("\t"):
            yield repository.objects.commit(commit), line[1:]


def diff_blobs(repository: Repository, old: str, new: str) -> str:
    """The unified diff between two versions of a file, without git's header."""
    output = run_git(repository.path, "diff", "--no-color", "--no-ext-diff", old, new)
    return output[output.index("@@") :] if "@@" in output else ""
