"""`kill -9` at any moment: what was acknowledged is there, nothing is half there, and the next one goes on at once."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.proofs.workers import Worker, agent, make, word

Acknowledged = dict[str, Any]
# A ref's lock that was left is taken over after three seconds; the rest is for a busy machine.
SOON_SECONDS = 20.0
KILLERS = 900  # numbers of the agents that write after a kill, apart from those that are killed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


def killed_at_random(worker: Worker, chance: random.Random) -> list[Acknowledged]:
    """What a process acknowledged until it was killed, after some writes and a part of one."""
    said = [worker.line() for _ in range(chance.randint(1, 6))]
    time.sleep(chance.uniform(0, 0.03))  # the random moment
    return said + worker.kill(with_children=chance.random() < 0.5)


def check_all_is_there(path: Path, promised: list[Acknowledged], diary: str, number: int, *, fsck: bool) -> Acknowledged:
    """In a memory that is opened anew: nothing lost, the next write lands, search has caught up."""
    assert {line["commit"] for line in promised} <= set(git(path, "rev-list", "main").splitlines())
    with agent(path, f"agent-{KILLERS}") as ann:
        files = {entry.oid: file for file, entry in ann.memory.view().files()}
        ids = {file.rpartition("/")[2].removesuffix(".md") for file in files.values()}
        assert {line["id"] for line in promised} <= ids
        content = ann.call("get_by_id", id=diary).value.content.splitlines()
        for line in promised:
            assert line["verb"] != "edit" or content.count(line["word"]) == 1
        new = [line for line in promised if line["verb"] == "record_learning"]
        found = ann.call("query", query=new[-1]["word"]).value.results
        assert new[-1]["id"] in [result.id for result in found]
        began = time.monotonic()
        after = ann.record(word(KILLERS, number))
        assert time.monotonic() - began < SOON_SECONDS
        assert after["id"] in [result.id for result in ann.call("query", query=after["word"]).value.results]
    if fsck:
        assert git(path, "fsck", "--strict", "--no-dangling") == ""
    return after


def prove_writers(path: Path, rounds: int, *, fsck_every: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  shown when it fails, to do it again
    chance = random.Random(seed)
    with agent(path) as ann:
        diary = ann.call("record_learning", topic="Diary", content="Day by day:").value.id
    promised: list[Acknowledged] = []
    following = Worker("unending", path, 0, diary)
    for number in range(rounds):
        worker = following.ready().go()
        following = Worker("unending", path, number + 1, diary)  # starts meanwhile, waits until it is sent off
        promised += killed_at_random(worker, chance)
        promised.append(check_all_is_there(path, promised, diary, number, fsck=number % fsck_every == 0))
    following.ready().kill()
    commits = git(path, "rev-list", "main").splitlines()
    # founding, the project and the diary; at most one write a round landed and was not acknowledged any more
    assert len(promised) + 3 <= len(commits) <= len(promised) + 3 + rounds
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def prove_upkeep(path: Path, rounds: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  shown when it fails, to do it again
    chance = random.Random(seed)
    with agent(path) as ann:
        diary = ann.call("record_learning", topic="Diary", content="Day by day:").value.id
    writer = Worker("unending", path, 0, diary).ready().go()
    promised: list[Acknowledged] = []
    for number in range(rounds):
        upkeeper = Worker("upkeeper", path).ready().go()
        promised += [writer.line() for _ in range(chance.randint(1, 20))]
        time.sleep(chance.uniform(0, 0.2))  # the random moment
        upkeeper.kill(with_children=number % 2 == 0)
        promised += [writer.line()]
    promised += writer.kill()
    check_all_is_there(path, promised, diary, 0, fsck=True)
    with agent(path) as ann:
        condition = ann.memory.upkeep.run(thorough=True)
    assert condition.packs <= 3
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(path: Path):
    prove_writers(path, 6, fsck_every=3)


def test_killed_upkeep_loses_nothing_and_stops_nobody(path: Path):
    prove_upkeep(path, 3)


@pytest.mark.slow
def test_fifty_killed_writers_lose_nothing_that_they_acknowledged(path: Path):
    prove_writers(path, 50, fsck_every=1)


@pytest.mark.slow
def test_upkeep_killed_thirty_times_loses_nothing(path: Path):
    prove_upkeep(path, 30)
