"""Syncs that are cut off, or run out of disk: nothing is half there, and the next one brings everything together."""

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gitmem.cloning import clone
from gitmem.domains.knowledge.record import Knowledge
from gitmem.errors import GitmemError
from gitmem.git.remote import DiskFull
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.memory.sync import sync_with
from tests.conftest import git
from tests.proofs.test_disk import fill, mounted
from tests.proofs.workers import agent, make, word

ROUNDS = 6
LONGEST_SECONDS = 2.5


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    make(tmp_path / "first.git")
    git(tmp_path, "clone", "-q", "--mirror", str(tmp_path / "first.git"), "hub.git")
    return tmp_path / "hub.git"


def cloned(hub: Path, path: Path) -> Path:
    clone(str(hub), path).close()
    return path


def record(path: Path, number: int) -> None:
    with agent(path, f"agent-{number}") as one:
        one.record(word(number))
        one.call("lock_files", files=[f"src/{number}.py"], reason="work")


def sync(path: Path) -> None:
    memory = Memory(path)
    try:
        sync_with(memory, hubs.hubs(memory.repository))
    finally:
        memory.close()


def known(path: Path) -> set[str]:
    memory = Memory(path)
    try:
        return {each.title for each in memory.view().records(Knowledge)}
    finally:
        memory.close()


def shared(path: Path) -> str:
    return git(path, "for-each-ref", "refs/heads", "refs/gitmem")


def test_a_sync_that_is_killed_at_any_moment_is_made_good_by_the_next_one(hub: Path, tmp_path: Path):
    one, two = cloned(hub, tmp_path / "one.git"), cloned(hub, tmp_path / "two.git")
    moments = random.Random(4)
    for number in range(ROUNDS):
        record(one, 2 * number)
        record(two, 2 * number + 1)
        sync(two)
        command = [sys.executable, "-m", "gitmem.facade.cli", "--repo", str(one), "sync"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.2, LONGEST_SECONDS))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert git(one, "fsck", "--strict", "--no-dangling") == ""
    for path in (one, two, one):
        sync(path)
    assert shared(one) == shared(two) == shared(hub)
    assert known(one) == {f"About {word(number)}" for number in range(2 * ROUNDS)}
    assert git(hub, "fsck", "--strict", "--no-dangling") == ""


def test_a_full_disk_stops_a_sync_clearly_and_afterwards_all_is_well(hub: Path, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)):
        small, large = cloned(hub, disk / "small.git"), cloned(hub, tmp_path / "large.git")
        record(small, 1)
        with agent(large) as ann:
            noise = random.Random(7).randbytes(20_000).hex()
            ann.call("record_learning", topic="much to say", content=noise)
        sync(large)
        before = shared(small)
        ballast = fill(disk)
        with pytest.raises((DiskFull, StorageFailed)) as refused:
            sync(small)
        assert isinstance(refused.value, GitmemError)
        assert "space" in str(refused.value)
        assert shared(small) == before
        ballast.unlink()
        sync(small)
        sync(large)
        assert shared(small) == shared(large) == shared(hub)
        assert {"much to say", f"About {word(1)}"} <= known(small)
        assert git(small, "fsck", "--strict", "--no-dangling") == ""


def test_a_clone_that_does_not_fit_leaves_nothing_behind(hub: Path, tmp_path: Path):
    with agent(tmp_path / "first.git") as ann:
        ann.call("record_learning", topic="much to say", content=random.Random(7).randbytes(20_000).hex())
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)):
        with pytest.raises(GitmemError, match="space"):
            clone(str(tmp_path / "first.git"), disk / "clone.git")
        assert list(disk.iterdir()) == []
