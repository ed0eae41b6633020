"""Proposals decided by several at once, and decisions that a crash cuts off between two refs."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from gitmem.domains.reviews import closing, deciding, proposing
from gitmem.errors import GitmemError
from tests.conftest import Team, git
from tests.domains.test_reviews import proposed

ROUNDS = 6


@pytest.fixture(autouse=True)
def members(team: Team) -> None:
    for name in ("bob", "carl", "dora"):
        team.call("project", action="add_agent", name="web", member=name, tier="member")


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each answers, or the error with which it is refused."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except GitmemError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(run, call) for call in calls]]


def merges(team: Team, proposal: str) -> int:
    said = git(team.memory.path, "log", "--merges", "--format=%(trailers:key=Gitmem-Proposal,valueonly)", "main").split()
    return said.count(proposal)


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "two memories"])
def test_of_several_who_approve_at_once_exactly_one_merges(team: Team, apart: bool):
    other = Team(team.memory.path) if apart else team
    for number in range(ROUNDS):
        proposal = proposed(team, topic=f"Number {number}", content=f"x{number}")
        callers = ((team, "ann"), (other, "carl"), (team, "dora"))
        answers = at_once(*(partial(one.call, "approve_proposal", agent=agent, id=proposal) for one, agent in callers))
        refused = [each for each in answers if isinstance(each, GitmemError)]
        assert len(refused) == 2
        assert all("is merged already" in each.message for each in refused)
        assert merges(team, proposal) == 1
    if apart:
        other.close()


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "two memories"])
def test_a_proposal_is_approved_or_withdrawn_and_never_both(team: Team, apart: bool):
    other = Team(team.memory.path) if apart else team
    for number in range(ROUNDS):
        proposal = proposed(team, topic=f"Number {number}", content=f"x{number}")
        answers = at_once(
            partial(team.call, "approve_proposal", id=proposal),
            partial(other.call, "withdraw_proposal", agent="bob", id=proposal),
            partial(team.call, "reject_proposal", agent="carl", id=proposal, reason="no"),
        )
        [done] = [each for each in answers if not isinstance(each, GitmemError)]
        assert team.call("get_proposal", id=proposal)["status"] == done["status"]
        assert merges(team, proposal) == (done["status"] == "merged")
        assert len(team.call("query", query=f"x{number}", limit=50)["results"]) == (done["status"] == "merged")
    if apart:
        other.close()


def test_an_approval_and_a_write_of_the_same_record_both_hold_or_one_is_refused(team: Team):
    for number in range(ROUNDS):
        record = team.call("record_learning", topic=f"Number {number}", content="Old.")
        edit = {"id": record["id"], "operation": "find_replace", "find": "Old."}
        proposal = team.call("edit", agent="bob", text="By bob.", as_proposal=True, **edit)["proposal"]
        approved, written = at_once(
            partial(team.call, "approve_proposal", id=proposal), partial(team.call, "edit", agent="carl", text="By carl.", **edit)
        )
        assert isinstance(approved, GitmemError) != isinstance(written, GitmemError)
        content = team.call("get_by_id", id=record["id"])["content"]
        assert content == ("By carl." if isinstance(approved, GitmemError) else "By bob.")


def test_many_propose_at_once_and_each_has_its_own(team: Team):
    answers = at_once(*(partial(proposed, team, topic=f"Number {n}", content=f"x{n}") for n in range(8)))
    assert len(set(answers)) == 8
    assert team.call("list_proposals")["total"] == 8
    assert git(team.memory.path, "fsck", "--strict", "--no-dangling") == ""


class Crash(BaseException):
    """The process ends here."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def test_a_crash_before_a_proposal_is_recorded_leaves_a_branch_that_is_one(team: Team, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patched:
        patched.setattr(proposing, "record", crash)
        with pytest.raises(Crash):
            proposed(team)
    [left] = team.call("list_proposals")["proposals"]
    assert (left["title"], left["author"]) == ("learning: Retries back off", "bob")
    assert team.call("approve_proposal", id=left["id"])["status"] == "merged"


def test_a_crash_after_the_merge_leaves_a_merged_proposal(team: Team, monkeypatch: pytest.MonkeyPatch):
    proposal = proposed(team)
    with monkeypatch.context() as patched:
        patched.setattr(deciding, "close", crash)
        with pytest.raises(Crash):
            team.call("approve_proposal", id=proposal)
    assert team.call("get_proposal", id=proposal)["status"] == "merged"
    assert "is merged already" in team.refusal("withdraw_proposal", agent="bob", id=proposal).message
    proposed(team, content="Another.")
    assert f"refs/heads/proposals/{proposal}" not in team.memory.repository.refs.list("refs/heads/")


@pytest.mark.parametrize("where", ["_record", "drop_branch", "tell_author"])
def test_a_crash_while_one_is_rejected_leaves_it_open_or_rejected(team: Team, monkeypatch: pytest.MonkeyPatch, where: str):
    proposal = proposed(team)
    with monkeypatch.context() as patched:
        patched.setattr(closing, where, crash)
        with pytest.raises(Crash):
            team.call("reject_proposal", id=proposal, reason="no")
    shown = team.call("get_proposal", id=proposal)
    assert shown["status"] == ("open" if where == "_record" else "rejected")
    assert "+With jitter." in shown["diff"]
    if shown["status"] == "open":
        assert team.call("approve_proposal", id=proposal)["status"] == "merged"
    proposed(team, content="Another.")
    assert f"refs/heads/proposals/{proposal}" not in team.memory.repository.refs.list("refs/heads/")
