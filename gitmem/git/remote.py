"""Other repositories: fetching from them, pushing with a lease, and clear words for what goes wrong on the way."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from msgspec import Struct, field

from gitmem.errors import GitmemError
from gitmem.git.repository import UNTRUSTED, NotTrusted, git_program, run_git
from gitmem.names import shown

# Told while objects travel: what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
Outcome = Literal["done", "lost", "refused"]

# They say which repository a command is about; what says how to reach another (GIT_SSH_COMMAND, GIT_ASKPASS) stays.
_OWN_VARIABLES = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_PUSH_OPTION_COUNT",
)  # fmt: skip
_PROGRESS = re.compile(r"(?:remote: )?([A-Z][\w ]+): +\d+% \((\d+)/(\d+)\)")
_RESULT = re.compile(r"(?P<flag>[ +\-*!=])\t[^:]*:(?P<ref>\S+)\t(?P<summary>\[[^\]]*\]|\S*)(?: \((?P<reason>.*)\))?")
_LOST = (
    "stale info", "fetch first", "non-fast-forward", "failed to update ref", "failed to lock", "cannot lock ref",
    "incorrect old value", "reference already exists",
)  # fmt: skip
_OUTPUT_MAX = 2000
_TRIES = 5


class Unreachable(GitmemError):
    """The other repository does not answer."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(
            f"{shown(url, 200)} cannot be reached: {said}",
            fix="Check the address and the connection. Until then everything works here, and 'gitmem sync' catches up later.",
        )


class AccessDenied(GitmemError):
    """The other side does not know the caller, or does not let them in."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(
            f"{shown(url, 200)} does not let you in: {said}",
            fix="Check your key or password for it with plain git: git ls-remote, followed by the address.",
        )


class NoRepository(GitmemError):
    """There is no git repository at the address."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(f"There is no repository at {shown(url, 200)}: {said}", fix="Check the address.")


class NoSuchRef(GitmemError):
    """The other side lacks a ref that was asked for by name."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(f"{shown(url, 200)} lacks what was asked for: {said}", fix="Push it there first.")


class DiskFull(GitmemError):
    """There was no room for what came."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"The disk is full: {said}", fix="Free space and do it again; nothing is half there, and nothing was lost."
        )


class TransferFailed(GitmemError):
    """Git failed for another reason."""

    def __init__(self, what: str, url: str, said: str) -> None:
        super().__init__(f"git {what} with {shown(url, 200)} failed: {said}", fix="See what git says above, and do it again.")


# The first that matches what git said. What it said of the disk comes first: a transfer that is cut off says more after it.
_ERRORS: tuple[tuple[re.Pattern[str], type[Unreachable] | type[AccessDenied] | type[NoRepository] | type[NoSuchRef]], ...] = (
    (re.compile(r"couldn't find remote ref|remote branch main not found", re.IGNORECASE), NoSuchRef),
    (
        re.compile(
            r"permission denied|authentication failed|could not read (username|password)|access denied|host key verification"
            r"|returned error: 40[13]|terminal prompts disabled",
            re.IGNORECASE,
        ),
        AccessDenied,
    ),
    (
        re.compile(
            r"could not resolve|connection (refused|timed out|reset|closed)|unable to (access|connect)|no route to host"
            r"|network is unreachable|operation timed out|did not answer|hung up|early eof",
            re.IGNORECASE,
        ),
        Unreachable,
    ),
    (
        re.compile(r"does not appear to be a git repository|does not exist|repository .*not found|no such", re.IGNORECASE),
        NoRepository,
    ),
)
# What git adds to whatever went wrong: it says no more, and blames access rights.
_BOILERPLATE = re.compile(
    r"\n(fatal: )?(Could not read from remote repository\."
    r"|Please make sure you have the correct access rights|and the repository exists\.)"
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


class Update(Struct, frozen=True):
    """A ref of the other side that is to move from `old` ("": there must be none) to `new` ("": it is to go)."""

    ref: str
    old: str
    new: str


class Pushed(Struct, frozen=True):
    """What became of an update: done, lost to somebody who was faster, or refused with what the other side said."""

    update: Update
    outcome: Outcome
    said: str = ""


class Remote(Struct, frozen=True):
    """Another repository, as the one at `folder` knows it: by a name of its configuration, or by an address.

    `patience`: for how many seconds a command may run, None: for ever. `asks`: whether git may ask the person at the terminal.
    `environment`: what git's programs get to know beside their own.
    """

    folder: Path
    name: str
    url: str
    patience: float | None = None
    asks: bool = False
    progress: Progress | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def fetch(self, *refspecs: str, options: Sequence[str] = ()) -> None:
        """Bring refs over, as refspecs say; tracking refs of what is gone there go as well."""
        how = (
            *self._progress_option("--quiet"), "--no-tags", "--prune", "--force", "--no-auto-maintenance",
            "--no-write-fetch-head", "--refmap=",
        )  # fmt: skip
        for tries_left in reversed(range(_TRIES)):
            try:
                self._run("fetch", *how, *options, "--", self.name, *refspecs)
                return
            except TransferFailed as error:
                # another process fetches the same: what it brings is as good
                if not tries_left or not re.search(r"cannot lock ref|shallow file has changed", error.message):
                    raise

    def clone_here(self, url: str) -> None:
        """Clone with the files of its main branch into the folder, which is empty."""
        how = ("--branch=main", f"--origin={self.name}", *self._progress_option("--quiet"))
        self._run("clone", *how, "--", url, ".")

    def complete(self, *tips: str) -> None:
        """Bring the files of these commits, as they are now, that a partial clone left out."""
        asked = ("rev-list", "--objects", "--no-walk=unsorted", "--missing=print", "--stdin")
        listing = run_git(self.folder, *asked, stdin="\n".join(tips))
        missing = [line[1:] for line in listing.splitlines() if line.startswith("?")]
        if missing:
            how = ("--no-tags", "--no-filter", "--no-write-fetch-head", "--no-auto-maintenance", "--stdin")
            self._run("fetch", *self._progress_option("--quiet"), *how, "--", self.name, stdin="\n".join(missing))

    def refs(self, *patterns: str) -> dict[str, str]:
        """The refs of the other side."""
        output = self._run("ls-remote", "--refs", "--", self.name, *patterns)
        return {name: oid for oid, name in (line.split("\t", 1) for line in output.splitlines())}

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Move refs of the other side, each only if it is where the update says. A hook may refuse all because of one."""
        leases = [f"--force-with-lease={each.ref}:{each.old}" for each in updates]
        moves = [f"{each.new}:{each.ref}" for each in updates]
        code, output, said = self._outcome(
            "push", "--porcelain", *self._progress_option("--no-progress"), "--no-verify", *leases, "--", self.name, *moves
        )
        results = dict(_results(output))
        if code and not results:
            raise self._error("push", said)
        return [_pushed(each, *results.get(each.ref, ("!", said)), said) for each in updates]

    def _progress_option(self, otherwise: str) -> tuple[str, ...]:
        return ("--progress",) if self.progress else (otherwise,)

    def _run(self, *arguments: str, stdin: str = "") -> str:
        code, output, said = self._outcome(*arguments, stdin=stdin)
        if code:
            raise self._error(arguments[0], said)
        return output

    def _error(self, what: str, said: str) -> GitmemError:
        if _NO_SPACE.search(said):
            return DiskFull(said)
        if found := UNTRUSTED.search(said):
            return NotTrusted(found[1])
        for pattern, error in _ERRORS:
            if pattern.search(said):
                return error(self.url, _BOILERPLATE.sub("", f"\n{said}").strip().removeprefix("fatal: ") or said)
        return TransferFailed(what, self.url, said)

    def _outcome(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """A git command's exit code, its output, and what it said without its progress."""
        return run(
            self.folder, *arguments, stdin=stdin, patience=self.patience, asks=self.asks, progress=self.progress,
            environment=self.environment,
        )  # fmt: skip


def run(
    folder: Path, *arguments: str, stdin: str = "", patience: float | None = None, asks: bool = False,
    progress: Progress | None = None, environment: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Run a git command that talks to another repository: its exit code, its output, and what it said."""
    known = {k: v for k, v in os.environ.items() if k not in _OWN_VARIABLES} | {"LC_ALL": "C"} | dict(environment or {})
    if not asks:
        known["GIT_TERMINAL_PROMPT"] = "0"
    # in a session of its own ssh finds no terminal to ask at, and all that git starts can be ended together
    process = subprocess.Popen(
        [git_program(), "-C", str(folder), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=known, start_new_session=not asks,
    )  # fmt: skip
    said: list[str] = []
    listening = threading.Thread(target=_listen, args=(process.stderr, said, progress), daemon=True)
    listening.start()
    timer = threading.Timer(patience, _end, [process]) if patience is not None else None
    try:
        if timer:
            timer.start()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it says by itself why it is over
            process.stdin.write(stdin.encode())
            process.stdin.close()
        output = process.stdout.read().decode(errors="replace")
        process.wait()
        listening.join()
    finally:
        if timer:
            timer.cancel()
        if process.poll() is None:
            _end(process)
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
    if timer and process.returncode == -signal.SIGKILL:
        said.append(f"it did not answer within {patience:g} seconds")
    return process.returncode, output, "\n".join(said)[-_OUTPUT_MAX:] or "git said nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _listen(stream: IO[bytes] | None, said: list[str], progress: Progress | None) -> None:
    assert stream is not None
    for line in _lines(stream):
        if found := _PROGRESS.match(line):
            if progress:
                progress(found[1], int(found[2]), int(found[3]))
        elif line.strip() and not re.match(r"(?:remote: )?(Enumerating|Counting|Total) ", line):
            said.append(line.rstrip())


def _lines(stream: IO[bytes]) -> Iterator[str]:
    # progress overwrites its line with carriage returns
    rest = b""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        yield from (line.decode(errors="replace") for line in lines)
    yield rest.decode(errors="replace")


def _results(output: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for line in output.splitlines():
        if found := _RESULT.fullmatch(line):
            yield found["ref"], (found["flag"], found["reason"] or "")


def _pushed(update: Update, flag: str, reason: str, said: str) -> Pushed:
    if flag != "!":
        return Pushed(update, "done")
    if any(each in reason for each in _LOST):
        return Pushed(update, "lost", reason)
    return Pushed(update, "refused", _told_by_hook(said) or reason)


def _told_by_hook(said: str) -> str:
    """What the other side's hook said, without git's prefix."""
    lines = [line.removeprefix("remote:").strip() for line in said.splitlines() if line.startswith("remote:")]
    return "\n".join(line for line in lines if line)
