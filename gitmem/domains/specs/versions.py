"""The versions of a spec: what history has of them, and their tags."""

from contextlib import suppress

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.specs.record import Versioned
from gitmem.domains.specs.release import a_release, order
from gitmem.errors import NotFound, closest
from gitmem.git.log import path_versions
from gitmem.git.objects import Commit, MissingObject
from gitmem.git.refs import NotFlushed, RefLocked
from gitmem.memory.view import MAIN_PLACE
from gitmem.names import name_problem, shown


class Released(Struct, frozen=True):
    """A version of a spec: the record as it was, and the commit that made it."""

    record: Versioned
    commit: Commit


class UnknownVersion(NotFound):
    """The spec never had this version."""

    def __init__(self, record: Versioned, wanted: str, known: list[str]) -> None:
        near = closest(wanted, known, most=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        listing = ", ".join(known[:10]) + (f" and {len(known) - 10} older ones" if len(known) > 10 else "")
        super().__init__(f"{record.known_as} has no version {shown(wanted)}.", fix=f"{hint}There are {listing}.")


def released(desk: Desk, *paths: str) -> dict[str, dict[str, Released]]:
    """The versions of the specs at these paths or in these folders, by path and version, the highest first.

    What was released once stays what it was: the commit that first had a version made it. History is
    asked, not the tags, since anybody may push a tag.
    """
    head = desk.view().commit
    found: dict[str, dict[str, Released]] = {}
    for each in path_versions(desk.memory.repository, head, *paths) if head else ():
        record = _record_of(desk, each.path, each.blob) if each.blob else None
        if record is not None:
            found.setdefault(each.path, {})[record.release] = Released(record, each.commit)
    return {path: {name: known[name] for name in sorted(known, key=order, reverse=True)} for path, known in found.items()}


def _record_of(desk: Desk, path: str, blob: str) -> Versioned | None:
    view = desk.view()
    decoded = view.parsed.get(view.objects.blob, MAIN_PLACE, path, blob)
    record = decoded.record if decoded else None
    return record if isinstance(record, Versioned) and not a_release(record.release) else None


def version_of(desk: Desk, current: Versioned, wanted: str) -> Released:
    """One version of a spec. Sets the tags that are missing. Raises UnknownVersion."""
    versions = versions_of(desk, current)
    found = pick(current, versions, wanted)
    for each in versions.values():
        _tag(desk, each.record, each.commit.oid)
    return found


def versions_of(desk: Desk, current: Versioned) -> dict[str, Released]:
    """The versions of one spec, the highest first."""
    return released(desk, current.path).get(current.path, {})


def pick(current: Versioned, versions: dict[str, Released], wanted: str) -> Released:
    """One of the versions of a spec. Raises UnknownVersion."""
    found = versions.get(wanted.strip().removeprefix("v"))
    if found is None:
        raise UnknownVersion(current, wanted, list(versions))
    return found


def keep_tag(desk: Desk, record: Versioned, commit: str = "") -> None:
    """Tag the commit that made a version; left out, history tells it, and those of other versions without a tag."""
    if commit:
        _tag(desk, record, commit)
    elif not _is_tagged(desk, record):
        for each in versions_of(desk, record).values():
            _tag(desk, each.record, each.commit.oid)


def _is_tagged(desk: Desk, record: Versioned) -> bool:
    # what came in past the gate may have no name for a tag
    return bool(a_release(record.release) or name_problem(record.name) or desk.memory.repository.refs.read(record.tag))


def _tag(desk: Desk, record: Versioned, commit: str) -> None:
    if not desk.proposes and not _is_tagged(desk, record):
        # The version is on main already: a tag that cannot be set now is set by the next call that needs it.
        with suppress(RefLocked, NotFlushed, OSError):
            desk.memory.repository.refs.swap(record.tag, None, commit)


def highest_tagged(desk: Desk, record: Versioned) -> str:
    """The highest version that a tag of this spec holds, "" if there is none: also of a spec that was removed."""
    refs = desk.memory.repository.refs.list(record.tags_folder)
    tags = {ref.removeprefix(f"{record.tags_folder}v"): oid for ref, oid in refs.items()}
    named = sorted((name for name in tags if not a_release(name)), key=order, reverse=True)
    return next((name for name in named if _holds(desk, record, name, tags[name])), "")


def _holds(desk: Desk, record: Versioned, release: str, oid: str) -> bool:
    objects = desk.memory.repository.objects
    try:
        entry = objects.entry(objects.commit(oid).tree, record.path)
        found = _record_of(desk, record.path, entry.oid) if entry else None
    except MissingObject:  # somebody's tag, on something else than a commit with that spec
        return False
    return found is not None and found.release == release
