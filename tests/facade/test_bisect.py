"""Finding the commit with which something went wrong, by a script that is run at one commit after the other."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gitmem.facade.cli import commands
from tests.conftest import Team, git


def bisect(team: Team, *arguments: object) -> Result:
    before = git(team.memory.path, "for-each-ref")
    files = sorted(each for each in team.memory.path.rglob("*") if "gitmem" not in each.parts)
    result = CliRunner().invoke(commands, ["bisect", "--repo", str(team.memory.path), *map(str, arguments)])
    assert git(team.memory.path, "for-each-ref") == before
    assert sorted(each for each in team.memory.path.rglob("*") if "gitmem" not in each.parts) == files
    return result


def refused(team: Team, *arguments: object) -> str:
    result = bisect(team, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr


@pytest.fixture
def spoilt(team: Team) -> str:
    """A memory in which somebody wrote nonsense in the middle; the commit that did."""
    for number in range(4):
        team.call("record_learning", topic=f"Fine {number}", content="All is well.")
    commit: str = team.call("record_learning", topic="Odd", content="NONSENSE", agent="eve", session="web_eve_12345678")["commit"]
    for number in range(6):
        team.call("record_learning", topic=f"Later {number}", content="All is well.")
    return commit


def test_the_first_bad_commit_is_found_and_told_with_who_made_it(team: Team, spoilt: str) -> None:
    result = bisect(team, "--run", "! grep -rq NONSENSE projects")
    assert result.exit_code == 0
    assert result.stdout == f"{spoilt[:8]}  less than a minute  eve  record_learning  web_eve_12345678  learning: Odd\n"
    assert f"gitmem revert --commit {spoilt[:8]} --dry-run" in result.stderr


def test_a_script_may_ask_the_memory_as_it_was(team: Team, spoilt: str, tmp_path: Path) -> None:
    script = tmp_path / "it's a check"
    command = f"{sys.executable} -m gitmem.facade.cli --project web query --query nonsense --json"
    script.write_text(f"#!/bin/sh\n! {command} | grep -q '\"title\": \"Odd\"'\n")
    script.chmod(0o755)
    result = bisect(team, "--run", script, "--json")
    assert json.loads(result.stdout)["commit"] == spoilt


def test_what_a_script_writes_into_its_memory_is_thrown_away(team: Team, spoilt: str) -> None:
    write = f"{sys.executable} -m gitmem.facade.cli --project web record-learning --topic Test --content 'By a test.'"
    result = bisect(team, "--run", f"{write} >/dev/null 2>&1; ! grep -rq NONSENSE projects")
    assert spoilt[:8] in result.stdout


def test_the_ends_may_be_named_and_commits_skipped(team: Team, spoilt: str) -> None:
    good = git(team.memory.path, "rev-parse", f"{spoilt}~2").strip()
    bad = git(team.memory.path, "rev-parse", "main~3").strip()
    skip = git(team.memory.path, "rev-parse", "main~4").strip()
    script = f'test "$(git rev-parse HEAD)" = {skip} && exit 125; ! grep -rq NONSENSE projects'
    assert spoilt[:8] in bisect(team, "--run", script, "--good", good[:10], "--bad", bad).stdout


def test_if_only_skipped_commits_are_left_they_are_listed(team: Team, spoilt: str) -> None:
    before = git(team.memory.path, "rev-parse", f"{spoilt}~1").strip()
    script = f'case "$(git rev-parse HEAD)" in {spoilt}|{before}) exit 125;; esac; ! grep -rq NONSENSE projects'
    told = refused(team, "--run", script)
    assert "one of those that the script skipped" in told
    assert spoilt[:10] in told


def test_a_script_that_cannot_tell_the_ends_apart_is_refused(team: Team, spoilt: str) -> None:
    assert "says good (0) at" in refused(team, "--run", "true")
    assert "says bad (1) at" in refused(team, "--run", "false")
    assert "says skip (125) at" in refused(team, "--run", "exit 125")


def test_a_script_that_cannot_be_run_or_stops_is_told(team: Team, spoilt: str, tmp_path: Path) -> None:
    assert "could not be run: it ended with 127" in refused(team, "--run", "/no/such/script")
    assert "asked to stop: it ended with 200" in refused(team, "--run", "exit 200")
    (tmp_path / "plain").write_text("true")
    assert "is not executable" in refused(team, "--run", tmp_path / "plain")
    stops = f'git merge-base --is-ancestor {spoilt} HEAD && test "$(git rev-parse HEAD)" != {team.memory.head()} && exit 255;'
    assert "asked to stop" in refused(team, "--run", f"{stops} ! grep -rq NONSENSE projects")


def test_ends_that_are_none_are_refused(team: Team, spoilt: str) -> None:
    assert "does not come before" in refused(team, "--run", "true", "--good", team.memory.head())
    assert "is no commit, date or age" in refused(team, "--run", "true", "--bad", "nonsense")
