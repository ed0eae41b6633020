"""`gitmem check`: the gate's word on the files of a clone or of a memory, for people and for forges."""

import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from gitmem.errors import GitmemError
from gitmem.facade.cli import DONE, REFUSED, SPECIAL
from gitmem.facade.given import Given
from gitmem.facade.options import pass_given, with_common_options
from gitmem.facade.terminal import put, put_json, say
from gitmem.records.shape import Json

if TYPE_CHECKING:
    from gitmem.git.hooking import Site
    from gitmem.memory.caller import Caller
    from gitmem.memory.checking import Checked
    from gitmem.records.codec import Problem


class NoMemoryHere(GitmemError):
    """A repository that holds something else."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no memory: it has no gitmem.yaml.", fix="Name a memory or a clone of one.")


class NoBase(GitmemError):
    """The revision to compare with is not there, or nothing connects it with what is checked."""

    def __init__(self, base: str, *, shallow: bool, known: bool) -> None:
        what = f"Nothing connects {base} with what is checked out here" if known else f"There is no revision {base} here"
        deeper = "This clone is shallow: fetch all of its history (fetch-depth: 0 for actions/checkout)."
        super().__init__(f"{what}.", fix=deeper if shallow else "Fetch it, or name another revision with --base.")


@with_common_options
@click.command(help=f"{SPECIAL['check'][1]} In a clone, as they stand there. The exit code is 1 if there are problems.")
@click.argument("path", metavar="[PATH]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--base", metavar="REV", default="", help="Only what differs from where this branched off from REV.")
@click.option("--as", "name", metavar="NAME", default="", help="Also check whether this agent or person may do it.")
@click.option(
    "--format", "layout", type=click.Choice(["text", "github", "gitlab"]),
    help="How problems are printed; left out: github in GitHub Actions, else text.",
)  # fmt: skip
@pass_given
def check(given: Given, path: Path, *, base: str, name: str, layout: str | None) -> int:
    """Check the files of a clone or a memory."""
    import gitmem.domains.files  # noqa: F401  declares the record kinds of `main` and the gate's rules
    from gitmem.git.hooking import Site

    site = Site.at(path)
    if site.role == "code":
        raise NoMemoryHere(site.top)
    found = _checked(site, base, _caller(name))
    if given.json:
        put_json({"ok": not found.problems, "files": found.files, "problems": [_plain(each) for each in found.problems]})
    else:
        LAYOUTS[layout or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text")](found.problems)
        say(_summary(found))
    return REFUSED if found.problems else DONE


def _caller(name: str) -> "Caller | None":
    from gitmem.memory.caller import Caller
    from gitmem.names import check_name

    return Caller(check_name(name, "agent"), "declared") if name else None


def _checked(site: "Site", base: str, caller: "Caller | None") -> "Checked":
    from gitmem.git.ancestry import is_next
    from gitmem.git.repository import Repository, ask_git, run_git
    from gitmem.git.worktrees import tree_of_files
    from gitmem.memory.checking import check as checked

    start = _branched_off(site, base) if base else ""
    # what is not committed yet is the only step, or goes with the one there is
    several = bool(start) and start != ask_git(site.top, "rev-parse", "HEAD") and not is_next(site.top, start, "HEAD")
    if site.role == "memory":
        tree = run_git(site.common, "rev-parse", "HEAD^{tree}").strip()
        return checked(Repository(site.common), start, tree, caller, several=several)
    with tree_of_files(site.top) as (tree, objects):
        return checked(Repository(site.common, alternates=(objects,)), start, tree, caller, several=several)


def _branched_off(site: "Site", base: str) -> str:
    """The commit where what is checked left `base`. Raises NoBase."""
    from gitmem.git.ancestry import merge_base
    from gitmem.git.repository import ask_git

    known = ask_git(site.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    found = merge_base(site.top, known, "HEAD")
    if not found:
        shallow = ask_git(site.top, "rev-parse", "--is-shallow-repository") == "true"
        raise NoBase(base, shallow=shallow, known=bool(known))
    return found


def _summary(found: "Checked") -> str:
    from gitmem.names import counted

    if found.problems:
        problems, files = counted(len(found.problems), "problem"), counted(found.files, "file")
        return f"{problems} in {files}\nfix: mend the files and check them again"
    return f"{counted(found.files, 'file')}, no problem"


# --- how problems are printed -----------------------------------------------------------------------


def _plain(problem: "Problem") -> dict[str, Json]:
    return {"path": problem.path, "line": problem.line, "field": problem.field, "message": _message(problem)}


def _message(problem: "Problem") -> str:
    return f"{problem.field} {problem.what}" if problem.field else problem.what


def _as_text(problems: Iterable["Problem"]) -> None:
    for problem in problems:
        put(str(problem))


def _as_github(problems: Iterable["Problem"]) -> None:
    """Workflow commands: GitHub shows each as an annotation at its file and line."""
    for problem in problems:
        line = f",line={problem.line}" if problem.line else ""
        put(f"::error file={_property(problem.path)}{line},title=gitmem::{_data(_message(problem))}")


def _data(text: str) -> str:
    # as @actions/core escapes them: a line break would end the command, and what follows could be another one
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class _Finding(Struct, frozen=True):
    """A problem in the Code Quality report of GitLab."""

    problem: "Problem"

    def plain(self) -> Json:
        text = str(self.problem)
        return {
            "description": _message(self.problem),
            "check_name": "gitmem",
            "fingerprint": sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
            "severity": "major",
            "location": {"path": self.problem.path, "lines": {"begin": self.problem.line or 1}},
        }


def _as_gitlab(problems: Iterable["Problem"]) -> None:
    put_json([_Finding(each).plain() for each in problems])


LAYOUTS: dict[str, Callable[[Iterable["Problem"]], None]] = {"text": _as_text, "github": _as_github, "gitlab": _as_gitlab}


# --- what a forge needs -----------------------------------------------------------------------------


@with_common_options
@click.command(help=f"{SPECIAL['forge'][1]} Files that are there already stay as they are.")
@click.argument("name", metavar="FORGE", type=click.Choice(["github"]))
@click.option("--overwrite", is_flag=True, help="Take the shipped files also where yours differ.")
@pass_given
def forge(given: Given, name: str, *, overwrite: bool) -> None:
    """Put a forge's files into the memory."""
    from msgspec.structs import asdict

    import gitmem.domains.files  # noqa: F401  declares the record kinds of `main` and the gate's rules
    from gitmem.domains import forge as domain

    with given.memory() as memory:
        added = domain.add(memory, given.caller(), name, overwrite=overwrite)
    if given.json:
        put_json(asdict(added))
        return
    for path in added.written:
        put(f"written: {path}")
    for path in added.kept:
        put(f"there already: {path}")
