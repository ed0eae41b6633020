"""OWNERS.yaml: which files and kinds of record belong to whom."""

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct

from gitmem.memory.selection import last_selecting, selection_problem
from gitmem.memory.view import View
from gitmem.names import shown
from gitmem.records.check import a_name, at_most, one_line
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import keyed

OWNERS_PATH = "OWNERS.yaml"
CODEOWNERS_PATH = "CODEOWNERS"


class Team(Struct, frozen=True, kw_only=True):
    """A name for several owners."""

    name: str
    members: tuple[str, ...] = ()


class Entry(Struct, frozen=True, kw_only=True):
    """What belongs to whom. Without owners, what it selects belongs to nobody."""

    paths: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


class Handle(Struct, frozen=True, kw_only=True):
    """What somebody, or a team, is called on the forge that the memory is published on: @name, @org/team or an email address."""

    name: str
    forge: str


def teams_are_named(teams: tuple[Team, ...]) -> str | None:
    """Team names are names, each once, and so are those of their members."""
    names = [team.name for team in teams]
    for name in (*names, *(member for team in teams for member in team.members)):
        if problem := a_name(name):
            return f"has a name that {problem}"
    nested = next((member for team in teams for member in team.members if member in names), None)
    if nested:
        return f"has the team {nested} as a member of a team; list its members"
    return "has a team twice" if len(set(names)) != len(names) else None


def entries_are_whole(entries: tuple[Entry, ...]) -> str | None:
    """Every entry selects something, and its owners are names."""
    for entry in entries:
        for owner in entry.owners:
            if problem := a_name(owner):
                return f"has an owner whose name {problem}"
    return selection_problem(entries)


def handles_are_handles(handles: tuple[Handle, ...]) -> str | None:
    """Every handle is a word with an @."""
    for handle in handles:
        if problem := a_name(handle.name):
            return f"has a name that {problem}"
        if one_line(handle.forge) or "@" not in handle.forge or len(handle.forge.split()) != 1 or handle.forge.startswith("#"):
            return f"has for {handle.name} {shown(handle.forge)}; @name, @org/team or an email address is accepted"
    return None


@kind
class Owners(Record):
    """Who owns what: the last entry that selects a file says whose it is."""

    home: ClassVar[str] = OWNERS_PATH

    teams: tuple[Team, ...] = field(
        "names for several owners: name, members", default=(), check=(at_most(100), teams_are_named),
        merge=keyed("name"),
    )
    entries: tuple[Entry, ...] = field(
        "in order, paths (gitignore patterns) or kinds or both, and their owners: agents, people, teams",
        default=(), check=(at_most(1000), entries_are_whole), merge=keyed(lambda entry: (entry.paths, entry.kinds)),
    )
    handles: tuple[Handle, ...] = field(
        "what they are called on the forge, for CODEOWNERS: name, forge", default=(), check=(at_most(500), handles_are_handles),
        merge=keyed("name"),
    )

    def of(self, path: str) -> tuple[str, ...]:
        """The owners of a file of `main`, as OWNERS.yaml names them: none if it is nobody's."""
        found = last_selecting(self.entries, path)
        return found.owners if found else ()

    def members_of(self, owners: tuple[str, ...]) -> Iterator[str]:
        """The agents and people that owners are, teams resolved."""
        teams = {team.name: team.members for team in self.teams}
        for owner in owners:
            yield from teams.get(owner, (owner,))


NONE = Owners()


def owners_in(view: View) -> Owners:
    """OWNERS.yaml as it is in a view; an empty one if there is none that can be read."""
    found = view.record(OWNERS_PATH)
    return found if isinstance(found, Owners) else NONE
