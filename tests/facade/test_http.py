"""The HTTP server as a process of its own, on a real socket."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from serving import http_server

from gitmem.facade.http import allowed_hosts

pytestmark = pytest.mark.anyio
LEARNING = {"topic": "Retries need a jitter", "content": "Without one, all clients retry at once.", "project": "shop"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    path = tmp_path_factory.mktemp("http") / "memory.git"
    with http_server(path, json.dumps({"allow_hosts": ["memory.example"]})) as (base, _):
        yield base, path


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_records_and_finds_under_either_path(running: tuple[str, Path], mode: str, path: str) -> None:
    async with Client(running[0] + path, mode=mode) as client:
        await client.call_tool("memory_project", {"action": "create", "name": "shop"})
        learning = LEARNING | {"topic": f"Learned by {mode} under {path}"}
        recorded = await client.call_tool("memory_record_learning", learning)
        found = await client.call_tool("memory_query", {"query": "learned", "project": "shop", "limit": 20})
        assert recorded.structured_content["id"] in [hit["id"] for hit in found.structured_content["results"]]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_headers_say_who_calls_and_about_what(running: tuple[str, Path], mode: str) -> None:
    headers = {"X-Gitmem-Agent": "ada", "X-Gitmem-Project": "hall"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as transport,
        Client(streamable_http_client(f"{running[0]}/mcp", http_client=transport), mode=mode) as client,
    ):
        await client.call_tool("memory_project", {"action": "create", "name": "hall"})
        unsaid = {"topic": f"Headers in {mode}", "content": "They count."}
        made = await client.call_tool("memory_record_learning", unsaid)
        whole = await client.call_tool("memory_get_by_id", {"id": made.structured_content["id"]})
        assert (whole.structured_content["author"], whole.structured_content["project"]) == ("ada", "hall")


def request(method: str, number: int, params: dict[str, object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def test_a_call_of_an_earlier_era_is_answered_in_plain_json(running: tuple[str, Path]) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(base_url=running[0], headers=accept, timeout=30, follow_redirects=False) as raw:
        who = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        started = await raw.post("/mcp/", json=request("initialize", 1, who))
        assert started.status_code == 200
        assert started.headers["content-type"] == "application/json"
        session = {"Mcp-Session-Id": started.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-06-18"}
        listed = await raw.post("/mcp", json=request("tools/list", 2, {}), headers=session)
        assert listed.headers["content-type"] == "application/json"
        assert listed.json()["result"]["tools"]


@pytest.mark.parametrize("path", ["/", "/health", "/mcp"])
@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "evil.example"}, 421),
    ({"Host": "evil.example:80"}, 421),
    ({"Host": "127.0.0.1.evil.example"}, 421),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
])
async def test_requests_under_foreign_names_are_refused_on_every_route(
    running: tuple[str, Path], path: str, headers: dict[str, str], status: int
) -> None:
    async with httpx2.AsyncClient(base_url=running[0]) as raw:
        assert (await raw.get(path, headers=headers)).status_code == status


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:9", "LOCALHOST:80", "memory.example", "Memory.Example:8080", "[::1]:80"])
async def test_requests_under_its_own_names_are_served_with_and_without_a_port(running: tuple[str, Path], host: str) -> None:
    async with httpx2.AsyncClient(base_url=running[0]) as raw:
        assert (await raw.get("/health", headers={"Host": host, "Origin": f"http://{host}"})).status_code == 200
        started = await raw.post(
            "/mcp",
            json=request("initialize", 1, {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}),
            headers={"Host": host, "Origin": f"http://{host}", "Accept": "application/json, text/event-stream"},
        )
        assert started.status_code == 200


def test_a_server_on_all_addresses_is_known_under_its_address_loopback_and_what_is_added() -> None:
    assert allowed_hosts("0.0.0.0", ["memory.example"]) == ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "memory.example"]
    assert "[fe80::1]" in allowed_hosts("fe80::1")


async def test_health_tells_the_state_of_the_memory(running: tuple[str, Path]) -> None:
    async with httpx2.AsyncClient(base_url=running[0]) as raw:
        answer = await raw.get("/health")
        assert answer.status_code == 200
        assert set(answer.json()) == {"status", "version", "active_sessions", "active_locks", "head", "index_commit"}
        assert "MCP clients connect to /mcp" in (await raw.get("/")).text


async def test_health_is_503_with_the_reason_when_the_memory_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "memory.git"
    with http_server(path) as (base, _):
        path.rename(tmp_path / "elsewhere.git")
        async with httpx2.AsyncClient(base_url=base) as raw:
            answer = await raw.get("/health")
            assert answer.status_code == 503
            assert answer.json()["status"] == "unavailable"
            assert answer.json()["reason"]


async def test_a_server_that_is_told_to_stop_ends_within_three_seconds_although_clients_listen(tmp_path: Path) -> None:
    with http_server(tmp_path / "memory.git") as (base, process):
        async with httpx2.AsyncClient(base_url=base, timeout=30) as raw:
            accept = {"Accept": "application/json, text/event-stream"}
            who = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
            started = await raw.post("/mcp", json=request("initialize", 1, who), headers=accept)
            session = {"Mcp-Session-Id": started.headers["mcp-session-id"], "Accept": "text/event-stream"}
            async with raw.stream("GET", "/mcp", headers=session) as stream:
                assert stream.status_code == 200
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=4) == 0


async def test_an_address_that_is_taken_is_refused_with_what_helps(running: tuple[str, Path], tmp_path: Path) -> None:
    port = int(running[0].rpartition(":")[2])
    with pytest.raises(AssertionError, match="cannot listen on"), http_server(tmp_path / "m.git", json.dumps({"port": port})):
        pass
