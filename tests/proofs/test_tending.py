"""`kill -9` at any moment of tending: the refs stay whole, what must stay stays, and all history is somewhere."""

import random
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gitmem.domains.sessions import LiveSession, place_of
from gitmem.domains.upkeep import tend
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import now
from tests.conftest import git
from tests.proofs.workers import Worker, agent, make

WEB = place_of("web")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    memory = Memory(tmp_path / "memory.git")
    with memory.transaction(memory.view(), Caller("ann"), "settings") as change:
        change.put_file("gitmem.yaml", b"format: 1\nchain_commits: 100\n")
    memory.close()
    return tmp_path / "memory.git"


def leave_behind(path: Path, number: int, count: int) -> list[str]:
    """Sessions that nobody ended, to be dropped; their commits."""
    memory, commits = Memory(path), []
    for step in range(count):
        name = f"gone-{number}-{step}"
        old = LiveSession(scope="projects/web", id=f"web_{name}_0", agent=name, started=now() - timedelta(days=20))
        with memory.transaction(memory.view(WEB), Caller(name), "starts") as change:
            change.put(replace(old, task="lost"))
        commits.append(change.commit)
    memory.close()
    return commits


def live(path: Path) -> set[str]:
    memory = Memory(path)
    found = {each.id for each in memory.view(WEB).records(LiveSession)}
    memory.close()
    return found


def history(path: Path, folder: Path) -> set[str]:
    """The commits that a ref or an archive has."""
    git(folder, "init", "-q", "--bare", "read.git")
    for bundle in (path / "archive").glob("*.bundle"):
        git(folder / "read.git", "fetch", "-q", str(bundle), "refs/*:refs/*")
    archived = git(folder / "read.git", "rev-list", "--all").split()
    return {*archived, *git(path, "rev-list", "--all").split()}


def sessions_of(promised: Iterable[dict[str, Any]]) -> set[str]:
    return {line["session"] for line in promised}


def prove_tending(path: Path, folder: Path, rounds: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  shown when it fails, to do it again
    chance = random.Random(seed)
    writer = Worker("starter", path, 0).ready().go()
    promised, commits = [writer.line()], list[str]()
    following = Worker("tender", path)
    for number in range(rounds):
        commits += leave_behind(path, number, chance.randint(20, 110))
        tender = following.ready().go()
        following = Worker("tender", path)
        promised += [writer.line() for _ in range(chance.randint(0, 3))]
        time.sleep(chance.uniform(0, 1.0))  # the random moment
        tender.kill(with_children=chance.random() < 0.5)
        promised.append(writer.line())
        assert sessions_of(promised) <= live(path)
    following.ready().kill()
    promised += writer.kill()
    with agent(path) as ann:
        assert tend(ann.memory, ann.index, patience_seconds=60).failed == ()
        ann.memory.upkeep.run(thorough=True)
        tend(ann.memory, ann.index)
    left = live(path)
    assert sessions_of(promised) <= left
    assert not [each for each in left if each.startswith("web_gone-")]
    assert list((path / "archive").glob("tmp_*")) == []
    assert {*commits, *(line["commit"] for line in promised)} <= history(path, folder)
    assert list((path / "archive").glob("sessions-web-*.bundle"))
    assert "error" not in git(path, "fsck", "--strict", "--no-dangling")


def test_killed_tending_loses_nothing(path: Path, tmp_path: Path):
    prove_tending(path, tmp_path, 3)


@pytest.mark.slow
def test_tending_killed_thirty_times_loses_nothing(path: Path, tmp_path: Path):
    prove_tending(path, tmp_path, 30)
