"""What is written is analysed while the disk is waited for, and a search takes it from there."""

from collections.abc import Iterator

import pytest

from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.presence import seen
from gitmem.index import ahead as module
from gitmem.index.ahead import Ahead, analysed
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import new_id
from tests.index.conftest import Open, Write


@pytest.fixture
def ahead(memory: Memory) -> Iterator[Ahead]:
    made = Ahead(memory)
    yield made
    made.close()


def test_a_write_is_analysed_ahead_and_taken_once(ahead: Ahead, write: Write) -> None:
    record = write("Pool exhaustion", "Idle connections are dropped by `PoolManager.recycle`.")

    begun = ahead._begun[record.path, record.version].result()

    assert begun == analysed(record.path, record)
    assert ahead.take(record.path, record) is begun
    assert ahead.take(record.path, record) == begun
    assert not ahead._begun


def test_each_version_of_a_record_is_its_own(ahead: Ahead, write: Write) -> None:
    first = write("Pool exhaustion", "alpha")
    second = write("Pool exhaustion", "beta", id=first.id)

    assert [each.passage.shown for each in ahead.take(first.path, first)] == ["alpha"]
    assert [each.passage.shown for each in ahead.take(second.path, second)] == ["beta"]


def test_what_no_search_needs_is_left_alone(ahead: Ahead, memory: Memory) -> None:
    with memory.transaction(memory.view(), Caller("ada"), "import") as change:
        for number in range(module._FILES_MAX + 1):
            change.put(Knowledge(id=new_id("x"), title=f"Number {number}", content="alpha"))
    seen(memory, "shop", "ada")  # which is written to another ref
    with memory.transaction(memory.view(), Caller("ada"), "read me") as change:
        change.put_file("README.md", b"# Read me\n")

    assert not ahead._begun


def test_what_nobody_takes_is_forgotten(ahead: Ahead, write: Write) -> None:
    written = [write(f"Number {number}", "alpha") for number in range(2 * module._KEPT)]

    assert [version for _, version in ahead._begun] == [each.version for each in written[-module._KEPT :]]


def test_a_search_takes_what_was_analysed_ahead(memory: Memory, write: Write, open_index: Open) -> None:
    write("First", "beta")
    index = open_index(memory)
    index.search("alpha", view=memory.view())  # from here on there is an index that writes are added to
    begun = index._follower._changes._ahead._begun

    record = write("Pool exhaustion", "alpha")
    assert list(begun) == [(record.path, record.version)]

    assert [hit.path for hit in index.search("alpha", view=memory.view()).hits] == [record.path]
    assert not begun


def test_writes_go_on_when_an_index_is_closed(memory: Memory, write: Write, open_index: Open) -> None:
    index = open_index(memory)
    listener = memory.writer.listeners[-1]
    write("First", "alpha")
    index.close()
    memory.writer.listeners.append(listener)  # as it is to a writer that was about to call it

    record = write("Second", "alpha")

    assert memory.view().record(record.path) == record
    found = open_index(memory).search("alpha", view=memory.view())
    assert len(found.hits) == 2
