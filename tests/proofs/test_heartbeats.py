"""Thirty agents that say every second for a minute what they do leave no commit and next to nothing on disk."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitmem.domains.presence import Presence
from gitmem.git.marks import GRACE_SECONDS
from tests.conftest import git
from tests.proofs.workers import agent, make

AGENTS, BEATS = 30, 60
GROWTH_MAX_BYTES = 1_000_000


def on_disk(path: Path) -> int:
    """The blocks that a folder and all in it take."""
    return sum(each.lstat().st_blocks * 512 for each in (path, *path.rglob("*")))


def beat(path: Path, number: int) -> None:
    with agent(path, f"agent-{number}") as one:
        for step in range(BEATS):
            one.call("heartbeat", status="busy", current_task=f"step {step} of what agent {number} does")


@pytest.mark.slow
def test_thirty_agents_that_beat_every_second_for_a_minute_leave_no_commit_and_less_than_a_megabyte(tmp_path: Path):
    path = tmp_path / "memory.git"
    make(path)
    with agent(path) as ann:
        ann.memory.upkeep.run()
        before, commits = on_disk(path), git(path, "rev-list", "--all", "--count")
        with ThreadPoolExecutor(AGENTS) as pool:
            list(pool.map(lambda number: beat(path, number), range(AGENTS)))
        for each in (path / "objects").glob("[0-9a-f][0-9a-f]/*"):  # the minute has passed
            os.utime(each, (0, each.stat().st_mtime - GRACE_SECONDS - 1))
        ann.memory.upkeep.run()
        assert on_disk(path) - before < GROWTH_MAX_BYTES
        assert git(path, "rev-list", "--all", "--count") == commits
        tasks = {mark.agent: mark.current_task for mark in ann.memory.marks.all(Presence, "web")}
        assert tasks == {f"agent-{n}": f"step {BEATS - 1} of what agent {n} does" for n in range(AGENTS)}
    git(path, "fsck", "--strict")
