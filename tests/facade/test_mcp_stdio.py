"""The stdio server as a process of its own: what clients start."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import mcp.types as types
import pytest
from mcp import Client
from serving import STDIO, environment, over_stdio

pytestmark = pytest.mark.anyio
LEARNING = {"topic": "Retries need a jitter", "content": "Without one, all clients retry at once."}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_starts_a_memory_records_and_finds(tmp_path: Path, mode: str) -> None:
    settings = json.dumps({"agent": "ada", "project": "shop"})
    async with Client(over_stdio(tmp_path / "memory.git", settings), mode=mode) as client:
        await client.call_tool("memory_project", {"action": "create", "name": "shop"})
        recorded = await client.call_tool("memory_record_learning", LEARNING)
        found = await client.call_tool("memory_query", {"query": "jitter"})
        assert [hit["id"] for hit in found.structured_content["results"]] == [recorded.structured_content["id"]]
        assert found.structured_content["results"][0]["author"] == "ada"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_eighty_calls_at_once_are_all_answered(tmp_path: Path, mode: str) -> None:
    answered: list[types.CallToolResult] = []
    async with Client(over_stdio(tmp_path / "memory.git"), mode=mode) as client:
        await client.call_tool("memory_project", {"action": "create", "name": "shop"})

        async def record(number: int) -> None:
            topic = {"topic": f"Finding {number}", "content": f"Number {number}.", "project": "shop"}
            answered.append(await client.call_tool("memory_record_learning", topic))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(80):
                    tasks.start_soon(record, number)
    assert len({result.structured_content["id"] for result in answered}) == 80


def start(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", STDIO, str(path), "{}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )


def say(process: "subprocess.Popen[str]", method: str, number: int | None, params: dict[str, object] | None = None) -> None:
    message = {"jsonrpc": "2.0", "method": method} | ({"id": number} if number is not None else {}) | ({"params": params} if params else {})
    assert process.stdin is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def initialize(process: "subprocess.Popen[str]") -> dict[str, object]:
    who = {"name": "raw", "version": "1"}
    say(process, "initialize", 1, {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": who})
    assert process.stdout is not None
    answer = json.loads(process.stdout.readline())
    say(process, "notifications/initialized", None)
    return answer


def test_standard_output_carries_nothing_but_the_protocol(tmp_path: Path) -> None:
    with start(tmp_path / "memory.git") as process:
        assert initialize(process)["result"]["serverInfo"]["name"] == "gitmem"
        say(process, "tools/call", 2, {"name": "memory_no_such_tool", "arguments": {}})
        say(process, "no/such/method", 3)
        assert process.stdin is not None
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.stdin.close()
        lines += process.stdout.readlines()
        assert {json.loads(line)["id"] for line in lines} == {2, 3}
    assert process.returncode == 0


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_well_within_three_seconds(tmp_path: Path, told: signal.Signals) -> None:
    with start(tmp_path / "memory.git") as process:
        initialize(process)
        process.send_signal(told)
        assert process.wait(timeout=3) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_path_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a memory")
    process = start(tmp_path)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "is not a bare git repository" in errors
    assert os.listdir(tmp_path) == ["notes.txt"]
