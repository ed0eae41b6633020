"""Processes that use one memory at the same time: `python -m tests.proofs.workers ROLE REPOSITORY ...`.

Each says `ready` and starts when it is sent a line: that is the barrier. Every acknowledged write is
printed, flushed, as one line of JSON, so that a test knows what was promised however the process ends.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from gitmem import verbs
from gitmem.answers import structured
from gitmem.desk import Desk
from gitmem.domains.upkeep import tend
from gitmem.errors import GitmemError
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.verbs import Answer, Conflict

ROOT = Path(__file__).parents[2]


class Agent:
    """An agent with a memory of its own making: what one MCP server process has."""

    def __init__(self, path: Path, name: str = "ann", project: str = "web") -> None:
        self.memory = Memory(path)
        self.index = Index(self.memory)
        self.name, self.project = name, project

    def call(self, verb: str, /, **arguments: Any) -> Answer:
        desk = Desk(self.memory, self.index, Caller(self.name, "declared"), project=self.project, verb=verb)
        return verbs.call(desk, verbs.find(verb), arguments)

    def record(self, word: str) -> dict[str, str]:
        answer = self.call("record_learning", topic=f"About {word}", content=f"The word is {word}.")
        return {"verb": "record_learning", "id": answer.value.id, "word": word, "commit": answer.commit}

    def append(self, record_id: str, line: str) -> dict[str, str]:
        """Append a line to what the record says now; again on what it says then if somebody was faster."""
        while True:
            version = self.call("get_by_id", id=record_id).value.version
            try:
                answer = self.call("edit", id=record_id, operation="append", text=line, if_version=version)
            except Conflict:
                continue
            return {"verb": "edit", "id": record_id, "word": line, "commit": answer.commit}

    def close(self) -> None:
        self.index.close()
        self.memory.close()


def make(path: Path) -> None:
    """A founded memory with the project `web`."""
    memory, _ = found(path)
    memory.close()
    with agent(path) as ann:
        ann.call("project", action="create", name="web", description="shop")


@contextmanager
def agent(path: Path, name: str = "ann") -> Iterator[Agent]:
    one = Agent(path, name)
    try:
        yield one
    finally:
        one.close()


def word(*numbers: int) -> str:
    """A word of letters alone that no other numbers make."""
    return "q" + "x".join("".join("bcdfghjklm"[int(digit)] for digit in str(number)) for number in numbers) + "z"


class Worker:
    """One such process, as its test sees it."""

    def __init__(self, role: str, path: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "tests.proofs.workers", role, str(path), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )

    def ready(self) -> "Worker":
        assert self._out.readline() == "ready\n", self.process.communicate()[1]
        return self

    def go(self) -> "Worker":
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self

    @property
    def _out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def line(self) -> dict[str, Any]:
        """The next that it acknowledges."""
        said: dict[str, Any] = json.loads(self._out.readline() or self.process.communicate()[1])
        return said

    def finish(self) -> list[dict[str, Any]]:
        """All that it acknowledges until it ends by itself."""
        out, errors = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, errors
        return [json.loads(line) for line in out.splitlines()]

    def kill(self, *, with_children: bool = False) -> list[dict[str, Any]]:
        """`kill -9`; what it had acknowledged and was not read yet."""
        if with_children:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        out = self._out.read()  # not communicate(), which would miss what has been buffered here
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == -9, f"it ended by itself: {errors}"
        return [json.loads(line) for line in out.splitlines() if line.endswith("}")]


def start(*workers: Worker) -> list[Worker]:
    """Let them go together."""
    for worker in workers:
        worker.ready()
    return [worker.go() for worker in workers]


# --- what runs in the process -----------------------------------------------------------------


def _say(acknowledged: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(acknowledged) + "\n")
    sys.stdout.flush()


@contextmanager
def _started(path: str, name: str) -> Iterator[Agent]:
    with agent(Path(path), name) as one:
        _wait()
        yield one


def _wait() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def recorder(path: str, number: str, count: str) -> None:
    with _started(path, f"agent-{number}") as one:
        for step in range(int(count)):
            _say(one.record(word(int(number), step)))


def editor(path: str, number: str, count: str, record_id: str) -> None:
    with _started(path, f"agent-{number}") as one:
        for step in range(int(count)):
            _say(one.append(record_id, word(int(number), step)))


def definer(path: str, number: str, name: str, version: str = "") -> None:
    """Defines a version of a spec as ann; says the version, or why it was refused."""
    with _started(path, "ann") as one:
        try:
            _say({"version": one.call("define_spec", name=name, content=f"Text {number}.", version=version).value.version})
        except GitmemError as error:
            _say({"refused": str(error)})


def unending(path: str, number: str, record_id: str) -> None:
    """Writes until it is killed: new records, and a line more to a record."""
    with _started(path, f"agent-{number}") as one:
        for step in range(1_000_000):
            _say(one.record(word(int(number), step)) if step % 4 < 3 else one.append(record_id, word(int(number), step)))


def upkeeper(path: str) -> None:
    with _started(path, "upkeep") as one:
        while True:
            condition = one.memory.upkeep.run(thorough=True)
            _say({"packs": condition.packs})


def starter(path: str, number: str) -> None:
    """Starts sessions until it is killed."""
    with _started(path, f"starter-{number}") as one:
        while True:
            answer = one.call("start_session", budget_tokens=200)
            _say({"session": answer.value.session_id, "commit": answer.commit})


def tender(path: str) -> None:
    """Tends until it is killed, as several servers would by turns."""
    with _started(path, "tender") as one:
        while True:
            done = tend(one.memory, one.index, patience_seconds=60)
            _say({"dropped": sum(each.records for each in done.dropped), "archived": len(done.archived), "failed": done.failed})


def searcher(path: str, *words: str) -> None:
    with _started(path, "searcher") as one:
        asked = words or json.loads(sys.stdin.readline())
        for each in asked:
            _say({"word": each, "ids": [result.id for result in one.call("query", query=each, limit=3).value.results]})


def locker(path: str, number: str, *patterns: str) -> None:
    with _started(path, f"agent-{number}") as one:
        for pattern in patterns:
            answer = one.call("lock_files", files=[pattern], reason="proof").value
            _say({"pattern": pattern, "agent": one.name, "success": answer.success, "fence": answer.fence})


def founder(path: str) -> None:
    _wait()
    try:
        memory, made = found(Path(path))
    except GitmemError as error:
        _say({"error": str(error)})
        return
    _say({"made": made, "head": memory.head()})
    memory.close()


def racers(path: str, verb: str, calls: str) -> None:
    """Many agents in one process, each making one call at the same moment: {agent: arguments}."""
    one, asked = Agent(Path(path)), json.loads(calls)
    together = threading.Barrier(len(asked))

    def race(name: str) -> dict[str, Any]:
        desk = Desk(one.memory, one.index, Caller(name, "declared"), project="web", verb=verb)
        together.wait()
        try:
            return {"agent": name, "answer": structured(verbs.call(desk, verbs.find(verb), asked[name]))}
        except GitmemError as error:
            return {"agent": name, "refusal": str(error), "kind": type(error).__name__}

    with ThreadPoolExecutor(len(asked)) as pool:
        _wait()
        for outcome in pool.map(race, asked):
            _say(outcome)
    one.close()


ROLES = {each.__name__: each for each in (recorder, editor, definer, unending, upkeeper, starter, tender, searcher, locker, founder, racers)}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
