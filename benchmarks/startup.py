"""Cold starts: the command, the hook, and a stdio server up to its first answer.

python -m benchmarks.startup [--rounds 15]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gitmem.founding import found

INITIALIZE = json.dumps({
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
})
# A server with as many tools as gitmem lists, that do nothing and know nothing.
BARE = """
import sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("bare")
def make(number):
    def tool(query: str, limit: int = 5, tags: list[str] = [], author: str = "") -> dict[str, str]:
        "Do nothing with the arguments."
        return {}
    return tool
for number in range(int(sys.argv[1])):
    server.tool(name=f"tool_{number}")(make(number))
server.run("stdio")
"""
HOOK = [sys.executable, "-m", "gitmem.facade.githooks", "pre-receive"]


def seconds(command: list[str], stdin: str = "") -> float:
    """How long a command takes from start to end."""
    started = time.perf_counter()
    subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
    return time.perf_counter() - started


def first_answer(command: list[str]) -> float:
    """How long a stdio server takes to answer `initialize`."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(INITIALIZE + "\n")
    process.stdin.flush()
    assert '"result"' in process.stdout.readline()
    taken = time.perf_counter() - started
    process.stdin.close()
    process.wait()
    process.stdout.close()
    return taken


def tool_count() -> int:
    """How many tools gitmem lists by default."""
    import gitmem.domains.all  # noqa: F401
    from gitmem.verbs import VERBS

    return sum(verb.core for verb in VERBS.values()) + 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.git"
        memory, _ = found(path)
        memory.close()
        gitmem = str(Path(sys.executable).parent / "gitmem")
        sorts: dict[str, Callable[[], float]] = {
            "import dulwich.repo, yaml": lambda: seconds([sys.executable, "-c", "import dulwich.repo, yaml"]),
            "gitmem --version": lambda: seconds([gitmem, "--version"]),
            "hook entry": lambda: seconds(["env", f"GIT_DIR={path}", *HOOK]),
            "bare mcp server": lambda: first_answer([sys.executable, "-c", BARE, str(tool_count())]),
            "gitmem serve --stdio": lambda: first_answer([gitmem, "serve", "--stdio", "--repo", str(path)]),
        }
        taken: dict[str, list[float]] = {name: [] for name in sorts}
        for _ in range(options.rounds):
            for name, sort in sorts.items():
                taken[name].append(sort())
    medians = {name: statistics.median(each) for name, each in taken.items()}
    for name, median in medians.items():
        print(f"{name:28} {median * 1000:6.0f} ms")
    base = medians["import dulwich.repo, yaml"]
    for name in ("gitmem --version", "hook entry"):
        print(f"{name} / import dulwich.repo, yaml  {medians[name] / base:.2f}  (at most 2)")
    print(f"stdio server / bare mcp server  {medians['gitmem serve --stdio'] / medians['bare mcp server']:.2f}  (at most 1.2)")


if __name__ == "__main__":
    main()
