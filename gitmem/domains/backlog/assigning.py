"""Who an item can be given to: members of the project, agents that are at work there, and oneself."""

from collections.abc import Iterator

from gitmem.desk import Desk
from gitmem.domains.backlog.finding import scopes_of
from gitmem.domains.projects import Project, project_path
from gitmem.domains.sessions import LiveSession, place_of
from gitmem.errors import NotFound, closest
from gitmem.names import shown

ME = "me"


class UnknownAssignee(NotFound):
    """Nobody of this name works on the project."""

    def __init__(self, name: str, scope: str, known: list[str]) -> None:
        near = closest(name, known)
        project = scope.removeprefix("projects/")
        place, example = ("any project", "") if scope == "shared" else (project, f"name={project!r}, ")
        hint = f"Did you mean {' or '.join(near)}? " if near else f"Known are {', '.join(known[:10]) or 'none'}. "
        super().__init__(
            f"{shown(name)} is no member of {place} and has no live session there.",
            fix=f"{hint}project(action='add_agent' or 'add_human', {example}member=...) adds somebody; '' assigns to nobody.",
        )


def assignee(desk: Desk, scope: str, name: str) -> str:
    """The name under which an item of a scope is assigned; "" for nobody. Raises UnknownAssignee."""
    wanted = desk.agent if name.strip() == ME else name.strip()
    if wanted in ("", desk.agent):
        return wanted
    known = sorted(set(_people(desk, scope)))
    if wanted not in known:
        raise UnknownAssignee(wanted, scope, known)
    return wanted


def _people(desk: Desk, scope: str) -> Iterator[str]:
    # looked up aside: who joins or starts a session meanwhile must not make this write run again
    view = desk.memory.view(commit=desk.view().commit)
    for each in scopes_of(view) if scope == "shared" else [scope]:
        project = each.removeprefix("projects/")
        found = view.record(project_path(project))
        if isinstance(found, Project):
            yield from (member.name for member in found.members)
            yield from (session.agent for session in desk.memory.view(place_of(project)).records(LiveSession))
