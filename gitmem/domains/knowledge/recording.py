"""Recording knowledge: store and record_learning, with their guard against duplicates."""

import re

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk, Scope
from gitmem.domains.knowledge.record import Interface, Knowledge, Link, MemoryType, expiry
from gitmem.errors import Refused
from gitmem.memory.find import find_path
from gitmem.memory.transaction import Transaction
from gitmem.memory.view import View
from gitmem.names import new_id, now
from gitmem.verbs import verb

# Share of words that two texts have in common, above which the second is worth a look at the first.
SIMILAR = 0.6
_COMPARED_CHARACTERS = 400


class Similar(Struct, frozen=True):
    """A record that says nearly the same."""

    id: str
    title: str
    likeness: float


class Recorded(Struct, frozen=True):
    """A record as it was just written, without its content."""

    id: str
    title: str
    memory_type: str
    project: str
    status: str
    version: str
    similar: tuple[Similar, ...] | None = None
    superseded: str | None = None


class Duplicate(Refused):
    """The same knowledge is there already."""

    def __init__(self, first: Knowledge) -> None:
        super().__init__(
            f"The same text is recorded already as {first.id} ({first.title!r}) in {first.project}.",
            fix=f"Use get_by_id(id='{first.id}'), edit it if it needs more, or pass force=true to record it twice.",
        )


@verb(writes=True, core=True, aliases={"title": "topic", "details": "content"})
def record_learning(
    desk: Desk,
    topic: str,
    content: str,
    tags: tuple[str, ...] = (),
    files_related: tuple[str, ...] = (),
    memory_type: MemoryType = "learning",
) -> Recorded:
    """Record something you learned, so that no agent has to find it out again.

    Args:
        topic: what you learned, in one line.
        content: the finding in Markdown: what happens, why, how you know.
        tags: words to find it by.
        files_related: paths in the code that it is about.
        memory_type: learning, gotcha, pattern, solution, ...
    """
    return _record(desk, _new(desk, topic, content, memory_type, "project", tags, files_related))


@verb(writes=True)
def store(
    desk: Desk,
    title: str,
    content: str,
    memory_type: MemoryType = "learning",
    scope: Scope = "project",
    tags: tuple[str, ...] = (),
    files_related: tuple[str, ...] = (),
    links: tuple[Link, ...] = (),
    expires_in_days: int | None = None,
    supersedes: str = "",
    interface: Interface | None = None,
    force: bool = False,
) -> Recorded:
    """Store a document for the team: architecture, decision, interface, snippet, handoff. At most 50 KiB; split longer ones.

    Args:
        title: what it says, in one line.
        content: the document in Markdown; [[id]] links to another record.
        memory_type: what sort of knowledge it is.
        scope: project, or shared for every project of the team.
        tags: words to find it by.
        files_related: paths in the code that it is about.
        links: named links to other records, as rel and to (an id).
        expires_in_days: when it stops to hold; 0 is never; left out, the type decides.
        supersedes: the id of a record that this one replaces.
        interface: name, version and schema of the interface described.
        force: record it although the same text is there.
    """
    record = replace(
        _new(desk, title, content, memory_type, scope, tags, files_related),
        links=links, interface=interface, expires=expiry(memory_type, expires_in_days),
    )
    return _record(desk, record, supersedes=supersedes, force=force)


def _new(
    desk: Desk, title: str, content: str, memory_type: MemoryType, scope: Scope,
    tags: tuple[str, ...], files_related: tuple[str, ...],
) -> Knowledge:
    record = Knowledge(
        scope=desk.scoped(scope),
        memory_type=memory_type,
        id=new_id(title),
        title=title.strip(),
        tags=tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip())),
        files_related=files_related,
        expires=expiry(memory_type, None),
        author=desk.agent,
        session=desk.caller.session,
        created=now(),
        content=content.replace("\r\n", "\n").strip("\n"),
    )
    # the same text always goes into the same shard, where two who record it at once are seen to collide
    return replace(record, id=new_id(title, shard=record.digest))


def _record(desk: Desk, record: Knowledge, *, supersedes: str = "", force: bool = False) -> Recorded:
    # what a new record is compared with must not count as read, or an edit of it would stop the new one
    aside = desk.view().apart()
    if not force:
        _refuse_duplicate(desk, record, aside)
    similar = _similar(desk, record, aside)
    with desk.transaction(f"{record.memory_type}: {record.title}") as change:
        superseded = _supersede(desk, change, supersedes, record.id) if supersedes else None
        return recorded(change.put(record), similar=similar, superseded=superseded)


def recorded(record: Knowledge, *, similar: tuple[Similar, ...] = (), superseded: str | None = None) -> Recorded:
    """What a write answers."""
    return Recorded(
        record.id, record.title, record.memory_type, record.project, record.status, record.version, similar or None, superseded
    )


def _refuse_duplicate(desk: Desk, record: Knowledge, view: View) -> None:
    # counts as read: if the same text lands meanwhile, this write is stale, runs again, and finds it
    desk.view().names(record.path.rpartition("/")[0])
    for path in desk.index.paths("digest", record.digest, view=view):
        first = view.record(path)
        if isinstance(first, Knowledge) and first.scope == record.scope and first.digest == record.digest:
            raise Duplicate(first)


def _similar(desk: Desk, record: Knowledge, view: View) -> tuple[Similar, ...]:
    text = f"{record.title} {record.content[:_COMPARED_CHARACTERS]}"
    found = desk.index.search(
        text, view=view, where={"kind": ["knowledge"], "scope": [record.scope, "shared"]}, limit=3
    )
    words = _words(record)
    alike = []
    for hit in found.hits:
        other = view.record(hit.path)
        if isinstance(other, Knowledge) and (likeness := _overlap(words, _words(other))) >= SIMILAR:
            alike.append(Similar(other.id, other.title, round(likeness, 2)))
    return tuple(alike)


def _words(record: Knowledge) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", f"{record.title} {record.content}".casefold()))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def _supersede(desk: Desk, change: Transaction, old_id: str, new: str) -> str:
    old = desk.view().get(Knowledge, find_path(desk.view(), old_id, scope=desk.scope))
    change.put(replace(old, status="superseded", superseded_by=new, restores_to=""))
    return old.id
