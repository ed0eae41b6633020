"""Writing records, and indexes that are closed at the end of the test."""

from collections.abc import Callable, Iterator

import pytest

from gitmem.domains.knowledge.record import Knowledge
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import new_id

Write = Callable[..., Knowledge]
Open = Callable[..., Index]


@pytest.fixture(autouse=True)
def _closed_packs(memory: Memory) -> Iterator[None]:
    yield
    memory.upkeep.close()
    for store in memory.repository.objects._stores:
        store.close()


@pytest.fixture
def write(memory: Memory) -> Write:
    """Write one knowledge record as a commit of its own."""

    def write(title: str, content: str = "", *, by: str = "ada", into: Memory = memory, **values: object) -> Knowledge:
        values.setdefault("id", new_id(title))
        record = Knowledge(title=title, content=content, **values)  # type: ignore[arg-type]
        with into.transaction(into.view(), Caller(by), f"learn {title}") as change:
            return change.put(record)

    return write


@pytest.fixture
def delete(memory: Memory) -> Callable[[Knowledge], None]:
    """Delete a record's file as a commit of its own."""

    def delete(record: Knowledge) -> None:
        with memory.transaction(memory.view(), Caller("ada"), "delete") as change:
            change.delete(record.path)

    return delete


@pytest.fixture
def open_index() -> Iterator[Open]:
    """Open indexes that are closed when the test ends."""
    opened: list[Index] = []

    def open_index(memory: Memory) -> Index:
        opened.append(Index(memory))
        return opened[-1]

    yield open_index
    for each in opened:
        each.close()


@pytest.fixture
def index(memory: Memory, open_index: Open) -> Index:
    return open_index(memory)
