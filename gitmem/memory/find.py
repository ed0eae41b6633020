"""Finding a record by its id, or by any unambiguous start of the id's hex digits, in git alone."""

import re
from collections.abc import Collection, Iterator

from gitmem.errors import BadArgument, NotFound
from gitmem.git.objects import FOLDER
from gitmem.memory.view import View
from gitmem.names import shown
from gitmem.records.kind import KINDS, PLACEHOLDER, Kind

DIGITS_MIN = 4  # of an id's hex part, that are taken for the id
_PART = re.compile(rf"(?:[a-z0-9][a-z0-9-]*-)?([0-9a-f]{{{DIGITS_MIN},40}})")


class Ambiguous(BadArgument):
    """A shortened id that several records share."""

    def __init__(self, part: str, ids: list[str]) -> None:
        super().__init__(f"{shown(part)} could be any of {', '.join(sorted(ids)[:5])}.", fix="Give more of its digits.")


def find_path(view: View, record_id: str, *, scope: str | None = None, kind: Kind | None = None) -> str:
    """The path of the record with this id or shortened id. Looks in `scope` first, then shared, then everywhere.

    `kind` is the only kind that is meant; left out, any.

    Raises NotFound, Ambiguous, or BadArgument if it is no id at all. Nothing counts as read, so that
    a write to one record does not depend on its neighbours.
    """
    text = record_id.strip().lower()
    match = _PART.fullmatch(text)
    if match is None:
        raise BadArgument(
            f"{shown(record_id)} is not an id.",
            fix="An id is like 'retry-policy-3fa2b81c'; its last part, '3fa2b81c', is enough.",
        )
    hex_part = match[1]
    for scopes in _rounds(view, scope):
        found = [path for each in scopes for path in _matches(view, each, text, hex_part, kind)]
        if len(found) == 1:
            return found[0]
        if found:
            raise Ambiguous(record_id, [id_at(path) for path in found])
    raise NotFound(
        f"There is no record {shown(record_id)}.",
        fix="query finds records by their words, history finds deleted ones. "
        "An id may be cut to its last part, and that to its first four or more digits; other parts mean nothing.",
    )


def _rounds(view: View, scope: str | None) -> Iterator[list[str]]:
    first = [scope] if scope else []
    yield first
    yield ["shared"]
    yield [f"projects/{name}" for name in _names(view, "projects") if f"projects/{name}" not in first]


def _names(view: View, folder: str) -> Collection[str]:
    entry = view.peek(folder)
    return view.objects.tree(entry.oid).entries if entry and entry.mode == FOLDER else ()


def _matches(view: View, scope: str, text: str, hex_part: str, kind: Kind | None) -> Iterator[str]:
    for declared in [kind] if kind else KINDS.values():
        above, sharded, file = declared.record.home.partition("/{shard}")
        if sharded and declared.record.ref == view.place.family:
            for folder in _expand(view, above.replace("{scope}", scope)):
                yield from _in_shard(view, f"{folder}/{hex_part[:2]}", text, hex_part, file[file.rindex(".") :])


def _expand(view: View, folder: str) -> Iterator[str]:
    # a placeholder before the shard, such as the memory type, is whatever folders there are
    found = PLACEHOLDER.search(folder)
    if found is None:
        yield folder
        return
    for name in _names(view, folder[: found.start()].rstrip("/")):
        yield from _expand(view, folder[: found.start()] + name + folder[found.end() :])


def _in_shard(view: View, folder: str, text: str, hex_part: str, ending: str) -> Iterator[str]:
    names = _names(view, folder)
    if text != hex_part:  # a whole id is looked up; a shard may hold hundreds of names
        names = [text + ending] if text + ending in names else ()
    for name in names:
        if id_at(name).rpartition("-")[2].startswith(hex_part):
            yield f"{folder}/{name}"


def id_at(path: str) -> str:
    """The id of the record at a path."""
    return path.rpartition("/")[2].rpartition(".")[0]
