"""Disks that are full or read-only: a clear refusal, reading goes on, nothing is half there, and afterwards all is well."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gitmem.domains.knowledge.record import Knowledge
from gitmem.errors import GitmemError
from gitmem.founding import found
from gitmem.git.repository import NotARepository
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.memory.pending import StorageFailed
from gitmem.names import new_id
from tests.conftest import git
from tests.proofs.workers import Agent, agent, make, word


@contextmanager
def mounted(*options: str) -> Iterator[None]:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", options[-1]], check=True)


def with_records(path: Path, *, indexed: bool) -> None:
    make(path)
    with agent(path) as ann:
        for number in range(5):
            ann.record(word(number))
        if indexed:
            ann.call("query", query=word(1))
            ann.index.fold()


@contextmanager
def read_only(path: Path) -> Iterator[Path]:
    """The same repository at a second place, where nobody can write."""
    place = path.with_name("read-only.git")
    place.mkdir()
    with mounted("--bind", str(path), str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A memory with an index, on a disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)):
        with_records(disk / "memory.git", indexed=True)
        yield disk / "memory.git"


def fill(disk: Path) -> Path:
    """Take all that is left; removing the file gives it back."""
    file = disk / "ballast"
    with file.open("ab", buffering=0) as ballast:
        for size in (65536, 4096, 512, 1):
            try:
                while ballast.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return file


def found_by(one: Agent, text: str) -> list[str]:
    return [result.title for result in one.call("query", query=text).value.results]


def state(path: Path) -> tuple[str, list[str]]:
    """What a failed write must leave as it was; unfinished files would be among the packs."""
    return git(path, "for-each-ref"), sorted(file.name for file in (path / "objects" / "pack").iterdir())


WRITES: dict[str, Callable[[Agent], object]] = {
    "record_learning": lambda one: one.record("new"),
    "project": lambda one: one.call("project", action="create", name="other"),
    "start_session": lambda one: one.call("start_session", task_description="new work"),
}


# --- read-only ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", list(WRITES))
def test_a_write_to_a_read_only_repository_is_refused_and_says_why(tmp_path: Path, verb: str):
    with_records(tmp_path / "memory.git", indexed=True)
    before = state(tmp_path / "memory.git")
    with read_only(tmp_path / "memory.git") as place, agent(place) as ann:
        with pytest.raises(StorageFailed, match="Read-only file system") as refused:
            WRITES[verb](ann)
        assert "writable" in refused.value.fix
    assert state(tmp_path / "memory.git") == before


@pytest.mark.parametrize("case", ["index is there", "index is behind", "no index", "no folder of gitmem's own"])
def test_a_read_only_repository_can_be_read_and_searched(tmp_path: Path, case: str):
    path = tmp_path / "memory.git"
    with_records(path, indexed=case in ("index is there", "index is behind"))
    if case == "index is behind":
        with agent(path) as ann:
            ann.record(word(77))
    if case == "no folder of gitmem's own":
        git(tmp_path, "clone", "-q", "--mirror", str(path), str(tmp_path / "clone.git"))
        path = tmp_path / "clone.git"
    with read_only(path) as place, agent(place) as ann:
        record_id = next(file for file, _ in ann.memory.view().files() if "knowledge" in file).rpartition("/")[2].removesuffix(".md")
        assert ann.call("get_by_id", id=record_id).value.title.startswith("About ")
        assert found_by(ann, word(3))[0] == f"About {word(3)}"
        if case == "index is behind":
            assert found_by(ann, word(77)) == [f"About {word(77)}"]


def test_a_memory_on_a_read_only_disk_can_be_founded_again(tmp_path: Path):
    with_records(tmp_path / "memory.git", indexed=False)
    with read_only(tmp_path / "memory.git") as place:
        memory, made = found(place)
        memory.close()
        assert not made


def test_upkeep_of_a_read_only_repository_says_why_it_cannot(tmp_path: Path):
    with_records(tmp_path / "memory.git", indexed=False)
    with read_only(tmp_path / "memory.git") as place, agent(place) as ann, pytest.raises(GitmemError):
        ann.memory.upkeep.run(thorough=True)


# --- full -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", WRITES)
def test_a_write_to_a_full_disk_is_refused_whole_and_works_when_there_is_space(small: Path, verb: str):
    with agent(small) as ann:
        assert found_by(ann, word(3))
        before = state(small)
        ballast = fill(small.parent)
        for _ in range(3):
            with pytest.raises(StorageFailed, match="No space left on device"):
                WRITES[verb](ann)
        assert state(small) == before
        assert found_by(ann, word(3))[0] == f"About {word(3)}"
        ballast.unlink()
        WRITES[verb](ann)
    assert git(small, "fsck", "--strict", "--no-dangling") == ""


def test_a_process_that_starts_on_a_full_disk_reads_and_searches(small: Path):
    fill(small.parent)
    with agent(small) as ann:
        assert found_by(ann, word(3))[0] == f"About {word(3)}"
        with pytest.raises(StorageFailed):
            ann.record("new")


def test_a_search_without_an_index_on_a_full_disk_answers_or_says_why_and_recovers(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)):
        path = disk / "memory.git"
        with_records(path, indexed=True)
        subprocess.run(["rm", "-r", *(path / "gitmem").glob("index*")], check=True)
        ballast = fill(disk)
        with agent(path) as ann:
            with suppress(GitmemError):
                found_by(ann, word(3))
            ballast.unlink()
            assert found_by(ann, word(3))[0] == f"About {word(3)}"


def test_a_disk_that_fills_up_while_it_is_written_to_keeps_all_that_was_acknowledged(small: Path):
    acknowledged, refusals = [], 0
    memory = Memory(small)
    while refusals < 5:
        try:
            with memory.transaction(memory.view(), Caller("ann"), "store") as change:
                change.put(Knowledge(scope="projects/web", id=new_id("part"), title="Part", content=os.urandom(20_000).hex()))
            acknowledged.append(memory.head())
        except StorageFailed:
            refusals += 1
    memory.close()
    assert len(acknowledged) > 20
    assert refusals == 5
    assert set(acknowledged) <= set(git(small, "rev-list", "main").splitlines())
    assert git(small, "fsck", "--strict", "--no-dangling") == ""
    assert not list((small / "objects" / "pack").glob("tmp_*"))
    assert not list((small / "objects" / "pack").glob("*.keep"))


# --- no repository --------------------------------------------------------------------------------


def a_file(path: Path) -> None:
    path.write_text("x")


def a_folder_with_something_else(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def a_clone_with_a_worktree(path: Path) -> None:
    git(path.parent, "init", "-q", str(path))


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere") / "deep")


@pytest.mark.parametrize("is_there", [a_file, a_folder_with_something_else, a_clone_with_a_worktree], ids=lambda f: f.__name__)
@pytest.mark.parametrize("use", [Memory, found], ids=["open", "found"])
def test_a_path_that_is_no_bare_repository_is_refused_and_left_alone(tmp_path: Path, use: Callable[[Path], object], is_there: Callable[[Path], None]):
    path = tmp_path / "thing"
    is_there(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NotARepository, match="thing is not a bare git repository"):
        use(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", ["/proc/nothing/memory.git", "/dev/null/memory.git"])
def test_a_place_where_nothing_can_be_made_is_a_clear_error(place: str):
    with pytest.raises(GitmemError):
        found(Path(place))


def test_a_link_to_nowhere_is_a_clear_error(tmp_path: Path):
    a_dangling_link(tmp_path / "thing")
    with pytest.raises(GitmemError):
        found(tmp_path / "thing")
