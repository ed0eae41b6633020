"""The knowledge record and the rules that belong to it."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from msgspec import Struct

from gitmem.errors import BadArgument, NotFound
from gitmem.memory.find import find_path
from gitmem.memory.gate import BODY_MAX_BYTES, Change, rule
from gitmem.memory.settlers import settler
from gitmem.names import folded, hex_of, now
from gitmem.records.check import a_tag, at_most, bytes_at_most, each, not_blank, one_line, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import furthest, union
from gitmem.records.shape import Json

if TYPE_CHECKING:
    from gitmem.memory.merge import Draft

MemoryType = Literal[
    "api_spec", "architecture", "component", "config", "adr", "learning", "pattern", "gotcha", "code_snippet",
    "solution", "task_context", "handoff", "interface", "state",
]
Status = Literal["active", "deprecated", "superseded", "archived", "conflicted", "review_pending", "expired"]
MEMORY_TYPES: tuple[str, ...] = get_args(MemoryType)
STATUSES: tuple[str, ...] = get_args(Status)
# Of two statuses that are set at the same time, in two clones, the one that stands later here stays.
STEPS: tuple[Status, ...] = ("active", "review_pending", "conflicted", "expired", "deprecated", "archived", "superseded")
# How long a type holds unless its author says otherwise; types that are not here hold for good.
EXPIRES_AFTER = {
    "learning": timedelta(days=180),
    "gotcha": timedelta(days=180),
    "task_context": timedelta(days=60),
    "handoff": timedelta(days=28),
}
DAYS_MAX = 36_500
STALE_AFTER = timedelta(days=30)

_WIKILINK = re.compile(r"\[\[([^\]\[|\n]{1,200})(?:\|[^\]\[\n]*)?\]\]")
_RELATION = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Link(Struct, frozen=True, kw_only=True):
    """A named link to another record, by its id."""

    rel: str
    to: str


class Interface(Struct, frozen=True, kw_only=True):
    """The interface that a record describes, for machines."""

    name: str
    version: str = ""
    schema: dict[str, Json] | None = None


def an_interface(value: Interface | None) -> str | None:
    """Its name and version are a line each."""
    if value is None:
        return None
    if problem := one_line(value.name) or at_most(200)(value.name):
        return f"has a name that {problem}"
    if value.version and (problem := one_line(value.version) or at_most(100)(value.version)):
        return f"has a version that {problem}"
    return None


def an_id(value: str) -> str | None:
    """A generated id: a slug, a dash, at least six hex digits."""
    return None if hex_of(value) and len(value) <= 100 else f"is {value[:60]!r}, which is no id such as 'retry-policy-3fa2b81c'"


def a_status(value: str) -> str | None:
    """One of the statuses, or nothing."""
    return None if not value or value in STATUSES else f"is {value[:40]!r}, not one of {', '.join(STATUSES)}"


def links_are_named(value: tuple[Link, ...]) -> str | None:
    """Relations are words, targets are one line."""
    for link in value:
        if not _RELATION.fullmatch(link.rel):
            return f"has the relation {link.rel[:40]!r}; a word such as 'uses', 'supersedes' or 'see_also' is accepted"
        if problem := one_line(link.to) or at_most(200)(link.to):
            return f"has a target that {problem}"
    return None


class Gist(Struct, frozen=True):
    """What a search tells of a record."""

    id: str
    title: str
    memory_type: MemoryType
    status: Status
    project: str
    author: str
    tags: tuple[str, ...]
    expires: datetime | None
    superseded_by: str

    def holds_at(self, moment: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or moment < self.expires


@kind
class Knowledge(Record):
    """Something worth knowing: a learning, a decision, an architecture page, a snippet, a handoff."""

    home: ClassVar[str] = "{scope}/knowledge/{memory_type}/{shard}/{id}.md"
    body: ClassVar[str] = "content"
    identity: ClassVar[tuple[str, ...]] = ("id",)

    memory_type: MemoryType = field("what sort of knowledge it is", index="keyword", default="learning")
    id: str = field("slug and random hex digits", index="keyword", check=an_id, example="retries-need-jitter-3fa2b81c")
    title: str = field("what it says, in one line", index="title", check=(one_line, at_most(200)), example="Retries need jitter")
    status: Status = field("whether it still holds", index="keyword", default="active", merge=furthest(*STEPS))
    tags: tuple[str, ...] = field(
        "words to find it by", index="keyword", default=(), check=(at_most(30), each(a_tag)),
        example=("network", "retries"),
    )
    files_related: tuple[str, ...] = field(
        "paths in the code that it is about", index="path", default=(), check=(at_most(100), each(one_line), each(at_most(400)))
    )
    links: tuple[Link, ...] = field("links to other records", default=(), check=(at_most(100), links_are_named), merge=union)
    interface: Interface | None = field("the interface it describes", default=None, check=an_interface)
    superseded_by: str = field("the id of what holds instead", default="", check=at_most(120))
    restores_to: str = field("the status it had before it was archived", default="", check=a_status)
    source: str = field("where it was imported from", index="keyword", default="", check=at_most(400))
    expires: datetime | None = field("when it stops to hold; left out: never", default=None)
    author: str = field("who recorded it", index="keyword", default="", check=at_most(100))
    session: str = field("the session in which it was recorded", index="keyword", default="", check=at_most(200))
    created: datetime | None = field("when it was recorded", default=None)
    content: str = field(
        "the knowledge, in Markdown", index="text", check=(not_blank, bytes_at_most(BODY_MAX_BYTES), plain_text)
    )

    @property
    def digest(self) -> str:
        """What exact duplicates have in common: title and content with white space and case folded."""
        return hashlib.sha256(folded(f"{self.title}\n{self.content}").encode()).hexdigest()[:32]

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids and titles that it links to, by `links` and by `[[wikilinks]]`, each once."""
        wiki = (found[1].strip() for found in _WIKILINK.finditer(self.content))
        named = [link.to for link in self.links] + ([self.superseded_by] if self.superseded_by else [])
        return tuple(dict.fromkeys([*named, *wiki]))

    def gist(self) -> Gist:
        """What a search tells of it."""
        return Gist(
            self.id, self.title, self.memory_type, self.status, self.project, self.author, self.tags, self.expires,
            self.superseded_by,
        )  # fmt: skip

    def facets(self) -> Iterator[tuple[str, str]]:
        """Its keywords, what it links to, and what exact duplicates share."""
        yield from super().facets()
        yield "digest", self.digest
        yield "title", self.title
        for target in self.targets:
            yield "link", target


@rule
def successors_are_there(change: Change) -> Iterator[Problem]:
    """What is newly said to supersede a record can be read."""
    for path, _ in change.written():
        decoded = change.decoded(path)
        record = decoded.record if decoded else None
        if not isinstance(record, Knowledge) or not record.superseded_by:
            continue
        before = change.before.record(path)
        known = isinstance(before, Knowledge) and before.superseded_by == record.superseded_by
        if not known and not change.several and not _is_there(change, record):
            yield Problem(path, "superseded_by", f"is {record.superseded_by[:60]!r}, which is no record's id")


def _is_there(change: Change, record: Knowledge) -> bool:
    name = f"/{record.superseded_by}.md"
    if any(path.endswith(name) for path, _ in change.written()):
        return True
    try:
        found = find_path(change.before, record.superseded_by, scope=record.scope)
    except (NotFound, BadArgument):
        return False
    return found not in change.edits


@settler
def merged_successors_are_there(draft: "Draft") -> None:
    """What one side made a successor comes back if the other removed it."""
    if draft.place.family != "main":
        return
    written = {path.rpartition("/")[2] for path, entry in draft.result.items() if entry}
    for record in list(draft.changed(Knowledge)):
        if record.superseded_by and f"{record.superseded_by}.md" not in written:
            with suppress(NotFound, BadArgument):
                path = find_path(draft.base, record.superseded_by, scope=record.scope)
                if draft.entry(path) is None:
                    draft.take(path, None)


def expiry(memory_type: str, days: int | None, *, clock: datetime | None = None) -> datetime | None:
    """When a new record expires: after `days`, else its type's default; 0 days: never. Raises BadArgument."""
    if days == 0:
        return None
    if days is not None and not 0 < days <= DAYS_MAX:
        raise BadArgument(f"expires_in_days is {days}.", fix=f"1 to {DAYS_MAX} are accepted, and 0 for never.")
    after = timedelta(days=days) if days is not None else EXPIRES_AFTER.get(memory_type)
    return (clock or now()) + after if after else None
