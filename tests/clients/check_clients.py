"""Clients and checkers that others made, against real servers.

`python -m tests.clients.check_clients` installs them beside this file and runs all checks; `--quick` only those of a
client that is cheap to install and speaks both eras of the protocol. Pytest does not find this file by itself.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "facade"))
from serving import STDIO, environment, http_server  # noqa: E402  the path is set above

NODE = HERE / "node_modules" / ".bin" / "node"
PYTHON = HERE / ".venv" / "bin" / "python"
PROMPTS = {"start-work", "park"}
QUICK = "typescript_v2 or inspector or conformance"

# (program, file, the eras that it has)
CLIENTS = {
    "typescript_v1": ([str(NODE), str(HERE / "typescript_v1.mjs")], ["legacy"]),
    "typescript_v2": ([str(NODE), str(HERE / "typescript_v2.mjs")], ["legacy", "auto"]),
    "fastmcp": ([str(PYTHON), str(HERE / "with_fastmcp.py")], ["auto"]),
    "chuk_mcp": ([str(PYTHON), str(HERE / "with_chuk_mcp.py")], ["legacy"]),
}
CASES = [(name, era) for name, (_, eras) in CLIENTS.items() for era in eras]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients") / "memory.git"


@pytest.fixture
def url(repository: Path) -> Iterator[str]:
    with http_server(repository) as (base, _):
        yield f"{base}/mcp"


@pytest.fixture
def command(repository: Path) -> list[str]:
    return [sys.executable, "-c", STDIO, str(repository), "{}"]


@pytest.fixture(autouse=True)
def _a_project(repository: Path) -> None:
    from gitmem.facade.calls import Claims, Office
    from gitmem.facade.stdio import open_memory

    office = Office(open_memory(repository))
    if not office.memory.view().names("projects"):
        office.call("project", {"action": "create", "name": "shop"}, Claims(agent="pat"))
    office.close()


def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, env=environment() | {"NODE_NO_WARNINGS": "1"}, timeout=240, cwd=HERE
    )
    assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def check_report(report: dict) -> None:
    assert {"memory_start_session", "memory_query", "memory_record_learning", "memory_help", "memory_call"} <= set(report["tools"])
    assert report["recorded"]["id"] in {hit["id"] for hit in report["found"]["results"]}
    assert report["recorded"]["commit"]
    assert report["refused"]["isError"] is True
    assert "query" in report["refused"]["error"]["message"]
    assert report["resources"] == ["gitmem://shop/project"]
    assert set(report["prompts"]) == PROMPTS


@pytest.mark.parametrize(("name", "era"), CASES)
def test_a_client_lists_records_and_finds_over_http(name: str, era: str, url: str) -> None:
    program, _ = CLIENTS[name]
    check_report(json.loads(run(*program, json.dumps({"url": url, "era": era})).stdout))


@pytest.mark.parametrize(("name", "era"), CASES)
def test_a_client_lists_records_and_finds_over_stdio(name: str, era: str, command: list[str]) -> None:
    program, _ = CLIENTS[name]
    check_report(json.loads(run(*program, json.dumps({"command": command, "era": era})).stdout))


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_fault_in_any_schema(era: str, repository: Path) -> None:
    with http_server(repository, '{"profile": "all"}') as (base, _):
        inspector = [str(NODE), "node_modules/.bin/mcp-inspector", "--cli", f"{base}/mcp", "--protocol-era", era]
        done = run(*inspector, "--method", "tools/list", "--strict")
        assert "memory_query" in done.stdout
        assert "error" not in done.stderr.lower(), done.stderr
        called = run(*inspector, "--method", "tools/call", "--tool-name", "memory_project", "--tool-arg", "action=list")
        assert "shop" in called.stdout


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_the_conformance_suite_fails_only_where_it_asks_for_its_own_fixtures(version: str, url: str, tmp_path: Path) -> None:
    suite = [str(NODE), "node_modules/.bin/conformance", "server", "--url", url, "--suite", "all", "--spec-version", version]
    done = run(*suite, "--expected-failures", "conformance-expected.yaml", "--output-dir", str(tmp_path), check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def install(*, quick: bool) -> None:
    """Node packages by their lock file, Python ones into a venv of their own; nothing if both are as asked already."""
    if shutil.which("npm") is None:
        sys.exit("The outside clients need npm; install Node.js 20 or newer.")
    _up_to_date(HERE / "package-lock.json", HERE / "node_modules", ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"])
    if not quick:
        if not PYTHON.exists():
            subprocess.run([sys.executable, "-m", "venv", HERE / ".venv"], check=True)
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"]
        _up_to_date(HERE / "requirements.txt", HERE / ".venv", pip)


def _up_to_date(wanted: Path, folder: Path, command: list[str]) -> None:
    stamp = folder / f".installed-{wanted.name}"
    if not stamp.exists() or stamp.read_bytes() != wanted.read_bytes():
        subprocess.run(command, cwd=HERE, check=True)
        stamp.write_bytes(wanted.read_bytes())


if __name__ == "__main__":
    is_quick = "--quick" in sys.argv[1:]
    install(quick=is_quick)
    checking = [sys.executable, "-m", "pytest", __file__, "-v", *(["-k", QUICK] if is_quick else [])]
    sys.exit(subprocess.run(checking, check=False).returncode)
