"""`gitmem hooks`: puts gitmem's hooks beside those that are there, shows how they stand, and takes them away."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import to_builtins
from msgspec.structs import asdict

from gitmem.errors import GitmemError
from gitmem.facade.cli import DONE, REFUSED, SPECIAL, common_options
from gitmem.facade.given import Given
from gitmem.facade.options import pass_given
from gitmem.facade.terminal import put, put_json, say
from gitmem.names import check_name

if TYPE_CHECKING:
    from gitmem.git.hooking import Plan, Settings, Site, Status

WHAT = {
    "memory": "a memory: every push passes the gate, and history cannot be taken back",
    "clone": "a clone of a memory: what you commit and push is checked as the memory will check it",
    "code": "a repository of code: commits heed the team's locks and are linked to the backlog",
}


class NotAgreed(GitmemError):
    """Somebody has to say that the shown changes are meant."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed: nobody was there to agree.", fix="Look at what is shown and pass --yes.")


class WhichProject(GitmemError):
    """A repository of code whose project nobody named."""

    def __init__(self, known: list[str]) -> None:
        super().__init__(
            "It is not known which project of the memory this repository belongs to. Nothing was changed.",
            fix=f"Say it with --project: {', '.join(known[:10]) or 'the memory has none yet'}.",
        )


@click.group(help=SPECIAL["hooks"][1])
def hooks() -> None:
    """Look after the hooks of a repository."""


def _command(command: click.Command) -> click.Command:
    command.params += [
        click.Argument(["path"], metavar="[PATH]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)),
        *common_options(),
    ]
    return command


def _changing(command: click.Command) -> click.Command:
    command.params += [
        click.Option(["--yes", "-y"], is_flag=True, help="Do what is shown without asking."),
        click.Option(["--dry-run"], is_flag=True, help="Only show what would be changed."),
    ]
    return _command(command)


@_changing
@hooks.command(help="Put gitmem's hooks into a memory, a clone of one, or a repository of code. Others go on running.")
@pass_given
def install(given: Given, path: Path, *, yes: bool, dry_run: bool) -> int:
    """Put the hooks in."""
    from gitmem.git import hooking

    site = hooking.Site.at(path)
    plan = hooking.installation(site, _settings(given, site))
    done = _carry_out(given, plan, yes=yes, dry_run=dry_run)
    if done and plan.steps:
        _check_in_force(site)
    return _told(given, site, plan, done, nothing="they are in already; nothing was changed")


def _settings(given: Given, site: "Site") -> "Settings":
    from gitmem.git.hooking import Settings

    known = site.settings()
    agent = check_name(given.agent, "agent") if given.agent else known.agent
    if site.role != "code":
        return Settings(agent=agent)
    repo = str(given.path.resolve()) if given.repo or not known.repo else known.repo
    project = given.stated_project
    if project:
        _check_project(Path(repo), project)
    return Settings(repo, project or known.project or _only_project(Path(repo)), agent)


def _check_project(repo: Path, project: str) -> None:
    from gitmem.desk import UnknownProject

    try:
        known = _projects(repo)
    except GitmemError:
        return  # the memory may come later: until then the hooks say that nothing was checked
    if project not in known:
        raise UnknownProject(project, known)


def _only_project(repo: Path) -> str:
    names = _projects(repo)
    if len(names) != 1:
        raise WhichProject(names)
    return names[0]


def _projects(repo: Path) -> list[str]:
    from gitmem.memory.memory import Memory

    with closing(Memory(repo)) as memory:
        return memory.view().names("projects")


def _check_in_force(site: "Site") -> None:
    from gitmem.git import hooking, steps

    actual, origin = hooking.in_force(site)
    if site.role != "memory" and actual != str(site.folder):
        steps.take(hooking.removal(site).steps)
        raise hooking.NotInForce(actual, origin)


@_changing
@hooks.command(help="Take gitmem's hooks away. Everything else is as it was before, to the byte.")
@pass_given
def remove(given: Given, path: Path, *, yes: bool, dry_run: bool) -> int:
    """Take the hooks away."""
    from gitmem.git import hooking

    site = hooking.Site.at(path)
    plan = hooking.removal(site)
    done = _carry_out(given, plan, yes=yes, dry_run=dry_run)
    return _told(given, site, plan, done, nothing="there are none of gitmem's; nothing was changed")


def _carry_out(given: Given, plan: "Plan", *, yes: bool, dry_run: bool) -> bool:
    """Show the steps, and take them if somebody agrees; whether that was done."""
    from gitmem.git import steps

    if not given.json:
        for line in steps.shown(plan.steps):
            put(line)
    if dry_run or not plan.steps:
        return False
    if not yes:
        if not sys.stdin.isatty():
            raise NotAgreed
        click.confirm("Do this?", abort=True, err=True)
    steps.take(plan.steps)
    return True


def _told(given: Given, site: "Site", plan: "Plan", done: bool, *, nothing: str) -> int:
    if given.json:
        put_json({"path": str(site.top), "role": site.role, "changed": done, "steps": [each.summary for each in plan.steps],
                  "notes": list(plan.notes)})
        return DONE
    say(nothing if not plan.steps else "done" if done else "nothing was changed")
    for note in plan.notes:
        say(f"note: {note}")
    return DONE


@_command
@hooks.command(help="Show whether gitmem's hooks are in, and what runs after them. The exit code is 1 if they do not run.")
@pass_given
def status(given: Given, path: Path) -> int:
    """Show how the hooks stand."""
    from gitmem.git import hooking

    found = hooking.status(hooking.Site.at(path))
    if given.json:
        put_json(to_builtins(found))
    else:
        put("\n".join(_lines(found)))
    return DONE if found.installed else REFUSED


def _lines(found: "Status") -> list[str]:
    lines = [f"{found.path} is {WHAT[found.role]}"]
    state = "installed" if found.installed else "installed, but not in force" if found.hooks else "not installed"
    named = f" ({', '.join(found.hooks)})" if found.hooks else ""
    lines.append(f"gitmem's hooks: {state}{named}")
    lines += [f"problem: {what}; 'gitmem hooks install' mends it" for what in found.broken]
    if found.outdated:
        lines.append("they were installed by another gitmem or Python than this one; 'gitmem hooks install' renews them")
    lines += [f"{name}: {value}" for name, value in asdict(found.settings).items() if value]
    if found.former_path:
        lines.append(f"core.hooksPath without gitmem: {found.former_path}")
    lines += [f"{'runs after it' if found.installed else 'runs'}: {file}" for file in found.chained.values()]
    return lines
