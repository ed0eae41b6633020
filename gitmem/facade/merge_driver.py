"""The merge driver: what `git merge`, `git rebase` and `git cherry-pick` call for a file that both sides changed.

It merges as sync does, so a person's merge comes out the same. Where the two versions exclude each other, git stops and
leaves the file unmerged, as git users know it: in the worktree is the merged file with the later version and without
conflict markers, in the index are all three. Sync cannot ask, so it takes that file and proposes the other version; a
person at a terminal can be asked, and decides by `git add`. Starts fast: no index, no pydantic.
"""

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import gitmem.domains.files  # noqa: F401  declares the record kinds of `main`
from gitmem.git.repository import LOG, ask_git
from gitmem.memory.versions import Loss, merge_files
from gitmem.names import shown

MERGED, UNMERGED, FAILED = 0, 1, 2
_SHOWN_LINES = 20
_HEADS = "GITHEAD_"


def main(arguments: Sequence[str] | None = None) -> int:
    """`%O %A %B %P`: the base, ours (which is overwritten), theirs, and the path that they are versions of."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 4:
        sys.stderr.write("gitmem: a merge driver gets %O %A %B %P\n")
        return FAILED
    *files, path = given
    base, ours, theirs = (Path(file).read_bytes() for file in files)
    ours_time, theirs_time = _times(path)
    # git gives an empty file for a base that is not there
    merged = merge_files(path, "main", base or None, ours, theirs, ours_time=ours_time, theirs_time=theirs_time)
    data = merged.data or b""
    Path(files[1]).write_bytes(data)
    for loss in merged.losses:
        sys.stderr.write("\n".join(_told(path, data, loss)) + "\n")
    return UNMERGED if merged.losses else MERGED


def _told(path: str, data: bytes, loss: Loss) -> Iterator[str]:
    stays, goes = ("theirs", "ours") if loss.side == "ours" else ("ours", "theirs")
    what = ", ".join(loss.fields) or "the same lines"
    yield f"gitmem: {shown(path, 200)}: both sides changed {what}. It is merged, with {stays} there; with {goes} it would be:"
    kept, lost = (each.decode(errors="replace").splitlines() for each in (data, loss.lost or b""))
    changes = [line for line in difflib.unified_diff(kept, lost, n=0, lineterm="") if not line.startswith(("---", "+++", "@@"))]
    yield from (f"  {line}" for line in changes[:_SHOWN_LINES])
    if len(changes) > _SHOWN_LINES:
        yield f"  ({len(changes) - _SHOWN_LINES} more lines)"
    yield "fix: edit it or leave it as it is, then 'git add' it."


def _times(path: str) -> tuple[datetime, datetime]:
    """When each side last touched the path. What is rebased or picked is put on top, so it counts as the later."""
    heads = [name.removeprefix(_HEADS) for name in os.environ if name.startswith(_HEADS)]
    latest = datetime.max.replace(tzinfo=UTC)
    theirs = [_touched(path, head, "HEAD") for head in heads]
    return _touched(path, "HEAD", *heads), max(theirs, default=latest)


def _touched(path: str, tip: str, *others: str) -> datetime:
    apart = [f"^{other}" for other in others]
    for extra in (["--no-merges", *apart, "--", path], []):
        if line := ask_git(Path.cwd(), *LOG, "-1", "--format=%ct", tip, *extra):
            return datetime.fromtimestamp(int(line), UTC)
    return datetime.fromtimestamp(0, UTC)


if __name__ == "__main__":
    raise SystemExit(main())
