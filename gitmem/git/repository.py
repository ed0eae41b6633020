"""One bare repository on this machine: where it is, what it is set to, its objects and refs."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING

from gitmem.errors import GitmemError
from gitmem.git.marks import Marks
from gitmem.git.objects import Commit, Objects
from gitmem.git.refs import Refs, alone_at

if TYPE_CHECKING:
    from gitmem.git.past import Past

MAIN = "refs/heads/main"
PROPOSALS = "refs/heads/proposals/"
CLOSED = "refs/tags/closed/"  # what proposals were that were closed without being merged; any clone brings tags along
NO_COMMIT = "0" * 40  # how git names the commit of a ref that is not there
# A person's log.showSignature would put lines of its own before the format of each commit.
LOG = ("log", "--no-show-signature")

# What `git receive-pack`, `gc` and a power cut must find set. Every value is one that plain git knows.
SETTINGS: tuple[tuple[str, str], ...] = (
    ("core.bare", "true"),
    ("core.logAllRefUpdates", "true"),  # when a push arrived, which its commits do not tell
    (f"gc.{MAIN}.reflogExpire", "never"),
    (f"gc.{MAIN}.reflogExpireUnreachable", "30.days"),  # what lost a race on its way in; unset, it would be kept for ever, too
    ("core.fsync", "all"),
    ("gc.auto", "0"),  # upkeep is gitmem's: a gc in the middle of a push delays the pusher
    ("receive.autogc", "false"),
    ("receive.denyNonFastForwards", "true"),
    ("receive.denyDeleteCurrent", "refuse"),
    ("receive.fsckObjects", "true"),
    ("uploadpack.allowFilter", "true"),  # small machines clone without the old versions of files
    ("transfer.unpackLimit", "1"),  # a push stays one pack instead of thousands of loose files
)


class NotARepository(GitmemError):
    """The path holds no bare git repository."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is not a bare git repository: {why}.",
            fix="Name one with --repo or GITMEM_REPO, or make one with 'gitmem init PATH'.",
        )


class NotReadable(GitmemError):
    """The repository is there, and whoever runs gitmem may not read it."""

    def __init__(self, place: Path) -> None:
        super().__init__(
            f"{place} cannot be read: permission denied.",
            fix="Ask its owner to let you read it, or name a memory of your own with --repo or GITMEM_REPO.",
        )


class OtherFormat(GitmemError):
    """A repository that keeps objects or refs in another way than gitmem does."""

    def __init__(self, path: Path, name: str, value: str) -> None:
        super().__init__(
            f"{path} has {name} = {value}, and gitmem reads and writes only SHA-1 objects and refs in files.",
            fix="Make a new one with 'gitmem init PATH', which sets these as they have to be.",
        )


class NotTrusted(GitmemError):
    """Git does nothing in a repository that belongs to another user."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"{place} belongs to another user, and git does nothing there unless you say that you trust them.",
            fix=f"If you do: git config --global --add safe.directory {shlex.quote(place)}",
        )


class ShallowHistory(GitmemError):
    """A question about a time that a shallow clone does not have."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"This clone has only the newest part of the history: {what}.",
            fix="Ask where the whole memory is, or get the rest with: git fetch --unshallow, in the clone's folder.",
        )


class NoGit(GitmemError):
    """There is no git program."""

    def __init__(self) -> None:
        super().__init__("There is no git program on PATH.", fix="Install git 2.31 or newer.")


class GitFailed(GitmemError):
    """The git program refused or failed."""

    def __init__(self, arguments: tuple[str, ...], output: str) -> None:
        super().__init__(
            f"git {arguments[0]} failed: {output.strip() or 'it said nothing'}",
            fix="See what git says above; 'gitmem doctor' checks the repository.",
        )


class Repository:
    """An open bare repository."""

    def __init__(self, path: Path, *, alternates: tuple[Path, ...] = ()) -> None:
        try:
            self.path = _checked(path)
            config = _config_of(self.path)
        except PermissionError as error:
            raise NotReadable(Path(error.filename)) from None
        _check_format(self.path, config)
        self.is_shared = _share(config)
        self.objects = Objects(self.path / "objects", alternates=alternates)
        self.is_partial = "promisor = true" in config  # old versions of files were left out when it was cloned
        if self.is_partial:
            self.objects.ask_for = self._fetched
        self.refs = Refs(self.path)
        self.marks = Marks(self.objects, self.refs)

    @classmethod
    def init(cls, path: Path) -> "Repository":
        """A bare repository at `path`: the one that is there, or a new one. An existing other folder is refused."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if not path.exists():
                raise NotARepository(path, f"nothing can be made there: {error.strerror}") from None
        with alone_at(path):  # agents' servers start together on a new memory
            if is_vacant(path):
                run_git(path, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", ".")
            repository = cls(path)
            repository.configure()
        return repository

    def configure(self) -> None:
        """Set what gitmem needs to be set, where it is not. Raises NotTrusted."""
        current = dict(self.settings())
        for name, value in SETTINGS:
            if current.get(name.lower()) != value:
                run_git(self.path, "config", name, value)
        if not self.refs.read("HEAD"):  # made by hand for another branch, clones would come without a file
            run_git(self.path, "symbolic-ref", "HEAD", MAIN)

    def settings(self) -> list[tuple[str, str]]:
        """What its own configuration says, in order: some names stand there more than once."""
        listing = run_git(self.path, "config", "--local", "--list", "-z")
        return [item.partition("\n")[::2] for item in listing.split("\0")[:-1]]

    def _fetched(self, oid: str) -> bool:
        """Have git get an object that was left out; False if that cannot be done now."""
        try:
            run_git(self.path, "cat-file", "-e", oid)
        except GitFailed:
            return False
        return True

    @cached_property
    def private(self) -> Path:
        """Gitmem's own folder inside the repository, for locks and caches; all but the hooks' configuration is safe to lose."""
        folder = self.path / "gitmem"
        with suppress(OSError):  # a read-only memory is read without it; a write says what is wrong
            folder.mkdir(exist_ok=True)
        return folder

    @cached_property
    def past(self) -> "Past":
        """Which commits touched which files, as far as that was asked for."""
        from gitmem.git.past import Past  # imported late: that module imports this one

        return Past(self)

    def log(self, head: str, *, limit: int | None = None) -> Iterator[Commit]:
        """Commits from `head` backwards, newest first, each once."""
        waiting, seen = [(0.0, 0, head)], {head}
        while waiting and limit != 0:
            commit = self.objects.commit(heappop(waiting)[2])
            yield commit
            limit = None if limit is None else limit - 1
            for parent in commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    heappush(waiting, (-self.objects.commit(parent).time.timestamp(), len(seen), parent))


def is_vacant(path: Path) -> bool:
    """Whether there is nothing at a path, or an empty folder. Raises NotReadable."""
    try:
        return not any(path.iterdir()) if path.is_dir() else not path.exists()
    except PermissionError:
        raise NotReadable(path) from None


def _checked(path: Path) -> Path:
    """The whole path of a repository. Raises NotARepository, PermissionError."""
    path = path.expanduser().absolute()
    if not path.exists():
        raise NotARepository(path, "there is nothing")
    if not path.is_dir():
        raise NotARepository(path, "it is a file")
    if (path / ".git").exists():
        raise NotARepository(path, "it has a worktree; gitmem keeps its memory in a bare one")
    if not ((path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()):
        raise NotARepository(path, "it lacks HEAD, objects or refs")
    for each in (path / "objects", path / "refs"):  # what cannot be listed would look like what is not there
        os.scandir(each).close()
    return path


def _config_of(path: Path) -> str:
    # read as text, since to ask git takes longer than all else that it takes to open a repository
    try:
        return (path / "config").read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _check_format(path: Path, config: str) -> None:
    """Raises OtherFormat: what gitmem would write there, git could not read."""
    # in a person's clone only objects are read: how its refs are kept is git's business
    is_clone = re.search(r"^\s*bare\s*=\s*false", config, re.IGNORECASE | re.MULTILINE)
    for name, value in re.findall(r"^\s*(objectformat|refstorage)\s*=\s*(\S+)", config, re.IGNORECASE | re.MULTILINE):
        if value.lower() not in ("sha1", "files") and not (is_clone and name.lower() == "refstorage"):
            raise OtherFormat(path, name, value)


def _share(config: str) -> bool:
    """Whether core.sharedRepository shares it with other users. If so, they may read and write what this process writes."""
    value = next(reversed(re.findall(r"^\s*sharedrepository\s*=\s*(\w+)", config, re.IGNORECASE | re.MULTILINE)), "").lower()
    mode = _SHARED_MODES.get(value) or (int(value, 8) if re.fullmatch("0?[67][0-7]{2}", value) else 0)
    if others := mode & 0o066:
        # git sets the mode of each file that it makes; the mask does the same for all of ours, and for folders
        os.umask(os.umask(0o077) & ~(others | (others & 0o044) >> 2))
    return bool(others)


def git_version() -> tuple[int, ...]:
    """The version of the git program, such as (2, 39)."""
    return tuple(int(number) for number in re.findall(r"\d+", run_git(Path.cwd(), "--version"))[:2])


def git_program() -> str:
    """Where the git program is. Raises NoGit."""
    if program := shutil.which("git"):
        return program
    raise NoGit


def run_git(folder: Path, *arguments: str, stdin: str | None = None) -> str:
    """The output of one git command in `folder`. Raises GitFailed with what git said."""
    done = subprocess.run(
        [git_program(), "-C", str(folder), *arguments], input=stdin, capture_output=True, text=True, errors="replace",
        env=git_environment(),
    )
    if done.returncode:
        raise _failure(folder, arguments, done.stderr)
    return done.stdout


def ask_git(folder: Path, *arguments: str) -> str:
    """What git says to a question, without the end of its last line; "" if it has no answer."""
    try:
        return run_git(folder, *arguments).rstrip("\n")
    except GitFailed:
        return ""


def _failure(folder: Path, arguments: tuple[str, ...], said: str) -> GitmemError:
    if found := UNTRUSTED.search(said):
        return NotTrusted(found[1])
    # `git config` says no more than that there is no repository
    if "only be used inside a git repository" in said and arguments[:2] != ("rev-parse", "--git-dir"):
        try:
            run_git(folder, "rev-parse", "--git-dir")
        except GitmemError as error:
            return error
    return GitFailed(arguments, said)


def written_in(folder: Path, *range_: str) -> list[str]:
    """The commits of a range in which somebody changed something: not the merges that git itself makes just so."""
    listing = run_git(folder, "rev-list", "--parents", *range_).splitlines()
    found = [line.split() for line in listing]
    return [oid for oid, *parents in found if len(parents) < 2 or not _is_plain_merge(folder, oid, parents)]


def _is_plain_merge(folder: Path, oid: str, parents: list[str]) -> bool:
    try:
        merged = run_git(folder, "merge-tree", "--write-tree", *parents)  # fails for more than two, or where they clash
        return merged.strip() == run_git(folder, "rev-parse", f"{oid}^{{tree}}").strip()
    except GitFailed:
        return False


# The words of core.sharedRepository, and the modes that they stand for.
_SHARED_MODES = {
    **dict.fromkeys(("group", "true", "yes", "on", "1"), 0o660), **dict.fromkeys(("all", "world", "everybody", "2"), 0o664),
}
# What git says of a repository of another user's, and its place.
UNTRUSTED = re.compile(r"dubious ownership in repository at '([^'\n]*)'")
# What says how git works on this machine, for all repositories.
_OF_THE_MACHINE = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"})


def git_environment() -> dict[str, str]:
    """The environment for a git command that answers to nobody but its own repository."""
    # A hook's GIT_DIR or quarantine must not leak into commands about another repository.
    return {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in _OF_THE_MACHINE} | {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        # gitmem reads and writes no other format, whatever a person has set for new repositories
        "GIT_DEFAULT_HASH": "sha1",
        "GIT_DEFAULT_REF_FORMAT": "files",
        "GIT_NO_REPLACE_OBJECTS": "1",  # refs/replace, which anyone may push, must not change what history tells
    }
