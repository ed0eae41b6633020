"""Durable writes: gitmem in process, gate and codec included, beside pygit2 with fsync.

Both make the same commits: one new small file in a sharded folder of a bare repository, one commit each,
flushed before the next begins. gitmem also with 16 callers at once. Rounds alternate, so that a noisy
machine slows both alike; the ratio is of the medians.

    python -m benchmarks.writes [--commits 300] [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pygit2

import gitmem.domains.kinds  # noqa: F401  declares the kinds
from benchmarks.filling import fill
from gitmem.domains.knowledge.record import Knowledge
from gitmem.git.repository import Repository
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale
from gitmem.names import new_id, now
from gitmem.records.codec import encode

CALLER = Caller("bench")
TEXT = "PgBouncer drops idle connections after five minutes without a word. " * 8


def a_record(number: int) -> Knowledge:
    title = f"Connection pooling, finding {number}"
    return Knowledge(
        scope="projects/bench", memory_type="learning", id=new_id(title), title=title, tags=("postgres", "pooling"),
        author="bench", created=now(), content=f"{number}: {TEXT}",
    )


def write_with_gitmem(memory: Memory, number: int) -> None:
    while True:
        try:
            with memory.transaction(memory.view(), CALLER, f"learning: {number}", verb="record_learning") as change:
                change.put(a_record(number))
            return
        except Stale:
            continue


class Pygit2Writer:
    """The same commit with libgit2, its objects and refs flushed."""

    def __init__(self, path: Path) -> None:
        pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, True)
        self.repository = pygit2.init_repository(str(path), bare=True)

    def write(self, number: int) -> None:
        """Commit one record."""
        record = a_record(number)
        repository = self.repository
        tip = repository.references.get("refs/heads/main")
        tree = tip.peel(pygit2.Tree) if tip else None
        blob = repository.create_blob(encode(record))
        root = self._graft(tree, record.path.split("/"), blob)
        who = pygit2.Signature("bench", "bench@gitmem")
        message = f"learning: {number}\n\nGitmem-Verb: record_learning\n"
        repository.create_commit("refs/heads/main", who, who, message, root, [tip.target] if tip else [])

    def _graft(self, tree: "pygit2.Tree | None", path: list[str], blob: pygit2.Oid) -> pygit2.Oid:
        builder = self.repository.TreeBuilder(tree) if tree is not None else self.repository.TreeBuilder()
        name, *rest = path
        if rest:
            inner = self.repository[tree[name].id].peel(pygit2.Tree) if tree is not None and name in tree else None
            builder.insert(name, self._graft(inner, rest, blob), pygit2.enums.FileMode.TREE)
        else:
            builder.insert(name, blob, pygit2.enums.FileMode.BLOB)
        return builder.write()


def rate(write: Callable[[int], None], commits: int, callers: int = 1) -> float:
    """Commits a second."""
    def work(share: int) -> None:
        for number in range(commits // callers):
            write(share * commits + number)

    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(work, range(callers)))
    return commits / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"pygit2, fsync": [], "gitmem, 1 caller": [], "gitmem, 16 callers": []}
    with tempfile.TemporaryDirectory() as folder:
        Repository.init(Path(folder) / "gitmem.git")
        memory = Memory(Path(folder) / "gitmem.git")
        fill(memory, "bench", 0)
        yardstick = Pygit2Writer(Path(folder) / "pygit2.git")
        for _ in range(options.rounds):
            rates["pygit2, fsync"].append(rate(yardstick.write, options.commits))
            rates["gitmem, 1 caller"].append(rate(lambda n: write_with_gitmem(memory, n), options.commits))
            rates["gitmem, 16 callers"].append(rate(lambda n: write_with_gitmem(memory, n), options.commits * 4, 16))
        memory.close()
    base = statistics.median(rates["pygit2, fsync"])
    for name, measured in rates.items():
        middle = statistics.median(measured)
        print(f"{name:20} {middle:7.0f} commits/s  ({min(measured):.0f} to {max(measured):.0f})  ratio {middle / base:.2f}")


if __name__ == "__main__":
    main()
