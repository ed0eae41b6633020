"""How fast the backlog answers when it is large: against one with a few hundred items, in a process that has read none of them.

    python -m benchmarks.backlog_speed [--items 10000] [--rounds 20]

A sixth of the items are done, one in five waits for another one, three in five belong to somebody.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from gitmem import verbs
from gitmem.desk import Desk
from gitmem.domains.backlog.record import PRIORITIES, BacklogItem, Status
from gitmem.domains.projects import Project
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import now
from gitmem.verbs import SECTIONS

SMALL = 300
CALLER = Caller("agent-1", "declared")
_WORDS = ["cache", "retry", "login", "queue", "index", "price", "mail", "upload", "search", "report", "session", "limit"]
_STATUSES: list[Status] = ["open", "open", "open", "in_progress", "deferred", "done"]


def items(count: int) -> list[BacklogItem]:
    """The same items for the same count."""
    rng = random.Random(count)
    made: list[BacklogItem] = []
    for number in range(count):
        words = rng.choices(_WORDS, k=4)
        status = rng.choice(_STATUSES)
        created = now() - timedelta(minutes=rng.randrange(400 * 1440))
        made.append(BacklogItem(
            scope="projects/web", id=f"{'-'.join(words)}-{rng.getrandbits(32):08x}", title=f"{' '.join(words)} {number}",
            status=status, priority=rng.choice(PRIORITIES), milestone=rng.choice(("", "v1", "v2")),
            assigned_to="" if status == "open" and rng.random() < 0.8 else f"agent-{rng.randrange(40)}",
            blocked_by=(rng.choice(made).id,) if made and rng.random() < 0.2 else (),
            created=created, closed=now() if status == "done" else None, text=" ".join(rng.choices(_WORDS, k=60)),
        ))  # fmt: skip
    return made


def fill(path: Path, count: int) -> None:
    """Make a memory with so many items, and its index."""
    memory, _ = found(path)
    with memory.transaction(memory.view(), CALLER, "fill") as change:
        change.put(Project(scope="projects/web", name="web", created=now()))
        for item in items(count):
            change.put(item)
    index = Index(memory)
    index.rebuild()
    index.close()
    memory.close()


@contextmanager
def opened(path: Path) -> Iterator[Callable[..., Desk]]:
    """A desk of a process that has read nothing yet, but has its index open."""
    memory = Memory(path)
    index = Index(memory)
    index.search("x", view=memory.view(), limit=1)
    try:
        yield lambda verb="": Desk(memory, index, CALLER, project="web", verb=verb)
    finally:
        index.close()
        memory.close()


Measured = Callable[[Callable[..., Desk]], object]


def calling(name: str, **arguments: object) -> Measured:
    """A call of a verb."""
    return lambda desk: verbs.call(desk(name), verbs.find(name), arguments)


MEASURED: dict[str, Measured] = {
    "briefing section": lambda desk: SECTIONS["backlog"].lines(desk()),
    "ready_backlog": calling("ready_backlog"),
    "list_backlog": calling("list_backlog"),
    "list_backlog (mine)": calling("list_backlog", assigned_to="me"),
    "list_backlog (page 50)": calling("list_backlog", cursor="1000"),
    "list_backlog (text)": calling("list_backlog", text="login cache", status="open"),
    "claim_backlog_item (next)": calling("claim_backlog_item", next=True),
}


def milliseconds(path: Path, measured: Measured, rounds: int) -> tuple[float, float]:
    """The first call of a new process, and the median of those that follow."""
    times = []
    with opened(path) as desk:
        for _ in range(rounds + 1):
            started = time.perf_counter()
            measured(desk)
            times.append((time.perf_counter() - started) * 1000)
    return times[0], statistics.median(times[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.git", Path(folder) / "large.git"
        fill(small, SMALL)
        fill(large, arguments.items)
        print(f"{'':26} {SMALL:>8} items {arguments.items:>10} items {'ratio':>8}   first call")
        for name, measured in MEASURED.items():
            _, few = milliseconds(small, measured, arguments.rounds)
            first, many = milliseconds(large, measured, arguments.rounds)
            print(f"{name:26} {few:>11.2f} ms {many:>13.2f} ms {many / few:>8.1f} {first:>9.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
