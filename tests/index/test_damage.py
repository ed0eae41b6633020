import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gitmem.index.search import Index
from gitmem.memory.memory import Memory
from tests.index.conftest import Open, Write


def _delete(file: Path) -> None:
    file.unlink()


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for position in range(len(data) // 2, min(len(data) // 2 + 4, len(data))):
        data[position] ^= 0x15
    file.write_bytes(data)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _folder(memory: Memory) -> Path:
    return next(path for path in memory.repository.private.glob("index-*") if path.is_dir())


@pytest.fixture
def written(memory: Memory, write: Write, open_index: Open) -> list[str]:
    """Three records and an index on disk that has had an edit, so that it holds more than one segment."""
    first, second = write("One", "alpha beta"), write("Two", "alpha gamma")
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    write("One", "alpha delta", id=first.id)
    third = write("Three", "alpha epsilon")
    index.search("alpha", view=memory.view())
    assert index.fold()
    index.close()
    return sorted([first.path, second.path, third.path])


def _answers(index: Index, memory: Memory) -> list[str]:
    view = memory.view()
    found = index.search("alpha", view=view)
    assert (found.rebuilding, found.commit, found.total) == (False, view.commit, 3)
    assert index.count(view=view, by="kind") == {"knowledge": 3}
    assert len(index.search("delta", view=view).hits) == 1
    assert index.search("beta", view=view).hits == ()
    return sorted(hit.path for hit in found.hits)


@pytest.mark.parametrize("harm", [_delete, _truncate, _flip, _empty])
def test_any_damaged_file_leads_to_the_right_answer(
    memory: Memory, written: list[str], open_index: Open, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    folder = _folder(memory)
    shutil.copytree(folder, tmp_path / "good")
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) > 8
    for name in names:
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "good", folder)
        harm(folder / name)
        index = open_index(memory)
        assert _answers(index, memory) == written, name
        index.close()


@pytest.mark.parametrize("harm", [_delete, _truncate, _flip])
def test_damage_under_an_open_index_leads_to_the_right_answer(
    memory: Memory, written: list[str], open_index: Open, harm: Callable[[Path], None]
) -> None:
    index = open_index(memory)
    assert _answers(index, memory) == written
    for name in sorted(path.name for path in _folder(memory).iterdir()):
        if (file := _folder(memory) / name).exists():
            harm(file)
            assert _answers(index, memory) == written, name


def test_a_removed_folder_is_made_anew(memory: Memory, written: list[str], open_index: Open, write: Write) -> None:
    index = open_index(memory)
    assert _answers(index, memory) == written
    shutil.rmtree(_folder(memory))
    assert _answers(index, memory) == written
    write("Four", "zeta")
    assert index.search("zeta", view=memory.view()).total == 1
    shutil.rmtree(_folder(memory))
    index.fold()
    assert index.search("zeta", view=memory.view()).total == 1


def test_what_a_killed_commit_left_is_removed(memory: Memory, written: list[str], open_index: Open, write: Write) -> None:
    left = _folder(memory) / ".tmpAbc123"
    left.write_bytes(b"half of a meta.json")
    index = open_index(memory)
    assert _answers(index, memory) == written
    write("Four", "zeta")
    index.search("zeta", view=memory.view())
    assert index.fold()
    assert not left.exists()


def test_rebuilding_reports_progress_and_counts_records(memory: Memory, written: list[str], open_index: Open) -> None:
    told: list[tuple[int, int]] = []
    assert open_index(memory).rebuild(lambda done, total: told.append((done, total))) == 3
    assert told[-1][0] == told[-1][1] >= 3
    assert told == sorted(told)


def test_a_search_during_a_rebuild_answers_and_says_so(memory: Memory, written: list[str], open_index: Open) -> None:
    index = open_index(memory)
    assert _answers(index, memory) == written
    during, go_on = threading.Event(), threading.Event()

    def progress(done: int, total: int) -> None:
        during.set()
        go_on.wait()

    def rebuild() -> None:
        try:
            index.rebuild(progress)
        finally:
            during.set()

    rebuilding = threading.Thread(target=rebuild)
    rebuilding.start()
    during.wait()
    found = index.search("alpha", view=memory.view())
    go_on.set()
    rebuilding.join()
    assert found.rebuilding
    assert _answers(index, memory) == written


def test_a_rebuild_is_not_stopped_by_who_opens_the_index_meanwhile(memory: Memory, written: list[str], open_index: Open) -> None:
    index, is_over = open_index(memory), threading.Event()
    left = _folder(memory) / ".tantivy-meta.lock"

    def leave() -> None:
        while not is_over.is_set():
            with suppress(FileNotFoundError):  # between two folders
                left.touch()

    leaving = threading.Thread(target=leave)
    leaving.start()
    try:
        assert [index.rebuild() for _ in range(20)] == [3] * 20
    finally:
        is_over.set()
        leaving.join()
    assert _answers(index, memory) == written


def test_many_threads_search_while_others_write(memory: Memory, written: list[str], open_index: Open, write: Write) -> None:
    index = open_index(memory)
    wrong: list[str] = []
    start = threading.Barrier(12)

    def search() -> None:
        start.wait()
        for _ in range(15):
            view = memory.view()
            expected = sum(1 for path, _ in view.files() if "knowledge" in path)
            found = index.search("alpha", view=view, limit=50)
            if found.total != expected or found.commit != view.commit:
                wrong.append(f"{found.total} instead of {expected}")

    threads = [threading.Thread(target=search) for _ in range(11)]
    for thread in threads:
        thread.start()
    start.wait()
    for number in range(12):
        write(f"More {number}", "alpha")
        index.fold()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_fold_and_no_lock_of_a_memory_that_was_moved_away(memory: Memory, written: list[str], open_index: Open, write: Write) -> None:
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    write("Three", "alpha")
    index.search("alpha", view=memory.view())
    moved = memory.path.rename(memory.path.with_name("moved.git"))
    assert not index.fold()
    assert not memory.path.exists()
    moved.rename(memory.path)
    assert index.fold()
