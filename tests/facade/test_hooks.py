"""Hooks in a repository of code: put beside those that are there, and taken away to the byte."""

import json
from pathlib import Path

import pytest

from tests.conftest import Team, git
from tests.facade.cloning import commit, gitmem, hooks_of, repository, run, script, write

NAMES = ("repo", "project", "agent")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return repository(tmp_path / "my code [1]")


def install(code: Path, team: Team, *more: str) -> str:
    return gitmem(code, "hooks", "install", "--yes", "--repo", str(team.memory.path), "--project", "web", "--agent", "ann", *more)


def test_what_would_be_changed_is_shown_and_nothing_happens_without_a_yes(code: Path, team: Team):
    before = hooks_of(code)
    where = ("--repo", str(team.memory.path), "--project", "web")
    shown = gitmem(code, "hooks", "install", *where, "--dry-run")
    assert f"change {code}/.git/config" in shown
    assert '+[includeIf "gitdir:' in shown
    assert shown.count("+#!/bin/sh") == 1  # all hooks have the same text
    assert "Nothing was changed: nobody was there to agree." in gitmem(code, "hooks", "install", *where, code=1)
    assert hooks_of(code) == before


def test_installing_twice_changes_nothing_and_keeps_what_was_set(code: Path, team: Team):
    install(code, team)
    once = hooks_of(code)
    assert gitmem(code, "hooks", "install", "--yes") == "they are in already; nothing was changed\n"
    assert hooks_of(code) == once


def test_the_status_tells_what_is_in_force_and_what_runs_after_it(code: Path, team: Team):
    script(code / ".git/hooks/commit-msg", "exit 0")
    assert "not installed" in gitmem(code, "hooks", "status", code=1)
    install(code, team)
    told = json.loads(gitmem(code, "hooks", "status", "--json"))
    assert told["installed"]
    assert told["hooks"] == ["pre-commit", "prepare-commit-msg", "post-commit"]
    assert told["settings"] == {"repo": str(team.memory.path), "project": "web", "agent": "ann"}
    assert told["chained"] == {"commit-msg": f"{code}/.git/hooks/commit-msg (another program)"}


def test_a_name_that_nobody_can_have_and_a_project_that_is_not_there_are_refused(code: Path, team: Team, tmp_path: Path):
    before, where = hooks_of(code), ("hooks", "install", "--yes", "--repo", str(team.memory.path))
    assert "'A B' cannot be the name of an agent" in gitmem(code, *where, "--project", "web", "--agent", "A B", code=1)
    told = gitmem(code, *where, "--project", "wep", code=1)
    assert told == (
        "There is no project 'wep' in this memory.\n"
        "fix: Did you mean web? list_projects shows them all; project(action='create', name=...) makes a new one.\n"
    )
    assert hooks_of(code) == before
    gitmem(code, "hooks", "install", "--yes", "--repo", str(tmp_path / "away.git"), "--project", "wep")  # mounted later, perhaps


def test_the_only_project_of_a_memory_need_not_be_named(code: Path, team: Team):
    gitmem(code, "hooks", "install", "--yes", "--repo", str(team.memory.path))
    assert json.loads(gitmem(code, "hooks", "status", "--json"))["settings"]["project"] == "web"
    team.call("project", action="create", name="api", description="The other.")
    other = repository(code.parent / "other")
    said = gitmem(other, "hooks", "install", "--yes", "--repo", str(team.memory.path), code=1)
    assert "fix: Say it with --project: api, web." in said


def test_removing_what_is_not_there_says_so(code: Path):
    assert gitmem(code, "hooks", "remove", "--yes") == "there are none of gitmem's; nothing was changed\n"


@pytest.mark.parametrize("config", ["", "[core]\n\tbare = false", "# mine\r\n[Core]\r\n  hooksPath=my hooks ; yes\r\n\r\n\r\n"])
def test_every_byte_is_as_before_after_remove(code: Path, team: Team, config: str):
    file = code / ".git/config"
    file.write_bytes(file.read_bytes() + config.encode())
    file.chmod(0o600)
    script(code / ".git/hooks/pre-commit", "exit 0").chmod(0o700)
    (code / ".git/hooks/commit-msg").symlink_to("pre-commit")
    before = hooks_of(code)
    install(code, team)
    assert hooks_of(code) != before
    assert git(code, "config", "core.hooksPath").strip() == f"{code}/.git/gitmem/hooks"
    gitmem(code, "hooks", "remove", "--yes")
    assert hooks_of(code) == before


def test_what_others_put_into_the_configuration_meanwhile_stays(code: Path, team: Team):
    install(code, team)
    git(code, "remote", "add", "origin", "https://example.com/code.git")
    git(code, "config", "gitmem.session", "web_ann_00000000")
    gitmem(code, "hooks", "remove", "--yes")
    assert git(code, "config", "remote.origin.url") == "https://example.com/code.git\n"
    assert git(code, "config", "--get-regexp", "^(gitmem|core.hookspath|includeif)") == "gitmem.session web_ann_00000000\n"


# --- hooks that are there --------------------------------------------------------------------------


ECHO = 'echo "{}: $# $*" >> "{}"; cat >> "{}"'


def test_hooks_that_were_there_run_with_their_arguments_and_input(code: Path, team: Team, tmp_path: Path):
    log, hub = tmp_path / "log", tmp_path / "hub.git"
    git(tmp_path, "init", "-q", "--bare", str(hub))
    git(code, "remote", "add", "origin", str(hub))
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-push", "post-checkout"):
        script(code / ".git/hooks" / name, ECHO.format(name, log, log))

    def round_trip(path: str) -> str:
        log.unlink(missing_ok=True)
        assert commit(code, path)[0] == 0
        git(code, "push", "-q", "origin", "HEAD:main")
        git(code, "checkout", "-q", "HEAD")
        return log.read_text().replace(git(code, "rev-parse", "HEAD").strip(), "NEW").replace(
            git(code, "rev-parse", "HEAD^").strip(), "OLD"
        )

    git(code, "push", "-q", "origin", "HEAD:main")
    alone = round_trip("a")
    install(code, team)
    assert round_trip("b") == alone
    assert "pre-push: 2 origin" in alone
    assert "HEAD NEW refs/heads/main OLD\n" in alone


@pytest.mark.parametrize("name", ["pre-commit", "prepare-commit-msg", "commit-msg"])
def test_a_hook_that_was_there_still_refuses(code: Path, team: Team, name: str):
    script(code / ".git/hooks" / name, "echo no such luck >&2; exit 3")
    install(code, team)
    done, said = commit(code, "a")
    assert done != 0
    assert "no such luck" in said


def test_a_hook_that_comes_later_runs_as_well(code: Path, team: Team):
    install(code, team)
    script(code / ".git/hooks/pre-rebase", "echo later >&2; exit 1")
    git(code, "checkout", "-qb", "side")
    assert "later" in git(code, "rebase", "-f", "main", check=False)


def test_a_tracked_folder_of_hooks_is_not_touched_and_setting_it_again_switches_nothing_off(code: Path, team: Team):
    script(code / "ci hooks/pre-commit", "echo theirs >&2")
    git(code, "config", "core.hooksPath", "ci hooks")
    before = hooks_of(code)
    install(code, team)
    git(code, "config", "core.hooksPath", "ci hooks")  # as husky does at every npm install
    team.call("lock_files", agent="bob", files=["a"], reason="mine")
    assert "bob holds a" in commit(code, "a")[1]
    git(code, "reset", "-q")
    assert commit(code, "b") == (0, "theirs\n")
    gitmem(code, "hooks", "remove", "--yes")
    assert hooks_of(code) == before
    assert git(code, "status", "--porcelain", "--", "ci hooks") == "?? ci hooks/\n".replace("ci hooks/", '"ci hooks/"')


def test_a_folder_of_hooks_for_all_repositories_is_chained(code: Path, team: Team, tmp_path: Path):
    script(tmp_path / "everywhere/pre-commit", "echo global >&2")
    git(code, "config", "--global", "core.hooksPath", str(tmp_path / "everywhere"))
    install(code, team)
    assert commit(code, "a") == (0, "global\n")


def test_hooks_of_a_worktree_alone_beat_ours_and_that_is_said(code: Path, team: Team):
    git(code, "config", "extensions.worktreeConfig", "true")
    git(code, "config", "--worktree", "core.hooksPath", "elsewhere")
    before = hooks_of(code)
    said = gitmem(code, "hooks", "install", "--yes", "--repo", str(team.memory.path), "--project", "web", code=1)
    assert "core.hooksPath is elsewhere all the same, from .git/config.worktree. Nothing was changed." in said
    assert hooks_of(code) == before


def test_a_program_that_put_its_hook_into_our_folder_runs_after_ours_from_then_on(code: Path, team: Team):
    install(code, team)
    ours = code / ".git/gitmem/hooks/pre-commit"
    ours.unlink()
    script(ours, "echo intruder >&2")
    assert "pre-commit is another program's" in gitmem(code, "hooks", "status", code=1)
    install(code, team)
    assert commit(code, "a") == (0, "intruder\n")
    assert (code / ".git/hooks/pre-commit").exists()
    script(ours, "echo second >&2")
    assert "Nothing was changed" in gitmem(code, "hooks", "install", "--yes", code=1)
    said = gitmem(code, "hooks", "remove", "--yes")
    assert f"note: {ours} was put there by another program and is left" in said
    assert ours.read_text().endswith("echo second >&2\n")
    assert commit(code, "b") == (0, "intruder\n")


# --- other places -----------------------------------------------------------------------------------


def test_hooks_run_in_every_worktree_and_in_folders_below(code: Path, team: Team, tmp_path: Path):
    git(code, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    (tmp_path / "tree/below").mkdir()
    install(tmp_path / "tree/below", team)
    team.call("lock_files", agent="bob", files=["below/a"], reason="mine")
    for place in (code, tmp_path / "tree"):
        assert "bob holds below/a" in commit(place, "below/a")[1]
    assert json.loads(gitmem(code, "hooks", "status", "--json"))["installed"]


def test_hooks_run_in_a_submodule(code: Path, team: Team, tmp_path: Path):
    inner = repository(tmp_path / "inner")
    git(code, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "lib")
    config = (code / ".git/config").read_bytes()
    install(code / "lib", team)
    team.call("lock_files", agent="bob", files=["a"], reason="mine")
    assert "bob holds a" in commit(code / "lib", "a")[1]
    assert (code / ".git/config").read_bytes() == config


def test_a_repository_that_was_moved_runs_its_former_hooks_until_ours_are_installed_again(code: Path, team: Team, tmp_path: Path):
    script(code / ".git/hooks/pre-commit", "echo theirs >&2")
    before = hooks_of(code)
    install(code, team)
    moved = tmp_path / "moved"
    code.rename(moved)
    assert commit(moved, "a") == (0, "theirs\n")
    assert "git looks for hooks in" in gitmem(moved, "hooks", "status", code=1)
    gitmem(moved, "hooks", "install", "--yes")
    team.call("lock_files", agent="bob", files=["b"], reason="mine")
    assert "bob holds b" in commit(moved, "b")[1]
    gitmem(moved, "hooks", "remove", "--yes")
    assert [each[1] for each in hooks_of(moved).values()] == [each[1] for each in before.values()]


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    assert "there is no git repository" in gitmem(tmp_path, "hooks", "install", "--yes", code=1)
    assert "it is bare and holds no memory" in gitmem(tmp_path, "hooks", "status", "empty.git", code=1)


def test_a_configuration_that_another_git_is_writing_is_not_touched(code: Path, team: Team):
    lock = write(code / ".git/config.lock", "")
    said = gitmem(code, "hooks", "install", "--yes", "--repo", str(team.memory.path), "--project", "web", code=1)
    assert "another git is writing this configuration" in said
    lock.unlink()
    install(code, team)


def test_hooks_run_without_gitmem_when_its_python_is_gone(code: Path, team: Team):
    script(code / ".git/hooks/pre-commit", "echo theirs >&2")
    install(code, team)
    for file in (code / ".git/gitmem/hooks").iterdir():
        file.write_text(file.read_text().replace("bin/python", "bin/gone"))
    done, said = commit(code, "a")
    assert done == 0
    assert "gitmem: its Python is gone, so nothing was checked" in said
    assert "theirs" in said


def test_the_hooks_start_nothing_slow(code: Path, team: Team):
    script_ = (
        "import sys, gitmem.facade.codehooks, gitmem.facade.memoryclone, gitmem.domains.committing\n"
        "print([name for name in ('mcp', 'pydantic', 'tantivy', 'click', 'rich', 'jsonschema', 'git') if name in sys.modules])"
    )
    import sys

    assert run(code, sys.executable, "-c", script_).stdout == "[]\n"
    light = "import sys, gitmem.facade.clonehooks\nprint([name for name in ('dulwich', 'yaml') if name in sys.modules])"
    assert run(code, sys.executable, "-c", light).stdout == "[]\n"


# --- a memory's bare repository ---------------------------------------------------------------------


def test_a_hook_that_a_memory_had_runs_after_the_gate_and_comes_back(team: Team, tmp_path: Path):
    memory = team.memory.path
    (memory / "hooks/pre-receive").unlink()
    script(memory / "hooks/pre-receive", f'cat > "{tmp_path}/seen"')
    text = (memory / "hooks/pre-receive").read_bytes()
    (memory / "hooks/pre-receive").chmod(0o711)
    assert "pre-receive is another program's" in gitmem(memory, "hooks", "status", code=1)
    gitmem(memory, "hooks", "install", "--yes")
    git(tmp_path, "clone", "-q", str(memory), "clone")
    write(tmp_path / "clone/README.md", "# Ours\n")
    git(tmp_path / "clone", "commit", "-qam", "ours")
    git(tmp_path / "clone", "push", "-q")
    assert (tmp_path / "seen").read_text().endswith(" refs/heads/main\n")
    write(tmp_path / "clone/bad.md", "no place\n")
    git(tmp_path / "clone", "add", "-A")
    git(tmp_path / "clone", "commit", "-qm", "bad")
    assert "is no place for a file" in git(tmp_path / "clone", "push", check=False)
    gitmem(memory, "hooks", "remove", "--yes")
    assert (memory / "hooks/pre-receive").read_bytes() == text
    assert (memory / "hooks/pre-receive").stat().st_mode & 0o777 == 0o711
    assert sorted(file.name for file in (memory / "hooks").iterdir()) == ["pre-receive"]
