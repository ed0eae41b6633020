"""Who can be written to in a project: its members, and whoever has a session or was seen there."""

from gitmem.desk import Desk, UnknownProject
from gitmem.domains.messages.record import EVERYBODY
from gitmem.domains.people import UnknownAgent, is_known, known_in
from gitmem.domains.projects import project_path
from gitmem.names import name_problem


class UnknownRecipient(UnknownAgent):
    """Nobody of this name can read messages in the project."""


def checked_project(desk: Desk, name: str) -> str:
    """The project itself, if it is there; the desk's if none is named. Raises UnknownProject."""
    if name and desk.view().entry(project_path(name)) is None:
        raise UnknownProject(name, desk.projects())
    return name or desk.project


def checked_recipient(desk: Desk, project: str, name: str) -> str:
    """The name itself, if somebody of that name can read messages in the project. Raises UnknownRecipient."""
    if name == EVERYBODY or (not name_problem(name) and is_known(desk, project, name)):
        return name
    raise UnknownRecipient(name, project, known_in(desk, project), elsewhere="to_project")
