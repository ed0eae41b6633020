"""What verbs answer, as plain values with a schema: the same for every facade."""

import typing
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import Struct, structs

from gitmem.names import format_time
from gitmem.records.kind import Record, kind_of
from gitmem.records.shape import Json, shape_of
from gitmem.verbs import Answer, Verb

NOTHING_NEW = "it is so already; nothing was written"
NOT_YET = "Proposed, and not in the memory yet."

_PLAIN = frozenset({str, int, float, bool, type(None)})  # what most values are, told without a closer look


def structured(answer: Answer) -> dict[str, Json]:
    """The answer as a JSON object; after a write with the commit that it made."""
    value = plain(answer.value)
    if answer.commit and "commit" not in value:
        value["commit"] = answer.commit
    if answer.proposal:
        value |= {"proposal": answer.proposal, "note": f"{NOT_YET} {answer.note}".rstrip()}
    return typing.cast(dict[str, Json], value)


def plain(value: Any) -> Json:
    """A JSON value from what verbs return: records, structs, tuples, mappings, times."""
    return value if value.__class__ in _PLAIN else _way(value.__class__)(value)


@cache
def _way(cls: type) -> Callable[[Any], Json]:
    """How the values of a class become plain."""
    return next((way for base, way in _WAYS.items() if issubclass(cls, base)), lambda value: value)


def _record(record: Record) -> dict[str, Json]:
    declared = kind_of(type(record))
    head = {f.name: plain(getattr(record, f.name)) for f in declared.path_fields}
    rest = {f.name: plain(getattr(record, f.name)) for f in declared.fields if f.name not in head}
    told = {name: value for name, value in rest.items() if value not in (None, "", [])}
    return head | {"project": record.project} | told | {"version": record.version}


_WAYS: dict[type, Callable[[Any], Json]] = {
    Record: _record,
    datetime: format_time,
    tuple: lambda value: [plain(each) for each in value],
    list: lambda value: [plain(each) for each in value],
    dict: lambda value: {str(key): plain(each) for key, each in value.items()},
    Struct: lambda value: {name: plain(each) for name, each in structs.asdict(value).items() if each is not None},
}


@cache
def schema_of(verb: Verb) -> dict[str, Json]:
    """The JSON schema of a verb's answer."""
    schema = _schema(verb.returns)
    if verb.writes:
        schema["properties"].setdefault("commit", {"type": "string"})
    return schema


@cache
def told_schema(verb: Verb) -> dict[str, Json]:
    """The same as clients are told it: of what a list holds, only the keys that each entry has.

    Clients hold every answer against it, key by key. For twenty entries with the type of every key, that takes them
    longer than the server takes to answer.
    """
    return _of_entries_only_keys(schema_of(verb))


def _of_entries_only_keys(schema: dict[str, Json]) -> dict[str, Json]:
    entries = schema.get("items", {})
    if "properties" in entries:
        return schema | {"items": {"type": "object", "required": entries["required"]}}
    properties = {name: _of_entries_only_keys(each) for name, each in schema.get("properties", {}).items()}
    return schema | ({"properties": properties} if properties else {})


def _schema(annotation: Any) -> dict[str, Json]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return _record_schema(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        fields = structs.fields(annotation)
        return {
            "type": "object",
            "properties": {f.name: _schema(f.type) for f in fields},
            "required": [f.name for f in fields if type(None) not in typing.get_args(f.type)],
        }
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        return {"type": "array", "items": _schema(args[0])}
    inner = [arg for arg in args if arg is not type(None)]
    if type(None) in args and len(inner) == 1:
        return _schema(inner[0])
    return dict(shape_of(annotation).schema)


def _record_schema(cls: type[Record]) -> dict[str, Json]:
    declared = kind_of(cls)
    properties = {f.name: dict(_schema(typing.get_type_hints(cls)[f.name])) for f in declared.fields}
    required = [f.name for f in declared.path_fields]
    return {
        "type": "object",
        "properties": properties | {"project": {"type": "string"}, "version": {"type": "string"}},
        "required": [*required, "project", "version"],
    }
