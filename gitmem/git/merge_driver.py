"""Telling git who merges the files of a memory. `.gitattributes` names the driver; who runs it is each clone's setting."""

import shlex
import sys
from pathlib import Path

from gitmem.git.repository import run_git

NAME = "gitmem"  # as .gitattributes has it: merge=gitmem


def configure_driver(folder: Path) -> None:
    """Have `git merge` in this repository or worktree merge records as gitmem does. Doing it again changes nothing."""
    run_git(folder, "config", f"merge.{NAME}.name", "gitmem: record by record, never a conflict marker")
    command = f"{shlex.quote(sys.executable)} -P -m gitmem.facade.merge_driver %O %A %B %P"
    run_git(folder, "config", f"merge.{NAME}.driver", command)
