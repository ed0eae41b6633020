"""`gitmem ssh-serve`: what a key of authorized_keys may do, which is to fetch from memories, and to push to them as somebody.

restrict,command="gitmem ssh-serve --agent pat --repo /srv/memories" ssh-ed25519 AAAAC3...
"""

import os
import re
import shlex
from pathlib import Path

import click

from gitmem.errors import Refused
from gitmem.facade.cli import SPECIAL
from gitmem.memory.claims import VARIABLES, claim
from gitmem.names import check_name, shown

PROGRAMS = ("git-receive-pack", "git-upload-pack", "git-upload-archive")
# The only variable of git's that a client may set: which protocol it speaks.
_PROTOCOL = re.compile(r"version=\d(:[a-z0-9=:-]*)?")


class NotServed(Refused):
    """A command that ssh-serve does not run."""

    def __init__(self, command: str, why: str) -> None:
        what = f"{shown(command, 100)} is not served: {why}." if command else f"This key is for git alone: {why}."
        super().__init__(what, fix="Clone, fetch and push with git, and a URL such as ssh://HOST/memory.git.")


@click.command(help=SPECIAL["ssh-serve"][1])
@click.option("--agent", required=True, help="Who it is that has the key: the name of an agent or a person.")
@click.option("--repo", required=True, type=click.Path(path_type=Path), help="A memory, or a folder with memories.")
@click.option("--speaks-for", default="", help="Whose work they may bring, with commas; `*` stands for anything.")
def ssh_serve(agent: str, repo: Path, speaks_for: str) -> None:
    """Run the git program that an ssh client asks for."""
    check_name(agent, "agent")
    command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    program, path = asked(command, repo)
    for_others = [each.strip() for each in speaks_for.split(",") if each.strip()]
    for each in for_others:
        check_name(each.replace("*", "x"), "agent")
    os.execvpe("git", ["git", program.removeprefix("git-"), str(path)], environment(path, agent, for_others))  # noqa: S606


def asked(command: str, root: Path) -> tuple[str, Path]:
    """The program that a client asks for, and the memory. Raises NotServed."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise NotServed(command, f"it cannot be read ({error})") from None
    if not words:
        raise NotServed("", "it opens no shell")
    if words[0] == "git" and len(words) > 1:  # newer clients may say it in two words
        words = [f"git-{words[1]}", *words[2:]]
    if words[0] not in PROGRAMS or len(words) != 2:
        raise NotServed(command, f"one of {', '.join(PROGRAMS)} with a path is")
    path = memory_at(words[1], root)
    if path is None:
        raise NotServed(command, "there is no such memory")
    return words[0], path


def memory_at(asked_for: str, root: Path) -> Path | None:
    """The memory that a client's path means: below the folder that is served, or that itself; None if there is none."""
    root = root.expanduser().resolve()
    plain = asked_for.strip("/")
    candidates = [Path(asked_for), root / plain, *([root] if plain in ("", root.name) else [])]
    for candidate in candidates if "\0" not in asked_for else []:
        found = candidate.resolve()
        if candidate.is_absolute() and (found == root or root in found.parents) and (found / "HEAD").is_file():
            return found
    return None


def environment(path: Path, agent: str, speaks_for: list[str]) -> dict[str, str]:
    """What the git program gets to know: nothing that a client has set, but the protocol, and who it is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") and name not in VARIABLES}
    protocol = os.environ.get("GIT_PROTOCOL", "")
    return kept | ({"GIT_PROTOCOL": protocol} if _PROTOCOL.fullmatch(protocol) else {}) | claim(path, agent, speaks_for)
