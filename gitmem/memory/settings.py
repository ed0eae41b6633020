"""The memory's own settings file, `gitmem.yaml`."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from msgspec import Struct

from gitmem.errors import GitmemError
from gitmem.memory.gate import Change, rule
from gitmem.memory.selection import last_selecting, selection_problem
from gitmem.memory.view import MAIN_PLACE, View
from gitmem.names import shown, slugify
from gitmem.records.check import a_name, at_most, between, each, one_line
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import keyed

FORMAT_VERSION = 1
PATH = "gitmem.yaml"


class NewerFormat(GitmemError):
    """The memory was written by a newer gitmem."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"This memory has format version {found}; this gitmem knows versions up to {FORMAT_VERSION}.",
            fix="Upgrade gitmem-server; nothing was read or changed.",
        )


Review = Literal["direct", "owner", "review"]


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who pushes: by which names machines know them, and for whom they may speak (`*`: any name)."""

    name: str
    os_users: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    speaks_for: tuple[str, ...] = ()


class Policy(Struct, frozen=True, kw_only=True):
    """How changes of some files come in: at once, at once from owners alone, or after somebody else's review."""

    review: Review
    paths: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


def people_are_named(people: tuple[Person, ...]) -> str | None:
    """Names are names, and nobody is listed twice under any of theirs."""
    seen: set[tuple[str, str]] = set()
    for person in people:
        if problem := a_name(person.name):
            return f"has a person whose name {problem}"
        for spoken_for in person.speaks_for:
            if problem := a_name(spoken_for.replace("*", "x")):
                return f"has for {person.name} in speaks_for what {problem}"
        known_as = [("name", person.name), *(("OS user", each) for each in person.os_users)]
        known_as += [("email", each.casefold()) for each in person.emails]
        for known in known_as:
            if known in seen or one_line(known[1]):
                return f"has the {known[0]} {shown(known[1])} twice" if known in seen else f"has an empty {known[0]}"
            seen.add(known)
    return None


@kind
class Settings(Record):
    """What a team sets for its memory."""

    home: ClassVar[str] = PATH

    format: int = field("version of the file layout", check=between(1, FORMAT_VERSION), example=1)
    message_days: int = field(
        "for how many days messages are kept that everybody concerned has read", default=30, check=between(1, 36_500)
    )
    idle_days: int = field(
        "after how many days without a sign of life a session is given up", default=14, check=between(1, 36_500)
    )
    chain_commits: int = field(
        "how many commits locks, messages or sessions of a project gather before their history is archived",
        default=5000, check=between(100, 1_000_000),
    )
    admins: tuple[str, ...] = field(
        "who may change this file, OWNERS.yaml and allowed_signers; left out: the admins of all projects",
        default=(), check=(at_most(100), each(a_name)),
    )
    admins_act_for_owners: bool = field("whether admins may change what others own", default=True)
    people: tuple[Person, ...] = field(
        "who pushes: name, os_users, emails, and the agents that they speak for",
        default=(), check=(at_most(500), people_are_named), merge=keyed("name"),
    )
    policies: tuple[Policy, ...] = field(
        "how changes come in, by paths and kinds: direct, owner or review; the last that fits counts",
        default=(), check=(at_most(200), selection_problem), merge=keyed(lambda policy: (policy.paths, policy.kinds)),
    )

    def review_of(self, path: str) -> Review:
        """How changes of a file of `main` come in."""
        found = last_selecting(self.policies, path)
        return found.review if found else "direct"

    def person_of_user(self, user: str) -> str:
        """The person that a user of this machine is: as the team says, or by the user's own name."""
        return next((each.name for each in self.people if user in each.os_users), "") or slugify(user)


@rule
def settings_stay(change: Change) -> Iterator[Problem]:
    """A memory keeps saying which format it has."""
    edit = change.edits.get(PATH)
    if edit is not None and edit.new is None and change.before.place == MAIN_PLACE:
        yield Problem(PATH, "", "cannot be removed: it says which format the memory has")


def settings_of(view: View) -> Settings:
    """The settings in a view. Raises NewerFormat if this gitmem must not touch the memory."""
    record = view.record(PATH)
    if not isinstance(record, Settings):
        return Settings(format=FORMAT_VERSION)
    if record.format > FORMAT_VERSION:
        raise NewerFormat(record.format)
    return record
