"""Bringing a proposal up to what main is by now: file by file, and where both sides changed a file, part by part."""

from datetime import datetime

from msgspec import Struct

from gitmem.domains.reviews.standing import Standing
from gitmem.git.history import last_changes
from gitmem.git.objects import FILE, FOLDER, Difference, Entry
from gitmem.memory.view import View
from gitmem.names import now


class Conflict(Struct, frozen=True):
    """A file that the proposal and main both changed, in ways that do not fit together, and who changed it on main."""

    path: str
    by: str
    when: datetime | None
    what: str


class Taken(Struct, frozen=True):
    """What main becomes: for each path its new version (a blob id), its new text, or None if it goes."""

    edits: dict[str, str | bytes | None]
    conflicts: tuple[Conflict, ...]


def merged(found: Standing, main: View) -> Taken:
    """A proposal taken into a view of main."""
    edits: dict[str, str | bytes | None] = {}
    conflicts = []
    for change in found.changes:
        path, old, new = change
        there = main.peek(path)
        if there == new:
            continue
        if there == old and _can_stand(main, path):
            edits[path] = new.oid if new else None
        elif (text := _part_by_part(found, main, change)) is not None:
            edits[path] = text
        else:
            conflicts.append(_conflict(found, main, path, there))
    return Taken(edits, tuple(conflicts))


def _can_stand(main: View, path: str) -> bool:
    """Whether no file of main stands where the path has a folder."""
    parts = path.split("/")
    above = (main.peek("/".join(parts[:count])) for count in range(1, len(parts)))
    return all(entry is None or entry.mode == FOLDER for entry in above)


def _part_by_part(found: Standing, main: View, change: Difference) -> bytes | None:
    """The file with what both sides changed in it; None if that does not fit together."""
    path, old, new = change
    there = main.peek(path)
    if old is None or new is None or there is None or {old.mode, new.mode, there.mode} != {FILE}:
        return None
    read, moment = main.objects.blob, found.last.time if found.last else now()
    # who is later does not matter: where it would, the two do not fit together
    from gitmem.memory.versions import merge_files  # imported late: few who serve ever merge

    done = merge_files(
        path, "main", read(old.oid), read(there.oid), read(new.oid), ours_time=moment, theirs_time=moment, scope=main.place.scope
    )
    return done.data if done.path == path and not done.losses else None


def _conflict(found: Standing, main: View, path: str, there: Entry | None) -> Conflict:
    what = "was removed on main" if there is None else "was changed on main, too"
    last = last_changes(found.memory.repository, main.commit, [path]).get(path) if there and there.mode == FILE else None
    return Conflict(path, last.author if last else "", last.time if last else None, what)
