"""Who has to do with a project: its members, whoever has a session there, and whoever was seen there."""

from collections.abc import Iterator

from gitmem.desk import Desk
from gitmem.domains.presence import Presence
from gitmem.domains.projects import Project, project_path
from gitmem.domains.sessions import LiveSession, place_of
from gitmem.errors import NotFound, closest
from gitmem.names import name_problem, shown

_NAMED = 5


class UnknownAgent(NotFound):
    """Nobody of this name has to do with the project. `elsewhere` is the argument that names another project."""

    def __init__(self, name: str, project: str, known: list[str], *, elsewhere: str = "project") -> None:
        super().__init__(
            f"{shown(name)} is no member of {project} and was never seen there.",
            fix=f"{_hint(name, known)} list_agents shows them all; {elsewhere} names another project.",
        )


class NotAtWork(NotFound):
    """Nobody of this name works on the project, so that they could be given something."""

    def __init__(self, name: str, scope: str, known: list[str], *, otherwise: str = "") -> None:
        project = scope.removeprefix("projects/")
        place, example = ("any project", "") if scope == "shared" else (project, f"name={project!r}, ")
        super().__init__(
            f"{shown(name)} is no member of {place} and has no live session there.",
            fix=f"{_hint(name, known)} project(action='add_agent' or 'add_human', {example}member=...) adds somebody{otherwise}.",
        )


def _hint(name: str, known: list[str]) -> str:
    if near := closest(name, known) or closest(name.strip().lower(), known):
        return f"Did you mean {' or '.join(near)}?"
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return f"There are {', '.join(known[:_NAMED]) or 'no agents yet'}{more}."


def members(desk: Desk, project: str) -> Project:
    """The project's record; an empty one if it cannot be read."""
    record = desk.view().record(project_path(project))
    return record if isinstance(record, Project) else Project(scope=f"projects/{project}", name=project)


def live_in(desk: Desk, project: str) -> list[LiveSession]:
    """The live sessions of any project."""
    return list(desk.aside(place_of(project)).records(LiveSession))


def at_work_in(desk: Desk, scope: str) -> list[str]:
    """The names of all who can be given something of a scope; nothing counts as read."""
    # looked up aside: who joins or starts a session meanwhile must not make a write run again
    view = desk.view().apart()
    projects = view.names("projects") if scope == "shared" else [scope.removeprefix("projects/")]

    def names() -> Iterator[str]:
        for project in projects:
            found = view.record(project_path(project))
            if isinstance(found, Project):
                yield from (member.name for member in found.members)
                yield from (session.agent for session in live_in(desk, project))

    return sorted(set(names()))


def known_in(desk: Desk, project: str) -> list[str]:
    """The names of all who can be written to in a project."""
    seen = {each.agent for each in desk.memory.marks.all(Presence, project)}
    return sorted({*at_work_in(desk, f"projects/{project}"), *seen})


def check_known(desk: Desk, name: str) -> None:
    """Raise UnknownAgent if nobody of that name has to do with the desk's project: for names that decide what is told."""
    if name_problem(name) or not is_known(desk, desk.project, name):
        raise UnknownAgent(name, desk.project, known_in(desk, desk.project))


def is_known(desk: Desk, project: str, name: str) -> bool:
    """Whether somebody of that name, which is a checked one, has to do with the project."""
    if members(desk, project).member(name) or desk.memory.marks.read(Presence, project, name) is not None:
        return True
    return any(session.agent == name for session in live_in(desk, project))
