"""The hubs that other tests use: each serves a clone and takes a push."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.conftest import git
from tests.hubs import Hub, file_hub, git_daemon, http_backend, ssh_hub

STARTERS: dict[str, Callable[[Path], AbstractContextManager[Hub]]] = {
    "file": file_hub,
    "daemon": git_daemon,
    "http": http_backend,
    "http with a user": lambda folder: http_backend(folder, user="pat"),
    "ssh": lambda folder: ssh_hub(folder, folder / "keys"),
}


@pytest.mark.parametrize("name", STARTERS)
def test_a_hub_serves_a_clone_and_takes_a_push(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    git(tmp_path, "init", "-q", "--bare", "plain.git")
    with STARTERS[name](tmp_path) as hub:
        for variable, value in getattr(hub, "key", lambda _: {})("pat").items():
            monkeypatch.setenv(variable, value)
        git(tmp_path, "clone", "-q", hub.url("plain.git"), "clone")
        (tmp_path / "clone" / "file").write_bytes(os.urandom(2_000_000))
        git(tmp_path / "clone", "add", "-A")
        git(tmp_path / "clone", "commit", "-qm", "first")
        git(tmp_path / "clone", "push", "-q", "origin", "HEAD:main")
    assert git(tmp_path / "plain.git", "rev-parse", "main") == git(tmp_path / "clone", "rev-parse", "HEAD")
