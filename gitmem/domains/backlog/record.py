"""The backlog item: what is to be done, and what the team says about it."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, Literal, get_args

from msgspec.structs import replace

from gitmem.domains.backlog.body import Parts, join, split, text_problem, tidy
from gitmem.domains.knowledge.record import an_id
from gitmem.memory.gate import BODY_MAX_BYTES
from gitmem.names import folded
from gitmem.records.check import a_name, a_tag, at_most, bytes_at_most, each, if_any, one_line, plain_text
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import first_come, furthest, sections

Status = Literal["open", "in_progress", "blocked", "deferred", "retest", "needs_info", "duplicate", "done", "wont_do"]
Priority = Literal["critical", "high", "medium", "low"]
ItemType = Literal["task", "feature", "bug", "tech_debt"]
STATUSES: tuple[Status, ...] = get_args(Status)
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
# Nothing is left to do, and nothing has to wait for it.
CLOSED: frozenset[str] = frozenset(("duplicate", "done", "wont_do"))
UNFINISHED: tuple[Status, ...] = tuple(status for status in STATUSES if status not in CLOSED)
# How far each status is: of two that are set at the same time, in two clones, the one that is further on stays.
STEPS: tuple[str | tuple[str, ...], ...] = (
    "open", "deferred", "needs_info", "blocked", "in_progress", "retest", ("duplicate", "wont_do"), "done",
)

# Names of facets, beside those of the fields.
ASSIGNED = "todo"  # "<scope> <assignee>" of what is not closed
STARTABLE = "startable"  # "<scope> <assignee>" of what could be started, were it not for what it waits for
UNCLOSED = "unclosed"  # its own id, of what is not closed
WAITS_FOR = "waits_for"  # ids of blockers, of what is not closed
BLOCKED_BY = "blocked_by"  # ids of blockers
PARENT = "parent"
TITLED = "titled"  # its title, folded, of what is not closed


def order_group(scope: str) -> str:
    """The facet whose values are groups of a scope's items, in the order of the backlog."""
    return f"order {scope}"


def order_within(scope: str, group: str) -> str:
    """The facet whose values are the items of a group, in order: when each was added, and its id."""
    return f"order {scope} {group}"


@kind
class BacklogItem(Record):
    """Something to be done: a task, a feature, a bug, a debt. With its plan, its result, and what it waits for."""

    home: ClassVar[str] = "{scope}/backlog/{shard}/{id}.md"
    body: ClassVar[str] = "text"
    identity: ClassVar[tuple[str, ...]] = ("id",)

    id: str = field("slug and random hex digits", index="keyword", check=an_id, example="fix-the-login-3fa2b81c")
    title: str = field("what is to be done, in one line", index="title", check=(one_line, at_most(200)), example="Fix the login")
    status: Status = field("how far it is", index="keyword", default="open", merge=furthest(*STEPS))
    priority: Priority = field("how much it matters", index="keyword", default="medium")
    item_type: ItemType = field("what sort of work it is", index="keyword", default="task")
    assigned_to: str = field(
        "who does it", index="keyword", default="", check=if_any(a_name), example="ann", merge=first_come
    )
    tags: tuple[str, ...] = field(
        "words to find it by", index="keyword", default=(), check=(at_most(30), each(a_tag)),
        example=("auth",),
    )  # fmt: skip
    milestone: str = field("what it is planned for", index="keyword", default="", check=(at_most(80), plain_text), example="v2.0")
    blocked_by: tuple[str, ...] = field("ids of the items that it waits for", default=(), check=(at_most(50), each(an_id)))
    parent: str = field("the id of the item that it is a part of", default="", check=if_any(an_id))
    resolution: str = field("how it was resolved", index="text", default="", check=(at_most(4000), plain_text))
    created_by: str = field("who added it", index="keyword", default="", check=at_most(100))
    session: str = field("the session in which it was added", default="", check=at_most(200))
    created: datetime | None = field("when it was added", default=None)
    started: datetime | None = field("when it was last started", default=None)
    closed: datetime | None = field("when it was closed", default=None)
    text: str = field(
        "the description, then the sections ## Plan and ## Result, in Markdown",
        index="text", default="", check=(text_problem, bytes_at_most(BODY_MAX_BYTES), plain_text), merge=sections(split, join),
    )  # fmt: skip

    @property
    def parts(self) -> Parts:
        """Description, plan and result."""
        return split(self.text)

    def with_part(self, name: Literal["description", "plan", "result"], text: str) -> "BacklogItem":
        """The item with one part of its text replaced."""
        return replace(self, text=join(replace(self.parts, **{name: tidy(text)})))

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to do."""
        return self.status in CLOSED

    @property
    def is_startable(self) -> bool:
        """Whether it can be started as soon as nothing that it waits for is unfinished.

        What says that it is blocked, and by what, is so only for as long as that is true.
        """
        return self.status == "open" or (self.status == "blocked" and bool(self.blocked_by))

    def facets(self) -> Iterator[tuple[str, str]]:
        """Its keywords, its place in the order of the backlog, and what it waits for."""
        yield from super().facets()
        if not self.assigned_to:
            yield "assigned_to", ""  # so that what nobody has can be asked for
        group, value = self._order()
        yield order_group(self.scope), group
        yield order_within(self.scope, group), value
        if self.parent:
            yield PARENT, self.parent
        yield from ((BLOCKED_BY, each) for each in self.blocked_by)
        if not self.is_closed:
            yield ASSIGNED, f"{self.scope} {self.assigned_to}"
            yield UNCLOSED, self.id
            yield TITLED, folded(self.title)
            yield from ((WAITS_FOR, each) for each in self.blocked_by)
        if self.is_startable:
            yield STARTABLE, f"{self.scope} {self.assigned_to}"

    def _order(self) -> tuple[str, str]:
        # priority and age; both sort as text, and what has no date comes last
        added = self.created.isoformat() if self.created else "9999-99"
        month, time = added[:7], added[8:19] or "-"
        return f"{PRIORITIES.index(self.priority)} {month}", f"{time} {self.id}"
