"""Who could let a proposal in: those whom the gate would take it from."""

from collections.abc import Collection, Iterable, Iterator

from gitmem.domains.projects import Project, project_path
from gitmem.domains.reviews.standing import projects_of
from gitmem.git.objects import Difference
from gitmem.memory import gate
from gitmem.memory.caller import Caller
from gitmem.memory.view import View
from gitmem.names import name_problem

_ASKED_MAX = 30
_NAMED_MAX = 5
NOBODY_YET = "there is nobody yet who could. project(action='add_human', member=..., tier='admin') adds somebody"


def who_could(main: View, changes: Iterable[Difference], but: Collection[str]) -> list[str]:
    """Some of those who could let changes of main in, admins first, without some names."""
    edits = {path: gate.Edit(old, new) for path, old, new in changes}
    names = [name for name in dict.fromkeys(_members(main, edits)) if name not in but and not name_problem(name)]
    return [name for name in names[:_ASKED_MAX] if _may(main, edits, name)][:_NAMED_MAX]


def _may(main: View, edits: dict[str, gate.Edit], name: str) -> bool:
    change = gate.Change(main, edits, Caller(name, "declared"), main.objects.blob, reviewed=frozenset(edits))
    return not gate.check(change)


def _members(main: View, paths: Iterable[str]) -> Iterator[str]:
    """The members of all projects that paths are in; of any project, where they are in none."""
    within = projects_of(paths)
    records = (main.record(project_path(name)) for name in sorted(within) or main.names("projects"))
    found = [each for each in records if isinstance(each, Project)]
    for tier in ("admin", "member"):
        for each in found:
            for member in each.members:
                if member.tier == tier and (not within or all(_is_in(other, member.name) for other in found)):
                    yield member.name


def _is_in(project: Project, name: str) -> bool:
    found = project.member(name)
    return found is not None and found.tier != "pending"
