"""How fast search is: against SQLite FTS5 on the same text, right after a write, and from a cold start.

    python benchmarks/search_speed.py [--records 100000] [--folder DIR]

Text is synthetic: words by Zipf's law, about 600 bytes a record; questions of 4 to 8 such words. All times of
one run are of one machine and one minute; the ratios are what to look at. With --folder the repository is kept and used again.
"""

import argparse
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path

import gitmem.domains.all  # noqa: F401  declares the kinds
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.projects import Project
from gitmem.git.repository import Repository
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import new_id

_BATCH = 10_000
_PROJECTS = 20
_SYLLABLES = ["ba", "ko", "ri", "tel", "mun", "sa", "vor", "lin", "pe", "dra", "ga", "nos", "fi", "tu", "wer", "zo", "ham", "ki"]
_COLD = """
import time; started = time.perf_counter()
import sys, pathlib
from gitmem.domains.knowledge import record
from gitmem.memory.memory import Memory
from gitmem.index.search import Index
imported = time.perf_counter()
memory = Memory(pathlib.Path(sys.argv[1]))
index = Index(memory)
found = index.search(sys.argv[2], view=memory.view())
assert found.hits and not found.rebuilding
print(imported - started, time.perf_counter() - started)
"""


class Words:
    """A vocabulary whose words are as unequally frequent as those of a language."""

    def __init__(self, seed: int, count: int = 30_000) -> None:
        spelling = random.Random(7)  # one vocabulary, whatever is written with it
        spelled = ("".join(spelling.choices(_SYLLABLES, k=2 + i % 4)) for i in range(2 * count))
        self._words = list(dict.fromkeys(spelled))[:count]
        self._cumulative = list(accumulate(1 / (rank + 2.7) for rank in range(len(self._words))))
        self._random = random.Random(seed)

    def text(self, length: int) -> str:
        """So many words."""
        return " ".join(self._random.choices(self._words, cum_weights=self._cumulative, k=length))


def records(count: int) -> Iterator[Knowledge]:
    """Records of about 600 bytes."""
    words = Words(seed=1)
    for number in range(count):
        title = words.text(5)
        tags = tuple(dict.fromkeys(words.text(2).split()))
        scope = f"projects/p{number % _PROJECTS}"
        yield Knowledge(scope=scope, id=new_id(title), title=title, tags=tags, author="ada", content=words.text(75))


def fill(memory: Memory, count: int) -> None:
    """Write the records, in a few large commits."""
    with memory.transaction(memory.view(), Caller("ada"), "projects") as change:
        for number in range(_PROJECTS):
            change.put(Project(name=f"p{number}"))
    batch: list[Knowledge] = []
    for record in records(count):
        batch.append(record)
        if len(batch) == _BATCH:
            put(memory, batch)
            batch = []
    if batch:
        put(memory, batch)


def put(memory: Memory, batch: list[Knowledge]) -> None:
    with memory.transaction(memory.view(), Caller("ada"), "fill") as change:
        for record in batch:
            change.put(record)


def fts5(memory: Memory) -> sqlite3.Connection:
    """The same text in SQLite FTS5."""
    database = sqlite3.connect(":memory:")
    database.execute("create virtual table docs using fts5(path unindexed, title, tags, content, tokenize='porter unicode61')")
    rows = ((r.path, r.title, " ".join(r.tags), r.content) for r in memory.view().records(Knowledge))
    database.executemany("insert into docs values (?, ?, ?, ?)", rows)
    return database


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def median_ms(times: list[float]) -> float:
    return statistics.median(times) * 1000


def compare(memory: Memory, index: Index, questions: list[str]) -> None:
    database = fts5(memory)
    view = memory.view()
    index.search(questions[0], view=view)
    sql = "select path from docs where docs match ? order by bm25(docs, 0, 2.0, 1.0, 1.0) limit 5"

    def by_fts5(question: str) -> object:
        return database.execute(sql, (" OR ".join(f'"{word}"' for word in question.split()),)).fetchall()

    ours = [timed(partial(index.search, question, view=view)) for question in questions]
    theirs = [timed(partial(by_fts5, question)) for question in questions]
    p95 = statistics.quantiles(ours, n=20)[-1] * 1000
    print(f"search, p50: gitmem {median_ms(ours):.2f} ms (p95 {p95:.2f}), FTS5 bm25 {median_ms(theirs):.2f} ms:"
          f" {median_ms(theirs) / median_ms(ours):.1f} times faster")


def search_now(memory: Memory, index: Index, question: str) -> object:
    return index.search(question, view=memory.view())


def after_writes(memory: Memory, index: Index, questions: list[str]) -> None:
    """Print what a search costs right after a write, beside the same one after a write to another memory and after a search.

    Who waited for the disk goes on with cold caches, whatever was written: following a write is the first two's difference.
    """
    words = Words(seed=8)

    def write(to: Memory) -> None:
        title = words.text(4)
        put(to, [Knowledge(id=new_id(title), title=title, content=words.text(75))])

    with tempfile.TemporaryDirectory() as folder:
        other = Memory(Repository.init(Path(folder) / "other.git").path)
        before: dict[str, Callable[[], object]] = {
            "a write": partial(write, memory),
            "a write elsewhere": partial(write, other),
            "a search": lambda: None,
        }
        taken: dict[str, list[float]] = {name: [] for name in before}
        for turn, question in enumerate(questions):
            search_now(memory, index, question)  # asking leaves traces, which all three are to find
            for name in (list(before) * 2)[turn % 3 : turn % 3 + 3]:
                before[name]()
                taken[name].append(timed(partial(search_now, memory, index, question)))
        other.close()
    told = ", ".join(f"{name} {median_ms(times):.2f} ms" for name, times in taken.items())
    more = [one - other for one, other in zip(taken["a write"], taken["a write elsewhere"], strict=True)]
    print(f"search right after {told}; for following the write {median_ms(more):+.2f} ms")


def cold(memory: Memory, question: str) -> None:
    runs = []
    for _ in range(7):
        command = [sys.executable, "-c", _COLD, str(memory.path), question]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append([float(part) * 1000 for part in done.stdout.split()])
    imports, total = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"fresh process: imports {imports:.0f} ms, imports, opening and first search {total:.0f} ms")


def run(folder: Path, count: int) -> None:
    known = folder.exists()
    Repository.init(folder)
    memory = Memory(folder)
    if not known:
        print(f"writing {count:,} records: {timed(lambda: fill(memory, count)):.1f} s")
        memory.upkeep.run(thorough=True)
    index = Index(memory)
    if not known:
        print(f"building the index: {timed(index.rebuild):.1f} s")
    size = sum(path.stat().st_size for path in memory.repository.private.glob("index-*/*"))
    words = Words(seed=9)
    questions = [words.text(4 + number % 5) for number in range(300)]
    cold(memory, questions[0])
    compare(memory, index, questions)
    print(f"index: {size / 1e6:.1f} MB")
    after_writes(memory, index, questions[:200])
    index.close()
    memory.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the repository here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run(arguments.folder or Path(temporary) / "memory.git", arguments.records)


if __name__ == "__main__":
    main()
