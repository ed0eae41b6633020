"""Joining: who it is that starts a session, and what becomes of those whom the project does not know yet."""

import secrets
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.messages.posting import notify
from gitmem.domains.presence import Presence
from gitmem.domains.projects import Member, Project, project_path
from gitmem.domains.sessions import live_sessions
from gitmem.errors import BadArgument
from gitmem.memory.caller import Caller
from gitmem.names import NAME_MAX, check_name, shown

WORKER = "worker_"
# Proofs of who calls that say nothing of an agent: the name of the calling program, or nothing at all.
_UNNAMED = ("client", "none")


class Joined(Struct, frozen=True):
    """Who starts, and what they have to be told about their name or standing ("" if nothing)."""

    caller: Caller
    note: str = ""


def join(desk: Desk, *, agent: str, directory: str, spawned_by: str) -> Joined:
    """Who it is that starts a session in the desk's project. An unknown agent becomes a pending member."""
    project = desk.view().get(Project, project_path(desk.project))
    if is_worker(agent or desk.agent, spawned_by):
        return _worker(desk, agent or desk.agent, spawned_by)
    joined = _named(desk, project, agent, directory)
    if project.member(joined.caller.name) is None:
        return _pending(desk, project, joined)
    return joined


def is_worker(agent: str, spawned_by: str) -> bool:
    """Whether somebody is at work for another agent, and needs a name of their own but no membership."""
    return bool(spawned_by) or agent.startswith(WORKER)


def _worker(desk: Desk, agent: str, spawned_by: str) -> Joined:
    if spawned_by:
        check_name(spawned_by, "agent")
    wanted = check_name(agent if agent.startswith(WORKER) else f"{WORKER}{agent}"[: NAME_MAX - 9], "agent")
    name = f"{wanted[: NAME_MAX - 9]}-{secrets.token_hex(4)}" if _is_taken(desk, wanted) else wanted
    if name == desk.agent:
        return Joined(desk.caller)
    note = f"You are a worker and work as {name}: pass session_id with every call, or you are taken for {desk.agent}."
    # a session that the call came with is of who starts the worker
    return Joined(replace(desk.caller, name=name, proof="declared", session=""), note)


def _is_taken(desk: Desk, name: str) -> bool:
    known = desk.memory.marks.read(Presence, desk.project, name) is not None
    return known or any(each.agent == name for each in live_sessions(desk))


def _named(desk: Desk, project: Project, agent: str, directory: str) -> Joined:
    if agent or not directory.strip() or desk.caller.proof not in _UNNAMED or project.member(desk.agent):
        return Joined(desk.caller)
    found = dict(_whose(project, directory))
    if not found:
        return Joined(desk.caller)
    longest = max(map(len, found.values()))
    names = sorted(name for name, pattern in found.items() if len(pattern) == longest)
    if len(names) > 1:
        raise BadArgument(
            f"{shown(directory)} is among the paths of {' and of '.join(names)}, so it does not tell who you are.",
            fix="Pass agent='...' with your name.",
        )
    note = f"You are {names[0]}, whose paths ({found[names[0]]}) your working directory is among. Pass agent if you are not."
    return Joined(replace(desk.caller, name=names[0], proof="declared"), note)


def _whose(project: Project, directory: str) -> Iterator[tuple[str, str]]:
    """The agents among whose paths a directory is, each with the longest pattern that says so."""
    from pathspec import GitIgnoreSpec  # imported late: most agents say who they are

    parts = [part for part in directory.replace("\\", "/").split("/") if part]
    # patterns count from the root of the code, which may be any folder above the directory
    tails = ["/".join(parts[start:]) + "/any" for start in range(len(parts))]
    for member in project.members:
        matching = [each for each in member.paths if any(GitIgnoreSpec.from_lines([each]).match_file(tail) for tail in tails)]
        if matching and member.type == "agent":
            yield member.name, max(matching, key=len)


def _pending(desk: Desk, project: Project, joined: Joined) -> Joined:
    name = check_name(joined.caller.name, "agent")
    admins = [each.name for each in project.members if each.tier == "admin"]
    # The message first: a crash in between leaves an agent unknown, and the admins hear of it once more.
    notify(
        desk, to=admins, subject=f"{name} is new in {project.name}",
        text=f"{name} started a session and is a pending member now. "
        f"project(action='update_agent', name='{project.name}', member='{name}', tier='member') confirms it.",
    )

    def register() -> None:
        current = desk.view().get(Project, project_path(project.name))
        if current.member(name) is None:
            with desk.transaction(f"pending member {name} in {project.name}") as change:
                change.put(current.with_member(Member(name=name, tier="pending")))

    desk.until_landed(register, "start_session")
    who = f"{', '.join(admins)} {'has' if len(admins) == 1 else 'have'} been told" if admins else "it has no admin to tell"
    note = f"You are new in {project.name} and its member as pending; {who}."
    return replace(joined, note=f"{joined.note} {note}".strip())
