"""Projects: what a memory is divided into, and who works on each."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from gitmem.desk import Desk, UnknownProject
from gitmem.errors import BadArgument, NotFound, Refused, closest
from gitmem.names import check_name, now, shown
from gitmem.records.check import a_name, at_most, each
from gitmem.records.kind import Record, field, kind
from gitmem.verbs import verb

Tier = Literal["admin", "member", "pending"]


@dataclass(frozen=True, kw_only=True)
class Capability:
    """Something that a member can do."""

    name: str
    desc: str = ""


@dataclass(frozen=True, kw_only=True)
class Member:
    """An agent or a person who works on a project."""

    name: str
    type: Literal["agent", "human"] = "agent"
    role: str = ""
    tier: Tier = "member"
    capabilities: tuple[Capability, ...] = ()
    paths: tuple[str, ...] = ()


def members_are_named(members: tuple[Member, ...]) -> str | None:
    """Member names are names, each once."""
    names = [member.name for member in members]
    for name in names:
        if problem := a_name(name):
            return f"has a member whose name {problem}"
    return "has a member twice" if len(set(names)) != len(names) else None


@kind
@dataclass(frozen=True, kw_only=True)
class Project(Record):
    """One project: its name, what it is, and its members."""

    home: ClassVar[str] = "{scope}/project.yaml"

    name: str = field("the project's name", check=a_name)
    description: str = field("what the project is, in a few lines", index="text", default="", check=at_most(2000))
    created: datetime | None = field("when it was registered", default=None)
    members: tuple[Member, ...] = field("who works on it", default=(), check=(at_most(500), members_are_named))

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)

    def with_member(self, member: Member) -> "Project":
        """The project with a member added or replaced."""
        others = tuple(each for each in self.members if each.name != member.name)
        return replace(self, members=tuple(sorted((*others, member), key=lambda each: each.name)))


def project_path(name: str) -> str:
    """Where a project's own record lives."""
    return f"projects/{name}/project.yaml"


__all__ = ["BadArgument", "Capability", "Desk", "Member", "NotFound", "Project", "Refused", "UnknownProject", "check_name", "closest", "each", "now", "shown", "verb"]
