"""Who an item can be given to: members of the project, agents that are at work there, and oneself."""

from gitmem.desk import Desk
from gitmem.domains.people import NotAtWork, at_work_in

ME = "me"


def assignee(desk: Desk, scope: str, name: str) -> str:
    """The name under which an item of a scope is assigned; "" for nobody. Raises NotAtWork."""
    wanted = desk.agent if name.strip() == ME else name.strip()
    if wanted in ("", desk.agent):
        return wanted
    known = at_work_in(desk, scope)
    if wanted not in known:
        raise NotAtWork(wanted, scope, known, otherwise="; '' assigns to nobody")
    return wanted
