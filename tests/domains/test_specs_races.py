"""Many who define one spec at once: every version is somebody's, and none is lost."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitmem.errors import GitmemError
from tests.conftest import git
from tests.proofs.workers import Agent, Worker, agent, make, start


def at_once(path: Path, count: int, ask: Callable[[Agent, int], Any], *, memories: int = 4, names: tuple[str, ...] = ("ann",)) -> list[Any]:
    """What each of `count` calls answers, made at the same moment by threads over several open memories."""
    opened = [Agent(path, names[n % len(names)]) for n in range(memories)]
    barrier = threading.Barrier(count)
    answers: list[Any] = [None] * count

    def run(number: int) -> None:
        one = opened[number % memories]
        barrier.wait()
        try:
            answers[number] = ask(one, number)
        except GitmemError as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for each in opened:
        each.close()
    return answers


def text_of(path: Path, version: str) -> str:
    return git(path, "show", f"specs/web/orders-api/v{version}:projects/web/specs/orders-api.md").splitlines()[-1]


def check(path: Path, told: dict[str, str]) -> None:
    """Every version that was acknowledged has its tag, and the tag its text."""
    assert {version: text_of(path, version) for version in told} == told
    assert git(path, "rev-list", "--min-parents=2", "main") == ""
    assert git(path, "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("count", [10, 64])
def test_definitions_at_once_all_become_versions(tmp_path: Path, count: int):
    path = tmp_path / "memory.git"
    make(path)
    answers = at_once(path, count, lambda one, n: one.call("define_spec", name="orders-api", content=f"Text {n}.").value.version)
    told = {version: f"Text {n}." for n, version in enumerate(answers)}
    assert set(told) == {f"1.0.{n}" for n in range(count)}
    check(path, told)
    with agent(path) as ann:
        listed = ann.call("list_specs", include_versions=True).value.specs
        assert listed[0].all_versions == tuple(f"1.0.{n}" for n in reversed(range(count)))


def test_of_those_who_define_the_same_version_exactly_one_wins(tmp_path: Path):
    path = tmp_path / "memory.git"
    make(path)
    answers = at_once(path, 16, lambda one, n: one.call("define_spec", name="orders-api", content=f"Text {n}.", version="2.0.0").value)
    winners = [n for n, each in enumerate(answers) if not isinstance(each, GitmemError)]
    assert len(winners) == 1
    assert {each.message for n, each in enumerate(answers) if n not in winners} == {
        "orders-api cannot become version 2.0.0: 2.0.0 is out already with another text or schema, and versions only rise. "
        "Nothing was written."
    }
    check(path, {"2.0.0": f"Text {winners[0]}."})


def test_of_those_who_define_a_new_name_exactly_one_becomes_owner(tmp_path: Path):
    path = tmp_path / "memory.git"
    make(path)
    names = ("ann", "bob", "cy", "dee")
    answers = at_once(path, 16, lambda one, n: one.call("define_spec", name="orders-api", content="Text.", tags=[str(n)]).value, names=names)
    owners = {each.owner for each in answers if not isinstance(each, GitmemError)}
    assert len(owners) == 1
    assert sum(not isinstance(each, GitmemError) for each in answers) == 4
    assert all(f"belongs to {min(owners)}" in each.message for each in answers if isinstance(each, GitmemError))


def test_those_who_set_out_from_one_version_do_not_overwrite_each_other(tmp_path: Path):
    path = tmp_path / "memory.git"
    make(path)
    with agent(path) as ann:
        ann.call("define_spec", name="orders-api", content="One.")
    answers = at_once(
        path, 10, lambda one, n: one.call("define_spec", name="orders-api", content=f"Text {n}.", if_version="1.0.0").value.version
    )
    assert [each for each in answers if not isinstance(each, GitmemError)] == ["1.0.1"]


def test_processes_that_define_at_once_lose_no_version(tmp_path: Path):
    path = tmp_path / "memory.git"
    make(path)
    workers = start(*(Worker("definer", path, number, "orders-api") for number in range(10)))
    told = {worker.finish()[0]["version"]: f"Text {number}." for number, worker in enumerate(workers)}
    assert set(told) == {f"1.0.{n}" for n in range(10)}
    check(path, told)


def test_of_processes_that_define_the_same_version_exactly_one_wins(tmp_path: Path):
    path = tmp_path / "memory.git"
    make(path)
    workers = start(*(Worker("definer", path, number, "orders-api", "1.2.3") for number in range(6)))
    answers = [worker.finish()[0] for worker in workers]
    [winner] = [number for number, each in enumerate(answers) if "version" in each]
    assert all("1.2.3 is out already" in each["refused"] for each in answers if "refused" in each)
    check(path, {"1.2.3": f"Text {winner}."})
