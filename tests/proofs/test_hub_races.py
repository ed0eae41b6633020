"""Two clones want the same lock, or the same item, at the same moment: the hub gives it to one. Without it, both are told."""

import json
from pathlib import Path
from typing import Any

import pytest

from gitmem.cloning import clone
from gitmem.git.repository import run_git
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.sync import Report, sync_with
from tests.conftest import git
from tests.proofs.workers import Worker, agent, make, start

FEW, MANY = 5, 100


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A plain repository, as a forge has them, with a memory of two agents and items to claim."""
    path = tmp_path / "first.git"
    make(path)
    with agent(path) as ann:
        for name in ("one", "two"):
            ann.call("project", action="add_agent", name="web", member=name, tier="member")
        ann.call("batch_backlog", action="create", items=[{"title": f"Part {number}"} for number in range(MANY)])
    git(tmp_path, "clone", "-q", "--bare", str(path), "hub.git")
    return tmp_path / "hub.git"


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


def items_of(path: Path) -> list[str]:
    with agent(path) as ann:
        return [each.id for each in ann.call("list_backlog", limit=MANY).value.items]


def check_races(hub: Path, clones: dict[str, Path], rounds: int) -> None:
    items = items_of(clones["one"])[:rounds]
    winners = {item: check_race(clones, number, item) for number, item in enumerate(items)}
    for path in clones.values():
        sync(path)
        with agent(path) as ann:
            assert {item: ann.call("get_backlog_item", id=item).value.assigned_to for item in items} == winners
    for path in (hub, *clones.values()):
        assert git(path, "fsck", "--strict", "--no-dangling") == ""


def check_race(clones: dict[str, Path], number: int, item: str) -> str:
    """Both want one lock, then one item; who got the item."""
    locks = race(clones, "lock_files", {"files": [f"src/{number}.py"], "reason": "to edit it"})
    won = [name for name, told in locks.items() if told["answer"]["success"]]
    assert len(won) == 1, locks
    (lost,) = set(clones) - set(won)
    assert [each["held_by"] for each in locks[lost]["answer"]["conflicts"]] == won
    claims = race(clones, "claim_backlog_item", {"id": item})
    assert not any("local_only" in told.get("answer", {}) for told in (*locks.values(), *claims.values()))
    won = [name for name, told in claims.items() if "answer" in told]
    assert len(won) == 1, claims
    (lost,) = set(clones) - set(won)
    assert f"is assigned to {won[0]}" in claims[lost]["refusal"]
    return won[0]


def test_of_two_clones_one_gets_the_lock_and_one_the_item_every_time(hub: Path, clones: dict[str, Path]):
    check_races(hub, clones, FEW)


@pytest.mark.slow
def test_of_two_clones_one_gets_the_lock_and_one_the_item_a_hundred_times(hub: Path, clones: dict[str, Path]):
    check_races(hub, clones, MANY)


def test_without_the_hub_both_are_told_and_the_loser_learns_of_it_afterwards(hub: Path, clones: dict[str, Path]):
    item = items_of(clones["one"])[0]
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
