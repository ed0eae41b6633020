"""64 callers in 8 processes at the same moment: what only one may have, one gets; what all may do, none loses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.proofs.workers import Worker, agent, make, start

PROCESSES, EACH = 8, 8
NAMES = [f"agent-{number:02}" for number in range(PROCESSES * EACH)]

Arguments = Callable[[int], dict[str, Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    with agent(tmp_path / "memory.git") as ann:
        for name in NAMES:
            ann.call("project", action="add_agent", name="web", member=name, tier="member")
    return tmp_path / "memory.git"


def race(path: Path, verb: str, arguments: Arguments, count: int = len(NAMES)) -> tuple[list[Any], list[Any]]:
    """What won and what was refused, of `count` calls at the same moment."""
    calls = {name: arguments(number) for number, name in enumerate(NAMES[:count])}
    share = max(1, count // PROCESSES)
    parts = [dict(list(calls.items())[first : first + share]) for first in range(0, count, share)]
    outcomes = [said for worker in start(*(Worker("racers", path, verb, json.dumps(part)) for part in parts)) for said in worker.finish()]
    assert len(outcomes) == count
    assert git(path, "fsck", "--strict", "--no-dangling") == ""
    return [each for each in outcomes if "answer" in each], [each for each in outcomes if "refusal" in each]


def test_one_of_many_claims_an_item_and_the_others_are_told_who(path: Path):
    with agent(path) as ann:
        item = ann.call("add_backlog_item", title="Mend the pool").value.id
    won, refused = race(path, "claim_backlog_item", lambda _: {"id": item})
    assert len(won) == 1
    assert all(won[0]["agent"] in each["refusal"] for each in refused)
    with agent(path) as ann:
        assert ann.call("get_backlog_item", id=item).value.assigned_to == won[0]["agent"]


def test_each_of_many_who_claim_the_next_item_gets_another_one(path: Path):
    with agent(path) as ann:
        items = [{"title": f"Part {number} of the pool"} for number in range(len(NAMES))]
        ann.call("batch_backlog", action="create", items=items)
    won, refused = race(path, "claim_backlog_item", lambda _: {"next": True})
    assert refused == []
    assert len({each["answer"]["id"] for each in won}) == len(NAMES)


def test_one_of_many_holds_a_lock_and_the_others_are_told_who(path: Path):
    answers, refused = race(path, "lock_files", lambda n: {"files": ["src/" if n % 2 else "src/a.py"], "reason": f"reason {n}"})
    assert refused == []
    won = [each for each in answers if each["answer"]["success"]]
    assert len(won) == 1
    lost = [each["answer"] for each in answers if not each["answer"]["success"]]
    assert all(each["conflicts"][0]["held_by"] == won[0]["agent"] and not each["locked"] for each in lost)


def test_many_who_lock_different_files_all_hold_theirs_with_numbers_that_rise(path: Path):
    answers, refused = race(path, "lock_files", lambda n: {"files": [f"src/{n}/"], "reason": "mine"})
    assert refused == []
    assert all(each["answer"]["success"] for each in answers)
    with agent(path) as ann:
        locks = ann.call("get_locks").value.locks
    assert sorted(each.fence for each in locks) == list(range(1, len(NAMES) + 1))


def test_one_of_many_claims_a_message(path: Path):
    with agent(path) as ann:
        message = ann.call("send_message", to_instance="*", message="Who looks at the pool?").value.id
    won, refused = race(path, "claim_message", lambda _: {"id": message})
    assert len(won) == 1
    assert all(won[0]["agent"] in each["refusal"] for each in refused)


@pytest.mark.parametrize("count", [10, 64])
def test_no_spec_update_is_lost(path: Path, count: int):
    def update(number: int) -> dict[str, Any]:
        return {"name": "pool", "content": f"The pool, as of update {number}.", "spec_type": "interface"}

    with agent(path) as ann:
        ann.call("define_spec", **update(-1))
        for name in NAMES[:count]:
            ann.call("project", action="update_agent", name="web", member=name, tier="admin")
    won, _ = race(path, "define_spec", update, count)
    tags = git(path, "tag", "-l", "specs/web/pool/*").split()
    told = {each["answer"]["spec_version"] if "spec_version" in each["answer"] else each["answer"]["version_number"] for each in won}
    assert len(told) == len(won)
    for each in won:
        assert any(f"{each['answer']['commit']}" == git(path, "rev-parse", f"{tag}^{{commit}}").strip() for tag in tags)


@pytest.mark.parametrize("count", [10, 64])
def test_every_edit_of_one_item_that_was_answered_is_in_its_history(path: Path, count: int):
    with agent(path) as ann:
        item = ann.call("add_backlog_item", title="Mend the pool").value.id
    won, refused = race(path, "update_backlog_item", lambda n: {"id": item, "description": f"As {n} sees it."}, count)
    assert refused == []
    with agent(path) as ann:
        versions = ann.call("history", id=item, limit=200).value.versions
    assert {each["answer"]["commit"] for each in won} <= {each.commit for each in versions}
    assert len(versions) == count + 1
