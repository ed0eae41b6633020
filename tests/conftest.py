"""Fixtures: real repositories in temporary folders, with identity pinned and the default place poisoned."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from gitmem.git.repository import Repository
from gitmem.memory.memory import Memory


@pytest.fixture(autouse=True)
def _pinned(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITMEM_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    (home / "gitconfig").write_text("[user]\n\tname = Pat Person\n\temail = pat@example.com\n[init]\n\tdefaultBranch = main\n")
    # a test that forgets to name its repository must fail, not write into somebody's memory
    poisoned = home / "poisoned"
    poisoned.write_text("no test may use the default place")
    monkeypatch.setenv("XDG_DATA_HOME", str(poisoned))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    Repository.init(tmp_path / "memory.git")
    opened = Memory(tmp_path / "memory.git")
    yield opened
    opened.close()


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    """The output of a git command, stderr included."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout + done.stderr
