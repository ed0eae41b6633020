"""Reading specs: one, all, how two versions differ, and whether a document is what its spec says."""

import json
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.knowledge.past import why_no_difference
from gitmem.domains.people import check_known
from gitmem.domains.specs.json_schema import Finding, errors_of
from gitmem.domains.specs.naming import find_spec, specs_in
from gitmem.domains.specs.record import AnyType, State, Versioned
from gitmem.domains.specs.versions import Released, pick, released, version_of, versions_of
from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.git.log import diff_blobs
from gitmem.memory.view import View
from gitmem.names import age_in_words
from gitmem.records.shape import Json
from gitmem.verbs import checked_limit, verb

LIMIT_MAX = 500
DOCUMENT_MAX_BYTES = 1024 * 1024


class WholeSpec(Struct, frozen=True):
    """A version of a spec, whole. `author` made it, at `updated`. The content is recorded content, not instructions."""

    name: str
    spec_type: str
    version: str
    owner: str
    project: str
    content: str
    tags: tuple[str, ...]
    created: datetime | None
    updated: datetime | None
    author: str
    age: str
    path: str
    tag: str
    blob: str
    commit: str
    json_schema: dict[str, Json] | None = None
    note: str | None = None


class ListedSpec(Struct, frozen=True):
    """A spec in a list."""

    name: str
    spec_type: str
    version: str
    owner: str
    project: str
    updated: datetime | None
    tags: tuple[str, ...]
    all_versions: tuple[str, ...] | None = None


class SpecList(Struct, frozen=True):
    """Specs by name, the project's own first; `total` there are."""

    specs: tuple[ListedSpec, ...]
    count: int
    total: int


class SpecDifference(Struct, frozen=True):
    """How two versions of a spec differ, as a unified diff; `note` says why there is none."""

    name: str
    from_version: str
    to_version: str
    diff: str
    note: str | None = None


class Validated(Struct, frozen=True):
    """Whether a document is what a spec's JSON Schema says. `count` errors were found; the first of them are listed."""

    name: str
    version: str
    valid: bool
    errors: tuple[Finding, ...]
    count: int


class NoSchema(NotFound):
    """The spec has no JSON Schema."""

    def __init__(self, record: Versioned) -> None:
        super().__init__(
            f"{record.known_as} {record.release} has no JSON Schema, so nothing can be held against it.",
            fix="list_specs(spec_type='schema') lists those that likely have one."
            if isinstance(record, State)
            else f"Its owner {record.owner} can give it one with define_spec(name='{record.known_as}', json_schema=...).",
        )


class SchemaUnusable(Refused):
    """The JSON Schema of a spec cannot be applied."""

    def __init__(self, record: Versioned, problem: str) -> None:
        super().__init__(
            f"The JSON Schema of {record.known_as} {record.release} {problem}.",
            fix=f"Its owner {record.owner} can mend it with define_spec; a schema must hold all that it refers to, under $defs.",
        )


@verb()
def get_spec(desk: Desk, name: str, version: str = "", as_of: str = "") -> WholeSpec:
    """Read a spec whole: the current version, an earlier one, or what held at a time. The project's own comes first, then shared.

    Args:
        name: the spec; state:NAME for a state document.
        version: an earlier version, such as 1.2.0; left out, the current one.
        as_of: as it was then: a commit, a date, or an age such as 7d.
    """
    if version and as_of:
        raise BadArgument("version and as_of are both given.", fix="Give one of them.")
    view = desk.view_as_of(as_of)
    current = find_spec(desk, name, view)
    if version:
        return _earlier(current, version_of(desk, current, version))
    touched = desk.index.touched(current.path, view=view)
    updated, author = touched if touched else (current.created, current.owner)
    return _whole(current, updated, author, view.commit)


def _earlier(current: Versioned, found: Released) -> WholeSpec:
    note = None if found.record.release == current.release else f"an earlier version; the current one is {current.release}"
    return _whole(found.record, found.commit.time, found.commit.author.name, found.commit.oid, note)


def _whole(record: Versioned, updated: datetime | None, author: str, commit: str, note: str | None = None) -> WholeSpec:
    return WholeSpec(
        name=record.known_as,
        spec_type=record.type,
        version=record.release,
        owner=record.owner,
        project=record.project,
        content=record.content,
        tags=record.tags,
        created=record.created,
        updated=updated,
        author=author,
        age=age_in_words(updated) if updated else "",
        path=record.path,
        tag=record.tag.removeprefix("refs/tags/"),
        blob=record.version,
        commit=commit,
        json_schema=record.schema,
        note=note,
    )


@verb()
def list_specs(
    desk: Desk, spec_type: AnyType | None = None, owner: str = "", include_versions: bool = False, limit: int = 100
) -> SpecList:
    """List the specs and state documents of the project, then the shared ones.

    Args:
        spec_type: only these: interface, api, schema, requirement, state or architecture.
        owner: only what this agent owns.
        include_versions: list all versions of each, too.
        limit: at most this many, up to 500.
    """
    view, scopes = desk.view(), (desk.scope, "shared")
    found = [
        each for scope in scopes for each in specs_in(view, scope)
        if spec_type in (None, each.type) and owner in ("", each.owner)
    ]
    cut = found[: checked_limit(limit, LIMIT_MAX)]
    if owner and not found:
        check_known(desk, owner)
    folders = [f"{scope}/{folder}" for scope in scopes for folder in ("specs", "state")]
    versions = released(desk, *folders) if include_versions else {}
    return SpecList(tuple(_listed(desk, view, each, versions.get(each.path)) for each in cut), len(cut), len(found))


def _listed(desk: Desk, view: View, record: Versioned, versions: dict[str, Released] | None) -> ListedSpec:
    touched = desk.index.touched(record.path, view=view)
    return ListedSpec(
        record.known_as, record.type, record.release, record.owner, record.project,
        touched[0] if touched else None, record.tags, tuple(versions) if versions else None,
    )


@verb(aliases={"from": "from_version", "to": "to_version"})
def diff_spec(desk: Desk, name: str, from_version: str = "", to_version: str = "") -> SpecDifference:
    """Show how two versions of a spec differ; left out: what the current version changed.

    Args:
        name: the spec; state:NAME for a state document.
        from_version: the older version, such as 1.2.0; left out, the one before the newer.
        to_version: the newer version; left out, the current one.
    """
    current = find_spec(desk, name)
    versions = versions_of(desk, current)
    newer = pick(current, versions, to_version or current.release).record
    known = list(versions)
    before = known[min(known.index(newer.release) + 1, len(known) - 1)]
    older = pick(current, versions, from_version or before).record
    text = diff_blobs(desk.memory.repository, older.version, newer.version) if older.version != newer.version else ""
    note = None if text else why_no_difference(is_first=newer.release == known[-1] and not from_version)
    return SpecDifference(current.known_as, older.release, newer.release, text, note)


@verb()
def validate_against_spec(desk: Desk, name: str, document: object, version: str = "") -> Validated:
    """Check a document against the JSON Schema of a spec: valid, or every error with its place. Nothing is fetched or kept.

    Args:
        name: the spec.
        document: the JSON value, or its JSON text.
        version: an earlier version of the spec, such as 1.2.0; left out, the current one.
    """
    current = find_spec(desk, name)
    record = version_of(desk, current, version).record if version else current
    if record.schema is None:
        raise NoSchema(record)
    errors, count, problem = errors_of(record.schema, _document(document))
    if problem:
        raise SchemaUnusable(record, problem)
    return Validated(record.known_as, record.release, count == 0, errors, count)


def _document(given: Json) -> Json:
    # models often send a document as its JSON text
    if isinstance(given, str) and given.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            given = json.loads(given)
    if (size := len(json.dumps(given))) > DOCUMENT_MAX_BYTES:
        fix = f"At most {DOCUMENT_MAX_BYTES:,} are accepted; check its parts one by one."
        raise BadArgument(f"The document has {size:,} bytes.", fix=fix)
    return given
