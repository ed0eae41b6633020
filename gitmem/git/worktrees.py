"""Worktrees: what stands in the files of a clone, as a tree that the clone's repository does not keep."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gitmem.git.repository import GitFailed, git_environment, git_program, run_git


@contextmanager
def tree_of_files(top: Path) -> Iterator[tuple[str, Path]]:
    """The tree that a commit of all files in a worktree would have, and the folder with those of its objects that are new."""
    index, objects = run_git(top, "rev-parse", "--git-path", "index", "--git-path", "objects").splitlines()
    with TemporaryDirectory(prefix="gitmem-check-") as folder:
        made = Path(folder) / "objects"
        made.mkdir()
        if (top / index).exists():
            shutil.copyfile(top / index, Path(folder) / "index")
        environment = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": str(made),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str((top / objects).resolve())),
        }
        _run(top, environment, "add", "--all")
        yield _run(top, environment, "write-tree").strip(), made


def _quoted(path: str) -> str:
    # a colon would begin the next folder
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _run(top: Path, environment: dict[str, str], *arguments: str) -> str:
    command = [git_program(), "-C", str(top), "-c", "core.safecrlf=false", *arguments]
    known = git_environment() | environment
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=known, check=False)
    if done.returncode:
        raise GitFailed(arguments, done.stderr)
    return done.stdout
