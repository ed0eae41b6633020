"""Records as passages: what the index holds of a record, one document a section."""

import hashlib
import re
from bisect import bisect
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct, msgpack

from gitmem.index.analysis import code_words, date_words, for_index
from gitmem.records.kind import Record, kind_of

WHOLE_MAX = 1500  # characters of a body that stay in one piece
PASSAGE_MAX = 800  # characters of a piece of a longer one
_FACET_MAX = 1000
_AROUND = 1  # neighbours on each side whose words count for a section, weakly

# No two repeats of these take the same characters, so that none takes the square of a text's length.
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)
_FENCE = re.compile(r"^(?:```|~~~)", re.MULTILINE)
_WORD = re.compile(r"\w+")
_UNKNOWN_TEXT = re.compile(r"^(?:[^\s:#]+:|-)[ \t]+(\S.*)$", re.MULTILINE)
_BLANK = re.compile(r"\n\s*\n")


class Change(Struct, frozen=True):
    """The last change of a file: when, and by whom."""

    time: datetime
    author: str


class Passage(Struct, frozen=True):
    """One document of the index. `texts` maps text fields to their prepared text; `gist` is the record's, packed."""

    path: str
    part: int
    heading: str
    shown: str
    texts: dict[str, str]
    facets: tuple[str, ...]
    gist: bytes = b""


def key_of(path: str) -> int:
    """A path as a number, which the index can hand out for thousands of hits at once."""
    return int.from_bytes(hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def facet_term(name: str, value: str) -> str:
    """The exact term of a facet's value."""
    return f"{name}={value}"[:_FACET_MAX]


def passages_of(path: str, record: Record) -> list[Passage]:
    """The passages of a record, at least one."""
    parts = _Parts(record)
    facets = tuple(dict.fromkeys(facet_term(name, value) for name, value in parts.facets()))
    same = {
        "title": for_index(parts.title),
        "tags": for_index(" ".join(parts.keywords)),
        "place": _place_words(path, parts.title, parts.paths),
        "moment": " ".join(parts.moments),
    }
    gist = msgpack.encode(record.gist())
    passages = []
    cut = sections(parts.body)
    for part, (heading, text) in enumerate(cut):
        full = "\n".join([*parts.texts, text]) if part == 0 else text
        code = [parts.title, heading, full, *parts.codes, *parts.paths] if part == 0 else [heading, text]
        texts = same | {"heading": for_index(heading), "text": for_index(full), "code": code_words(" \n ".join(code))}
        if len(cut) > 1:
            near = [text for _, text in cut[max(0, part - _AROUND) : part] + cut[part + 1 : part + 1 + _AROUND]]
            texts["around"] = for_index("\n".join(near))
        passages.append(Passage(path, part, heading, full or parts.title, texts, facets, gist))
    return passages


class _Parts:
    """A record's values by what the index does with them."""

    def __init__(self, record: Record) -> None:
        kind = kind_of(type(record))
        self._record = record
        self._kind = kind.name
        self.title, self.body = "", ""
        self.texts: list[str] = []
        self.keywords: list[str] = []
        self.paths: list[str] = []
        self.codes: list[str] = []
        self.moments: list[str] = []
        named = {f.name for f in kind.path_fields}
        for f in kind.fields:
            if f.index is None:
                continue
            values = _plain_texts(getattr(record, f.name))
            match f.index:
                case "title":
                    self.title = " ".join([self.title, *values]).strip()
                case "text" if f.name == record.body:
                    self.body = "\n".join(values)
                case "text":
                    self.texts += values
                case "keyword" if f.name not in named:
                    self.keywords += values
                case "path":
                    self.paths += values
                case "code":
                    self.codes += values
                    self.texts += values
                case "time":
                    self.moments += [date_words(datetime.fromisoformat(value)) for value in values]
        # front matter of others often holds the best description there is
        self.keywords += _unknown_texts(record.extra)

    def facets(self) -> Iterator[tuple[str, str]]:
        yield "scope", self._record.scope
        yield "kind", self._kind
        yield from self._record.facets()


def _unknown_texts(extra: str) -> Iterator[str]:
    return (found[1] for found in _UNKNOWN_TEXT.finditer(extra) if _WORD.search(found[1]))


def _plain_texts(value: Any) -> list[str]:
    match value:
        case None | "" | ():
            return []
        case datetime():
            return [value.isoformat()]
        case tuple() | list():
            return [text for item in value for text in _plain_texts(item)]
        case dict():
            return [text for item in value.items() for text in _plain_texts(item)]
        case _:
            return [str(value)]


def _place_words(path: str, title: str, paths: list[str]) -> str:
    # the hex of a generated id and its shard are no words, a file's ending says nothing, and a slug
    # repeats the title
    own = re.sub(r"(?:/[0-9a-f]{2})?/([^/]*?)(?:-[0-9a-f]{6,})?\.[a-z]+$", r" \1", path)
    known = set(_WORD.findall(title.lower()))
    return for_index(" ".join([*(word for word in _WORD.findall(own) if word not in known), *paths]))


def sections(body: str) -> list[tuple[str, str]]:
    """A body as (heading, text) sections; a short body is one piece without a heading."""
    if len(body) <= WHOLE_MAX:
        return [("", body)]
    pieces = []
    for heading, text in _by_heading(body):
        for piece in _by_paragraph(text):
            pieces.append((heading, piece))
    return pieces


def _by_heading(body: str) -> Iterator[tuple[str, str]]:
    fences = [found.start() for found in _FENCE.finditer(body)]
    heading, start = "", 0
    for found in _HEADING.finditer(body):
        if bisect(fences, found.start()) % 2:
            continue  # a comment in a block of code is no heading
        if body[start : found.start()].strip():
            yield heading, body[start : found.start()].strip()
        named = found[1].rstrip(" \t#") or found[1][0]
        heading, start = named[:200], found.end()
    if body[start:].strip() or heading:
        yield heading, body[start:].strip()


def _by_paragraph(text: str) -> Iterator[str]:
    start, end = 0, 0
    for paragraph in _cuts(text):
        if paragraph - start > PASSAGE_MAX and end > start:
            yield text[start:end].strip()
            start = end
        end = paragraph
    if text[start:].strip() or start == 0:
        yield text[start:].strip()


def _cuts(text: str) -> Iterator[int]:
    """Where a text may be cut: after paragraphs, in longer ones after lines, in longer ones anywhere."""
    start = 0
    for end in [found.end() for found in _BLANK.finditer(text)] + [len(text)]:
        while end - start > PASSAGE_MAX:
            line = text.rfind("\n", start + 1, start + PASSAGE_MAX)
            space = text.rfind(" ", start + 1, start + PASSAGE_MAX)
            start = line + 1 if line > start else space + 1 if space > start else start + PASSAGE_MAX
            yield start
        yield end
        start = end
