"""`get_messages` and its part of the briefing with 10,000 unread messages beside 100, and a new process's first look.

python -m benchmarks.mailbox [--small 100] [--large 10000] [--rounds 40]
"""

import argparse
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from gitmem import verbs
from gitmem.desk import Desk
from gitmem.domains.messages.listing import unread_of
from gitmem.domains.messages.posting import post
from gitmem.domains.messages.record import Message, Priority, place_of
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import instant

PROJECT = "bench"
PRIORITIES: tuple[Priority, ...] = ("urgent", "low") + ("normal",) * 8


class Filled:
    """A memory with so many unread messages for one agent."""

    def __init__(self, path: Path, messages: int) -> None:
        self.memory, _ = found(path)
        self.index = Index(self.memory)
        self.number = 0
        self.call("project", action="create", name=PROJECT)
        self.call("project", action="add_agent", name=PROJECT, member="ann")
        start = instant() - timedelta(seconds=messages)
        with self.memory.transaction(self.memory.view(place_of(PROJECT)), Caller("bob"), "fill") as change:
            for number in range(messages):
                post(change, Message(
                    scope=f"projects/{PROJECT}", id=f"nr-{(number * 2654435761) % 2**32:08x}", from_agent="bob", to="ann",
                    subject=f"Number {number}", priority=PRIORITIES[number % 10], message=f"This is message {number}. " * 10,
                    sent=(start + timedelta(seconds=number)).replace(microsecond=0),
                ))

    def call(self, called: str, agent: str = "bob", **arguments: object) -> float:
        """Seconds that a verb takes in process."""
        desk = Desk(self.memory, self.index, Caller(agent), project=PROJECT, verb=called)
        started = time.perf_counter()
        verbs.call(desk, verbs.find(called), arguments)
        return time.perf_counter() - started

    def read(self) -> float:
        """Reading two messages, right after one has come: as many as before stay unread."""
        self.number += 2
        for number in (self.number, self.number + 1):
            self.call("send_message", to_instance="ann", message=f"News {number}")
        return self.call("get_messages", "ann", limit=2)

    def brief(self) -> float:
        """The section of the briefing."""
        return self.call("brief", "ann", sections=["messages"])

    def fresh(self) -> float:
        """The first look at the inbox by a process that has just opened the memory."""
        memory = Memory(self.memory.path)
        started = time.perf_counter()
        unread_of(memory, PROJECT, "ann", 20)
        taken = time.perf_counter() - started
        memory.close()
        return taken

    def close(self) -> None:
        """Let go of the memory."""
        self.index.close()
        self.memory.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        both = [Filled(Path(folder) / f"{count}.git", count) for count in (options.small, options.large)]
        reads = _medians([[filled.read() for filled in both] for _ in range(options.rounds)])
        briefs = _medians([[filled.brief() for filled in both] for _ in range(options.rounds)])
        fresh = _medians([[filled.fresh() for filled in both] for _ in range(5)])
        for filled in both:
            filled.close()
    for name, (small, large), most in (("get_messages", reads, 2.0), ("briefing", briefs, 2.0)):
        print(f"{name} with {options.small} unread {small:.2f} ms, with {options.large} {large:.2f} ms")
        print(f"{name} large / small  {large / small:.2f}  (at most {most:g})")
    print(f"first look of a new process with {options.small} unread {fresh[0]:.0f} ms, with {options.large} {fresh[1]:.0f} ms")


def _medians(rounds: list[list[float]]) -> list[float]:
    return [statistics.median(each) * 1000 for each in zip(*rounds, strict=True)]


if __name__ == "__main__":
    main()
