"""The declaration of a record kind: one class, from which everything else follows.

    @kind
    class Guideline(Record):
        '''A rule that every agent gets at session start.'''

        home: ClassVar[str] = "{scope}/guidelines/{name}.md"
        body: ClassVar[str] = "rule"
        name: str = field("the rule's name", check=a_name)
        priority: int = field("1 to 100", default=50, check=between(1, 100))
        rule: str = field("what to do", index="text")

Placeholders of `home` are fields or properties of the record. Those that are fields live in the path
alone, never in the file as well, so that the two cannot disagree.
"""

import re
import typing
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar

from msgspec import NODEFAULT, Struct, StructMeta

from gitmem.names import shard_of
from gitmem.records.check import Check
from gitmem.records.merging import Along, Rule, default_rule, prose
from gitmem.records.shape import Shape, shape_of

IndexRole = Literal["title", "text", "keyword", "path", "code", "time"]

PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SCOPE = r"(?P<scope>shared|projects/[^/]+)"


class _Declared(Struct, frozen=True):
    description: str
    default: Any
    index: IndexRole | None
    checks: tuple[Check, ...]
    example: Any
    merge: Rule | Along | None


def field(
    description: str,
    *,
    default: Any = NODEFAULT,
    index: IndexRole | None = None,
    check: Check | tuple[Check, ...] = (),
    example: Any = None,
    merge: Rule | Along | None = None,
) -> Any:
    """A field of a record: what it is for, how search uses it, what is accepted, how two versions become one.

    `merge` left out: as its type is merged (`records/merging.py`).
    """
    checks = check if isinstance(check, tuple) else (check,)
    return _Declared(description, default, index, checks, example, merge)


@typing.dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class _RecordType(StructMeta):
    """Makes records: frozen structs that know what their fields are declared to be."""

    declared: dict[str, _Declared]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "_RecordType":
        """The class; `declared` has its fields in file order, without those that every record has."""
        own = {each: value for each, value in namespace.items() if isinstance(value, _Declared)}
        defaults = {each: said.default for each, said in own.items() if said.default is not NODEFAULT}
        rest = {each: value for each, value in namespace.items() if each not in own}
        cls = super().__new__(mcs, name, bases, rest | defaults, frozen=True, kw_only=True, **options)
        cls.declared = {each: said for base in bases for each, said in getattr(base, "declared", {}).items()} | own
        return cls


class Record(Struct, metaclass=_RecordType):
    """What every record has, whatever its kind.

    `scope` is `projects/<name>` or `shared`; `version` the blob id of its file ("" before it is
    written); `extra` the front-matter text of keys that gitmem does not know, kept as typed.
    """

    home: ClassVar[str]
    body: ClassVar[str | None] = None
    ref: ClassVar[str] = "main"
    # The fields that say which record it is, wherever its file stands; () for what is where it is.
    identity: ClassVar[tuple[str, ...]] = ()
    # What is removed stays removed, whatever others did to it meanwhile.
    ends: ClassVar[bool] = False

    scope: str = "shared"
    version: str = ""
    extra: str = ""

    def __eq__(self, other: object) -> bool:
        # what is to be written and what is read back say the same, and only one of them has a version
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__struct_fields__ if name != "version")

    __hash__ = None  # type: ignore[assignment]

    @property
    def shard(self) -> str:
        """The folder of a generated id, for homes that are sharded."""
        return shard_of(typing.cast(Any, self).id)

    @property
    def project(self) -> str:
        """The project's name, or `shared`."""
        return self.scope.removeprefix("projects/")

    def facets(self) -> Iterator[tuple[str, str]]:
        """What search can filter and look up by, exactly: (name, value) pairs.

        By default all fields with the index role `keyword`; kinds add what they derive.
        """
        for f in kind_of(type(self)).fields:
            if f.index == "keyword":
                value = getattr(self, f.name)
                for each in value if isinstance(value, tuple) else (value,):
                    if each:
                        yield f.name, str(each)

    def gist(self) -> Struct | None:
        """What a search tells of it in short: kept in the index, so that its file need not be read for that."""
        return None

    def anew(self, kept: "Record") -> "Record":  # noqa: ARG002  for kinds that need it
        """The version that lost a merge against `kept`, as one that can be proposed to follow it."""
        return self

    @property
    def path(self) -> str:
        """Where the record's file lives in its ref's tree."""
        return kind_of(type(self)).path_of(self)


R = TypeVar("R", bound=Record)


class Field(Struct, frozen=True):
    """One declared field, with its shape resolved."""

    name: str
    shape: Shape
    required: bool
    default: Any
    description: str
    index: IndexRole | None
    checks: tuple[Check, ...]
    example: Any
    merge: Rule | Along
    losing: Rule  # how what it says in a version that lost as a whole is proposed on top of the one that stays


class Kind(Struct, frozen=True, dict=True):
    """A record class and what follows from its declaration."""

    name: str
    record: type[Record]

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All declared fields in file order, those of the path included."""
        hints = typing.get_type_hints(self.record)
        return tuple(
            Field(
                name=name,
                shape=shape_of(hints[name]),
                required=said.default is NODEFAULT,
                default=None if said.default is NODEFAULT else said.default,
                description=said.description,
                index=said.index,
                checks=said.checks,
                example=said.example,
                merge=said.merge or self._by_type(name, hints[name]),
                losing=self._by_type(name, hints[name]),
            )
            for name, said in self.record.declared.items()
        )

    def _by_type(self, name: str, hint: Any) -> Rule:
        return prose if name == self.record.body else default_rule(hint)

    @cached_property
    def path_fields(self) -> tuple[Field, ...]:
        """The fields that the path holds."""
        names = set(PLACEHOLDER.findall(self.record.home))
        return tuple(f for f in self.fields if f.name in names)

    @cached_property
    def file_fields(self) -> tuple[Field, ...]:
        """The fields of the front matter (or of the YAML file), in file order."""
        return tuple(f for f in self.fields if f not in self.path_fields and f.name != self.record.body)

    @cached_property
    def body_field(self) -> Field | None:
        """The field that is the Markdown body, if the kind has one."""
        return next((f for f in self.fields if f.name == self.record.body), None)

    @cached_property
    def _path_pattern(self) -> "re.Pattern[str]":
        pattern, seen = "", set()
        for position, part in enumerate(PLACEHOLDER.split(self.record.home)):
            if position % 2 == 0:
                pattern += re.escape(part)
            elif part == "scope":
                pattern += _SCOPE
            else:
                pattern += f"(?P<{part}>[^/]+)" if part not in seen else f"(?P={part})"
                seen.add(part)
        return re.compile(pattern)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The placeholders' values if a file of this kind can live at `path`."""
        found = self._path_pattern.fullmatch(path)
        return found.groupdict() if found else None

    @cached_property
    def _placeholders(self) -> tuple[str, ...]:
        return tuple(PLACEHOLDER.findall(self.record.home))

    def path_of(self, record: Record) -> str:
        """The path at which the record's file lives."""
        return self.record.home.format_map({name: getattr(record, name) for name in self._placeholders})


KINDS: dict[str, Kind] = {}
_BY_CLASS: dict[type[Record], Kind] = {}


def kind(cls: type[R]) -> type[R]:
    """Class decorator: declare a record kind."""
    declared = Kind(cls.__name__.lower(), cls)
    if declared.name in KINDS:
        raise TypeError(f"two record kinds are called {declared.name}")
    KINDS[declared.name] = _BY_CLASS[cls] = declared
    return cls


def kind_of(cls: type[Record]) -> Kind:
    """The kind that a record class declares."""
    return _BY_CLASS[cls]


def kind_at(path: str, ref: str = "main") -> Kind | None:
    """The kind whose files live at `path` on `ref` (`main`, `sessions`, ...)."""
    for candidate in KINDS.values():
        if candidate.record.ref == ref and candidate.match(path) is not None:
            return candidate
    return None
