"""Projects: what a memory is divided into, and who works on each."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.desk import Desk, UnknownProject
from gitmem.errors import BadArgument, NotFound, Refused, closest
from gitmem.memory.gate import Change, rule
from gitmem.memory.settings import settings_of
from gitmem.memory.settlers import settler
from gitmem.memory.view import View
from gitmem.names import check_name, now, shown
from gitmem.records.check import a_name, at_most, each, one_line, plain_text
from gitmem.records.codec import Problem
from gitmem.records.kind import Record, field, kind
from gitmem.records.merging import keyed
from gitmem.verbs import verb

if TYPE_CHECKING:
    from gitmem.memory.merge import Draft

_IN_PROJECT = re.compile(r"projects/([^/]+)/")
_PROJECT_FILE = re.compile(r"projects/[^/]+/project\.yaml")
Tier = Literal["admin", "member", "pending"]


class Capability(Struct, frozen=True, kw_only=True):
    """Something that a member can do."""

    name: str
    desc: str = ""


class Member(Struct, frozen=True, kw_only=True):
    """An agent or a person who works on a project. `paths` are patterns of the code they work on."""

    name: str
    type: Literal["agent", "human"] = "agent"
    role: str = ""
    tier: Tier = "member"
    capabilities: tuple[Capability, ...] = ()
    paths: tuple[str, ...] = ()


def a_capability(value: Capability) -> str | None:
    """What one can do, in a line, and a little about it."""
    problem = one_line(value.name) or at_most(200)(value.name)
    if problem is None and (problem := plain_text(value.desc) or at_most(1000)(value.desc)):
        return f"has a desc that {problem}"
    return f"has a name that {problem}" if problem else None


def members_are_named(members: tuple[Member, ...]) -> str | None:
    """Member names are names, each once; roles and paths are plain text."""
    for member in members:
        if problem := a_name(member.name):
            return f"has a member whose name {problem}"
        if problem := plain_text(member.role) or at_most(500)(member.role):
            return f"has a member, {member.name}, whose role {problem}"
        if problem := each(one_line)(member.paths) or each(at_most(400))(member.paths) or at_most(100)(member.paths):
            return f"has a member, {member.name}, whose paths do not fit: {problem}"
    return "has a member twice" if len({member.name for member in members}) != len(members) else None


@kind
class Project(Record):
    """One project: its name, what it is, and its members."""

    home: ClassVar[str] = "projects/{name}/project.yaml"

    name: str = field("the project's name", check=a_name, example="web-shop")
    description: str = field("what the project is, in a few lines", index="text", default="", check=(at_most(2000), plain_text))
    created: datetime | None = field("when it was registered", default=None)
    members: tuple[Member, ...] = field(
        "who works on it", default=(), check=(at_most(500), members_are_named), merge=keyed("name", capabilities=keyed("name"))
    )

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)

    def with_member(self, member: Member) -> "Project":
        """The project with a member added or replaced."""
        others = (each for each in self.members if each.name != member.name)
        return replace(self, members=tuple(sorted((*others, member), key=lambda each: each.name)))

    def without_member(self, name: str) -> "Project":
        """The project without a member."""
        return replace(self, members=tuple(each for each in self.members if each.name != name))


@rule
def projects_are_registered(change: Change) -> Iterator[Problem]:
    """No record stands in a project that is not there, and no project goes before its records."""
    if change.before.place.family != "main":
        return
    named = {match[1] for path in change.edits if (match := _IN_PROJECT.match(path))}
    for name in sorted(named):
        path = project_path(name)
        if change.has(path):
            continue
        left = [edited for edited, edit in change.edits.items() if edit.new and edited.startswith(f"projects/{name}/")]
        if left:
            yield Problem(left[0], "", f"is in the project {shown(name)}, which has no {path}; add that first")
        elif any(each not in change.edits for each in _files_of(change, name)):
            yield Problem(path, "", "cannot be removed while the project has records")


@rule
def admins_keep_the_members(change: Change) -> Iterator[Problem]:
    """Who works on a project, and as what, is for its admins to say; anybody may come as pending, and go."""
    if not change.asks_who:
        return
    for path, edit in change.edits.items():
        before = change.before.record(path) if edit.old and _PROJECT_FILE.fullmatch(path) else None
        if not isinstance(before, Project):
            continue
        admins = [member.name for member in before.members if member.tier == "admin"]
        decoded = change.decoded(path)
        after = decoded.record if decoded and isinstance(decoded.record, Project) else None
        if not admins or (decoded and after is None):
            continue  # run by its members until it has an admin; what cannot be read is told elsewhere
        if not change.caller.names.isdisjoint(admins):
            if after and not any(member.tier == "admin" for member in after.members):
                yield Problem(path, "members", "would be left without an admin; make somebody else one first")
        elif after is None or not _only_about_self(before, after, change.caller.names):
            may = f"{change.caller.name} may add others as pending, but only {', '.join(admins[:5])} may do more"
            yield Problem(path, "", f"is for its admins to change; {may}")


def _only_about_self(before: Project, after: Project, names: Collection[str]) -> bool:
    if replace(after, members=before.members, version=before.version) != before:
        return False
    for name in {member.name for member in (*before.members, *after.members)}:
        old, new = before.member(name), after.member(name)
        comes = old is None and new is not None and new.tier == "pending"
        own = name in names and old is not None and (new is None or new.tier in (old.tier, "pending"))
        if old != new and not comes and not own:
            return False
    return True


def _files_of(change: Change, name: str) -> Iterator[str]:
    entry = change.before.peek(f"projects/{name}")
    if entry is not None:
        yield from (path for path, _ in change.before.objects.files(entry.oid, f"projects/{name}/"))


@settler
def projects_stay_under_records(draft: "Draft") -> None:
    """A project that one side removed comes back if the other side kept a record in it."""
    if draft.place.family != "main":
        return
    named = {match[1] for path, entry in draft.result.items() if entry and (match := _IN_PROJECT.match(path))}
    for path in map(project_path, sorted(named)):
        if draft.entry(path) is None:
            draft.take(path, None)


class ProjectSummary(Struct, frozen=True):
    """A project in a list."""

    name: str
    description: str
    members: int


class ProjectAnswer(Struct, frozen=True):
    """What was done, and the project or projects that it was about."""

    done: str
    project: Project | None = None
    projects: tuple[ProjectSummary, ...] | None = None


class ProjectExists(Refused):
    """A project of this name is there already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The project {name} exists already.", fix="Work in it, or choose another name.")


def project_path(name: str) -> str:
    """Where a project's own record lives."""
    return f"projects/{name}/project.yaml"


@verb(writes=True, in_project=False, aliases={"project": "name"})
def project(
    desk: Desk,
    action: Literal["create", "get", "list", "add_agent", "add_human", "update_agent", "remove_agent"],
    name: str = "",
    description: str = "",
    member: str = "",
    role: str = "",
    tier: Tier | None = None,
    capabilities: tuple[Capability, ...] = (),
    paths: tuple[str, ...] = (),
) -> ProjectAnswer:
    """Create a project, look at it, or manage its members. Create one before you record anything in it.

    Args:
        action: what to do.
        name: the project: lower case, a-z 0-9 . _ -; needed for everything but list.
        description: what the project is; for create.
        member: the agent or person; for the member actions.
        role: what the member does here.
        tier: admin, member or pending; only an admin may give another than pending.
        capabilities: what the member can do, as name and desc.
        paths: patterns of the code that the member works on, such as src/api/**.
    """
    if action == "list":
        return ProjectAnswer("listed", projects=_summaries(desk))
    if action == "create":
        return _create(desk, name, description)
    path = project_path(_existing(desk, name))
    current = desk.view().get(Project, path)
    if action == "get":
        return ProjectAnswer("found", project=current)
    _check_rights(desk, current, action, member, tier)
    if action == "remove_agent":
        return _put(desk, f"remove {member} from {name}", _without(current, member))
    old = current.member(check_name(member, "member"))
    if action == "update_agent" and old is None:
        raise _no_member(current, member)
    made = Member(
        name=member,
        type="human" if action == "add_human" else old.type if old else "agent",
        role=role or (old.role if old else ""),
        tier=tier or (old.tier if old else "member" if _is_admin(desk, current) else "pending"),
        capabilities=capabilities or (old.capabilities if old else ()),
        paths=paths or (old.paths if old else ()),
    )
    changed = current.with_member(made)
    _check_admins(current, changed)
    return _put(desk, f"{action.replace('_', ' ')} {member} in {name}", changed)


def _is_admin(desk: Desk, current: Project) -> bool:
    # a project that came without an admin is run by its members until it has one
    admins = [each.name for each in current.members if each.tier == "admin"]
    return desk.agent in admins if admins else True


def _check_rights(desk: Desk, current: Project, action: str, member: str, tier: str | None) -> None:
    if desk.proposes or _is_admin(desk, current) or (member == desk.agent and tier in (None, "pending")):
        return
    admins = ", ".join(each.name for each in current.members if each.tier == "admin")
    raise Refused(
        f"{desk.agent} is no admin of {current.name} and may not {action.replace('_', ' ')} {shown(member)}.",
        fix=f"Ask {admins}. You may add yourself, as pending, and say what you can do.",
    )


def _check_admins(current: Project, changed: Project) -> None:
    had = any(each.tier == "admin" for each in current.members)
    if had and not any(each.tier == "admin" for each in changed.members):
        raise Refused(f"{current.name} would be left without an admin.", fix="Make somebody else an admin first.")


def _summaries(desk: Desk) -> tuple[ProjectSummary, ...]:
    found = (desk.view().record(project_path(name)) for name in desk.projects())
    return tuple(ProjectSummary(p.name, p.description, len(p.members)) for p in found if isinstance(p, Project))


def _create(desk: Desk, name: str, description: str) -> ProjectAnswer:
    path = project_path(check_name(name, "project"))
    if desk.view().entry(path) is not None:
        raise ProjectExists(name)
    creator = Member(name=desk.agent, tier="admin")
    return _put(desk, f"create project {name}", Project(
        scope=f"projects/{name}", name=name, description=description.strip(), created=now(), members=(creator,)
    ))


def _existing(desk: Desk, name: str) -> str:
    if not name:
        raise BadArgument("The name of the project is missing.", fix="Pass name='...'; action='list' shows them.")
    if desk.view().entry(project_path(name)) is None:
        raise UnknownProject(name, desk.projects())
    return name


def _put(desk: Desk, subject: str, changed: Project) -> ProjectAnswer:
    with desk.transaction(subject) as change:
        return ProjectAnswer(subject, project=change.put(changed))


def _without(current: Project, member: str) -> Project:
    if current.member(member) is None:
        raise _no_member(current, member)
    changed = current.without_member(member)
    _check_admins(current, changed)
    return changed


def _no_member(current: Project, member: str) -> NotFound:
    names = [each.name for each in current.members]
    near = closest(member, names)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Its members are {', '.join(names) or 'nobody yet'}."
    return NotFound(f"{shown(member)} is no member of {current.name}.", fix=hint)


def may_act_for_others(desk: Desk, scope: str) -> bool:
    """Whether the caller is an admin of the scope's project, so that others' records are theirs to undo, or only proposes."""
    return desk.proposes or desk.agent in admins_of(desk.view(), scope)


def admins_of(view: View, scope: str) -> list[str]:
    """The admins of a scope. What is shared by all projects is in the hands of the memory's admins, or else of those of each."""
    if scope == "shared" and (named := settings_of(view).admins):
        return sorted(named)
    names = view.names("projects") if scope == "shared" else [scope.removeprefix("projects/")]
    found = (view.record(project_path(name)) for name in names)
    admins = {each.name for record in found if isinstance(record, Project) for each in record.members if each.tier == "admin"}
    return sorted(admins)
