"""Between records and files: Markdown with front matter, or YAML.

Written files are canonical: declared field order, defaults left out, one list item a line, LF, UTF-8.
Writing what was read changes no byte of a canonical file. Reading is tolerant: it returns what it
could make of the file, and every problem.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from msgspec import Struct

from gitmem.names import shown
from gitmem.records.kind import Field, Kind, Record, kind_of
from gitmem.records.shape import Json, Mismatch, Scalar

FRONT_MATTER_MAX_BYTES = 32 * 1024
YAML_FILE_MAX_BYTES = 84 * 1024  # such a file holds its text, too
DEPTH_MAX = 20

_FENCE = "---\n"
_END = re.compile(r"^---[ \t]*$", re.MULTILINE)


class Problem(Struct, frozen=True):
    """One thing wrong with one file, said so that its author can mend it.

    `field` is empty if the whole file is meant, `line` 0 if no line is known. `needs_review`: nothing is wrong with
    what it says; somebody else has to let it in.
    """

    path: str
    field: str
    what: str
    line: int = 0
    needs_review: bool = False

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.field} {self.what}" if self.field else f"{place}: {self.what}"


class Decoded(Struct, frozen=True):
    """What could be read of a file: a record if at all possible, and the problems."""

    record: Record | None
    problems: tuple[Problem, ...]


class _Dumper(yaml.CSafeDumper):
    """YAML as people write it: block style, long text as a literal block, times unquoted."""


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not re.search(r"[ \t]\n|\r|^\s|\x85|\u2028|\u2029", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


class _Time(str):
    """A time in ISO 8601, written without quotes."""


def _represent_time(dumper: yaml.CSafeDumper, text: _Time) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(text))


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Time, _represent_time)


# --- writing ---------------------------------------------------------------------------------


def encode(record: Record) -> bytes:
    """The canonical file of a record."""
    kind = kind_of(type(record))
    head = _front_matter(kind, record)
    if record.home.endswith(".md"):
        body = getattr(record, record.body) if record.body else ""
        text = f"{_FENCE}{head}{_FENCE}{_separated(body)}"
    else:
        text = head
    return _line_feeds(text).encode("utf-8")


def _line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _separated(body: str) -> str:
    # One blank line before the body is how people write it, and a line break is how text files end;
    # reading takes exactly these two away again.
    return f"\n{body}\n" if body else ""


def _front_matter(kind: Kind, record: Record) -> str:
    plain: dict[str, Json] = {}
    for f in kind.file_fields:
        value = getattr(record, f.name)
        if f.required or value != f.default:
            plain[f.name] = _plain(f, value)
    text = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000) if plain else ""
    return text + record.extra


def _plain(f: Field, value: Any) -> Json:
    dumped = f.shape.dump(value)
    return _Time(dumped) if f.shape.name == "time" and dumped is not None else dumped


# --- reading ---------------------------------------------------------------------------------


def decode(kind: Kind, path: str, data: bytes, *, scope: str = "shared") -> Decoded:
    """The record in a file of `kind` at `path`, and all problems of the file at once.

    `scope` is for refs of one project, whose paths do not name it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        bad = Problem(path, "", f"is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}. Save it as UTF-8", line)
        return Decoded(None, (bad,))
    text = _line_feeds(text.removeprefix("\ufeff"))
    head, body, first_line = _split(text) if path.endswith(".md") else (text, "", 1)
    if head is None:
        return Decoded(None, (Problem(path, "", "has front matter that never ends: a line `---` is missing", 1),))
    return _read(kind, path, scope, head, body, first_line)


def _split(text: str) -> tuple[str | None, str, int]:
    if not text.startswith(_FENCE):
        return "", text, 1
    end = _END.search(text, len(_FENCE))
    if end is None:
        return None, text, 1
    return text[len(_FENCE) : end.start()], text[end.end() + 1 :].removeprefix("\n"), 2


def _read(kind: Kind, path: str, scope: str, head: str, body: str, first_line: int) -> Decoded:
    problems: list[Problem] = []
    try:
        entries = _entries(head, FRONT_MATTER_MAX_BYTES if path.endswith(".md") else YAML_FILE_MAX_BYTES)
    except _BadYaml as bad:
        return Decoded(None, (Problem(path, "front matter" if path.endswith(".md") else "", bad.what, bad.line + first_line),))
    values: dict[str, Any] = {}
    for f in kind.file_fields:
        if f.name in entries:
            entry = entries[f.name]
            values[f.name] = _load(f, entry.value, path, entry.line + first_line, problems)
    where = kind.match(path) or {}
    for f in kind.path_fields:
        said = entries.get(f.name)
        if said is not None and said.value != where.get(f.name):
            what = f"says {shown(str(said.value))}, but the path says {shown(where.get(f.name, ''))}; leave it to the path"
            problems.append(Problem(path, f.name, what, said.line + first_line))
        values[f.name] = _load(f, where.get(f.name, ""), path, 0, problems)
    if (body_field := kind.body_field) is not None:
        values[body_field.name] = body.removesuffix("\n")
        _check(body_field, values[body_field.name], path, 0, problems)
    elif path.endswith(".md") and body.strip():
        problems.append(Problem(path, "", f"has text below its front matter, and a {kind.name} has none"))
    for f in kind.fields:
        if f.required and f.name not in values:
            problems.append(Problem(path, f.name, f"is missing: {f.description}"))
            values[f.name] = f.shape.empty
    extra = "".join(entry.text for name, entry in entries.items() if name not in values)
    record = kind.record(scope=_scope_of(path, where.get("scope", scope)), extra=extra, **values)
    return Decoded(record, tuple(problems))


def _scope_of(path: str, otherwise: str) -> str:
    parts = path.split("/", 2)
    return "/".join(parts[:2]) if parts[0] == "projects" and len(parts) == 3 else otherwise


def _load(f: Field, value: Json, path: str, line: int, problems: list[Problem]) -> Any:
    try:
        loaded = f.shape.load(value)
    except Mismatch as mismatch:
        for where, what in mismatch.problems:
            place = f"{f.name}{'' if where.startswith('[') or not where else '.'}{where}"
            problems.append(Problem(path, place, what, line))
        return f.shape.empty if f.required else f.default
    _check(f, loaded, path, line, problems)
    return loaded


def _check(f: Field, value: Any, path: str, line: int, problems: list[Problem]) -> None:
    for check in f.checks:
        if value is not None and (what := check(value)):
            problems.append(Problem(path, f.name, what, line))


def unknown_entries(extra: str) -> dict[str, str]:
    """The text of each key in a record's `extra`."""
    return {name: entry.text for name, entry in _entries(extra, YAML_FILE_MAX_BYTES).items()}


class _BadYaml(Exception):
    def __init__(self, what: str, line: int) -> None:
        self.what, self.line = what, line


class _Entry(Struct, frozen=True):
    value: Json
    text: str
    line: int


class _Composer(yaml.CSafeLoader):
    """Stops where values are nested too deep: composing calls itself in C, and brackets alone would exhaust its stack."""

    _depth = -2  # the file's mapping and the values in it are not nested

    # Every node is composed between these two. What they are for, resolving by path, is not in use.
    def descend_resolver(self, current_node: yaml.Node | None, _: object) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX and current_node is not None:
            raise _BadYaml(f"is nested deeper than {DEPTH_MAX} levels", current_node.start_mark.line)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def _entries(head: str, most: int) -> dict[str, _Entry]:
    if len(head) > most:
        raise _BadYaml(f"has {len(head):,} characters; at most {most:,} are accepted", 0)
    try:
        node = yaml.compose(head, Loader=_Composer)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _BadYaml(f"is not YAML: {error.problem}", mark.line if mark else 0) from None
    except yaml.YAMLError as error:
        raise _BadYaml(f"is not YAML: {shown(str(error).splitlines()[0], 100)}", 0) from None
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise _BadYaml("is not a mapping of `key: value` lines", 0)
    return _mapping_entries(head, node)


def _mapping_entries(head: str, node: yaml.MappingNode) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    seen: set[int] = set()
    starts = [key.start_mark.index for key, _ in node.value] + [len(head)]
    in_lines = not node.flow_style and all(key.start_mark.column == 0 for key, _ in node.value)
    for position, (key, value) in enumerate(_pairs(node, seen)):
        # what does not begin its lines cannot be cut out of the text: it is written anew
        text = head[starts[position] : starts[position + 1]] if in_lines else _written_alone(node.tag, key, value)
        plain = _plain_value(value, seen)
        entries[key.value] = _Entry(plain, text if text.endswith("\n") else text + "\n", key.start_mark.line)
    return entries


def _written_alone(tag: str, key: yaml.Node, value: yaml.Node) -> str:
    alone = yaml.MappingNode(tag, [(key, value)], flow_style=False)
    return str(yaml.serialize(alone, Dumper=_Dumper, allow_unicode=True, width=1_000_000))


def _pairs(node: yaml.MappingNode, seen: set[int]) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """The keys of a mapping, each of them text and said once, with their values."""
    said = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _BadYaml("has a key that is not text", key.start_mark.line)
        _refuse_unusual(key, seen)
        if key.value in said:
            raise _BadYaml(f"says {shown(key.value)} twice", key.start_mark.line)
        said.add(key.value)
        yield key, value


_YAML = "tag:yaml.org,2002:"
_PLAIN = ("str", "int", "float", "bool", "null", "timestamp", "value", "merge", "map", "seq", "set", "omap", "pairs")
_PLAIN_TAGS = frozenset(_YAML + name for name in _PLAIN)


def _refuse_unusual(node: yaml.Node, seen: set[int]) -> None:
    if id(node) in seen:
        raise _BadYaml("uses an alias (*name); write the value out", node.start_mark.line)
    seen.add(id(node))
    if node.tag not in _PLAIN_TAGS:
        raise _BadYaml(f"uses the tag {shown(node.tag)}; only plain values are accepted", node.start_mark.line)


def _plain_value(node: yaml.Node, seen: set[int]) -> Json:
    _refuse_unusual(node, seen)
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain_value(value, seen) for key, value in _pairs(node, seen)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain_value(item, seen) for item in node.value]
    return _plain_scalar(node)


# One by one, since the constructor remembers for good whatever it finds the way to itself.
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_NOT_TEXT: dict[str, Callable[[Any], Json]] = {
    f"{_YAML}int": _CONSTRUCTOR.construct_yaml_int,
    f"{_YAML}float": _CONSTRUCTOR.construct_yaml_float,
    f"{_YAML}bool": _CONSTRUCTOR.construct_yaml_bool,
    f"{_YAML}null": _CONSTRUCTOR.construct_yaml_null,
}


def _plain_scalar(node: yaml.Node) -> Json:
    construct = _NOT_TEXT.get(node.tag)
    if construct is None:
        return node.value
    try:
        value = construct(node)
        str(value)  # a number of thousands of digits can be read in base 16, and not be written
    except (ValueError, OverflowError, LookupError):
        what = f"says {shown(node.value)}, which is not a {node.tag.rpartition(':')[2]}"
        raise _BadYaml(what, node.start_mark.line) from None
    return Scalar(node.value, value)
