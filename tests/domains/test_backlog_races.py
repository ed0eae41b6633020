"""The backlog under fire: many agents, in several processes, after the same items at once."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gitmem.answers import structured
from tests.conftest import git
from tests.proofs.workers import Agent, Worker, agent, make, start

PROCESSES, EACH = 4, 16
ALL = PROCESSES * EACH


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


def crowd(path: Path, verb: str, arguments: str, times: int = 1) -> list[dict[str, Any]]:
    """What 64 agents in four processes are answered when all of them call at once."""
    workers = start(*(Worker("crowd", path, number * EACH, EACH, verb, arguments, times) for number in range(PROCESSES)))
    answers = [line for worker in workers for line in worker.finish()]
    assert len(answers) == ALL * times
    return answers


def call(one: Agent, verb: str, **arguments: Any) -> dict[str, Any]:
    return structured(one.call(verb, **arguments))


def test_of_64_who_claim_an_item_exactly_one_gets_it_and_the_others_are_told_who(path: Path):
    with agent(path) as ann:
        item = call(ann, "add_backlog_item", title="The only one")["id"]
        answers = crowd(path, "claim_backlog_item", f'{{"id": "{item}"}}')
        (winner,) = (each for each in answers if "refused" not in each)
        losers = [each for each in answers if "refused" in each]
        assert {each["refused"] for each in losers} == {"TakenByAnother"}
        assert all(f"{item} is assigned to {winner['agent']}" in each["message"] for each in losers)
        read = call(ann, "get_backlog_item", id=item)
        assert (read["assigned_to"], read["status"], read["edits"]) == (winner["agent"], "in_progress", 2)


def test_64_who_ask_for_the_next_of_64_get_one_each(path: Path):
    with agent(path) as ann:
        made = call(ann, "batch_backlog", action="create", items=[{"title": f"Task {number}"} for number in range(ALL)])
        answers = crowd(path, "claim_backlog_item", '{"next": true}')
        assert [each for each in answers if "refused" in each] == []
        assert Counter(each["id"] for each in answers) == dict.fromkeys(made["ids"], 1)
        listed = call(ann, "list_backlog", status=["in_progress"], limit=100)["items"]
        assert {each["id"]: each["assigned_to"] for each in listed} == {each["id"]: each["agent"] for each in answers}
        assert call(ann, "ready_backlog")["total"] == 0


def test_64_who_ask_for_the_next_of_ten_get_ten_and_the_others_are_told_that_there_is_none(path: Path):
    with agent(path) as ann:
        call(ann, "batch_backlog", action="create", items=[{"title": f"Task {number}"} for number in range(10)])
        answers = crowd(path, "claim_backlog_item", '{"next": true}')
    assert len({each["id"] for each in answers if "refused" not in each}) == 10
    assert Counter(each.get("refused") for each in answers) == {None: 10, "NothingReady": ALL - 10}


def test_64_edits_of_one_item_at_once_are_all_in_its_history(path: Path):
    with agent(path) as ann:
        item = call(ann, "add_backlog_item", title="Everybody's")["id"]
        answers = crowd(path, "update_backlog_item", f'{{"id": "{item}", "milestone": "{{agent}} {{step}}"}}', times=2)
        assert [each for each in answers if "refused" in each] == []
        versions = structured(ann.call("history", id=item, limit=200))["versions"]
        edits = versions[:-1]
        assert {each["commit"] for each in edits} == {each["commit"] for each in answers}
        assert Counter(each["author"] for each in edits) == dict.fromkeys((f"agent-{number}" for number in range(ALL)), 2)
        assert {each["version"] for each in edits} == {each["version"] for each in answers}
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def test_dependencies_that_many_add_at_once_never_make_a_circle(path: Path):
    with agent(path) as ann:
        count = 8
        ids = call(ann, "batch_backlog", action="create", items=[{"title": f"Task {number}"} for number in range(count)])["ids"]
        workers = start(*(
            Worker("crowd", path, number, 1, "update_backlog_item", f'{{"id": "{ids[number]}", "blocked_by": ["{ids[(number + 1) % count]}"]}}')
            for number in range(count)
        ))  # fmt: skip
        answers = [line for worker in workers for line in worker.finish()]
        assert Counter(each.get("refused") for each in answers) == {None: count - 1, "Circle": 1}
        assert call(ann, "ready_backlog")["total"] == 1


def test_checks_of_different_items_of_a_list_at_once_all_land(path: Path):
    with agent(path) as ann:
        call(ann, "checklist", action="create", name="launch", items=[f"item of agent-{number}." for number in range(ALL)])
        answers = crowd(path, "checklist", '{"action": "check", "name": "launch", "item_text": "item of {agent}."}')
        assert [each for each in answers if "refused" in each] == []
        read = call(ann, "checklist", action="get", name="launch")
        assert read["progress"] == f"{ALL} of {ALL}"
        assert all(each["item"] == f"item of {each['checked_by']}." for each in read["items"])
