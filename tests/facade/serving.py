"""Servers under test: real processes that speak over pipes and sockets."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp.client.stdio import StdioServerParameters

STDIO = "import sys, json, pathlib; from gitmem.facade.stdio import serve_stdio; serve_stdio(pathlib.Path(sys.argv[1]), **json.loads(sys.argv[2]))"
HTTP = "import sys, json, pathlib; from gitmem.facade.http import serve_http; serve_http(pathlib.Path(sys.argv[1]), **({\"port\": 0} | json.loads(sys.argv[2])))"


def environment() -> dict[str, str]:
    """What a server process inherits: the pinned home and git settings of the test."""
    return {name: value for name, value in os.environ.items() if name in ("HOME", "PATH", "PYTHONPATH", "XDG_DATA_HOME") or name.startswith("GIT_")}


def over_stdio(path: Path, settings: str = "{}") -> StdioServerParameters:
    """How a client starts a stdio server of its own; `settings` are the arguments of serve_stdio as JSON."""
    return StdioServerParameters(command=sys.executable, args=["-c", STDIO, str(path), settings], env=environment())


@contextmanager
def http_server(path: Path, settings: str = "{}") -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The base URL of a running HTTP server, and its process."""
    process = subprocess.Popen([sys.executable, "-c", HTTP, str(path), settings], stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        if " at http" not in line:
            raise AssertionError(f"the server did not start: {line}{process.stderr.read()}")
        yield line.rpartition(" at ")[2].strip().removesuffix("/mcp"), process
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stderr.close()
