"""Clients that are told when an inbox gets something new, in both protocol eras."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.to_thread
import mcp.types as types
from mcp import MCPError
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated

from gitmem.errors import GitmemError, NotFound
from gitmem.facade.watching import Watch
from gitmem.memory.memory import Memory

log = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]

LOOK_EVERY_SECONDS = 0.1
_PATIENCE_SECONDS = 1.0  # with a client that does not read


class Subscriptions:
    """The subscriptions of one server. While there are none, nothing is looked at."""

    def __init__(self, memory: Memory) -> None:
        self._watch = Watch(memory)
        self._limiter = anyio.CapacityLimiter(1)
        self._alone = anyio.Lock()
        self._wanted = anyio.Event()
        self._bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(self._bus)
        self._subscribers: dict[Connection, set[str]] = {}

    @asynccontextmanager
    async def lifespan(self, _: Server[Any]) -> AsyncIterator[dict[str, Any]]:
        """The time in which the server runs: somebody watches for all its clients."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell)
            yield {}
            tasks.cancel_scope.cancel()

    async def _tell(self) -> None:
        # HTTP enters the lifespan once for each era, and a test once for each client: one of them watches for all
        async with self._alone:
            while True:
                if self._watch.is_idle:
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
                await anyio.sleep(LOOK_EVERY_SECONDS)
                for uri in await self._arrived():
                    await self._tell_of(uri)

    async def _arrived(self) -> list[str]:
        try:
            return await anyio.to_thread.run_sync(self._watch.arrived, limiter=self._limiter)
        except (GitmemError, OSError) as error:
            log.warning("inboxes cannot be watched: %s", error)
            return []

    async def _tell_of(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri=uri))
        for connection in [each for each, uris in self._subscribers.items() if uri in uris]:
            with anyio.move_on_after(_PATIENCE_SECONDS):
                await connection.send_resource_updated(uri)

    async def _add(self, uri: str) -> None:
        await anyio.to_thread.run_sync(self._watch.add, uri, limiter=self._limiter)
        self._wanted.set()

    # --- the era of 2026: one request, answered by a stream ---

    async def listen(self, ctx: Context, params: types.SubscriptionsListenRequestParams) -> types.SubscriptionsListenResult:
        """Tell a client of what it asks for, until it goes."""
        watched: list[str] = []
        try:
            for uri in params.notifications.resource_subscriptions or ():
                with suppress(NotFound):  # what is no inbox can be listened to, and never changes
                    await self._add(uri)
                    watched.append(uri)
            return await self._listening(ctx, params)
        finally:
            for uri in watched:
                self._watch.drop(uri)

    # --- the eras before: a connection, told until it closes ---

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Tell a connection of an inbox."""
        uri, connection = str(params.uri), _connection(ctx)
        if connection not in self._subscribers:
            self._subscribers[connection] = set()
            connection.exit_stack.callback(self._gone, connection)
        if uri not in self._subscribers[connection]:
            try:
                await self._add(uri)
            except NotFound as error:
                raise no_resource(error, uri) from None
            uris = self._subscribers.get(connection)
            if uris is None or uri in uris:  # meanwhile it has gone, or asked twice
                self._watch.drop(uri)
            else:
                uris.add(uri)
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Tell a connection no more of an inbox."""
        uri, uris = str(params.uri), self._subscribers.get(_connection(ctx), set())
        if uri in uris:
            uris.remove(uri)
            self._watch.drop(uri)
        return types.EmptyResult()

    def _gone(self, connection: Connection) -> None:
        for uri in self._subscribers.pop(connection, ()):
            self._watch.drop(uri)


def no_resource(error: NotFound, uri: str) -> MCPError:
    """What a client gets that asks for a resource that is not there."""
    # -32602 with the URI is how both eras say so
    return MCPError(code=types.INVALID_PARAMS, message=str(error), data={"uri": uri})


def _connection(ctx: Context) -> Connection:
    # Handlers get a proxy for one request; what outlives it, and knows when the client goes, is behind it.
    return ctx.session._connection


__all__ = ["Subscriptions", "no_resource"]
