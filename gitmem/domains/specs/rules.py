"""What the gate holds of specs, for verbs and pushes alike: who owns them, and that versions only rise."""

from collections.abc import Iterator

from gitmem.domains.ownership.deciding import owned_by
from gitmem.domains.specs.json_schema import TooHardToCheck, schema_problem
from gitmem.domains.specs.record import State, Versioned, loses_too_much
from gitmem.domains.specs.release import a_release, acceptable_after, order, raised
from gitmem.memory.gate import Change, rule
from gitmem.records.codec import Problem
from gitmem.records.kind import Record

_FOLDERS = ("/specs/", "/state/")


@owned_by("spec")
@owned_by("state")
def owner_of(record: Record) -> str:
    """Who may change a spec, hand it over or remove it."""
    return record.owner if isinstance(record, Versioned) else ""


@rule
def versions_rise(change: Change) -> Iterator[Problem]:
    """The version of a spec never falls, and what it says changes only with a new version."""
    for path, before in _edited(change):
        after = _after(change, path)
        if after is None or a_release(before.release):
            continue  # a file that came in past the gate may be mended
        if order(after.release) < order(before.release):
            what = f"is {after.release}, and {before.release} is out already; to go back, release the old text as"
            yield Problem(path, "release", f"{what} {acceptable_after(before.release)}")
        elif after.release == before.release and after.substance != before.substance:
            what = f"is still {before.release}, but the content or the schema is not what it was; make it"
            yield Problem(path, "release", f"{what} {acceptable_after(before.release)}")


@rule
def state_is_kept(change: Change) -> Iterator[Problem]:
    """A state document does not lose most of its text by a slip."""
    if change.forced:
        return
    for path, before in _edited(change):
        after = _after(change, path)
        if not isinstance(before, State) or after is None or a_release(before.release):
            continue
        major = raised(before.release, "major")
        if loses_too_much(before.content, after.content) and order(after.release) < order(major):
            what = f"has {len(after.content):,} characters instead of {len(before.content):,}"
            yield Problem(path, "content", f"{what}; if that is meant, make release {major}")


@rule
def schemas_are_schemas(change: Change) -> Iterator[Problem]:
    """What a spec gives as a JSON Schema is one."""
    for path, _ in change.written():
        after = _after(change, path)
        if after is None or after.schema is None:
            continue
        before = change.before.record(path)
        if isinstance(before, Versioned) and before.substance[1] == after.substance[1]:
            continue
        try:
            problem = schema_problem(after.schema)
        except TooHardToCheck as error:
            problem = f"cannot be checked: {error.fix}"
        if problem:
            yield Problem(path, "json_schema", f"is no JSON Schema: {problem}")


def _edited(change: Change) -> Iterator[tuple[str, Versioned]]:
    """The specs that a change edits or removes, as they were."""
    for path, edit in change.edits.items():
        if _may_be_spec(change, path) and edit.old is not None and isinstance(before := change.before.record(path), Versioned):
            yield path, before


def _after(change: Change, path: str) -> Versioned | None:
    """The spec as it will be; None if it goes, or has problems that are told elsewhere."""
    decoded = change.decoded(path) if _may_be_spec(change, path) else None
    found = decoded.record if decoded and not decoded.problems else None
    return found if isinstance(found, Versioned) else None


def _may_be_spec(change: Change, path: str) -> bool:
    return change.before.place.family == "main" and any(folder in path for folder in _FOLDERS)
