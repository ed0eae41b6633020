"""Bisecting: which commit of the memory made a script fail. Git searches, in a repository of its own."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from gitmem.errors import BadArgument, Refused
from gitmem.git.ancestry import is_ancestor
from gitmem.git.objects import Commit
from gitmem.git.repository import git_environment, run_git
from gitmem.git.scratch import borrow, make_scratch
from gitmem.memory.memory import Memory
from gitmem.names import shown

GOOD, SKIP, ABORTS_FROM = 0, 125, 128
NOT_RUN = (126, 127)  # what a shell says of a command that it cannot run

# Lays the commit that git has checked out before the script: its files are here, and $GITMEM_REPO is a memory of it.
_STEP = """#!/bin/sh
git --git-dir="$GITMEM_REPO" update-ref refs/heads/main "$(git rev-parse HEAD)" || exit 255
rm -rf "$GITMEM_REPO/gitmem"
eval "$GITMEM_BISECT"
"""


class NothingToFind(Refused):
    """The script does not tell the two ends apart."""

    def __init__(self, commit: str, which: str, code: int) -> None:
        said = {GOOD: "good (0)", SKIP: "skip (125)"}.get(code, f"bad ({code})")
        super().__init__(
            f"The script says {said} at {commit[:10]}, which should be {which}. Nothing was searched.",
            fix="Run it by hand on both ends, or name others with --good and --bad. 0 is good, 125 skips, 1 to 127 is bad.",
        )


class ScriptFailed(Refused):
    """The script could not be run, or asked to stop."""

    def __init__(self, code: int) -> None:
        what = "could not be run" if code in NOT_RUN else "asked to stop"
        super().__init__(
            f"The script {what}: it ended with {code}.",
            fix="It runs in a folder with the memory's files: name it by its full path, and make it executable.",
        )


class OnlySkipped(Refused):
    """Too many commits were skipped to tell which is the first bad one."""

    def __init__(self, commits: list[str]) -> None:
        listing = ", ".join(each[:10] for each in commits[:10])
        super().__init__(f"The first bad commit is one of those that the script skipped: {listing}.", fix="Look at them by hand.")


class FirstBad(Struct, frozen=True):
    """The first commit at which the script says bad, and how many it was asked about."""

    commit: Commit
    asked: int


def bisect(memory: Memory, script: str, say: Callable[[str], None], *, good: str = "", bad: str = "") -> FirstBad:
    """Find the first bad commit of main between a good one (left out: the first of all) and a bad one (the last)."""
    head = memory.head()
    if not head:
        raise BadArgument("This memory has no commit yet.", fix="Record something first.")
    last = memory.commit_as_of(bad) if bad else head
    first = memory.commit_as_of(good) if good else run_git(memory.path, "rev-list", "--max-parents=0", last).split()[-1]
    if first == last or not is_ancestor(memory.path, first, last):
        raise BadArgument(f"{first[:10]} does not come before {last[:10]}.", fix="Give an older commit as good than as bad.")
    with _laid_out(memory, script) as ground:
        for commit, which in ((last, "bad"), (first, "good")):
            code = ground.asked_at(commit, say)
            if code in NOT_RUN or code >= ABORTS_FROM or code < 0:
                raise ScriptFailed(code)
            if code == SKIP or (code == GOOD) != (which == "good"):
                raise NothingToFind(commit, which, code)
        found = ground.search(first, last, say)
        return FirstBad(memory.repository.objects.commit(found), ground.asked)


class _Ground:
    """A folder with the files of one commit after the other, and a memory that is at the same."""

    def __init__(self, folder: Path, script: str) -> None:
        self._files = folder / "files"
        self._step = folder / "step"
        self.asked = 0
        self._environment = git_environment() | {"GITMEM_REPO": str(folder / "memory.git"), "GITMEM_BISECT": script}

    def asked_at(self, commit: str, say: Callable[[str], None]) -> int:
        """What the script says of one commit."""
        run_git(self._files, "checkout", "-q", "--detach", commit)
        return self._run([str(self._step)], say)

    def search(self, good: str, bad: str, say: Callable[[str], None]) -> str:
        """The first bad commit."""
        run_git(self._files, "bisect", "start", bad, good)
        code = self._run(["git", "bisect", "run", str(self._step)], say)
        if code == 0:
            return run_git(self._files, "rev-parse", "refs/bisect/bad").strip()
        left = run_git(self._files, "for-each-ref", "--format=%(objectname)", "refs/bisect/skip-*").split()
        if left and code == 2:
            raise OnlySkipped([*left, run_git(self._files, "rev-parse", "refs/bisect/bad").strip()])
        raise ScriptFailed(code)

    def _run(self, command: list[str], say: Callable[[str], None]) -> int:
        with subprocess.Popen(
            command, cwd=self._files, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self.asked += line.startswith("running ")
                say(line.rstrip("\n"))
        return process.returncode


@contextmanager
def _laid_out(memory: Memory, script: str) -> Iterator[_Ground]:
    with TemporaryDirectory(prefix="gitmem-bisect-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        objects = memory.repository.objects.path
        make_scratch(folder / "memory.git", lender=objects)
        run_git(folder, "init", "-q", "--template=", "--initial-branch=main", "files")
        borrow(folder / "files/.git/objects", objects)
        step = folder / "step"
        step.write_text(_STEP)
        step.chmod(0o755)
        yield _Ground(folder, _from_anywhere(script))


def _from_anywhere(script: str) -> str:
    """The command as it can be run in another folder."""
    path = Path(script)
    if not script.strip():
        raise BadArgument("There is no script to run.", fix="Pass --run with a script or a command.")
    if not path.is_file():
        return script
    if not os.access(path, os.X_OK):
        fix = "Make it executable, or pass a command such as 'python3 FILE'."
        raise BadArgument(f"{shown(script)} is not executable.", fix=fix)
    return shlex.quote(str(path.absolute()))
