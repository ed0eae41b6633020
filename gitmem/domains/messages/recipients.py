"""Who can be written to in a project: its members, and whoever has a session or was seen there."""

from gitmem.desk import Desk, UnknownProject
from gitmem.domains.messages.record import EVERYBODY
from gitmem.domains.presence import Presence
from gitmem.domains.projects import Project, project_path
from gitmem.domains.sessions import LiveSession
from gitmem.domains.sessions import place_of as sessions_of
from gitmem.errors import NotFound, closest
from gitmem.names import name_problem, shown

_NAMED = 5


class UnknownAgent(NotFound):
    """Nobody of this name has to do with the project. `elsewhere` is the argument that names another project."""

    def __init__(self, name: str, project: str, known: list[str], *, elsewhere: str = "project") -> None:
        near = closest(name, known) or closest(name.strip().lower(), known)
        there = ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" if len(known) > _NAMED else "")
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {there or 'no agents yet'}."
        super().__init__(
            f"{shown(name)} is no member of {project} and was never seen there.",
            fix=f"{hint} list_agents shows them all; {elsewhere} names another project.",
        )


class UnknownRecipient(UnknownAgent):
    """Nobody of this name can read messages in the project."""


def checked_project(desk: Desk, name: str) -> str:
    """The project itself, if it is there; the desk's if none is named. Raises UnknownProject."""
    if name and desk.view().entry(project_path(name)) is None:
        raise UnknownProject(name, desk.projects())
    return name or desk.project


def checked_recipient(desk: Desk, project: str, name: str) -> str:
    """The name itself, if somebody of that name can read messages in the project. Raises UnknownRecipient."""
    if name == EVERYBODY:
        return name
    if not name_problem(name) and (members(desk, project).member(name) or is_there(desk, project, name)):
        return name
    raise UnknownRecipient(name, project, known_in(desk, project), elsewhere="to_project")


def members(desk: Desk, project: str) -> Project:
    """The project's record; an empty one if it cannot be read."""
    record = desk.view().record(project_path(project))
    return record if isinstance(record, Project) else Project(scope=f"projects/{project}", name=project)


def live_in(desk: Desk, project: str) -> list[LiveSession]:
    """The live sessions of any project."""
    return list(desk.memory.view(sessions_of(project)).records(LiveSession))


def known_in(desk: Desk, project: str) -> list[str]:
    """The names of all who can be written to in a project."""
    named = {member.name for member in members(desk, project).members}
    live = {session.agent for session in live_in(desk, project)}
    return sorted(named | live | {each.agent for each in desk.memory.marks.all(Presence, project)})


def is_there(desk: Desk, project: str, name: str) -> bool:
    """Whether somebody of that name was seen or has a session in the project."""
    if desk.memory.marks.read(Presence, project, name) is not None:
        return True
    return any(session.agent == name for session in live_in(desk, project))
