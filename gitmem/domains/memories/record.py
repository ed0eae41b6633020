"""The memory record, the rule that a key is kept once, and the mark that counts an agent's recalls."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from gitmem.memory.gate import BODY_MAX_BYTES, Change, rule
from gitmem.memory.marks import Mark
from gitmem.memory.view import MAIN_PLACE, View
from gitmem.records.check import a_name, at_most, bytes_at_most, not_blank, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind, kind_of
from gitmem.records.merging import greatest, keyed, whoever_last

Category = Literal["person", "project", "term", "client", "deal", "process", "preference", "other"]
Tier = Literal["hot", "deep"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
# An agent's counter is one small file, written at every recall.
USES_MAX = 60


@kind
class Remembered(Record):
    """What a key stands for: a person, a term, a client, a preference."""

    home: ClassVar[str] = "{scope}/memories/{category}/{key}.md"
    body: ClassVar[str] = "value"
    identity: ClassVar[tuple[str, ...]] = ("scope", "key")

    category: Category = field("what sort of thing it is", index="keyword", default="other")
    key: str = field("the name to recall it by, once per project over all categories", index="title", check=a_name, example="psr")
    tier: Tier = field("hot: told in briefings; deep: only when recalled", index="keyword", default="hot")
    author: str = field("who said what it says now", index="keyword", default="", check=at_most(100), merge=whoever_last)
    created: datetime | None = field("when the key was first remembered", default=None)
    value: str = field(
        "what to remember, in Markdown", index="text", check=(not_blank, bytes_at_most(BODY_MAX_BYTES), plain_text)
    )


def paths_of(scope: str, key: str) -> tuple[str, ...]:
    """Where a key of a scope may stand: one path a category."""
    return tuple(f"{scope}/memories/{category}/{key}.md" for category in CATEGORIES)


def standing(view: View, scope: str, key: str) -> Remembered | None:
    """What is remembered under a key of one scope. All places count as read, so that two who remember it collide."""
    there = [path for path in paths_of(scope, key) if view.entry(path)]
    found = (view.record(path) for path in there)
    return next((each for each in found if isinstance(each, Remembered)), None)


def keys_in(view: View, scope: str) -> dict[str, str]:
    """All keys of a scope, with the path of each."""
    folders = (f"{scope}/memories/{category}" for category in CATEGORIES)
    return {name.removesuffix(".md"): f"{folder}/{name}" for folder in folders for name in view.names(folder)}


@rule
def a_key_is_kept_once(change: Change) -> Iterator[Problem]:
    """A key stands in one category of its scope, so that to recall it is never a matter of luck."""
    if change.before.place != MAIN_PLACE:
        return
    for path, _ in change.written():
        if "/memories/" in path and (where := kind_of(Remembered).match(path)):
            for other in paths_of(where["scope"], where["key"]):
                if other != path and change.has(other):
                    yield Problem(path, "", f"keeps the key {where['key']} a second time: it stands at {other}")


class Use(Struct, frozen=True, kw_only=True):
    """How often an agent recalled one memory, and when last. `key` is `shared/<key>` for what all projects share."""

    key: str
    count: int
    last: datetime

    @property
    def rank(self) -> tuple[int, datetime]:
        """What is used more ranks higher; of the same count, what was used later."""
        return self.count, self.last


@kind
class Usage(Mark):
    """What one agent recalls in a project."""

    ref: ClassVar[str] = "usage"

    # not the sum: what came by two ways, such as two hubs, would be counted twice
    uses: tuple[Use, ...] = field(
        "what was recalled, most used first", default=(), check=at_most(USES_MAX),
        merge=keyed("key", count=greatest, last=greatest),
    )  # fmt: skip

    def of(self, key: str) -> Use | None:
        """The use of one key."""
        return next((each for each in self.uses if each.key == key), None)

    def with_use(self, key: str, time: datetime) -> "Usage":
        """The counts after one more recall. If there are too many keys, the least used of the others goes."""
        known = self.of(key)
        # the new one stays even if all others count more: it could never gather a second use otherwise
        others = sorted((each for each in self.uses if each.key != key), key=lambda use: use.rank, reverse=True)
        used = Use(key=key, count=known.count + 1 if known else 1, last=time)
        return replace(self, uses=tuple(sorted([*others[: USES_MAX - 1], used], key=lambda use: use.rank, reverse=True)))


def use_key(record: Remembered) -> str:
    """Under which name a memory's recalls are counted."""
    return f"shared/{record.key}" if record.scope == "shared" else record.key
