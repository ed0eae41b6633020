"""A team of agents at work over HTTP: calls a second, and what each verb takes beside a no-op under the same load.

Each agent has a connection of its own and does everything in a loop. Then one agent alone starts sessions in a
memory of many records, with mail, an item and a handoff waiting, in turns with the no-op.

    python -m benchmarks.team [--agents 16] [--rounds 15] [--records 10000] [--starts 60]
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from benchmarks.filling import fill
from benchmarks.http_calls import PROJECT, Connection, served
from gitmem import verbs
from gitmem.desk import Desk
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller

LEAD = "lead"
HANDOFF = "The pool is next.\nBeware of the clock."
START_RATIO_MAX = 5
BUDGET_TOKENS = 2000


class Agent:
    """One agent in a loop; `taken` collects the seconds of its calls by verb."""

    def __init__(self, connection: Connection, name: str, neighbour: str) -> None:
        self._connection = connection
        self._name, self._neighbour = name, neighbour
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    def call(self, tool: str, **arguments: object) -> Any:
        """One call; a refusal is noted, and None."""
        started = time.perf_counter()
        try:
            answer = self._connection.call(tool, **arguments)
        except RuntimeError as error:
            self.errors.append(f"{tool}: {error}")
            return None
        self.taken[tool].append(time.perf_counter() - started)
        return answer

    def work(self, barrier: threading.Barrier, rounds: int) -> None:
        """Do everything that an agent does, `rounds` times."""
        barrier.wait()
        for number in range(rounds):
            self._one_round(number)

    def _one_round(self, number: int) -> None:
        what = f"{self._name} {number}"
        self.call("noop")
        session = self.call("start_session", task_description=f"mend the connection pool, {what}")
        self.call("record_learning", topic=f"Finding of {what}", content=f"The pool of {what} drops idle connections.")
        self.call("query", query=f"idle connections of {what}")
        self.call("send_message", to_instance=self._neighbour, message=f"{what} is at the pool.")
        self.call("get_messages")
        self.call("lock_files", files=[f"src/{self._name}/"], reason=what)
        self.call("heartbeat", status="busy", current_task=what)
        self.call("define_spec", name=f"pool-{self._name}", content=f"The pool as of {what}.", spec_type="interface")
        self.call("add_backlog_item", title=f"Look after {what}")
        self.call("claim_backlog_item", next=True)
        self.call("noop")
        self.call("unlock_files")
        self.call("end_session", session_id=session["session_id"], summary=what, handoff_notes=f"Next after {what}.")


def together(first: Connection, agents: int, rounds: int) -> None:
    """Print what each verb takes when all agents work at once."""
    names = [f"agent-{number:02}" for number in range(agents)]
    team = [
        Agent(Connection(first.host, first.port, name), name, names[(number + 1) % agents]) for number, name in enumerate(names)
    ]
    lead = Connection(first.host, first.port, LEAD)
    for name in names:
        lead.call("project", action="add_agent", name=PROJECT, member=name)
    barrier = threading.Barrier(agents + 1)
    threads = [threading.Thread(target=each.work, args=(barrier, rounds)) for each in team]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    show(team, seconds)


def show(team: list[Agent], seconds: float) -> None:
    """The table of all verbs, and every error."""
    taken: dict[str, list[float]] = defaultdict(list)
    for agent in team:
        for verb, each in agent.taken.items():
            taken[verb] += each
    calls, errors = sum(map(len, taken.values())), [error for agent in team for error in agent.errors]
    print(f"{len(team)} agents: {calls} calls, {calls / seconds:.0f} a second, {len(errors)} errors")
    noop = statistics.median(taken["noop"])
    for verb, each in taken.items():
        p95 = statistics.quantiles(each, n=20)[-1]
        p50 = statistics.median(each)
        print(f"  {verb:20} p50 {p50 * 1000:7.1f} ms  p95 {p95 * 1000:7.1f} ms  {p50 / noop:5.1f} times the no-op")
    for error in errors[:5]:
        print(f"  error: {error[:300]}")


def prepare(path: Path, records: int) -> None:
    """A memory of many records, with mail, an item and a handoff for whoever starts."""
    memory, _ = found(path)
    fill(memory, PROJECT, records)
    index = Index(memory)

    def call(agent: str, called: str, /, **arguments: object) -> None:
        desk = Desk(memory, index, Caller(agent, "declared"), project=PROJECT, verb=called)
        verbs.call(desk, verbs.find(called), arguments)

    call(LEAD, "project", action="add_agent", name=PROJECT, member=LEAD, tier="admin")
    call(LEAD, "project", action="add_agent", name=PROJECT, member="starter", tier="member")
    call(LEAD, "start_session", task_description="prepare")
    for number in range(20):
        call(LEAD, "send_message", to_instance="starter", message=f"Look at part {number} of the pool first.")
        call(LEAD, "add_backlog_item", title=f"Part {number} of the pool", assigned_to="starter" if number % 2 else "")
    call(LEAD, "remember", key="pool-size", value="Forty.", category="other")
    call(LEAD, "end_session", summary="prepared", handoff_notes=HANDOFF)
    index.rebuild()
    index.close()
    memory.close()


def starts(first: Connection, count: int) -> None:
    """Print what the start of a session takes beside a no-op."""
    starter = Connection(first.host, first.port, "starter")
    briefing = starter.call("start_session", task_description="the connection pool")
    told = {each["name"]: len(each["lines"]) for each in briefing["sections"]}
    length = sum(len(line) for each in briefing["sections"] for line in each["lines"])
    print(f"a briefing of {length} characters, at most {BUDGET_TOKENS * 4}: {told}")
    starter.call("end_session", session_id=briefing["session_id"], handoff_notes=HANDOFF)
    times: dict[str, list[float]] = {"no-op": [], "start_session": []}
    for number in range(count):
        before = time.perf_counter()
        starter.call("noop")
        between = time.perf_counter()
        session = starter.call("start_session", task_description=f"the connection pool {number}")
        after = time.perf_counter()
        times["no-op"].append((between - before) * 1000)
        times["start_session"].append((after - between) * 1000)
        # not measured: each session finds what the first one found
        starter.call("end_session", session_id=session["session_id"], handoff_notes=HANDOFF)
    taken = {name: statistics.median(each) for name, each in times.items()}
    for name, median in taken.items():
        print(f"{name:28} {median:6.2f} ms")
    print(f"start_session / no-op  {taken['start_session'] / taken['no-op']:.2f}  (at most {START_RATIO_MAX})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--starts", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder) / "large", options.records)
        with served(Path(folder) / "large") as connection:
            starts(connection, options.starts)
        prepare(Path(folder) / "team", 1000)
        with served(Path(folder) / "team") as connection:
            together(connection, options.agents, options.rounds)


if __name__ == "__main__":
    main()
