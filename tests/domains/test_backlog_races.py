"""The backlog under fire: 64 agents in eight processes after the same items at once."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gitmem.answers import structured
from tests.proofs.test_races import NAMES, race
from tests.proofs.workers import Agent, agent, make

ALL = len(NAMES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


def call(one: Agent, verb: str, **arguments: Any) -> dict[str, Any]:
    return structured(one.call(verb, **arguments))


def tasks(one: Agent, count: int) -> list[str]:
    items = [{"title": f"Task {number}"} for number in range(count)]
    return list(call(one, "batch_backlog", action="create", items=items)["ids"])


def test_of_64_who_claim_an_item_exactly_one_gets_it_and_the_others_are_told_who(path: Path):
    with agent(path) as ann:
        (item,) = tasks(ann, 1)
        won, refused = race(path, "claim_backlog_item", lambda _: {"id": item})
        (winner,) = won
        assert {each["kind"] for each in refused} == {"TakenByAnother"}
        assert all(f"{item} is assigned to {winner['agent']}" in each["refusal"] for each in refused)
        read = call(ann, "get_backlog_item", id=item)
        assert (read["assigned_to"], read["status"], read["edits"]) == (winner["agent"], "in_progress", 2)


def test_64_who_ask_for_the_next_of_64_get_one_each(path: Path):
    with agent(path) as ann:
        ids = tasks(ann, ALL)
        won, refused = race(path, "claim_backlog_item", lambda _: {"next": True})
        assert refused == []
        assert Counter(each["answer"]["id"] for each in won) == dict.fromkeys(ids, 1)
        listed = call(ann, "list_backlog", status=["in_progress"], limit=100)["items"]
        assert {each["id"]: each["assigned_to"] for each in listed} == {each["answer"]["id"]: each["agent"] for each in won}
        assert call(ann, "ready_backlog")["total"] == 0


def test_64_who_ask_for_the_next_of_ten_get_ten_and_the_others_are_told_that_there_is_none(path: Path):
    with agent(path) as ann:
        ids = tasks(ann, 10)
    won, refused = race(path, "claim_backlog_item", lambda _: {"next": True})
    assert {each["answer"]["id"] for each in won} == set(ids)
    assert Counter(each["kind"] for each in refused) == {"NothingReady": ALL - 10}


def test_64_edits_of_one_item_at_once_are_all_in_its_history_with_their_authors(path: Path):
    with agent(path) as ann:
        (item,) = tasks(ann, 1)
        won, refused = race(path, "update_backlog_item", lambda number: {"id": item, "milestone": f"m{number}"})
        assert refused == []
        edits = call(ann, "history", id=item, limit=200)["versions"][:-1]
        told = {(each["agent"], each["answer"]["commit"], each["answer"]["version"]) for each in won}
        assert {(each["author"], each["commit"], each["version"]) for each in edits} == told
        assert len(edits) == ALL


def test_dependencies_that_many_add_at_once_never_make_a_circle(path: Path):
    with agent(path) as ann:
        ids = tasks(ann, 16)
        won, refused = race(
            path, "update_backlog_item", lambda number: {"id": ids[number], "blocked_by": [ids[(number + 1) % 16]]}, 16
        )
        assert (len(won), [each["kind"] for each in refused]) == (15, ["Circle"])
        assert call(ann, "ready_backlog")["total"] == 1


def test_checks_of_different_items_of_a_list_at_once_all_land(path: Path):
    with agent(path) as ann:
        call(ann, "checklist", action="create", name="launch", items=[f"item of {name}" for name in NAMES])
        _, refused = race(path, "checklist", lambda n: {"action": "check", "name": "launch", "item_text": f"item of {NAMES[n]}"})
        assert refused == []
        read = call(ann, "checklist", action="get", name="launch")
        assert read["progress"] == f"{ALL} of {ALL}"
        assert all(each["item"] == f"item of {each['checked_by']}" for each in read["items"])
