"""Repositories of code and clones of memories for the tests of hooks, with the commands that a person types."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.conftest import git


def run(folder: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program as a person would in a folder. A hook has time enough, however busy the machine is."""
    environment = {"GITMEM_HOOK_SECONDS": "60"} | environment
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=os.environ | environment
    )


def gitmem(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """What gitmem prints, both streams; it must end with an exit code."""
    done = run(folder, sys.executable, "-m", "gitmem.facade.cli", *arguments, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(file: Path, text: str, mode: int = 0o644) -> Path:
    """Make a file, with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def script(file: Path, body: str) -> Path:
    """Make a hook."""
    return write(file, f"#!/bin/sh\n{body}\n", 0o755)


def repository(folder: Path) -> Path:
    """A repository of code with one commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    write(folder / "README", "code\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "begin")
    return folder


def commit(folder: Path, path: str, text: str = "x\n", *more: str, **environment: str) -> tuple[int, str]:
    """Change a file and commit it: git's exit code, and what was said."""
    write(folder / path, text)
    git(folder, "add", "--", path)
    done = run(folder, "git", "commit", "-qm", f"change {path}", *more, **environment)
    return done.returncode, done.stderr


def bytes_of(*places: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below some places, or at them: its mode and its bytes, or where it links to."""
    found = {}
    for place in places:
        for file in [place, *place.rglob("*")] if place.exists() else []:
            if file.is_symlink():
                found[str(file)] = (0, os.fsencode(file.readlink()))
            elif file.is_file():
                found[str(file)] = (stat.S_IMODE(file.stat().st_mode), file.read_bytes())
            else:
                found[str(file)] = (stat.S_IMODE(file.stat().st_mode), b"")
    return found


def hooks_of(code: Path) -> dict[str, tuple[int, bytes]]:
    """All that decides which hooks run in a repository."""
    return bytes_of(code / ".git" / "hooks", code / ".git" / "config", code / ".git" / "gitmem", code / ".husky")
