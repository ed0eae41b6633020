"""Programs that keep hooks, installed for real: husky and lefthook from npm, pre-commit from PyPI. All go on running."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import Team, git
from tests.facade.cloning import commit, gitmem, hooks_of, repository, run, script, write

PRE_COMMIT = """\
repos:
  - repo: local
    hooks:
      - {id: theirs, name: theirs, language: system, entry: "sh -c 'echo pre-commit ran >&2; exit ${FAILS:-0}'", verbose: true, always_run: true, pass_filenames: false}
"""
LEFTHOOK = "pre-commit:\n  commands:\n    theirs:\n      run: echo lefthook ran; exit ${FAILS:-0}\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return repository(tmp_path / "code")


def install(code: Path, team: Team) -> None:
    gitmem(code, "hooks", "install", "--yes", "--repo", str(team.memory.path), "--project", "web", "--agent", "ann")


def both_run(code: Path, team: Team, said_by_theirs: str) -> None:
    """Ours refuses what is locked, theirs is heard, and refuses as well."""
    item = team.call("add_backlog_item", agent="ann", title="Fix it")["id"]
    team.call("claim_backlog_item", agent="ann", id=item)
    team.call("lock_files", agent="bob", files=["held"], reason="mine")
    done, said = commit(code, "held")
    assert (done, "bob holds held" in said, said_by_theirs in said) == (1, True, False)
    git(code, "reset", "-q")
    done, said = commit(code, "free", FAILS="1")
    assert (done, said_by_theirs in said) == (1, True)
    done, said = commit(code, "free", FAILS="0")
    assert (done, said_by_theirs in said) == (0, True)
    assert git(code, "log", "-1", "--format=%(trailers:key=Gitmem-Item,valueonly)").strip() == item


def only_theirs_run(code: Path, said_by_theirs: str) -> None:
    done, said = commit(code, "held", "afterwards\n")
    assert (done, said_by_theirs in said) == (0, True)


def npm(code: Path, *arguments: str) -> str:
    assert shutil.which("npm"), "npm is needed: install nodejs and npm"
    done = run(code, "npm", "--no-audit", "--no-fund", "--loglevel=error", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- husky ------------------------------------------------------------------------------------------


@pytest.fixture
def husky(code: Path) -> Path:
    write(code / "package.json", json.dumps({"name": "code", "private": True, "scripts": {"prepare": "husky"}}))
    write(code / ".gitignore", "node_modules\n")
    npm(code, "install", "--save-dev", "husky@9")
    npm(code, "install")  # runs `husky`, which sets core.hooksPath
    write(code / ".husky/pre-commit", "echo husky ran >&2; exit ${FAILS:-0}\n")
    git(code, "add", "-A")
    git(code, "commit", "-qm", "husky")
    return code


def test_husky_goes_on_running_and_every_byte_is_as_before_after_remove(husky: Path, team: Team):
    before = hooks_of(husky)
    install(husky, team)
    assert git(husky, "status", "--porcelain") == ""
    told = json.loads(gitmem(husky, "hooks", "status", "--json"))
    assert told["former_path"] == ".husky/_"
    assert told["chained"]["pre-commit"].endswith(".husky/_/pre-commit (husky)")
    both_run(husky, team, "husky ran")
    gitmem(husky, "hooks", "remove", "--yes")
    assert hooks_of(husky) == before
    only_theirs_run(husky, "husky ran")


@pytest.mark.slow
def test_husky_that_installs_itself_again_switches_nothing_off(husky: Path, team: Team):
    before = hooks_of(husky)
    install(husky, team)
    npm(husky, "install")  # as everybody does all day
    assert json.loads(gitmem(husky, "hooks", "status", "--json"))["installed"]
    both_run(husky, team, "husky ran")
    gitmem(husky, "hooks", "remove", "--yes")
    assert hooks_of(husky) == before


@pytest.mark.slow
def test_husky_that_comes_after_gitmem_is_chained(code: Path, team: Team):
    install(code, team)
    write(code / "package.json", json.dumps({"name": "code", "private": True, "scripts": {"prepare": "husky"}}))
    npm(code, "install", "--save-dev", "husky@9")
    npm(code, "install")  # runs `husky`, which sets core.hooksPath
    write(code / ".husky/pre-commit", "echo husky ran >&2; exit ${FAILS:-0}\n")
    both_run(code, team, "husky ran")
    gitmem(code, "hooks", "remove", "--yes")
    assert git(code, "config", "--get-regexp", "hookspath|includeif") == "core.hookspath .husky/_\n"
    only_theirs_run(code, "husky ran")


# --- lefthook ---------------------------------------------------------------------------------------


@pytest.fixture
def lefthook(code: Path) -> Path:
    write(code / "package.json", json.dumps({"name": "code", "private": True}))
    write(code / ".gitignore", "node_modules\n")
    write(code / "lefthook.yml", LEFTHOOK)
    npm(code, "install", "--save-dev", "lefthook@2")
    npm(code, "exec", "lefthook", "install")
    git(code, "add", "-A")
    git(code, "commit", "-qm", "lefthook", "--no-verify")
    return code


@pytest.mark.slow
def test_lefthook_goes_on_running_and_every_byte_is_as_before_after_remove(lefthook: Path, team: Team):
    before = hooks_of(lefthook)
    assert any("lefthook" in name or b"lefthook" in data for name, (_, data) in before.items())
    install(lefthook, team)
    both_run(lefthook, team, "lefthook ran")
    gitmem(lefthook, "hooks", "remove", "--yes")
    assert hooks_of(lefthook) == before
    only_theirs_run(lefthook, "lefthook ran")


# --- pre-commit -------------------------------------------------------------------------------------


def pre_commit(code: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    done = run(code, sys.executable, "-m", "pre_commit", *arguments, **environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def precommit(code: Path) -> Path:
    write(code / ".pre-commit-config.yaml", PRE_COMMIT)
    git(code, "add", "-A")
    git(code, "commit", "-qm", "pre-commit")
    assert pre_commit(code, "install")[0] == 0
    return code


def test_pre_commit_goes_on_running_and_every_byte_is_as_before_after_remove(precommit: Path, team: Team):
    before = hooks_of(precommit)
    install(precommit, team)
    told = json.loads(gitmem(precommit, "hooks", "status", "--json"))
    assert told["chained"] == {"pre-commit": f"{precommit}/.git/hooks/pre-commit (pre-commit)"}
    both_run(precommit, team, "pre-commit ran")
    gitmem(precommit, "hooks", "remove", "--yes")
    assert hooks_of(precommit) == before
    only_theirs_run(precommit, "pre-commit ran")


@pytest.mark.slow
def test_pre_commit_refuses_to_install_itself_beside_gitmem_until_it_is_told_where(code: Path, team: Team):
    write(code / ".pre-commit-config.yaml", PRE_COMMIT)
    install(code, team)
    assert "Cowardly refusing to install hooks with `core.hooksPath` set" in pre_commit(code, "install")[1]
    # its hook belongs where git looks without gitmem
    setting = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": ""}
    assert pre_commit(code, "install", **setting)[0] == 0
    both_run(code, team, "pre-commit ran")
    gitmem(code, "hooks", "remove", "--yes")
    only_theirs_run(code, "pre-commit ran")


@pytest.mark.slow
def test_a_hook_of_ones_own_runs_beside_pre_commit_that_took_it_over(code: Path, team: Team):
    script(code / ".git/hooks/pre-commit", "echo my own ran >&2")
    write(code / ".pre-commit-config.yaml", PRE_COMMIT)
    git(code, "add", "-A")
    git(code, "commit", "-qm", "pre-commit")
    assert pre_commit(code, "install")[0] == 0
    before = hooks_of(code)
    assert os.access(code / ".git/hooks/pre-commit.legacy", os.X_OK)
    install(code, team)
    done, said = commit(code, "a")
    assert (done, "my own ran" in said, "pre-commit ran" in said) == (0, True, True)
    gitmem(code, "hooks", "remove", "--yes")
    assert hooks_of(code) == before
