"""The git program, as it is run for a repository."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitmem.founding import found
from gitmem.git import bundles, remote
from gitmem.git.history import log
from gitmem.git.objects import UnreadableObject
from gitmem.git.refs import UnreadableRef
from gitmem.git.repository import MAIN, GitFailed, NoGit, NotReadable, NotTrusted, OtherFormat, Repository, is_vacant, run_git
from gitmem.git.worktrees import tree_of_files
from tests.conftest import git


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


# --- repositories that others have made ---------------------------------------------------------------


def test_a_repository_with_other_object_ids_is_refused_and_left_as_it_is(tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "made.git")
    config = (tmp_path / "made.git" / "config").read_text()
    for use in (found, Repository):
        with pytest.raises(OtherFormat, match="objectformat = sha256"):
            use(tmp_path / "made.git")
    assert (tmp_path / "made.git" / "config").read_text() == config


def test_a_repository_whose_refs_are_no_files_is_refused(tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "made.git")
    with (tmp_path / "made.git" / "config").open("a") as file:
        file.write("[extensions]\n\trefStorage = reftable\n")
    with pytest.raises(OtherFormat, match="refStorage = reftable"):
        found(tmp_path / "made.git")


def test_how_the_refs_of_a_persons_clone_are_kept_is_their_own_business(tmp_path: Path):
    git(tmp_path, "init", "-q", "clone")
    config = tmp_path / "clone" / ".git" / "config"
    config.write_text(f"{config.read_text()}[extensions]\n\trefStorage = reftable\n")
    assert Repository(config.parent).path == config.parent
    config.write_text(f"{config.read_text()}\tobjectFormat = sha256\n")
    with pytest.raises(OtherFormat, match="objectFormat = sha256"):
        Repository(config.parent)


def test_a_memory_is_what_gitmem_can_write_whatever_a_person_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    git(tmp_path, "config", "--global", "init.defaultObjectFormat", "sha256")
    git(tmp_path, "config", "--global", "init.defaultRefFormat", "reftable")
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    found(tmp_path / "memory.git")[0].close()
    assert len(git(tmp_path / "memory.git", "rev-parse", MAIN).strip()) == 40


def test_a_repository_without_a_config_is_read_all_the_same(tmp_path: Path):
    memory, _ = found(tmp_path / "memory.git")
    (memory.path / "config").unlink()
    repository = Repository(memory.path)
    assert (repository.refs.read(MAIN), repository.is_shared, repository.is_partial) == (memory.head(), False, False)


def test_a_clone_of_a_repository_that_was_made_for_another_branch_has_its_files(tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "--initial-branch=master", "made.git")
    found(tmp_path / "made.git")[0].close()
    git(tmp_path, "clone", "-q", "made.git", "clone")
    assert (tmp_path / "clone" / "gitmem.yaml").is_file()


# --- other users of the machine -----------------------------------------------------------------------


@pytest.fixture
def of_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Git takes every repository for another user's."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "git"
    script.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {shutil.which("git")} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


def test_where_git_does_nothing_for_another_users_repository_it_is_said_what_helps(tmp_path: Path, request: pytest.FixtureRequest):
    path = tmp_path / "memory.git"
    found(path)[0].close()
    own = Repository.init(tmp_path / "own.git")
    request.getfixturevalue("of_another_user")
    help_ = f"safe.directory {path}$"
    for arguments in (("rev-list", MAIN), ("config", "--local", "--list")):
        with pytest.raises(NotTrusted, match=help_):
            run_git(path, *arguments)
    with pytest.raises(NotTrusted, match=help_):
        found(path)
    git(tmp_path, "config", "--global", "--add", "safe.directory", str(own.path))
    with pytest.raises(NotTrusted, match=help_):
        remote.Remote(own.path, str(path), str(path)).fetch("+refs/heads/*:refs/remotes/hub/*")


@contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    mode = folder.stat().st_mode & 0o777
    folder.chmod(0)
    if os.geteuid() == 0:  # who may read everything
        os.seteuid(1)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield
    folder.chmod(mode)


def test_what_may_not_be_read_is_said_to_be_unreadable_and_not_damaged(tmp_path: Path):
    path = tmp_path / "memory.git"
    found(path)[0].close()
    for folder in (path, path / "objects", path / "refs"):
        with unreadable(folder), pytest.raises(NotReadable):
            Repository(path)
    with unreadable(path), pytest.raises(NotReadable):
        is_vacant(path)


def test_files_that_may_not_be_read_are_not_taken_for_lost(tmp_path: Path):
    made, _ = found(tmp_path / "memory.git")
    head, pack = made.head(), made.repository.objects.packs()[0].with_suffix(".pack")
    made.close()
    repository = Repository(made.path)
    with unreadable(pack), pytest.raises(UnreadableObject, match="Permission denied"):
        repository.objects.commit(head)
    with unreadable(made.path / MAIN), pytest.raises(UnreadableRef, match="Permission denied"):
        repository.refs.read(MAIN)
    assert repository.objects.commit(head).oid == head


def test_too_many_open_files_are_not_taken_for_a_damaged_repository(tmp_path: Path):
    repository = found(tmp_path / "memory.git")[0].repository
    head = repository.refs.read(MAIN)
    repository.objects.close()
    repository = Repository(repository.path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(UnreadableRef, match="Too many open files"):
            repository.refs.read(MAIN)
        with pytest.raises(UnreadableObject, match="Too many open files"):
            repository.objects.commit(head or "")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("shared", "files", "folders"), [("group", 0o040, 0o070), ("all", 0o044, 0o075)])
def test_what_gitmem_writes_in_a_shared_repository_is_for_all_who_share_it(tmp_path: Path, shared: str, files: int, folders: int):
    path = tmp_path / "made.git"
    git(tmp_path, "init", "-q", "--bare", f"--shared={shared}", str(path))
    for arguments in (["init", str(path)], ["project", "create", "--name", "web"], ["heartbeat"], ["search-global", "--query", "x"]):
        command = [sys.executable, "-m", "gitmem.facade.cli", "--repo", str(path), "--project", "web", *arguments]
        subprocess.run(command, check=True, capture_output=True, umask=0o077)
    assert list(path.glob(f"gitmem/index-v*-{os.getuid()}"))
    made = [each for each in path.rglob("*") if "index-v" not in str(each)]
    for each in made:
        needed = folders if each.is_dir() else files | (0o060 if each.suffix == ".lock" or "refs" in each.parts else 0)
        assert each.stat().st_mode & needed == needed, each
    for ref in ("heads/main", "gitmem/presence/web/"):
        assert any(str(each).startswith(str(path / "refs" / ref)) for each in made)
