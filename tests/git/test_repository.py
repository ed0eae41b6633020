"""The git program, as it is run for a repository."""

import re
from pathlib import Path

import pytest

from gitmem.git import bundles, remote
from gitmem.git.history import log
from gitmem.git.repository import MAIN, GitFailed, NoGit, Repository, run_git
from gitmem.git.worktrees import tree_of_files


def test_git_keeps_the_settings_of_the_machine_and_forgets_the_callers_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "settings").write_text("[core]\n\thooksPath = /somewhere\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    Repository.init(tmp_path / "memory.git")
    assert run_git(tmp_path / "memory.git", "config", "--global", "--get", "core.hooksPath") == "/somewhere\n"


def test_git_gc_keeps_when_pushes_arrived_and_drops_what_never_did(tmp_path: Path):
    repository = Repository.init(tmp_path / "memory.git")
    tree = run_git(repository.path, "mktree", stdin="").strip()
    make = ("-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit-tree", tree, "-m")
    first = run_git(repository.path, *make, "first").strip()
    lost = run_git(repository.path, *make, "lost a race", "-p", first).strip()
    second = run_git(repository.path, *make, "second", "-p", first).strip()
    for old, new in ((None, first), (first, lost), (first, second)):
        repository.refs.note_arrival(MAIN, old, new, "push")
    repository.refs.swap(MAIN, None, second)
    log = repository.path / "logs" / MAIN
    log.write_text(re.sub(r"> \d+ ", "> 1000000000 ", log.read_text()))
    run_git(repository.path, "gc", "-q", "--prune=now")
    assert list(repository.refs.pushes(MAIN)) == [first, second]
    with pytest.raises(GitFailed):
        run_git(repository.path, "cat-file", "-e", lost)


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
