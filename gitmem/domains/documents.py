"""A Markdown document from elsewhere: its front matter, title, links, and its parts if it is long."""

import re
from collections.abc import Collection, Iterator
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from posixpath import normpath
from typing import cast
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec import Struct
from msgspec.structs import replace

from gitmem.domains.knowledge.record import MEMORY_TYPES, Knowledge, MemoryType, Status
from gitmem.records.codec import decode, encode
from gitmem.records.kind import kind_of

TITLE_MAX = 200
HEADING_MAX = 100
SUFFIXES = (".md", ".markdown")
# Documents describe how something is built and used, unless their front matter says what else they are.
DEFAULT_TYPE: MemoryType = "architecture"

# Where a document stands while it is read as if it were a record's file.
_PLACE = "projects/import/knowledge/{}/00/import-00000000.md"
_KIND = kind_of(Knowledge)
_TAKEN = frozenset(("title", "tags", "status", "files_related"))
# Names of ours that mean something else in a document, or that a document must not say, such as its author.
_OURS = frozenset(f.name for f in _KIND.fields) - _TAKEN
_FRONT_MATTER = re.compile(r"---\n(?P<head>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TYPE = re.compile(r"^(?P<key>memory_type|type)[ \t]*:[ \t]*[\"']?(?P<value>\w+)[\"']?[ \t]*$", re.MULTILINE)


class Document(Struct, frozen=True):
    """What a file says. `links` are the addresses of its links as typed, `status` is "" where it says none.

    `extra` is front matter that means nothing to gitmem, as typed; `notes` tell what could not be taken over.
    """

    source: str
    title: str
    content: str
    memory_type: MemoryType = DEFAULT_TYPE
    status: Status | None = None
    tags: tuple[str, ...] = ()
    files_related: tuple[str, ...] = ()
    extra: str = ""
    links: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Part(Struct, frozen=True):
    """A stretch of a long document, and the heading under which it begins ("" if there is none)."""

    heading: str
    text: str


def read(source: str, text: str) -> Document:
    """The document in a file's text; `source` is the file's path below the imported folder."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    said = _with_front_matter(source, text)
    tokens = _parser().parse(said.content)
    title = said.title or next((heading for _, _, heading in _headings(tokens)), "") or PurePosixPath(source).stem
    links = dict.fromkeys(href for token in tokens for href in _addresses(token))
    return replace(said, title=fitting(title), links=tuple(links))


def fitting(title: str, ending: str = "") -> str:
    """A title in one line that a record accepts, with an ending that is never cut."""
    line = _one_line(title)
    room = TITLE_MAX - len(ending)
    return (line if len(line) <= room else line[: room - 1].rstrip() + "…") + ending or "Untitled"


def _one_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def title_of_part(document: Document, number: int, part: "Part") -> str:
    """The title of one part: the document's own for the first."""
    if number == 1:
        return document.title
    heading = part.heading if len(part.heading) <= HEADING_MAX else part.heading[: HEADING_MAX - 1] + "…"
    return fitting(document.title, f" (part {number}{f': {heading}' if heading else ''})")


# --- front matter ----------------------------------------------------------------------------


def _with_front_matter(source: str, text: str) -> Document:
    plain = Document(source, "", text.strip("\n"))
    found = _FRONT_MATTER.match(text)
    if found is None:
        return plain
    head, body = found["head"], text[found.end() :]
    types = {each["key"]: each["value"] for each in _TYPE.finditer(head) if each["value"] in MEMORY_TYPES}
    memory_type = cast(MemoryType, types.get("memory_type") or types.get("type") or DEFAULT_TYPE)
    aside = _OURS - types.keys()
    record, problems = _decoded(head, body, aside, memory_type)
    bad = {name.partition("[")[0]: what for name, what in problems} if record else {}
    if bad:
        record, _ = _decoded(head, body, aside | bad.keys(), memory_type)
    # keys of a mapping in braces have no lines of their own that could be kept
    if record is None or head.lstrip().startswith("{") or not _keeps(record):
        why = problems[0][1] if problems and record is None else "it is written in a way that cannot be kept"
        return replace(plain, notes=(f"the front matter was taken as text: {why}",))
    return replace(
        plain,
        title=record.title,
        content=record.content.strip("\n"),
        memory_type=memory_type,
        status=record.status if re.search(r"^status[ \t]*:", head, re.MULTILINE) and "status" not in bad else None,
        tags=record.tags,
        files_related=record.files_related,
        extra=record.extra,
        notes=tuple(f"{name} is kept as original_{name}: it {what}" for name, what in bad.items()),
    )


def _decoded(
    head: str, body: str, renamed: Collection[str], memory_type: MemoryType
) -> tuple[Knowledge | None, list[tuple[str, str]]]:
    """The document as a record, with some keys set aside under other names; (field, what) of its problems."""
    kept = re.sub(rf"^({'|'.join(renamed)})([ \t]*:)(?=\s)", r"original_\1\2", head, flags=re.MULTILINE)
    decoded = decode(_KIND, _PLACE.format(memory_type), f"---\n{kept}---\n\n{body}".encode("utf-8", "replace"))
    record = decoded.record
    # a missing title is found elsewhere, and the text is looked at when it is recorded
    problems = [(each.field, each.what) for each in decoded.problems if each.field != "content"]
    problems = [each for each in problems if each[0] != "title" or re.search(r"^title[ \t]*:", kept, re.MULTILINE)]
    return (record if isinstance(record, Knowledge) else None), problems


def _keeps(record: Knowledge) -> bool:
    """Whether the unknown keys survive being written and read again."""
    copy = Knowledge(scope="projects/import", id="import-00000000", title="x", content="x", extra=record.extra)
    return decode(_KIND, copy.path, encode(copy)).record == copy


# --- headings and links ----------------------------------------------------------------------


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _headings(tokens: list[Token]) -> Iterator[tuple[int, int, str]]:
    """The headings that are not inside of something else: line, level, text."""
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            text = "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))
            yield token.map[0], int(token.tag[1:]), _one_line(text)


def _addresses(token: Token) -> Iterator[str]:
    for child in token.children or ():
        if child.type == "link_open" and isinstance(href := child.attrGet("href"), str):
            yield href


def target_of(href: str, source: str, known: Collection[str]) -> str | None:
    """Which of the known files a link in `source` leads to, if any.

    An address from the root, as websites have them, is tried from every folder above the file; an
    address without an ending as a Markdown file or a folder's first page.
    """
    try:
        address = urlsplit(href)
    except ValueError:
        return None
    if address.scheme or address.netloc or not address.path:
        return None
    path = unquote(address.path)
    folder = PurePosixPath(source).parent
    folders = [folder] if not path.startswith("/") else [*reversed(folder.parents), folder]
    for each in folders:
        base = normpath(str(each / path.lstrip("/")))
        pages = (f"{base}{ending}" for ending in ("", *SUFFIXES, "/index.md", "/README.md"))
        if (found := next((page for page in pages if page in known), None)) and found != source:
            return found
    return None


# --- long documents --------------------------------------------------------------------------


def parts(text: str, most_bytes: int) -> list[Part]:
    """The text in parts of at most `most_bytes`, cut at the highest headings that make it fit.

    Only a section that is too long by itself is cut at paragraphs, and only a paragraph at lines.
    """
    if _size(text) <= most_bytes:
        return [Part("", text)]
    tokens = _parser().parse(text)
    headings = list(_headings(tokens))
    lines = [f"{line}\n" for line in text.split("\n")]
    cuts = [[line for line, level, _ in headings if level <= most] for most in sorted({level for _, level, _ in headings})]
    cuts.append(sorted({token.map[0] for token in tokens if token.map and token.level == 0}))
    cuts.append(list(range(len(lines))))
    found = []
    for start, end in _joined(list(_stretches(lines, cuts, 0, len(lines), most_bytes)), lines, most_bytes):
        heading = next((title for line, _, title in reversed(headings) if line <= start), "")
        found += [Part(heading, piece) for piece in _chopped("".join(lines[start:end]).strip("\n"), most_bytes) if piece]
    return found


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _stretches(lines: list[str], cuts: list[list[int]], start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Line ranges from coarse to fine cuts, each as long as it can be."""
    if not cuts or _size("".join(lines[start:end])) <= most:
        yield start, end
        return
    inner = [cut for cut in cuts[0] if start < cut < end]
    for first, last in pairwise([start, *inner, end]):
        yield from _stretches(lines, cuts[1:], first, last, most)


def _joined(stretches: list[tuple[int, int]], lines: list[str], most: int) -> Iterator[tuple[int, int]]:
    """Neighbours joined for as long as they fit together."""
    start, end = stretches[0]
    size = _size("".join(lines[start:end]))
    for first, last in stretches[1:]:
        more = _size("".join(lines[first:last]))
        if size + more > most:
            yield start, end
            start, size = first, 0
        end, size = last, size + more
    yield start, end


def _chopped(text: str, most: int) -> Iterator[str]:
    """A text in pieces that fit, whatever it is: a line of any length has no better place to be cut."""
    data = text.encode("utf-8", "replace")
    while len(data) > most:
        end = most
        while data[end] & 0xC0 == 0x80:  # inside of a character
            end -= 1
        yield data[:end].decode()
        data = data[end:]
    yield data.decode()
