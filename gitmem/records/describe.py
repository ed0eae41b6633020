"""What a record kind looks like to people: a table of its fields, a JSON schema, an example file."""

from datetime import UTC, datetime
from typing import Any

from gitmem.records.codec import encode
from gitmem.records.kind import Field, IndexRole, Kind, Record
from gitmem.records.shape import Json

# Where the examples are at home: a project that no team has to have.
EXAMPLE_SCOPE = "projects/web-shop"

_SEARCHED: dict[IndexRole | None, str] = {
    "title": "words, as title",
    "text": "words",
    "keyword": "filter, words",
    "path": "words, as path",
    "code": "words, as code",
    "time": "words, as date",
    None: "",
}
_EXAMPLE_TIME = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
# Tried in turn until one passes the field's checks: a word, an id, a session's id, a relation's target.
_EXAMPLE_TEXTS = ("example", "example-3fa2b81c", "web-shop_ada_3fa2b81c", "1.0.0", "src/example.py")


class NoExample(Exception):
    """No example of a field passes the field's own checks: its declaration has to give one."""


# --- a table of the fields ---------------------------------------------------------------------


def summary(kind: Kind) -> str:
    """What a record of the kind is, in one paragraph."""
    return " ".join((kind.record.__doc__ or "").split())


def table(kind: Kind) -> str:
    """The fields of a kind as a Markdown table, in file order."""
    rows = ["| Field | Type | Default | What it is | Search |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*rows, *(_row(kind, f) for f in kind.fields)]) + "\n"


def _row(kind: Kind, f: Field) -> str:
    cells = (f"`{f.name}`", f.shape.name, _default(f), f.description + _place(kind, f), _searched(kind, f))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(f: Field) -> str:
    if f.required:
        return "required"
    return "" if f.default in (None, "", (), {}) else f"`{f.shape.dump(f.default)}`"


def _place(kind: Kind, f: Field) -> str:
    if f in kind.path_fields:
        return " (in the path)"
    return " (the text below the front matter)" if f == kind.body_field else ""


def _searched(kind: Kind, f: Field) -> str:
    # what the path holds is found by the path's own words
    return "filter" if f.index == "keyword" and f in kind.path_fields else _SEARCHED[f.index]


# --- a schema for editors ------------------------------------------------------------------------


def schema(kind: Kind) -> dict[str, Json]:
    """The JSON schema of a kind's front matter (or of its YAML file). Keys that it does not name are allowed."""
    required = [f.name for f in kind.file_fields if f.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name,
        "description": summary(kind),
        "type": "object",
        "properties": {f.name: _property(f) for f in kind.file_fields},
    } | ({"required": required} if required else {})


def _property(f: Field) -> dict[str, Json]:
    described = {**f.shape.schema, "description": f.description}
    if not f.required and f.default not in (None, "", (), {}):
        described["default"] = f.shape.dump(f.default)
    return described


# --- an example ----------------------------------------------------------------------------------


def example(kind: Kind) -> Record:
    """A record of the kind that passes every check. Raises NoExample if none can be made up."""
    values = {f.name: _example_of(f) for f in kind.fields if _is_shown(f)}
    return kind.record(scope=EXAMPLE_SCOPE, **values)


def example_file(kind: Kind) -> str:
    """The canonical file of the example."""
    return encode(example(kind)).decode("utf-8")


def _is_shown(f: Field) -> bool:
    # A made-up text in a field that may be left out would teach nothing; times and lists of words show their form.
    return f.required or f.example is not None or f.shape.name in ("time", "list of text")


def _example_of(f: Field) -> Any:
    if f.example is not None:
        return f.shape.load(f.example)
    candidates = [f.shape.load(plain) for plain in _plausible(f.shape.schema, f.description)]
    passing = (value for value in candidates if not any(check(value) for check in f.checks))
    found = next(passing, None)
    if found is None:
        raise NoExample(f"{f.name} ({f.shape.name}) needs an example in its declaration")
    return found


def _plausible(schema: dict[str, Json], description: str) -> list[Json]:
    """Plain values that the schema accepts, the most telling first: a text says what it is there for."""
    match schema:
        case {"enum": [first, *_]}:
            return [first]
        case {"format": "date-time"}:
            return [_EXAMPLE_TIME]
        case {"type": "string"}:
            return [*([description[:1].upper() + description[1:]] if description else []), *_EXAMPLE_TEXTS]
        case {"type": "array", "items": items}:
            return [[each] for each in _plausible(items, "")]
        case {"type": "object", "properties": parts}:
            needed = schema.get("required", [])
            return [{name: _plausible(parts[name], "")[0] for name in needed}]
        case {"type": "boolean"}:
            return [True]
        case {"type": "integer" | "number"}:
            return [1, 10, 100]
        case _:
            return [{}]
