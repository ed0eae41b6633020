"""Several processes write one memory at once: every acknowledged write is in it, exactly once."""

import json
from collections import Counter
from pathlib import Path

import pytest

from gitmem import verbs
from gitmem.desk import Desk
from gitmem.memory.caller import Caller
from tests.conftest import git
from tests.proofs.workers import Worker, agent, make, start, word

PACKS_MAX = 50


def commits_of(path: Path) -> list[tuple[str, str, str]]:
    """(commit, author, verb) of everything on main."""
    text = git(path, "log", "--format=%H %an %(trailers:key=Gitmem-Verb,valueonly,separator=%x2C)", "main")
    return [(oid, author, verb) for oid, author, verb in (line.split(" ", 2) for line in text.splitlines())]


def searched(path: Path, words: list[str]) -> dict[str, list[str]]:
    """What a new process finds for each word."""
    worker = Worker("searcher", path).ready().go()
    assert worker.process.stdin is not None
    worker.process.stdin.write(json.dumps(words) + "\n")
    return {line["word"]: line["ids"] for line in worker.finish()}


def prove(path: Path, writes: int) -> None:
    make(path)
    with agent(path) as ann:
        shared = ann.call("record_learning", topic="Minutes", content="Everybody adds a line:").value.id
    before = len(commits_of(path))
    editors = [Worker("editor", path, number, writes, shared) for number in range(4)]
    recorders = [Worker("recorder", path, number, writes) for number in range(4, 8)]
    acknowledged = [line for worker in start(*editors, *recorders) for line in worker.finish()]

    assert len(acknowledged) == 8 * writes
    commits = commits_of(path)
    assert len({line["commit"] for line in acknowledged}) == 8 * writes
    assert {line["commit"] for line in acknowledged} <= {oid for oid, _, _ in commits}
    assert len(commits) == before + 8 * writes
    made_by = Counter((author, verb) for _, author, verb in commits[: 8 * writes])
    assert made_by == {(f"agent-{n}", "edit" if n < 4 else "record_learning"): writes for n in range(8)}
    assert git(path, "rev-list", "--min-parents=2", "main") == ""
    assert git(path, "rev-list", "--count", "--first-parent", "main").strip() == str(len(commits))

    with agent(path) as ann:
        content = ann.call("get_by_id", id=shared).value.content
        assert len(ann.memory.repository.objects.packs()) <= PACKS_MAX
    lines = Counter(line for line in content.splitlines() if line)
    lines.pop("Everybody adds a line:")
    assert lines == {word(n, step): 1 for n in range(4) for step in range(writes)}
    for line in acknowledged:
        if line["verb"] == "edit":
            assert line["word"] in git(path, "show", line["commit"])

    recorded = {line["word"]: line["id"] for line in acknowledged if line["verb"] == "record_learning"}
    assert {each: ids[0] for each, ids in searched(path, list(recorded)).items()} == recorded
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def test_eight_processes_lose_no_write_and_make_none_twice(tmp_path: Path):
    prove(tmp_path / "memory.git", 10)


@pytest.mark.slow
def test_eight_processes_of_a_hundred_writes_lose_none(tmp_path: Path):
    prove(tmp_path / "memory.git", 100)


def test_a_new_record_does_not_lose_the_race_for_a_record_that_only_looks_like_it(tmp_path: Path):
    make(tmp_path / "memory.git")
    with agent(tmp_path / "memory.git") as ann, agent(tmp_path / "memory.git", "bob") as bob:
        alike = ann.record("alike")["id"]
        desk = Desk(bob.memory, bob.index, Caller("bob", "declared"), project="web", verb="record_learning")
        desk.view()
        ann.append(alike, "more")
        verbs.find("record_learning").function(desk, topic="About alike", content="The word is alike, too.")


def test_eight_processes_may_found_one_memory_at_once(tmp_path: Path):
    path = tmp_path / "memory.git"
    answers = [worker.finish()[0] for worker in start(*(Worker("founder", path) for _ in range(8)))]
    assert [answer for answer in answers if "error" in answer] == []
    assert len({answer["head"] for answer in answers}) == 1
    assert git(path, "fsck", "--strict") == ""
    assert git(path, "config", "receive.denyNonFastForwards").strip() == "true"
