"""`gitmem check`, the hooks in a clone of a memory, and the files for a forge."""

import getpass
import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from gitmem import assets
from gitmem.domains.knowledge.record import Knowledge
from gitmem.facade.cli_check import _data, _property
from gitmem.memory.gate import FREE_FILES
from gitmem.records.codec import encode
from tests.conftest import Team, git
from tests.facade.cloning import gitmem, hooks_of, run, write

HOME = "projects/web/knowledge/learning/"
BAD = f"{HOME}ab/bad-ab000001.md"
BAD_TEXT = "---\ntitle: Bad\nstatus: gone\ncolour: red\n---\n<<<<<<< mine\n"
CONFLICT = f"{BAD}:6: has a conflict marker: '<<<<<<< mine'; if it is meant, put it into a ``` block"


def good(number: int = 1) -> Knowledge:
    return Knowledge(scope="projects/web", id=f"by-hand-ab{number:06x}", title=f"By hand {number}", content="Text.")


@pytest.fixture
def clone(tmp_path: Path, team: Team) -> Path:
    git(tmp_path, "clone", "-q", str(team.memory.path), "my clone")
    return tmp_path / "my clone"


def put(clone: Path, path: str, text: str, *, message: str = "by hand") -> None:
    write(clone / path, text)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", message, "--no-verify")


def put_good(clone: Path, number: int = 1) -> None:
    put(clone, good(number).path, encode(good(number)).decode())


def count(clone: Path) -> int:
    return len(git(clone, "ls-files").splitlines())


# --- gitmem check -----------------------------------------------------------------------------------


def test_a_clone_and_a_memory_without_problems(clone: Path, team: Team):
    assert gitmem(clone, "check") == f"{count(clone)} files, no problem\n"
    assert gitmem(clone, "check", str(team.memory.path)) == f"{count(clone)} files, no problem\n"


def test_what_was_named_and_removed_since_is_no_problem_of_the_whole(team: Team):
    old = team.call("record_learning", topic="Old", content="x")["id"]
    new = team.call("store", title="New", content="y", supersedes=old)["id"]
    needed, waits = (team.call("add_backlog_item", title=title)["id"] for title in ("Needed", "Waits"))
    team.call("update_backlog_item", id=waits, blocked_by=[needed])
    for item in (needed, waits):
        team.call("complete_backlog_item", id=item)
    for gone in (new, needed):
        team.call("delete", id=gone, reason="not needed any more")
    assert gitmem(team.memory.path, "check").endswith(" files, no problem\n")


def test_files_are_checked_as_they_stand_in_the_clone_and_nothing_is_left_in_it(clone: Path):
    write(clone / BAD, BAD_TEXT)
    write(clone / "notes.txt", "mine\n")
    before = git(clone, "count-objects", "-v"), git(clone, "status", "--porcelain"), (clone / ".git/index").read_bytes()
    said = gitmem(clone, "check", code=1)
    assert (git(clone, "count-objects", "-v"), git(clone, "status", "--porcelain"), (clone / ".git/index").read_bytes()) == before
    lines = said.splitlines()
    assert CONFLICT in lines
    assert any(line.startswith("notes.txt: is no place for a file") for line in lines)
    assert any(line.startswith(f"{BAD}:3: status is 'gone'") for line in lines)
    assert lines[-2:] == [f"{len(lines) - 2} problems in {count(clone) + 2} files", "fix: mend the files and check them again"]


def test_only_what_the_branch_changes_is_checked(clone: Path, team: Team):
    put(clone, BAD, BAD_TEXT)
    git(clone, "update-ref", "refs/remotes/origin/main", "HEAD")  # what is bad already is not this branch's doing
    put_good(clone)
    assert gitmem(clone, "check", "--base", "origin/main") == "1 file, no problem\n"
    assert "has a conflict marker" in gitmem(clone, "check", code=1)


def test_what_was_done_on_main_meanwhile_is_not_what_the_branch_changes(clone: Path, team: Team):
    put_good(clone)
    team.call("record_learning", topic="Elsewhere", content="Text.")
    git(clone, "fetch", "-q")
    assert gitmem(clone, "check", "--base", "origin/main") == "1 file, no problem\n"


def test_a_problem_is_told_as_json(clone: Path):
    write(clone / BAD, BAD_TEXT)
    told = json.loads(gitmem(clone, "check", "--json", code=1))
    assert (told["ok"], told["files"]) == (False, count(clone) + 1)
    assert {"path": BAD, "line": 6, "field": "", "message": CONFLICT.partition(":6: ")[2]} in told["problems"]


def test_annotations_are_printed_where_github_runs_it(clone: Path):
    write(clone / "a,b:c%0A.md", "x\n")
    write(clone / BAD, BAD_TEXT)
    said = gitmem(clone, "check", code=1, GITHUB_ACTIONS="true")
    assert f"::error file={BAD},line=6,title=gitmem::has a conflict marker" in said
    [odd] = [line for line in said.splitlines() if "a%2Cb%3Ac%250A.md" in line and "no place" in line]
    assert odd.startswith("::error file=a%2Cb%3Ac%250A.md,title=gitmem::is no place for a file")
    assert said == gitmem(clone, "check", "--format", "github", code=1)
    assert "::error" not in gitmem(clone, "check", "--format", "text", code=1, GITHUB_ACTIONS="true")


def test_what_an_annotation_holds_cannot_begin_another_command():
    assert _data("100%\r\n::set-env") == "100%25%0D%0A::set-env"
    assert _property("a:b,c\n%") == "a%3Ab%2Cc%0A%25"


def test_the_report_for_gitlab(clone: Path):
    write(clone / BAD, BAD_TEXT)
    said = run(clone, sys.executable, "-m", "gitmem.facade.cli", "check", "--format", "gitlab").stdout
    found = [each for each in json.loads(said) if each["location"]["lines"]["begin"] == 6]
    assert [(each["location"]["path"], each["severity"], len(each["fingerprint"])) for each in found] == [(BAD, "major", 64)]


def test_the_clone_of_a_forge_is_checked_detached_and_says_what_a_shallow_one_lacks(clone: Path, tmp_path: Path, team: Team):
    git(clone, "checkout", "-qb", "branch")
    put_good(clone)
    write(clone / "README.md", "# Ours\n")
    git(clone, "commit", "-qam", "readme")
    whole, shallow = tmp_path / "whole", tmp_path / "shallow"
    git(tmp_path, "clone", "-q", str(clone), str(whole))
    git(whole, "fetch", "-q", str(team.memory.path), "+refs/heads/*:refs/remotes/origin/*")
    git(whole, "checkout", "-q", "--detach", "origin/branch")
    assert gitmem(whole, "check", "--base", "origin/main") == "2 files, no problem\n"
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=branch", clone.as_uri(), str(shallow))
    said = gitmem(shallow, "check", "--base", "origin/main", code=1)
    assert said == (
        "There is no revision origin/main here.\n"
        "fix: This clone is shallow: fetch all of its history (fetch-depth: 0 for actions/checkout).\n"
    )
    git(shallow, "fetch", "-q", "--depth=1", str(team.memory.path), "main:refs/remotes/origin/main")
    assert "Nothing connects origin/main" in gitmem(shallow, "check", "--base", "origin/main", code=1)
    assert gitmem(shallow, "check") == f"{count(shallow)} files, no problem\n"


def test_a_repository_that_is_no_memory_or_none_at_all_is_refused(tmp_path: Path):
    git(tmp_path, "init", "-q", "code")
    assert "holds no memory" in gitmem(tmp_path, "check", "code", code=1)
    assert "there is no git repository" in gitmem(tmp_path, "check", code=1)


def test_who_may_do_it_is_asked_only_for_a_name(clone: Path):
    put_good(clone)
    assert gitmem(clone, "check", "--base", "origin/main", "--as", "ann") == "1 file, no problem\n"
    assert "cannot be the name" in gitmem(clone, "check", "--as", "no name", code=1)


# --- hooks in a clone of a memory -------------------------------------------------------------------


def test_a_commit_of_bad_files_is_refused_in_the_words_of_a_push(clone: Path):
    before = hooks_of(clone)
    assert "a clone of a memory" in gitmem(clone, "hooks", "status", code=1)
    gitmem(clone, "hooks", "install", "--yes")
    write(clone / BAD, BAD_TEXT)
    git(clone, "add", "-A")
    write(clone / "unstaged.md", "x\n")
    done = run(clone, "git", "commit", "-qm", "bad")
    committed = done.stderr
    assert done.returncode == 1
    assert f"  {CONFLICT}\n" in committed
    assert "unstaged" not in committed
    git(clone, "commit", "-qm", "bad", "--no-verify")
    early = run(clone, "git", "push", "-q").stderr
    late = [line.removeprefix("remote: ").rstrip() for line in run(clone, "git", "push", "--no-verify").stderr.splitlines()
            if line.startswith("remote: ")]
    assert early.splitlines()[: len(late)] == [line for line in late if line]
    ours = committed.replace("the commit has", "the push has").replace("stage them again, and commit.", "commit (or amend), and push again.")
    assert ours.splitlines() == [line for line in late if line]
    gitmem(clone, "hooks", "remove", "--yes")
    assert hooks_of(clone) == before


def test_good_commits_and_pushes_pass_also_of_part_of_the_files(clone: Path, team: Team):
    gitmem(clone, "hooks", "install", "--yes")
    write(clone / BAD, BAD_TEXT)
    write(clone / good().path, encode(good()).decode())
    git(clone, "add", good().path)
    assert run(clone, "git", "commit", "-qm", "good", "--", good().path).stderr == ""
    assert run(clone, "git", "push", "-q").stderr == ""
    assert team.call("get_by_id", id=good().id)["title"] == "By hand 1"
    assert "cannot be deleted" in run(clone, "git", "push", "-q", "origin", ":main").stderr
    assert run(clone, "git", "push", "-q", "origin", "HEAD:refs/heads/feature").returncode == 0


def test_what_one_commit_names_and_the_next_removes_passes_as_it_does_in_the_memory(clone: Path):
    gitmem(clone, "hooks", "install", "--yes")
    put_good(clone, 1)
    put_good(clone, 2)
    assert run(clone, "git", "push", "-q").stderr == ""
    write(clone / good(1).path, encode(replace(good(1), status="superseded", superseded_by=good(2).id)).decode())
    (clone / good(2).path).unlink()
    assert "which is no record's id" in gitmem(clone, "check", "--base", "origin/main", code=1)
    git(clone, "checkout", "-q", ".")
    put(clone, good(1).path, encode(replace(good(1), status="superseded", superseded_by=good(2).id)).decode())
    git(clone, "rm", "-q", good(2).path)
    assert "which is no record's id" in gitmem(clone, "check", "--base", "origin/main", code=1)
    git(clone, "commit", "-qm", "not needed", "--no-verify")
    assert gitmem(clone, "check", "--base", "origin/main").endswith("2 files, no problem\n")
    assert run(clone, "git", "push", "-q").stderr == ""


def test_the_hooks_run_in_a_worktree_of_the_clone(clone: Path, tmp_path: Path):
    gitmem(clone, "hooks", "install", "--yes")
    git(clone, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    write(tmp_path / "tree" / BAD, BAD_TEXT)
    git(tmp_path / "tree", "add", "-A")
    assert "the commit has" in run(tmp_path / "tree", "git", "commit", "-qm", "bad").stderr


# --- forges -----------------------------------------------------------------------------------------


def test_the_files_for_a_forge_land_in_the_memory_once(team: Team):
    where = ("--repo", str(team.memory.path), "--agent", "ann")
    said = gitmem(team.memory.path, "forge", "github", *where)
    assert said == "written: .github/pull_request_template.md\nwritten: .github/workflows/gitmem-check.yml\n"
    head = team.memory.head()
    assert "there already: .github/workflows/gitmem-check.yml" in gitmem(team.memory.path, "forge", "github", *where)
    assert team.memory.head() == head
    assert gitmem(team.memory.path, "check").endswith("no problem\n")


def test_a_team_keeps_its_own_version_of_a_file_unless_it_is_overwritten(clone: Path, team: Team):
    put(clone, ".github/pull_request_template.md", "Ours.\n")
    team.call("project", action="add_human", name="web", member=getpass.getuser(), tier="admin")
    git(clone, "pull", "-q", "--rebase")
    git(clone, "push", "-q")
    where = ("--repo", str(team.memory.path), "--json")
    assert json.loads(gitmem(clone, "forge", "github", *where))["kept"] == [".github/pull_request_template.md"]
    added = json.loads(gitmem(clone, "forge", "github", "--overwrite", *where))
    assert (added["written"], added["kept"]) == ([".github/pull_request_template.md"], [".github/workflows/gitmem-check.yml"])


def test_no_other_file_of_a_forge_comes_in(clone: Path):
    put(clone, ".github/workflows/mine.yml", "on: push\n")
    assert ".github/workflows/mine.yml: is no place for a file" in git(clone, "push", "-q", check=False)
    assert {path for path in FREE_FILES if "/" in path} == {
        ".github/workflows/gitmem-check.yml", ".github/pull_request_template.md",
    }


def workflow() -> dict[str, object]:
    text = (assets.folder("templates") / "forge/github/gitmem-check.yml").read_text()
    return yaml.load(text, yaml.BaseLoader)  # as GitHub reads it: `on` is a word


def test_the_workflow_fetches_what_the_check_needs_and_may_only_read():
    made = workflow()
    assert made["on"] == {"pull_request": {"branches": ["main"]}}
    assert made["permissions"] == {"contents": "read"}
    steps = made["jobs"]["check"]["steps"]  # type: ignore[index]
    assert steps[0]["with"] == {"fetch-depth": "0", "persist-credentials": "false"}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert not any("${{" in step.get("run", "") for step in steps)


def test_the_very_commands_of_the_workflow_check_a_pull_request(clone: Path, tmp_path: Path, team: Team):
    install, *commands = [step["run"] for step in workflow()["jobs"]["check"]["steps"] if "run" in step]  # type: ignore[index]
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert install.split()[-1] == re.search(r'^name = "(.*?)"', project, re.MULTILINE)[1]  # type: ignore[index]
    write(tmp_path / "bin/gitmem", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gitmem.facade.cli "$@"\n', 0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    git(clone, "checkout", "-qb", "change")
    put_good(clone)
    git(clone, "checkout", "-q", "--detach", "origin/main")  # as a forge merges a pull request to try it
    git(clone, "merge", "-q", "--no-ff", "--no-edit", "change")
    for command in commands:
        assert run(clone, "bash", "-e", "-c", command, PATH=path, GITHUB_ACTIONS="true").returncode == 0
    put(clone, BAD, BAD_TEXT)
    done = run(clone, "bash", "-e", "-c", commands[-1], PATH=path, GITHUB_ACTIONS="true")
    assert done.returncode == 1
    assert f"::error file={BAD},line=6,title=gitmem::" in done.stdout
