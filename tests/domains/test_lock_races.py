"""Many who lock at the same time, in threads and in processes: of those who are in each other's way exactly one wins."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gitmem.domains.locks.record import FENCE_PATH, Fence, Lock, held_at, last_fence, place_of
from gitmem.memory.memory import Memory
from gitmem.names import now
from tests.conftest import git
from tests.proofs.workers import Agent, Worker, make, start

CALLERS = 64
PLACE = place_of("web")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


@pytest.fixture
def four(path: Path) -> Iterator[list[Agent]]:
    """As many memories of one repository, as four servers have."""
    opened = [Agent(path) for _ in range(4)]
    yield opened
    for one in opened:
        one.close()


def caller(four: list[Agent], number: int) -> Agent:
    own = four[number % 4]
    made = Agent.__new__(Agent)
    made.memory, made.index, made.name, made.project = own.memory, own.index, f"agent-{number}", "web"
    return made


def together(four: list[Agent], verb: str, arguments: list[dict[str, Any]]) -> list[Any]:
    """The answers of all who call at once, each as another agent."""
    barrier = threading.Barrier(len(arguments))

    def run(number: int) -> Any:
        barrier.wait()
        return caller(four, number).call(verb, **arguments[number]).value

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(run, range(len(arguments))))


def locks_in(path: Path) -> list[Lock]:
    memory = Memory(path)
    found = held_at(memory.view(PLACE), now())
    memory.close()
    return found


def test_of_all_who_want_the_same_file_exactly_one_gets_it(path: Path, four: list[Agent]):
    wanted = ["src/", "src/a.py", "*.py", "src/**/*.py"]
    answers = together(four, "lock_files", [{"files": [wanted[n % 4]], "reason": "mine"} for n in range(CALLERS)])
    winners = [answer for answer in answers if answer.success]
    assert len(winners) == 1
    assert all(answer.conflicts[0].file == winners[0].locked[0] for answer in answers if not answer.success)
    assert [lock.pattern for lock in locks_in(path)] == list(winners[0].locked)


def test_all_who_want_different_files_get_them_each_with_a_number_of_its_own(path: Path, four: list[Agent]):
    answers = together(four, "lock_files", [{"files": [f"src/{n}/", f"lib/{n}.py"], "reason": "mine"} for n in range(CALLERS)])
    assert all(answer.success for answer in answers)
    assert sorted(answer.fence for answer in answers) == list(range(1, CALLERS + 1))
    assert len(locks_in(path)) == 2 * CALLERS
    fences = [fence_at(path, commit) for commit in git(path, "rev-list", "--reverse", PLACE.ref).split()]
    assert fences == list(range(1, CALLERS + 1))


def fence_at(path: Path, commit: str) -> int:
    memory = Memory(path)
    found = last_fence(memory.view(PLACE, commit=commit))
    memory.close()
    return found


def test_of_pairs_who_want_each_others_files_in_another_order_one_gets_both(path: Path, four: list[Agent]):
    pairs = [[f"{n // 2}/a.py", f"{n // 2}/b.py"][:: 1 if n % 2 else -1] for n in range(CALLERS)]
    answers = together(four, "lock_files", [{"files": pair, "reason": "both"} for pair in pairs])
    assert [answers[n].success + answers[n + 1].success for n in range(0, CALLERS, 2)] == [1] * (CALLERS // 2)
    assert len(locks_in(path)) == CALLERS


def test_all_share_what_is_shared(path: Path, four: list[Agent]):
    answers = together(four, "lock_files", [{"files": ["src/"], "reason": "r", "mode": "shared"} for _ in range(CALLERS)])
    assert all(answer.success for answer in answers)
    assert len(locks_in(path)) == CALLERS


def test_of_two_who_share_and_both_want_more_neither_gets_it_and_of_one_who_lets_go_the_other_does(path: Path, four: list[Agent]):
    for number in range(2):
        caller(four, number).call("lock_files", files=["src/"], reason="r", mode="shared")
    answers = together(four, "lock_files", [{"files": ["src/"], "reason": "r"} for _ in range(2)])
    assert [answer.success for answer in answers] == [False, False]
    caller(four, 0).call("unlock_files")
    assert caller(four, 1).call("lock_files", files=["src/"], reason="r").value.success


def test_everybody_lets_go_and_renews_at_once_without_losing_anything(path: Path, four: list[Agent]):
    together(four, "lock_files", [{"files": [f"src/{n}/", f"lib/{n}/"], "reason": "r"} for n in range(32)])
    together(four, "unlock_files", [{"files": [f"src/{n}/"]} for n in range(32)])
    together(four, "renew_locks", [{"ttl_minutes": 600} for _ in range(32)])
    assert sorted(lock.pattern for lock in locks_in(path)) == sorted(f"lib/{n}/" for n in range(32))
    assert all(lock.renewed for lock in locks_in(path))


def test_processes_that_lock_at_once_get_what_is_free_and_one_gets_what_all_want(path: Path):
    workers = [Worker("locker", path, n, "all/", *(f"{n}/{step}.py" for step in range(8))) for n in range(8)]
    said = [line for worker in start(*workers) for line in worker.finish()]
    assert sum(line["success"] for line in said if line["pattern"] == "all/") == 1
    assert all(line["success"] for line in said if line["pattern"] != "all/")
    fences = [line["fence"] for line in said if line["success"]]
    assert sorted(fences) == list(range(1, 8 * 8 + 2))
    memory = Memory(path)
    assert memory.view(PLACE).get(Fence, FENCE_PATH).last == max(fences)
    assert {(lock.agent, lock.pattern) for lock in held_at(memory.view(PLACE), now())} == {
        (line["agent"], line["pattern"]) for line in said if line["success"]
    }
    memory.close()
    assert git(path, "fsck", "--strict", "--no-dangling") == ""
