"""Git hooks: where gitmem's are put, so that those that were there go on running, and how that is taken back.

In a clone nothing of the former hooks is touched, for they may be files of the project (husky) or another program's
(pre-commit, lefthook). Git is pointed to a folder of gitmem's own, by a file that the repository's configuration
includes at its end. So the former `core.hooksPath` stays as it is, what sets it again later does not switch
gitmem's off, and taking the included lines away restores every byte. The hooks there look at each run for what git
would run without them, and run that.

A memory's bare repository is gitmem's own: the hooks are in its `hooks` folder, and one that was there is kept
beside it under another name, and run after gitmem's.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import asdict

from gitmem import assets
from gitmem.errors import GitmemError
from gitmem.git.repository import GitFailed, ask_git, run_git
from gitmem.git.steps import SCRIPT, Delete, Rename, Step, Write, WriteConfig, needed

MARK = "# gitmem:"
FORMER = ".former"

Role = Literal["memory", "clone", "code"]
# What gitmem does itself, by what the repository is.
OURS: Mapping[Role, tuple[str, ...]] = {
    "memory": ("pre-receive", "post-receive", "reference-transaction"),
    "clone": ("pre-commit", "pre-push"),
    "code": ("pre-commit", "prepare-commit-msg", "post-commit"),
}
# Every hook that git may look for where core.hooksPath points: the former ones must go on running, also later ones.
PASSED_ON = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
    "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "pre-receive", "update",
    "post-receive", "post-update", "pre-auto-gc", "post-rewrite", "sendemail-validate",
)  # fmt: skip
# These cost much, or change what git does, by only being there: they are passed on if they are there at the time.
IF_THERE = ("reference-transaction", "post-index-change", "push-to-checkout", "proc-receive")

_CONFIG = "gitmem/hooks.config"
_COMMENT = "# gitmem hooks, which 'gitmem hooks remove' takes away{}\n"
_JOINED = " (a line was left open before)"
_INCLUDED = '[includeIf "gitdir:{}"]\n\tpath = ' + _CONFIG + "\n"
_LINES = re.compile(
    rf"(?P<joined>\n?)(?:# gitmem hooks, [^\n]*?(?P<open>{re.escape(_JOINED)})?\n)?"
    rf'(?:\[includeIf "gitdir:[^\n]*"\]\n\tpath = {re.escape(_CONFIG)}\n)+'
)
# How the programs that keep hooks are told by what they write.
_KEEPERS = {
    b"pre-commit.com": "pre-commit", b"lefthook": "lefthook", b"husky": "husky", b"git lfs": "git-lfs",
    b"overcommit": "overcommit",
}  # fmt: skip


class NoHooksHere(GitmemError):
    """A folder whose git would not run hooks of ours."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is neither a memory nor a repository of code: {why}.",
            fix="Name a memory, a clone of one, or a repository of code that the team works on.",
        )


class HookInTheWay(GitmemError):
    """Hooks of somebody else's where gitmem's have to be, and no place to put them."""

    def __init__(self, files: Sequence[Path], former: Path) -> None:
        named = ", ".join(map(str, files))
        super().__init__(
            f"{named}: not gitmem's, and {former} has another hook of that name. Nothing was changed.",
            fix="Put what is to run into one of them, move the other away, and do it again.",
        )


class NotInForce(GitmemError):
    """Something else decides where git looks for hooks."""

    def __init__(self, actual: str, origin: str) -> None:
        super().__init__(
            f"core.hooksPath is {actual or 'not set'} all the same, from {origin or 'nowhere'}. Nothing was changed.",
            fix="Take it out there, or call gitmem's hooks from the ones that it names.",
        )


class Settings(Struct, frozen=True):
    """What the hooks of a code repository know of the memory; "" where the environment has to tell."""

    repo: str = ""
    project: str = ""
    agent: str = ""


class Site(Struct, frozen=True, dict=True):
    """A repository that hooks are put into. `common` is its git directory, the same for all of its worktrees."""

    role: Role
    common: Path
    top: Path

    @classmethod
    def at(cls, path: Path) -> "Site":
        """The repository that a folder belongs to. Raises NoHooksHere."""
        try:
            bare, common = run_git(path, "rev-parse", "--is-bare-repository", "--git-common-dir").splitlines()
        except (GitFailed, ValueError):
            raise NoHooksHere(path.absolute(), "there is no git repository") from None
        git_path = Path(os.path.realpath(path / common))
        if bare == "true":
            if not _holds_memory(git_path):
                raise NoHooksHere(git_path, "it is bare and holds no memory")
            return cls("memory", git_path, git_path)
        try:
            top = Path(run_git(path, "rev-parse", "--show-toplevel").removesuffix("\n"))
        except GitFailed:
            raise NoHooksHere(path.absolute(), "it is inside a git directory; name the folder with the files") from None
        return cls("clone" if _holds_memory(top) else "code", git_path, top)

    @cached_property
    def folder(self) -> Path:
        """Where gitmem's hooks are."""
        return self.common / ("hooks" if self.role == "memory" else "gitmem/hooks")

    @property
    def included(self) -> Path:
        """The configuration that points git there."""
        return self.common / _CONFIG

    @property
    def config(self) -> Path:
        """The repository's own configuration."""
        return self.common / "config"

    @cached_property
    def former_value(self) -> str:
        """What core.hooksPath would be without gitmem; "" for git's own choice."""
        values = ask_git(self.top, "config", "--type=path", "--get-all", "core.hooksPath").splitlines()
        return next((each for each in reversed(values) if each and each != str(self.folder)), "")

    @property
    def former(self) -> Path:
        """The folder of the hooks that git would run without gitmem."""
        return self.top / self.former_value if self.former_value else self.common / "hooks"

    def former_hooks(self) -> dict[str, Path]:
        """What would run without gitmem, by name."""
        if self.role == "memory":
            found = {name: self.folder / (name + FORMER) for name in OURS["memory"]}
        else:
            found = {name: self.former / name for name in (*PASSED_ON, *IF_THERE)}
        return {name: file for name, file in found.items() if os.access(file, os.X_OK) and file.is_file()}

    def settings(self) -> Settings:
        """What the hooks are set to."""
        listed = ask_git(self.top, "config", "--file", str(self.included), "--get-regexp", r"^gitmem\.")
        known = dict(line.removeprefix("gitmem.").partition(" ")[::2] for line in listed.splitlines())
        return Settings(**{name: known.get(name, "") for name in ("repo", "project", "agent")})


def _holds_memory(path: Path) -> bool:
    # an empty clone of a new memory is one as soon as its first file is there
    return (path / "gitmem.yaml").is_file() or bool(ask_git(path, "rev-parse", "--verify", "--quiet", "HEAD:gitmem.yaml"))


# --- what is to be done ---------------------------------------------------------------------------


class Plan(Struct, frozen=True):
    """Steps, none of them taken yet, and what a person should know of them."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def installation(site: Site, settings: Settings | None = None) -> Plan:
    """What puts gitmem's hooks in, before those that are there. Nothing to do if they are in. Raises HookInTheWay."""
    steps = _into_memory(site) if site.role == "memory" else _into_clone(site, settings or site.settings())
    return Plan(tuple(needed(list(steps))))


def _into_memory(site: Site) -> Iterator[Step]:
    foreign = [site.folder / name for name in OURS["memory"] if _is_foreign(site.folder / name)]
    yield from (Rename(file, file.with_name(file.name + FORMER)) for file in foreign)
    yield from (Write(site.folder / name, hook_text(name).encode(), SCRIPT) for name in OURS["memory"])
    yield from _pointed_to_memory(site)


def refreshing(repository: Path) -> list[Step]:
    """What puts gitmem's hooks into a memory, without a hand on those of others."""
    site = Site("memory", repository, repository)
    names = [name for name in OURS["memory"] if not _is_foreign(site.folder / name)]
    written = [Write(site.folder / name, hook_text(name).encode(), SCRIPT) for name in names]
    return needed([*written, *_pointed_to_memory(site)])


def _pointed_to_memory(site: Site) -> Iterator[Step]:
    """A user's core.hooksPath for all repositories would leave the memory without its gate."""
    if site.former_value:
        yield Write(site.included, _included(site, Settings()).encode())
        yield WriteConfig(site.config, _with_lines(site))


def hook_text(name: str) -> str:
    """What the file of a hook in a memory holds on this machine."""
    return (assets.folder("hooks") / name).read_text().replace("@PYTHON@", sys.executable)


def _into_clone(site: Site, settings: Settings) -> Iterator[Step]:
    text = _clone_text(site).encode()
    names = [*PASSED_ON, *(name for name in IF_THERE if name in site.former_hooks())]
    yield from _moved_out(site, names)
    yield from (Write(site.folder / name, text, SCRIPT) for name in names)
    yield Write(site.included, _included(site, settings).encode())
    yield WriteConfig(site.config, _with_lines(site))


def _clone_text(site: Site) -> str:
    values = {
        "@PYTHON@": shlex.quote(sys.executable), "@OWN@": shlex.quote(str(site.folder)), "@ROLE@": site.role,
        "@OURS@": " ".join(OURS[site.role]),
    }  # fmt: skip
    text = (assets.folder("hooks") / "clone").read_text()
    return re.sub("@[A-Z]+@", lambda found: values.get(found[0], found[0]), text)


def _moved_out(site: Site, names: Sequence[str]) -> Iterator[Step]:
    """A program that put its hook into our folder meant git's: there it goes on running, after ours."""
    foreign = [site.folder / name for name in names if _is_foreign(site.folder / name)]
    if taken := [file for file in foreign if not _same(file, site.former / file.name) and (site.former / file.name).exists()]:
        raise HookInTheWay(taken, site.former)
    yield from (Rename(file, site.former / file.name) for file in foreign if not (site.former / file.name).exists())


def _included(site: Site, settings: Settings) -> str:
    lines = ["# Written by 'gitmem hooks install'; 'gitmem hooks remove' takes it away.", "[core]"]
    lines.append(f"\thooksPath = {_quoted(str(site.folder))}")
    if known := {name: value for name, value in asdict(settings).items() if value}:
        lines += ["[gitmem]", *(f"\t{name} = {_quoted(value)}" for name, value in known.items())]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _with_lines(site: Site) -> bytes:
    """The configuration with our lines at its end, where they decide.

    They hold for this place only: in a copy or after a move, what they point to would not be there, and no hook ran.
    """
    plain = _without_lines(site.config.read_bytes())
    is_open = bool(plain) and not plain.endswith(b"\n")
    place = _quoted(re.sub(r"([*?\[\\])", r"\\\1", str(site.common)))[1:-1]
    lines = _COMMENT.format(_JOINED if is_open else "") + _INCLUDED.format(place) + _INCLUDED.format(f"{place}/")
    return plain + (b"\n" if is_open else b"") + os.fsencode(lines)


def _without_lines(config: bytes) -> bytes:
    def kept(found: "re.Match[str]") -> str:
        return "" if found["open"] else found["joined"]

    return os.fsencode(_LINES.sub(kept, os.fsdecode(config)))


def removal(site: Site) -> Plan:
    """What takes gitmem's hooks away and leaves everything else as it was before, or as others have made it since."""
    return _out_of_memory(site) if site.role == "memory" else _out_of_clone(site)


def _out_of_memory(site: Site) -> Plan:
    steps: list[Step] = []
    notes: list[str] = []
    for name in OURS["memory"]:
        file = site.folder / name
        former = file.with_name(name + FORMER)
        if _is_ours(file):
            steps.append(Delete(file))
        if former.exists() and _is_foreign(file):
            notes.append(f"{file} is not gitmem's, so the hook that was there before it stays at {former}")
        elif former.exists():
            steps.append(Rename(former, file))
    data = site.config.read_bytes()
    if (plain := _without_lines(data)) != data:
        steps += [WriteConfig(site.config, plain), Delete(site.included)]
    return Plan(tuple(steps), tuple(notes))


def _out_of_clone(site: Site) -> Plan:
    data = site.config.read_bytes()
    plain = _without_lines(data)
    # first git looks elsewhere, then what it looked at goes
    steps: list[Step] = [WriteConfig(site.config, plain)] if plain != data else []
    found = sorted(site.folder.iterdir()) if site.folder.is_dir() else []
    foreign = [file for file in found if not _is_ours(file)]
    steps += [Delete(file) for file in found if file not in foreign or _same(file, site.former / file.name)]
    if site.included.exists():
        steps.append(Delete(site.included))
    notes = [
        f"{file} was put there by {keeper_of(file)} and is left; git no longer looks there, so install that program's hooks again"
        for file in foreign if not _same(file, site.former / file.name)
    ]
    return Plan(tuple(steps), tuple(notes))


# --- how things are -------------------------------------------------------------------------------


class Status(Struct, frozen=True):
    """How the hooks of a repository stand. `broken` says what keeps gitmem's from running; `outdated` ones run."""

    path: str
    role: Role
    installed: bool
    hooks: tuple[str, ...]
    chained: dict[str, str] = field(default_factory=dict)
    former_path: str = ""
    settings: Settings = Settings()
    outdated: bool = False
    broken: tuple[str, ...] = ()


def status(site: Site) -> Status:
    """Whether gitmem's hooks are in, and what runs after them."""
    chained = {name: f"{file} ({keeper_of(file)})" for name, file in site.former_hooks().items()}
    ours = tuple(name for name in OURS[site.role] if _is_ours(site.folder / name))
    broken = tuple(_broken(site, ours)) if ours or site.included.exists() else ()
    return Status(
        str(site.top), site.role, bool(ours) and not broken, ours, chained,
        former_path=site.former_value, settings=site.settings(), outdated=_outdated(site, ours), broken=broken,
    )


def _outdated(site: Site, ours: Sequence[str]) -> bool:
    texts = {name: hook_text(name) if site.role == "memory" else _clone_text(site) for name in ours}
    return any((site.folder / name).read_text(errors="replace") != text for name, text in texts.items())


def _broken(site: Site, ours: Sequence[str]) -> Iterator[str]:
    yield from (f"{name} is missing" if not (site.folder / name).exists() else f"{name} is {keeper_of(site.folder / name)}'s"
                for name in OURS[site.role] if name not in ours)
    actual, origin = in_force(site)
    if Path(os.path.realpath(site.top / actual) if actual else site.common / "hooks") != site.folder:
        yield f"git looks for hooks in {actual or site.common / 'hooks'}{f', as {origin} says' if origin else ''}"


def in_force(site: Site) -> tuple[str, str]:
    """What core.hooksPath is, and which file says so."""
    told = ask_git(site.top, "config", "--show-origin", "--type=path", "--get", "core.hooksPath")
    origin, _, value = told.partition("\t")
    return value, origin.removeprefix("file:")


def keeper_of(file: Path) -> str:
    """The program that a hook belongs to, as far as it tells."""
    try:
        data = file.read_bytes()
    except OSError:
        return "nobody"
    if MARK.encode() in data:
        return "gitmem"
    beside = file.parent.name == "_" and (file.parent / "h").exists()
    return "husky" if beside else next((name for text, name in _KEEPERS.items() if text in data), "another program")


def _is_ours(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and MARK.encode() in file.read_bytes()


def _is_foreign(file: Path) -> bool:
    return os.path.lexists(file) and not _is_ours(file)


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()
