"""What git knows of a file's past: its versions, who wrote which line, how two versions differ."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitmem.git.objects import Commit
from gitmem.git.repository import LOG, Repository, ShallowHistory, run_git
from gitmem.names import format_time

_NO_BLOB = "0" * 40
# A merge is told as what it changed on main, so that what was settled in a merge is found as well.
RAW = (*LOG, "--format=%x01%H", "--raw", "--no-abbrev", "--no-renames", "-z", "--diff-merges=first-parent")
_BLAME_HEAD = re.compile(r"([0-9a-f]{40}) \d+ (\d+)(?: \d+)?")


class FileVersion(Struct, frozen=True):
    """What one commit did to a file: `blob` is its new version, "" if the commit removed it.

    `old_path` is where it stood before, which is another folder if the commit moved it.
    """

    commit: Commit
    path: str
    blob: str
    old_blob: str
    old_path: str


def file_versions(repository: Repository, head: str, name: str) -> Iterator[FileVersion]:
    """The commits that touched a file called `name`, in whatever folder, newest first. To move it is one change.

    `name` may be a pattern, such as `*-3fa2b81c.md`.
    """
    objects = repository.objects
    for commit, paths in repository.past.touching(head, name):
        before = objects.commit(commit.parents[0]).tree if commit.parents else None
        blobs = ((path, objects.file(commit.tree, path), objects.file(before, path) if before else "") for path in paths)
        yield from _with_moves([FileVersion(commit, path, new, old, path) for path, new, old in blobs])


def path_versions(
    repository: Repository, head: str, *paths: str, since: datetime | None = None, deletions: bool = False
) -> Iterator[FileVersion]:
    """The commits that touched these files, or files in these folders, children first; none that is older than `since`.

    With `deletions`, only what took files away; then a file that went to another folder counts as well.
    """
    arguments = [*RAW, "--topo-order", *([f"--since={format_time(since)}"] if since else [])]
    arguments += ["--diff-filter=D"] if deletions else []
    output = run_git(repository.path, *arguments, head, "--", *(f":(literal){path}" for path in paths))
    for oid, changes in raw_changes(output):
        if oid not in repository.objects.boundary:  # that stands for all that was left out
            commit = repository.objects.commit(oid)
            yield from _with_moves([FileVersion(commit, path, new, old, path) for path, old, new in changes])


def raw_changes(output: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """The commits that a log with RAW tells of, each with its changes: path, old blob and new one, "" for none."""
    for block in output.split("\x01")[1:]:
        commit, _, rest = block.partition("\0")
        fields = [field for field in rest.lstrip("\n").split("\0") if field]
        yield commit.strip(), [_change(told, path) for told, path in zip(fields[::2], fields[1::2], strict=False)]


def _change(told: str, path: str) -> tuple[str, str, str]:
    _, _, old, new, _ = told.split(" ")
    return path, old.replace(_NO_BLOB, ""), new.replace(_NO_BLOB, "")


def last_touched(folder: Path, tip: str, other: str) -> dict[str, datetime]:
    """When each path was last changed by the commits that lead to `tip` and not to `other` ("": to none).

    What a merge takes in was changed by those who wrote it, not by the merge.
    """
    apart = [f"^{other}"] if other else []
    output = run_git(folder, *LOG, "--format=%x01%ct", "--name-only", "-z", "--no-merges", "--no-renames", tip, *apart, "--")
    times: dict[str, datetime] = {}
    for block in output.split("\x01")[1:]:
        seconds, *paths = block.replace("\n", "\0").split("\0")
        moment = datetime.fromtimestamp(int(seconds), UTC)
        for path in filter(None, paths):
            times[path] = max(moment, times.get(path, moment))
    return times


def _with_moves(changes: list[FileVersion]) -> Iterator[FileVersion]:
    """The changes of one commit, with what went in one folder and came in another told as one."""
    gone = {_name(each.path): each for each in changes if not each.blob}
    come = {_name(each.path) for each in changes if not each.old_blob}
    for each in changes:
        left = gone.get(_name(each.path))
        if left is None or _name(each.path) not in come:
            yield each
        elif not each.old_blob:
            yield replace(each, old_blob=left.old_blob, old_path=left.path)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def blame(repository: Repository, head: str, path: str) -> Iterator[tuple[Commit, str]]:
    """The lines of a file, each with the commit that wrote it."""
    commit = ""
    for line in run_git(repository.path, "blame", "--porcelain", head, "--", path).split("\n"):
        if found := _BLAME_HEAD.fullmatch(line):
            commit = found[1]
        elif line.startswith("\t"):
            if commit in repository.objects.boundary:
                raise ShallowHistory(f"who wrote the lines of {path} is not in it")
            yield repository.objects.commit(commit), line[1:]


def diff_blobs(repository: Repository, old: str, new: str) -> str:
    """The unified diff between two versions of a file, without git's header."""
    output = run_git(repository.path, "diff", "--no-color", "--no-ext-diff", old, new)
    return output[output.index("@@") :] if "@@" in output else ""
