"""The memory over HTTP: MCP at /mcp, the state of the server at /health."""

import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio.to_thread
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gitmem.errors import GitmemError
from gitmem.facade import mcp_server
from gitmem.facade.calls import Office
from gitmem.facade.stdio import leave, log_to_stderr, open_memory, settle
from gitmem.records.shape import Json

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# Streams that clients hold open would keep the process from stopping for ever.
GRACE_SECONDS = 2


class CannotListen(GitmemError):
    """The address is taken, or is not one of this machine's."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(
            f"gitmem cannot listen on {host}:{port}: {error.strerror or error}.",
            fix="Choose another --port (0 takes any free one) or --host.",
        )


def serve_http(
    memory_path: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    profile: str = "core",
    prefix: str = "memory_",
    allow_hosts: Sequence[str] = (),
    agent: str = "",
    project: str = "",
) -> None:
    """Serve until SIGTERM or SIGINT. Writes the address to standard error once it listens."""
    log_to_stderr()
    office = Office(open_memory(memory_path), agent=agent, project=project, notes_presence=True)
    try:
        app = application(office, mcp_server.Profile(profile, prefix), hosts=allowed_hosts(host, allow_hosts))
        with _listen(host, port) as listening:
            sys.stderr.write(f"gitmem serves {office.memory.path} at {address(listening)}/mcp\n")
            sys.stderr.flush()
            config = uvicorn.Config(
                app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, server_header=False
            )
            signal.signal(signal.SIGTERM, _stopped)
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        leave(office)


def _stopped(_: int, __: object) -> None:
    # uvicorn raises the signal again when it is through; to die of it would skip closing the memory
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that say they are TCP; with it, every answer waits
    # 40 ms for the client's acknowledgement of its head
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise CannotListen(host, port, error) from None
    return listening


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def allowed_hosts(host: str, more: Sequence[str] = ()) -> list[str]:
    """The names under which this server may be addressed: loopback, its own address, and what the operator adds."""
    own = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return list(dict.fromkeys([*LOOPBACK, own, *more]))


def application(office: Office, profile: mcp_server.Profile, *, hosts: Sequence[str] = LOOPBACK) -> Starlette:
    """The whole HTTP application over an open memory."""
    exchange = _Exchange(mcp_server.server(office, profile))

    async def health(_: Request) -> Response:
        state = await anyio.to_thread.run_sync(health_of, office)
        return JSONResponse(state, status_code=200 if state["status"] == "ok" else 503)

    async def front(_: Request) -> Response:
        return PlainTextResponse("gitmem, the shared memory of a team of coding agents. MCP clients connect to /mcp.\n")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with exchange.run():
            settle(office)
            yield

    routes = [
        # both spellings, because not every client follows a redirect of a POST
        Route("/mcp", endpoint=exchange),
        Route("/mcp/", endpoint=exchange),
        Route("/health", endpoint=health),
        Route("/", endpoint=front),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_Guard, hosts=hosts)])


class _Exchange:
    """MCP over HTTP, each era in the way that serves it best.

    The eras before 2026 get plain JSON answers: an event stream a call would cost the server twice the
    time, and all that it could carry is progress, which no verb reports. The current era answers in plain
    JSON anyway, and in a stream only if a call takes long (with signs of life, for proxies) or subscribes.
    """

    def __init__(self, server: Server[Any]) -> None:
        # the guard has looked at names already, on every route and in any case
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._legacy = StreamableHTTPSessionManager(server, json_response=True, security_settings=security)
        self._modern = StreamableHTTPSessionManager(server, json_response=False, security_settings=security)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._legacy.run())
            await stack.enter_async_context(self._modern.run())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stated = Headers(scope=scope).get("mcp-protocol-version")
        manager = self._legacy if stated is None or stated in HANDSHAKE_PROTOCOL_VERSIONS else self._modern
        await manager.handle_request(scope, receive, send)


class _Guard:
    """Refuses requests under foreign names, on all routes: a web page must not reach the memory through a browser."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope))):
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        if _name_of(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse("This server has no such name; its operator can add one with --allow-host.\n", 421)
        origin = headers.get("origin")
        if origin and _name_of(origin.partition("://")[2]) not in self._hosts:
            return PlainTextResponse("Pages from that origin may not use this server.\n", 403)
        return None


def _name_of(host: str) -> str:
    """The host without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def health_of(office: Office) -> dict[str, Json]:
    """The state of the server; `status` is "ok", or "unavailable" with the reason."""
    state: dict[str, Json] = {"status": "ok", "version": version("gitmem-server")}
    try:
        state |= _live(office) | {"head": _readable_head(office), "index_commit": office.index_commit}
        _check_writable(office.memory.repository.private)
    except (GitmemError, OSError) as error:
        return state | {"status": "unavailable", "reason": str(error)}
    return state


def _readable_head(office: Office) -> str:
    view = office.memory.view()
    view.names("projects")
    return view.commit


def _live(office: Office) -> dict[str, Json]:
    from gitmem.domains.locks.record import count_held
    from gitmem.domains.sessions import count_live

    return {"active_sessions": count_live(office.memory), "active_locks": count_held(office.memory)}


def _check_writable(folder: Path) -> None:
    probe = folder / f"probe-{secrets.token_hex(8)}"
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(descriptor)
    probe.unlink()


__all__ = ["address", "allowed_hosts", "application", "health_of", "serve_http"]
