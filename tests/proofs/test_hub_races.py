"""Two clones want the same lock, or the same item, at the same moment: the hub gives it to one. Without it, both are told."""

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from gitmem.cloning import clone
from gitmem.founding import FOUNDER
from gitmem.git.repository import run_git
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.sync import Report, sync_with
from tests.conftest import git
from tests.proofs.workers import Worker, agent, make, start

FEW, MANY = 5, 100


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A memory that two clones share, which lets this machine's user push for its agents."""
    path = tmp_path / "hub.git"
    make(path)
    memory = Memory(path)
    settings = f"format: 1\npeople:\n- name: pat\n  os_users: [{getpass.getuser()}]\n  speaks_for: ['*']\n"
    with memory.transaction(memory.view(), FOUNDER, "settings") as change:
        change.put_file("gitmem.yaml", settings.encode())
    memory.close()
    with agent(path) as ann:
        for name in ("one", "two"):
            ann.call("project", action="add_agent", name="web", member=name, tier="member")
    return path


@pytest.fixture
def clones(hub: Path, tmp_path: Path) -> dict[str, Path]:
    """By the agent who works in each."""
    made = {name: tmp_path / f"{name}.git" for name in ("one", "two")}
    for path in made.values():
        clone(str(hub), path).close()
    return made


def sync(path: Path) -> list[Report]:
    memory = Memory(path)
    try:
        return sync_with(memory, hubs.hubs(memory.repository))
    finally:
        memory.close()


def race(clones: dict[str, Path], verb: str, arguments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each was told, both having asked at the same moment in processes of their own."""
    workers = [Worker("racers", path, verb, json.dumps({name: arguments})) for name, path in clones.items()]
    said = [each for worker in start(*workers) for each in worker.finish()]
    return {each["agent"]: each for each in said}


def check_races(hub: Path, clones: dict[str, Path], rounds: int) -> None:
    for number in range(rounds):
        locks = race(clones, "lock_files", {"files": [f"src/{number}.py"], "reason": "to edit it"})
        won = [name for name, told in locks.items() if told["answer"]["success"]]
        assert len(won) == 1, locks
        (lost,) = set(clones) - set(won)
        assert [each["held_by"] for each in locks[lost]["answer"]["conflicts"]] == won
        assert not any("local_only" in each["answer"] for each in locks.values())
        with agent(hub) as ann:
            assert ann.call("get_locks", path_pattern=f"src/{number}.py").value.total == 1
            item = ann.call("add_backlog_item", title=f"Part {number}").value.id
        for path in clones.values():
            sync(path)
        claims = race(clones, "claim_backlog_item", {"id": item})
        won = [name for name, told in claims.items() if "answer" in told]
        assert len(won) == 1, claims
        (lost,) = set(clones) - set(won)
        assert f"is assigned to {won[0]}" in claims[lost]["refusal"]
        with agent(hub) as ann:
            assert ann.call("get_backlog_item", id=item).value.assigned_to == won[0]
    for path in (hub, *clones.values()):
        assert git(path, "fsck", "--strict", "--no-dangling") == ""


def test_of_two_clones_one_gets_the_lock_and_one_the_item_every_time(hub: Path, clones: dict[str, Path]):
    check_races(hub, clones, FEW)


@pytest.mark.slow
def test_of_two_clones_one_gets_the_lock_and_one_the_item_a_hundred_times(hub: Path, clones: dict[str, Path]):
    check_races(hub, clones, MANY)


def test_without_the_hub_both_are_told_and_the_loser_learns_of_it_afterwards(hub: Path, clones: dict[str, Path]):
    with agent(hub) as ann:
        item = ann.call("add_backlog_item", title="Mend the pool").value.id
    for path in clones.values():
        sync(path)
    away = hub.with_name("away.git")
    hub.rename(away)
    locks = race(clones, "lock_files", {"files": ["src/a.py"], "reason": "to edit it"})
    claims = race(clones, "claim_backlog_item", {"id": item})
    for told in (*locks.values(), *claims.values()):
        assert told["answer"]["local_only"].startswith("local only: ")
    assert all(told["answer"]["success"] for told in locks.values())
    away.rename(hub)
    sync(clones["one"])
    reports = sync(clones["two"])
    assert {each.loss.path.partition("/")[0] for each in reports[0].lost if each.loss.side == "ours"} == {"held", "projects"}
    with agent(clones["two"], "two") as two:
        subjects = [each.subject for each in two.call("get_messages").value.messages]
        assert two.call("get_backlog_item", id=item).value.assigned_to == "one"
        held = two.call("get_locks").value
        assert ([each.held_by for each in held.locks], held.your_locks) == (["one"], ())
    assert sorted(subjects) == [f"You lost your claim of {item}", "You lost your lock on src/a.py"]
    sync(clones["two"])
    sync(clones["one"])
    with agent(clones["one"], "one") as one:
        assert one.call("get_messages").value.messages == ()
    refs = [git(path, "for-each-ref", "refs/heads", "refs/gitmem/locks", "refs/gitmem/messages") for path in (hub, *clones.values())]
    assert len(set(refs)) == 1
    assert "proposals" not in refs[0]


def test_a_hub_that_hangs_is_waited_for_only_as_long_as_the_configuration_says(clones: dict[str, Path], tmp_path: Path):
    hanging = tmp_path / "hang"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    run_git(clones["one"], "config", "remote.hub.url", f"ssh://nobody@localhost{tmp_path}/hub.git")
    run_git(clones["one"], "config", "core.sshCommand", str(hanging))
    run_git(clones["one"], "config", "gitmem.hubPatience", "0.3")
    with agent(clones["one"], "one") as one:
        answer = one.call("lock_files", files=["src/a.py"], reason="to edit it").value
    assert "did not answer within 0.3 seconds" in answer.local_only
