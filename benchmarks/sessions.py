"""`start_session` in a large memory beside a small one, and the memory's opening up to the first answer.

python -m benchmarks.sessions [--small 1000] [--large 100000] [--rounds 30]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from benchmarks.filling import fill
from gitmem import verbs
from gitmem.desk import Desk
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory

PROJECT = "bench"
TASK = "find out why the connection pool drops idle connections and mend the retry policy"


def call(memory: Memory, index: Index, name: str, **arguments: object) -> float:
    """Seconds that a verb takes in process."""
    desk = Desk(memory, index, Caller("bench"), project=PROJECT, verb=name)
    started = time.perf_counter()
    verbs.call(desk, verbs.find(name), arguments)
    return time.perf_counter() - started


class Filled:
    """A memory of a size, with an index that is current."""

    def __init__(self, path: Path, records: int) -> None:
        self.path = path
        self.memory, _ = found(path)
        fill(self.memory, PROJECT, records)
        self.index = Index(self.memory)
        call(self.memory, self.index, "record_learning", topic="Retry policy", content="The pool drops idle connections.")
        self.index.rebuild()

    def start(self) -> float:
        """Seconds that a session's start takes."""
        taken = call(self.memory, self.index, "start_session", task_description=TASK)
        call(self.memory, self.index, "end_session", summary="done", handoff_notes="go on")
        return taken

    def close(self) -> None:
        """Let go of the memory."""
        self.index.close()
        self.memory.close()


def opening(path: Path) -> float:
    """Seconds from nothing open to the first answer, in this process."""
    started = time.perf_counter()
    memory = Memory(path)
    index = Index(memory)
    call(memory, index, "query", query="retry policy of the pool")
    taken = time.perf_counter() - started
    index.close()
    memory.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = Filled(Path(folder) / "small.git", options.small)
        large = Filled(Path(folder) / "large.git", options.large)
        taken = [(small.start(), large.start()) for _ in range(options.rounds)]
        small.close()
        large.close()
        openings = [opening(large.path) for _ in range(5)]
    medians = [statistics.median(each) * 1000 for each in zip(*taken, strict=True)]
    print(f"start_session at {options.small} records {medians[0]:.1f} ms, at {options.large} {medians[1]:.1f} ms")
    print(f"start_session large / small  {medians[1] / medians[0]:.2f}  (at most 1.5)")
    print(f"opening {options.large} records and the first search  {statistics.median(openings) * 1000:.0f} ms  (at most 300)")


if __name__ == "__main__":
    main()
