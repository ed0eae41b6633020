"""What a call over HTTP costs beside a no-op tool of the same server, and beside the same verb in process.

Reads are measured twice: through the client of the MCP SDK, which is what an agent waits for and what the limit is
about, and with plain HTTP on one kept connection, which shows the server's own share and nothing else.
Calls take turns, one of each sort after the other, so that a noisy machine slows all alike. The records are
functions of the installed packages, the questions the first sentences of their docstrings, another one each time.

    python -m benchmarks.http_calls [--calls 400] [--records 1000]
"""

import argparse
import http.client
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from benchmarks.filling import fill
from benchmarks.search_quality import functions, keep
from gitmem import verbs
from gitmem.desk import Desk
from gitmem.founding import found
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory

PROJECT = "bench"
VERSION = "2026-07-28"
WORDS_MAX = 12  # of a question
LINKED = 200  # records that are read by their ids
# A server of ours with one more verb, that does nothing.
SERVER = """
import sys
from pathlib import Path
from msgspec import Struct
import gitmem.domains.all
from gitmem.desk import Desk
from gitmem.verbs import verb

class Nothing(Struct, frozen=True):
    done: str

@verb(in_project=False)
def noop(desk: Desk) -> Nothing:
    "Do nothing."
    return Nothing("nothing")

globals()["Desk"] = Desk
from gitmem.facade.http import serve_http
serve_http(Path(sys.argv[1]), port=0, profile="all", agent="bench", project="bench")
"""


class Connection:
    """A kept connection to a server."""

    def __init__(self, host: str, port: int, agent: str = "") -> None:
        self.host, self.port = host, port
        self._agent = {"dev.gitmem/agent": agent} if agent else {}
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        self._connection.connect()
        # head and body leave in two packets; without this the second waits 40 ms for an acknowledgement
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ids = itertools.count(1)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def call(self, tool: str, **arguments: object) -> Any:
        """The structured answer of a tool. Raises RuntimeError if it refuses."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            **self._agent,
        }
        params = {"name": f"memory_{tool}", "arguments": arguments, "_meta": meta}
        body = json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": "tools/call", "params": params})
        headers = {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/call", "Mcp-Name": f"memory_{tool}",
        }
        self._connection.request("POST", "/mcp", body, headers)
        answer = json.loads(self._connection.getresponse().read())
        result = answer.get("result", {})
        if "error" in answer or result.get("isError"):
            raise RuntimeError(answer)
        return result["structuredContent"]


@contextmanager
def served(path: Path) -> Iterator[Connection]:
    """A connection to a server process on a memory."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(path)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        host, _, port = line.partition("http://")[2].partition("/")[0].rpartition(":")
        yield Connection(host, int(port))
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def learning(number: int) -> dict[str, str]:
    return {"topic": f"Finding {number} about the connection pool", "content": f"Case {number}: idle connections are dropped."}


def in_process(memory: Memory, index: Index, number: int) -> None:
    desk = Desk(memory, index, Caller("bench"), project=PROJECT, verb="record_learning")
    verbs.call(desk, verbs.find("record_learning"), learning(number))


def medians(sorts: Mapping[str, Callable[[int], object]], calls: int) -> dict[str, float]:
    """Median milliseconds of each sort of call, taking turns."""
    return anyio.run(in_turns, sorts, calls)


async def in_turns(sorts: Mapping[str, Callable[[int], object]], calls: int) -> dict[str, float]:
    """The same, also of calls that are awaited."""
    taken: dict[str, list[float]] = {name: [] for name in sorts}
    for number in range(calls):
        for name, sort in sorts.items():
            started = time.perf_counter()
            answer = sort(number)
            if isawaitable(answer):
                await answer
            taken[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(each[calls // 10 :]) for name, each in taken.items()}


def writes(connection: Connection, memory: Memory, index: Index, calls: int) -> None:
    """Print what a write costs beside a no-op and the same write in process."""
    found = medians({
        "no-op over HTTP": lambda _: connection.call("noop"),
        "record_learning in process": lambda n: in_process(memory, index, n),
        "record_learning over HTTP": lambda n: connection.call("record_learning", **learning(n)),
    }, calls)
    show(found)
    ratio = found["record_learning over HTTP"] / (found["no-op over HTTP"] + found["record_learning in process"])
    print(f"record_learning over HTTP / (no-op + in process)  {ratio:.2f}  (at most 1.3)")


def reads(call: Callable[..., object], questions: list[str], ids: list[str]) -> dict[str, Callable[[int], object]]:
    """A no-op and reads, each of something else every time."""
    return {
        "no-op": lambda _: call("noop"),
        "get_by_id": lambda n: call("get_by_id", id=ids[n % len(ids)]),
        "query": lambda n: call("query", query=questions[n % len(questions)]),
        "related": lambda n: call("related", id=ids[n % len(ids)]),
        "history": lambda n: call("history", id=ids[n % len(ids)]),
        "list_backlog": lambda _: call("list_backlog"),
        "list_projects": lambda _: call("list_projects"),
        "list_sessions": lambda _: call("list_sessions"),
        "recent_changes": lambda _: call("recent_changes"),
    }


async def through_sdk(connection: Connection, calls: int, questions: list[str], ids: list[str]) -> dict[str, float]:
    """What reads cost through the SDK's own client, which checks every answer against its schema."""
    async with Client(f"http://{connection.host}:{connection.port}/mcp") as client:

        async def call(tool: str, **arguments: object) -> None:
            answer = await client.call_tool(f"memory_{tool}", arguments)
            if answer.is_error:
                raise RuntimeError(answer)

        return await in_turns(reads(call, questions, ids), calls)


def compare(found: Mapping[str, float], how: str, limit: str = "") -> None:
    """Print what reads cost beside the no-op."""
    show(found)
    for name, median in found.items():
        if name != "no-op":
            print(f"{name} {how} / no-op  {median / found['no-op']:.2f}{limit}")


def linked(connection: Connection) -> list[str]:
    """The ids of some records, each with a link to the one before and every other one edited since."""
    ids: list[str] = []
    for number in range(LINKED):
        finding = learning(10**6 + number)
        text = finding["content"] + (f" See [[{ids[-1]}]]." if ids else "")
        ids.append(connection.call("record_learning", topic=finding["topic"], content=text)["id"])
    for each in ids[::2]:
        connection.call("edit", id=each, operation="append", text="Seen again.")
    for number in range(LINKED // 10):
        connection.call("add_backlog_item", title=f"Look into case {number}")
    return ids


def show(found: Mapping[str, float]) -> None:
    for name, median in found.items():
        print(f"{name:28} {median:6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--records", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        known = functions(options.records, hidden=False)
        for name in ("served", "own"):
            memory, _ = found(Path(folder) / name)
            fill(memory, PROJECT, 1)
            keep(memory, f"projects/{PROJECT}", known.texts)
            memory.close()
        own = Memory(Path(folder) / "own")
        index = Index(own)
        with served(Path(folder) / "served") as connection:
            writes(connection, own, index, options.calls)
            questions = [question for question, _ in known.asked if len(question.split()) <= WORDS_MAX]
            ids = linked(connection)
            compare(medians(reads(connection.call, questions, ids), options.calls), "by plain HTTP")
            waited = anyio.run(through_sdk, connection, options.calls, questions, ids)
            compare(waited, "through the SDK's client", "  (at most 1.5)")
        index.close()
        own.close()


if __name__ == "__main__":
    main()
