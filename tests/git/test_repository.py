"""The git program, as it is run for a repository."""

from pathlib import Path

import pytest

from gitmem.git import bundles, remote
from gitmem.git.history import log
from gitmem.git.repository import NoGit, Repository, run_git
from gitmem.git.worktrees import tree_of_files


def test_git_keeps_the_settings_of_the_machine_and_forgets_the_callers_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "settings").write_text("[core]\n\thooksPath = /somewhere\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    Repository.init(tmp_path / "memory.git")
    assert run_git(tmp_path / "memory.git", "config", "--global", "--get", "core.hooksPath") == "/somewhere\n"


def test_without_a_git_program_all_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repository = Repository.init(tmp_path / "memory.git")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    for call in (
        lambda: run_git(tmp_path, "status"),
        lambda: next(log(repository, "HEAD")),
        lambda: tree_of_files(tmp_path).__enter__(),
        lambda: remote.run(tmp_path, "ls-remote"),
        lambda: bundles.run_with_progress(tmp_path, ("gc",), lambda *_: None),
    ):
        with pytest.raises(NoGit):
            call()
