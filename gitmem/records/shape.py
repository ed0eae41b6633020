"""Types as values: how each annotated type is read, written and described.

Record fields, verb parameters and answers share this one table, so that a file, a tool call, a
command line and a schema can never disagree about what is accepted.
"""

import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal

from msgspec import Struct, structs

from gitmem.names import format_time, parse_time, shown

Json = Any  # a JSON value; the one place where anything goes
NESTED_MAX = 100  # of a JSON value: far below where Python gives up
_INTEGER = re.compile(r"-?[0-9]{1,19}")


class Mismatch(Exception):
    """A value that its shape does not accept; `problems` are (where, what) pairs."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = problems

    def under(self, where: str) -> "Mismatch":
        """The same problems, seen from one level further out."""
        return Mismatch(*((f"{where}{'.' if w and w[0] != '[' else ''}{w}", what) for w, what in self.problems))


class Scalar(str):
    """The text of an unquoted YAML scalar that YAML reads as something else than text.

    A text field takes the characters as typed (`version: 1.10` stays `1.10`), others the value.
    """

    value: Json

    def __new__(cls, text: str, value: Json) -> "Scalar":
        """Text with the value that YAML reads it as."""
        self = super().__new__(cls, text)
        self.value = value
        return self


class Shape(Struct, frozen=True):
    """One type: `load` reads a plain value (Mismatch if it can't), `dump` writes one, `schema` describes it."""

    name: str
    load: Callable[[Json], Any]
    dump: Callable[[Any], Json]
    schema: dict[str, Json]
    empty: Any = None


def _native(value: Json, depth: int = 0) -> Json:
    if depth > NESTED_MAX:
        raise Mismatch(("", f"is nested deeper than {NESTED_MAX} levels"))
    match value:
        case Scalar():
            return value.value
        case list():
            return [_native(item, depth + 1) for item in value]
        case dict():
            return {_load_str(key): _native(item, depth + 1) for key, item in value.items()}
        case str():
            return _load_str(value)
        case _:
            return value


def _expected(what: str, value: Json) -> Mismatch:
    return Mismatch(("", f"is {shown(value) if isinstance(value, str) else json.dumps(value, default=str)[:60]}, not {what}"))


def _load_str(value: Json) -> str:
    if not isinstance(value, str):
        raise _expected("text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch(("", "holds half of a surrogate pair, which is no character; send whole characters")) from None
    return "".join(value)


def _load_int(value: Json) -> int:
    value = _native(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _expected("a whole number", value)


def _load_float(value: Json) -> float:
    value = _native(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _expected("a number", value)


def _load_bool(value: Json) -> bool:
    value = _native(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _expected("true or false", value)


def _load_time(value: Json) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return parse_time(_load_str(value)).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise _expected("a time such as 2026-01-31T09:00:00Z", value) from None


def _unchanged(value: Any) -> Any:
    return value


# Said in full: some clients take a schema that says nothing, or several types at once, for a mistake.
ANYTHING = {"anyOf": [{"type": each} for each in ("object", "array", "string", "number", "boolean", "null")]}

_SIMPLE: dict[Any, Shape] = {
    str: Shape("text", _load_str, _unchanged, {"type": "string"}, ""),
    int: Shape("whole number", _load_int, _unchanged, {"type": "integer"}, 0),
    float: Shape("number", _load_float, _unchanged, {"type": "number"}, 0.0),
    bool: Shape("true or false", _load_bool, _unchanged, {"type": "boolean"}, False),
    datetime: Shape("time", _load_time, format_time, {"type": "string", "format": "date-time"}),
    Any: Shape("any value", _native, _unchanged, ANYTHING),
    object: Shape("any value", _native, _unchanged, ANYTHING),
}


def shape_of(annotation: Any) -> Shape:
    """The shape of an annotated type; TypeError if gitmem has no rule for it."""
    # choices in another order are equal to Python, and would get the order of whoever was asked for first
    return _shape_of(annotation, repr(annotation))


@cache
def _shape_of(annotation: Any, _spelled: str) -> Shape:
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _choice(args)
    if origin in (typing.Union, types.UnionType):
        return _optional(args)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _sequence(shape_of(args[0]))
    if origin in (dict, Mapping) or annotation is dict:
        return _mapping(shape_of(args[1]) if args else _SIMPLE[Any])
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return _structure(annotation)
    raise TypeError(f"no shape for {annotation!r}")


def _choice(values: tuple[str, ...]) -> Shape:
    def load(value: Json) -> str:
        if isinstance(value, str) and value in values:
            return "".join(value)
        raise _expected("one of " + ", ".join(values), value)

    return Shape("one of " + ", ".join(values), load, _unchanged, {"type": "string", "enum": list(values)}, values[0])


def _optional(args: tuple[Any, ...]) -> Shape:
    inner = [shape_of(arg) for arg in args if arg is not type(None)]
    if len(inner) != 1 or len(args) != 2:
        raise TypeError(f"no shape for a union of {args!r}")
    only = inner[0]

    def load(value: Json) -> Any:
        return None if _native(value) is None else only.load(value)

    def dump(value: Any) -> Json:
        return None if value is None else only.dump(value)

    return Shape(only.name, load, dump, only.schema)


def _sequence(item: Shape) -> Shape:
    def load(value: Json) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = _list_in_text(value)
        if not isinstance(value, (list, tuple)):
            raise _expected(f"a list of {item.name}", value)
        loaded: list[Any] = []
        problems: list[tuple[str, str]] = []
        for position, each in enumerate(value):
            try:
                loaded.append(item.load(each))
            except Mismatch as mismatch:
                problems += mismatch.under(f"[{position}]").problems
        if problems:
            raise Mismatch(*problems)
        return tuple(loaded)

    def dump(value: tuple[Any, ...]) -> Json:
        return [item.dump(each) for each in value]

    return Shape(f"list of {item.name}", load, dump, {"type": "array", "items": item.schema}, ())


def _list_in_text(text: str) -> Json:
    # Models often send a list as its JSON text, or a lone item: both mean what they say.
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return [text] if text else []


def _mapping_in_text(value: Json) -> Json:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value


def _mapping(item: Shape) -> Shape:
    def load(value: Json) -> dict[str, Any]:
        value = _mapping_in_text(value)
        if not isinstance(value, dict):
            raise _expected("a mapping", value)
        return {_load_str(key): item.load(each) for key, each in value.items()}

    def dump(value: Mapping[str, Any]) -> Json:
        return {key: item.dump(each) for key, each in value.items()}

    held = {} if item.schema == ANYTHING else {"additionalProperties": item.schema}
    return Shape("mapping", load, dump, {"type": "object"} | held, None)


def _structure(cls: type[Struct]) -> Shape:
    parts = {f.name: (f, shape_of(f.type)) for f in structs.fields(cls)}
    required = [name for name, (f, _) in parts.items() if f.required]

    def _misnamed(value: dict[str, Json]) -> Iterator[tuple[str, str]]:
        yield from (("".join(key), f"is not known; known are {', '.join(parts)}") for key in value if key not in parts)
        yield from ((name, "is missing") for name in required if name not in value)

    def load(value: Json) -> Any:
        if isinstance(value, cls):
            return value
        value = _mapping_in_text(value)
        if not isinstance(value, dict):
            raise _expected(f"a mapping with {', '.join(parts)}", value)
        problems = list(_misnamed(value))
        loaded: dict[str, Any] = {}
        for name, (_, shape) in parts.items():
            if name in value:
                try:
                    loaded[name] = shape.load(value[name])
                except Mismatch as mismatch:
                    problems += mismatch.under(name).problems
        if problems:
            raise Mismatch(*problems)
        return cls(**loaded)

    def dump(value: Any) -> Json:
        return {
            name: shape.dump(getattr(value, name))
            for name, (f, shape) in parts.items()
            if f.required or getattr(value, name) != f.default
        }

    schema: dict[str, Json] = {"type": "object", "properties": {name: shape.schema for name, (_, shape) in parts.items()}}
    return Shape(f"mapping with {', '.join(parts)}", load, dump, schema | ({"required": required} if required else {}))
