"""The guard of refs: no git program takes anything out of the memory's history, and all that is meant passes."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Team, git
from tests.facade.cloning import gitmem, run, write

GONE = "gitmem: {} cannot be deleted: it is the team's memory. Nothing was changed."
LOCKS = "refs/gitmem/locks/web"


@pytest.fixture
def memory(team: Team) -> Path:
    team.call("record_learning", topic="One", content="Text.")
    team.call("lock_files", files=["a"], reason="mine")
    team.call("unlock_files", files=["a"])
    return team.memory.path


def refused(memory: Path, *arguments: str) -> str:
    """Run git; it must fail and leave every ref as it was. What it said."""
    before = git(memory, "for-each-ref")
    done = run(memory, "git", *arguments)
    assert done.returncode != 0
    assert git(memory, "for-each-ref") == before
    return done.stderr


@pytest.mark.parametrize("packed", [(), ("--all",), ("--all", "--no-prune")], ids=["loose", "packed", "both"])
@pytest.mark.parametrize("command", [
    "update-ref -d refs/heads/main", "update-ref -d refs/heads/main {tip}", "branch -D main", "branch -m main other",
    f"update-ref -d {LOCKS}",
])  # fmt: skip
def test_main_and_chains_cannot_be_deleted(memory: Path, command: str, packed: tuple[str, ...]):
    if packed:
        git(memory, "pack-refs", *packed)
    arguments = command.format(tip=git(memory, "rev-parse", "main").strip()).split()
    ref = next((each for each in arguments if each.startswith("refs/")), "refs/heads/main")
    assert GONE.format(ref) in refused(memory, *arguments)


@pytest.mark.parametrize("command", ["update-ref refs/heads/main main~1", "branch -f main main~1", f"update-ref {LOCKS} {LOCKS}~1"])
def test_main_and_chains_lose_no_history(memory: Path, command: str):
    said = refused(memory, *command.split())
    assert "would lose history" in said
    assert "fix: merge or rebase onto it; to undo, commit the opposite." in said


def test_a_fetch_with_force_from_elsewhere_is_refused(memory: Path, tmp_path: Path):
    git(tmp_path, "clone", "-q", str(memory), "clone")
    git(tmp_path / "clone", "reset", "-q", "--hard", "HEAD^")
    assert "would lose history" in refused(memory, "fetch", "-q", str(tmp_path / "clone"), "+main:main")


def test_a_push_by_path_that_no_other_rule_stops_is_refused(memory: Path, tmp_path: Path):
    git(tmp_path, "clone", "-q", str(memory), "clone")
    git(tmp_path / "clone", "reset", "-q", "--hard", "HEAD^")
    git(memory, "config", "receive.denyNonFastForwards", "false")
    (memory / "hooks/pre-receive").unlink()
    git(tmp_path / "clone", "push", "-q", "--force", check=False)
    assert git(memory, "rev-parse", "main") != git(tmp_path / "clone", "rev-parse", "HEAD")


def test_all_that_is_meant_passes(memory: Path, team: Team, tmp_path: Path):
    tip = git(memory, "rev-parse", "main").strip()
    git(memory, "update-ref", "refs/heads/proposals/p-3fa2b81c", tip)
    git(memory, "update-ref", "refs/heads/proposals/p-3fa2b81c", f"{tip}~1")
    git(memory, "update-ref", "-d", "refs/heads/proposals/p-3fa2b81c")
    git(memory, "update-ref", "refs/gitmem/archive/locks/web/0123456789", tip)
    git(memory, "pack-refs", "--all")
    git(memory, "update-ref", "-d", "refs/gitmem/archive/locks/web/0123456789")
    git(memory, "update-ref", "refs/gitmem/sessions/other", tip)
    git(memory, "update-ref", "refs/heads/main", git(memory, "commit-tree", "-m", "next", "-p", tip, f"{tip}^{{tree}}").strip())
    git(tmp_path, "clone", "-q", str(memory), "clone")
    write(tmp_path / "clone/README.md", "# Ours\n")
    git(tmp_path / "clone", "commit", "-qam", "ours")
    git(tmp_path / "clone", "push", "-q")
    git(memory, "gc", "-q")
    git(memory, "gc", "-q", "--prune=now")
    team.call("record_learning", topic="Two", content="Text.")
    team.memory.upkeep.run(thorough=True)
    assert git(memory, "log", "-1", "--format=%s", "main").startswith("learning: Two")
    assert git(memory, "fsck", "--strict", "--no-dangling") == ""


def test_packing_passes_while_the_team_writes(memory: Path, team: Team):
    packing = subprocess.Popen(
        ["sh", "-c", "for i in 1 2 3 4 5 6; do git pack-refs --all; done"], cwd=memory, stderr=subprocess.PIPE, text=True
    )
    for number in range(20):
        team.call("record_learning", topic=f"Number {number}", content="Text.")
    assert packing.communicate()[1].count("cannot be deleted") == 0
    assert git(memory, "rev-list", "--count", "main") == git(memory, "rev-list", "--count", "refs/heads/main")
    assert len(git(memory, "log", "--format=%s", "--grep=Number", "main").splitlines()) == 20


def test_a_hook_that_was_there_sees_every_change(memory: Path, tmp_path: Path):
    former = write(memory / "hooks/reference-transaction.former", f'#!/bin/sh\necho "$1" >> {tmp_path}/seen\ncat >> {tmp_path}/seen\n', 0o755)
    git(memory, "update-ref", "refs/heads/side", "main")
    seen = (tmp_path / "seen").read_text().splitlines()
    assert [line.split()[-1] for line in seen] == ["prepared", "refs/heads/side", "committed", "refs/heads/side"]
    assert GONE.format("refs/heads/main") in refused(memory, "branch", "-D", "main")
    write(former, "#!/bin/sh\nexit 1\n", 0o755)
    assert "aborted by hook" in refused(memory, "update-ref", "refs/heads/third", "main")


def test_a_users_folder_of_hooks_for_all_repositories_does_not_replace_the_gate(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    everywhere = tmp_path / "everywhere"
    everywhere.mkdir()
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")  # where a user's settings are as a rule
    git(tmp_path, "config", "--global", "core.hooksPath", str(everywhere))
    gitmem(tmp_path, "init", "new.git")
    for memory, installed in ((tmp_path / "new.git", True), (team.memory.path, False)):
        gitmem(memory, "hooks", "status", code=0 if installed else 1)
        gitmem(memory, "hooks", "install", "--yes")
        gitmem(memory, "hooks", "status")
        assert "cannot be deleted" in refused(memory, "update-ref", "-d", "refs/heads/main")
    gitmem(team.memory.path, "hooks", "remove", "--yes")
    assert git(team.memory.path, "config", "core.hooksPath").strip() == str(everywhere)
    assert gitmem(tmp_path, "init", "new.git").startswith(str(tmp_path / "new.git"))
