"""Changing knowledge: edit, status, archiving by tag, deletion."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.knowledge.finding import find_knowledge
from gitmem.domains.knowledge.record import STATUSES, Knowledge, Status
from gitmem.domains.knowledge.recording import Recorded, recorded
from gitmem.errors import BadArgument, NotFound, closest
from gitmem.memory.find import find_path
from gitmem.names import shown
from gitmem.records.kind import kind_of
from gitmem.records.shape import Json, Mismatch
from gitmem.verbs import check_version, mismatch_place, verb

Operation = Literal["append", "prepend", "replace_section", "find_replace", "set_fields"]
# Fields that an edit may set; the others say who recorded it and when, or belong to the path.
SETTABLE = ("title", "tags", "files_related", "links", "interface", "expires")


class Bulk(Struct, frozen=True):
    """Several records changed in one commit."""

    count: int
    ids: tuple[str, ...]
    note: str


@verb(writes=True, core=True)
def edit(
    desk: Desk,
    id: str,  # noqa: A002  the argument's public name
    operation: Operation,
    text: str = "",
    section: str = "",
    find: str = "",
    expected_count: int = 1,
    fields: dict[str, Json] | None = None,
    if_version: str = "",
) -> Recorded:
    """Change a record in place. Pass if_version to be refused if somebody else changed it since you read it.

    Args:
        id: the record.
        operation: append, prepend, replace_section (section, text), find_replace (find, text) or set_fields (fields).
        text: the new text, in Markdown.
        section: the heading whose section is replaced, without #.
        find: the exact text to replace.
        expected_count: how often it must be there; otherwise nothing is changed.
        fields: for set_fields: title, tags, files_related, links, interface or expires.
        if_version: the version that your edit is based on.
    """
    record = find_knowledge(desk, id)
    check_version(record, if_version)
    text, find = text.replace("\r\n", "\n"), find.replace("\r\n", "\n")  # as records keep it
    if operation in ("append", "prepend") and not text.strip():
        raise BadArgument(f"text is empty, so there is nothing to {operation}.", fix="Pass the text that is to be added.")
    if operation == "set_fields":
        changed = _with_fields(record, fields or {})
    else:
        edits: dict[str, Callable[[], str]] = {
            "append": lambda: f"{record.content}\n\n{text}".strip("\n"),
            "prepend": lambda: f"{text}\n\n{record.content}".strip("\n"),
            "replace_section": lambda: replace_section(record.content, section, text),
            "find_replace": lambda: _find_replace(record.content, find, text, expected_count),
        }
        changed = replace(record, content=edits[operation]())
    with desk.transaction(f"edit {record.id}: {operation.replace('_', ' ')}") as change:
        return recorded(change.put(changed))


def _find_replace(content: str, find: str, text: str, expected: int) -> str:
    if not find:
        raise BadArgument("find is empty.", fix="Pass the exact text that is to be replaced.")
    count = content.count(find)
    if count != expected:
        raise BadArgument(
            f"{shown(find)} is there {count} times, not {expected}. Nothing was changed.",
            fix="Read the record again, and pass a longer find or the right expected_count.",
        )
    return content.replace(find, text)


def replace_section(content: str, heading: str, text: str) -> str:
    """The Markdown with the text below one heading replaced, up to the next heading of its level or above."""
    headings = _headings(content)
    wanted = " ".join(heading.lstrip("#").split()).casefold()
    matching = [found for found in headings if " ".join(found.title.split()).casefold() == wanted]
    if len(matching) != 1:
        titles = [found.title for found in headings]
        near = closest(heading, titles)
        count = f"{len(matching)} sections are" if matching else "No section is"
        fix = f"Did you mean {' or '.join(near)}?" if near else f"Its sections are: {', '.join(titles[:20]) or 'none'}."
        raise BadArgument(f"{count} called {shown(heading)}. Nothing was changed.", fix=fix)
    lines, found = content.split("\n"), matching[0]
    ends = [other.line for other in headings if other.line > found.line and other.level <= found.level]
    rest = lines[ends[0] :] if ends else []
    return "\n".join([*lines[: found.body], "", text.strip("\n"), *([""] if rest else []), *rest]).strip("\n")


class _Heading(Struct, frozen=True):
    title: str
    level: int
    line: int
    body: int


def _headings(content: str) -> list[_Heading]:
    from markdown_it import MarkdownIt  # imported late: 30 ms that only few calls need

    tokens = MarkdownIt().parse(content)
    found = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            found.append(_Heading(inline.content, int(opening.tag[1]), opening.map[0], opening.map[1]))
    return found


def _with_fields(record: Knowledge, fields: dict[str, Json]) -> Knowledge:
    shapes = {f.name: f.shape for f in kind_of(Knowledge).fields if f.name in SETTABLE}
    problems = [f"{name[:60]!r} cannot be set" for name in fields if name not in shapes]
    loaded = {}
    for name in fields.keys() & shapes.keys():
        try:
            loaded[name] = shapes[name].load(fields[name])
        except Mismatch as mismatch:
            problems += [f"{mismatch_place(name, where)} {what}" for where, what in mismatch.problems]
    if problems or not fields:
        raise BadArgument(f"edit: {'; '.join(problems) or 'fields is empty'}.", fix=f"set_fields takes {', '.join(SETTABLE)}.")
    return replace(record, **loaded)


@verb(writes=True, idempotent=True)
def change_status(
    desk: Desk,
    id: str,  # noqa: A002  the argument's public name
    new_status: Status,
    superseded_by: str = "",
    reason: str = "",
) -> Recorded:
    """Say that a record no longer holds, or holds again. Do it whenever you meet something outdated.

    Args:
        id: the record.
        new_status: active, deprecated, superseded, archived, conflicted, review_pending or expired.
        superseded_by: the id of the record that holds instead; needed for superseded.
        reason: why, for those who read the history.
    """
    record = find_knowledge(desk, id)
    if superseded_by and new_status != "superseded":
        raise BadArgument(
            f"superseded_by goes with the status superseded, not with {new_status}. Nothing was changed.",
            fix="Pass new_status='superseded', or leave superseded_by out.",
        )
    if new_status == "superseded" and not (superseded_by or record.superseded_by):
        raise BadArgument("superseded needs to know by what.", fix="Pass superseded_by='ID', or use deprecated.")
    successor = _successor(desk, record, superseded_by) if new_status == "superseded" else record.superseded_by
    changed = replace(
        record,
        status=new_status,
        superseded_by=successor if new_status in ("superseded", "archived") else "",
        restores_to=_status_before(record) if new_status == "archived" else "",
    )
    with desk.transaction(f"status {record.id}: {record.status} -> {new_status}", body=reason) as change:
        return recorded(change.put(changed))


def _successor(desk: Desk, record: Knowledge, superseded_by: str) -> str:
    found = find_knowledge(desk, superseded_by) if superseded_by else None
    seen = {record.id}
    while found is not None:
        if found.id in seen:
            fix = "Pass the id of the record that holds now."
            raise BadArgument(f"{record.id} would supersede itself by way of {found.id}.", fix=fix)
        seen.add(found.id)
        following = found.superseded_by
        found = find_knowledge(desk, following) if following and _is_there(desk, following) else None
    return find_knowledge(desk, superseded_by).id if superseded_by else record.superseded_by


def _is_there(desk: Desk, record_id: str) -> bool:
    try:
        find_path(desk.view(), record_id)
    except (NotFound, BadArgument):
        return False
    return True


def _status_before(record: Knowledge) -> str:
    return record.restores_to if record.status == "archived" else record.status


@verb(writes=True, idempotent=True)
def archive_by_tag(desk: Desk, tag: str, reason: str = "") -> Bulk:
    """Archive every record of the project with a tag, in one commit. restore_by_tag undoes it.

    Args:
        tag: the tag.
        reason: why.
    """
    found = [record for record in _tagged(desk, tag) if record.status != "archived"]
    changed = [replace(record, status="archived", restores_to=record.status) for record in found]
    return _put_all(desk, changed, f"archive everything tagged {tag}", reason, "archived")


@verb(writes=True, idempotent=True)
def restore_by_tag(desk: Desk, tag: str, reason: str = "") -> Bulk:
    """Bring archived records with a tag back, each to the status that it had.

    Args:
        tag: the tag.
        reason: why.
    """
    found = [record for record in _tagged(desk, tag) if record.status == "archived"]
    changed = [_restored(record) for record in found]
    return _put_all(desk, changed, f"restore everything tagged {tag}", reason, "restored")


def _restored(record: Knowledge) -> Knowledge:
    before = next((status for status in STATUSES if status == record.restores_to), "active")
    return replace(record, status=cast(Status, before), restores_to="")


def _tagged(desk: Desk, tag: str) -> list[Knowledge]:
    view = desk.view()
    records = [view.record(path) for path in desk.index.paths("tags", tag, view=view)]
    return [each for each in records if isinstance(each, Knowledge) and each.scope == desk.scope and tag in each.tags]


def _put_all(desk: Desk, changed: list[Knowledge], subject: str, reason: str, done: str) -> Bulk:
    if not changed:
        return Bulk(0, (), f"nothing to be {done}")
    with desk.transaction(subject, body=reason) as change:
        for record in changed:
            change.put(record)
    return Bulk(len(changed), tuple(record.id for record in changed), f"{len(changed)} records {done} in one commit")
