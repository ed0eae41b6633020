"""The git program, as it is run for a repository."""

from pathlib import Path

import pytest

from gitmem.git.repository import Repository, run_git


def test_git_keeps_the_settings_of_the_machine_and_forgets_the_callers_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "settings").write_text("[core]\n\thooksPath = /somewhere\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    Repository.init(tmp_path / "memory.git")
    assert run_git(tmp_path / "memory.git", "config", "--global", "--get", "core.hooksPath") == "/somewhere\n"
