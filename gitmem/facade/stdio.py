"""The memory over standard input and output: one client, one process, its environment says who calls."""

import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from gitmem.facade.calls import Office
from gitmem.memory.memory import Memory

if TYPE_CHECKING:
    from gitmem.facade.mcp_server import Profile

# By then the first answer is out; opening the index must not delay it.
WARM_AFTER_SECONDS = 0.3
# How long running verbs get to finish when the process is told to stop.
GRACE_SECONDS = 2.0


def serve_stdio(
    memory_path: Path, *, profile: str = "core", prefix: str = "memory_", agent: str = "", project: str = ""
) -> None:
    """Serve one client until it closes its end, or until SIGTERM or SIGINT."""
    log_to_stderr()
    from gitmem.facade.mcp_server import Profile

    office = Office(open_memory(memory_path), agent=agent, project=project, one_client=True, notes_presence=True)
    try:
        anyio.run(_serve, office, Profile(profile, prefix))
    finally:
        leave(office)


async def _serve(office: Office, profile: "Profile") -> None:
    from mcp.server.stdio import stdio_server

    from gitmem.facade.mcp_server import server

    serving = server(office, profile)
    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":  # there is no such signal there: the client closes the pipe or ends the process
            tasks.start_soon(_stop_when_told, office)
        async with stdio_server() as (incoming, outgoing):
            settle(office)
            await serving.run(incoming, outgoing, serving.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _stop_when_told(office: Office) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            leave(office)
            # The thread that reads standard input cannot be interrupted, so the process can only be left, not unwound.
            os._exit(0)


def leave(office: Office) -> None:
    """Close the memory once running calls are through. Calls that only wait are cut off after the grace."""
    if not office.finished(GRACE_SECONDS):
        os._exit(0)
    office.close()


def open_memory(path: Path) -> Memory:
    """The memory at `path`; a new one if there is nothing yet."""
    path = path.expanduser()
    if not path.exists():
        from gitmem.founding import found  # imported late: it happens once in the life of a memory

        return found(path)[0]
    return Memory(path)


def settle(office: Office) -> None:
    """After start: take what is loaded out of the garbage collector's sight, open the index soon, and tend the memory later."""
    # Loaded modules are most of all objects: scanning them again and again costs up to 60 ms a time under load.
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 50, 50)
    warming = threading.Timer(WARM_AFTER_SECONDS, office.warm)
    warming.daemon = True
    warming.start()
    office.tend()


def log_to_stderr() -> None:
    """Send the log to standard error: over stdio, standard output belongs to the protocol."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=form, force=True)
