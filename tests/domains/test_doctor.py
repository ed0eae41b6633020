"""The health report, on memories that something happened to."""

import os
from pathlib import Path

import pytest

from gitmem.domains.doctor import Finding, Health, examine
from gitmem.git.repository import Repository
from tests.conftest import Team, git


def finding(report: Health, name: str) -> Finding:
    return next(each for each in report.findings if each.name == name)


def test_a_new_memory_is_healthy_and_looking_changes_nothing(team: Team) -> None:
    refs = git(team.memory.path, "for-each-ref")
    report = examine(team.memory.path, records=True)
    assert report.healthy
    assert [each for each in report.findings if each.state != "ok"] == []
    assert git(team.memory.path, "for-each-ref") == refs
    names = [each.name for each in report.findings]
    assert names == [
        "git", "repository", "head", "format", "settings", "hook", "hook", "storage", "space", "index", "sessions", "lock", "record",
    ]  # fmt: skip


def test_a_folder_that_is_no_memory_is_a_problem_that_says_how_to_make_one(tmp_path: Path) -> None:
    report = examine(tmp_path / "nothing.git")
    assert not report.healthy
    assert "gitmem init" in finding(report, "repository").help


def test_a_repository_that_nobody_founded_is_told_of_with_what_founds_it(tmp_path: Path) -> None:
    Repository.init(tmp_path / "bare.git")
    report = examine(tmp_path / "bare.git")
    assert not report.healthy
    assert finding(report, "head").state == "warning"
    assert finding(report, "hook").state == "problem"


@pytest.mark.parametrize(
    ("do", "name", "state", "said"),
    [
        (lambda path: (path / "hooks/pre-receive").unlink(), "hook", "problem", "not installed"),
        (lambda path: (path / "hooks/pre-receive").chmod(0o644), "hook", "problem", "not executable"),
        (lambda path: (path / "hooks/pre-receive").write_text("#!/bin/sh\n"), "hook", "warning", "not gitmem's"),
        (lambda path: git(path, "config", "gc.auto", "100"), "settings", "warning", "gc.auto is 100, not 0"),
        (lambda path: git(path, "config", "--unset", "receive.fsckObjects"), "settings", "warning", "not set"),
    ],
)
def test_what_is_not_as_it_should_be_is_told_with_what_helps(team: Team, do, name: str, state: str, said: str) -> None:
    do(team.memory.path)
    found = finding(examine(team.memory.path), name)
    assert (found.state, said in found.what) == (state, True)
    assert found.help
    assert examine(team.memory.path).healthy == (state != "problem")


def test_a_lock_that_a_dead_process_left_is_a_problem_and_a_fresh_one_is_not(team: Team) -> None:
    lock = team.memory.path / "refs" / "heads" / "main.lock"
    lock.touch()
    assert examine(team.memory.path).healthy
    os.utime(lock, (0, 0))
    found = finding(examine(team.memory.path), "lock")
    assert found.state == "problem"
    assert "refs/heads/main.lock" in found.what


def test_the_index_is_reported_missing_behind_and_damaged(team: Team) -> None:
    team.call("query", query="anything")
    team.index.fold()
    assert "reflects the head" in finding(examine(team.memory.path), "index").what
    team.call("record_learning", topic="Newer", content="than the index")
    assert "the next search follows" in finding(examine(team.memory.path), "index").what
    folder = next(team.memory.repository.private.glob("index-v*/"))
    (folder / "meta.json").write_text("{")
    damaged = finding(examine(team.memory.path), "index")
    assert (damaged.state, damaged.help != "") == ("warning", True)


def test_live_sessions_are_counted(team: Team) -> None:
    team.call("start_session")
    assert finding(examine(team.memory.path), "sessions").what == "1 is live"


def test_a_memory_of_a_newer_format_is_a_problem(team: Team, tmp_path: Path) -> None:
    commit_past_the_gate(team.memory.path, tmp_path, "gitmem.yaml", "format: 99\n")
    report = examine(team.memory.path)
    assert not report.healthy
    assert any("99" in each.what for each in report.findings)


def test_records_that_cannot_be_read_are_listed_if_asked_for(team: Team, tmp_path: Path) -> None:
    bad = "projects/web/knowledge/learning/3f/bad-3fa2b81c.md"
    commit_past_the_gate(team.memory.path, tmp_path, bad, "---\ntitle: [\n---\n")
    assert "record" not in [each.name for each in examine(team.memory.path).findings]
    report = examine(team.memory.path, records=True)
    assert report.healthy
    assert bad in finding(report, "record").what


def commit_past_the_gate(memory: Path, tmp_path: Path, path: str, text: str) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(memory), str(clone))
    file = clone / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "by hand")
    git(memory, "fetch", "-q", str(clone), "main:main")
