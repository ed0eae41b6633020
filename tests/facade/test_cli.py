"""The command as a process: exit codes, what goes to which stream, what is loaded, what a terminal gets."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gitmem.facade import manual
from gitmem.facade.cli import SPECIAL, Commands
from gitmem.facade.given import log_path
from gitmem.verbs import VERBS
from tests.conftest import git

GITMEM = str(Path(sys.executable).with_name("gitmem"))
HEAVY = ("mcp", "pydantic", "rich", "tantivy", "markdown_it", "dulwich", "gitmem.domains")


def gitmem(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([GITMEM, *arguments], input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cli.git"
    assert gitmem("init", str(path)).returncode == 0
    monkeypatch.setenv("GITMEM_REPO", str(path))
    monkeypatch.setenv("GITMEM_PROJECT", "web")
    assert gitmem("project", "create", "--name", "web").returncode == 0
    return path


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "gitmem", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == gitmem("--version").stdout != ""


def test_what_the_machine_refuses_is_said_and_is_no_failure_inside(repo: Path, tmp_path: Path) -> None:
    place = str(tmp_path / ("x" * 300))  # no file may be called so; who runs this may be root, who may write everywhere
    for arguments in (["backup", place], ["restore", place, str(tmp_path / "back.git")], ["hub", "add", place], ["init", place]):
        done = gitmem(*arguments)
        assert done.returncode == 1, (arguments, done.stderr)
        assert "File name too long" in done.stderr, arguments
        assert "\nfix: " in done.stderr, arguments


def test_a_new_memory_learns_something_and_finds_it_again(tmp_path: Path) -> None:
    path = str(tmp_path / "new.git")
    made = gitmem("init", path)
    assert (made.returncode, made.stdout) == (0, f"{path}\n")
    assert "created" in made.stderr

    assert gitmem("project", "create", "--name", "web", "--repo", path).returncode == 0
    recorded = gitmem(
        "record-learning", "--repo", path, "--project", "web", "--agent", "ann",
        "--topic", "Retries need jitter", "--content", "-", "--tags", "network", "--tags", "retry", "--json",
        stdin="All clients came back in the same second.\n",
    )  # fmt: skip
    assert recorded.returncode == 0, recorded.stderr
    written = json.loads(recorded.stdout)

    found = gitmem("query", "how do we retry", "--repo", path, "--project", "web", "--json")
    hit = json.loads(found.stdout)["results"][0]
    assert hit["id"] == written["id"]
    assert hit["author"] == "ann"
    assert hit["tags"] == ["network", "retry"]
    assert "same second" in hit["snippet"]
    assert git(Path(path), "fsck", "--strict") == ""


def test_init_a_second_time_changes_nothing_and_says_so(repo: Path) -> None:
    before = git(repo, "rev-parse", "main")
    again = gitmem("init", str(repo))
    assert again.returncode == 0
    assert "nothing was changed" in again.stderr
    assert git(repo, "rev-parse", "main") == before


def test_a_refusal_exits_with_1_and_tells_on_stderr_what_helps(repo: Path) -> None:
    refused = gitmem("query", "anything", "--project", "wep")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "no project 'wep'" in refused.stderr
    assert "\nfix: Did you mean web?" in refused.stderr


def test_a_memory_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    refused = gitmem("query", "anything", "--repo", str(tmp_path / "none.git"))
    assert refused.returncode == 1
    assert "gitmem init" in refused.stderr
    assert not (tmp_path / "none.git").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["qurey", "x"], "Did you mean query"),
        (["record_lerning"], "record-learning"),
        (["query", "x", "--limt", "3"], "--limit"),
        (["query"], "Missing option '--query'"),
        (["query", "x", "--query", "y"], "given twice"),
        (["query", "x", "--limit", "many"], "not a valid integer"),
        (["store", "t", "--content", "c", "--memory-type", "poem"], "not one of"),
        (["store", "t", "--content", "c", "--interface", "{no"], "is not JSON"),
        (["store", "-", "--content", "-"], "only one can be '-'"),
        (["store", "t", "--content", "@/no/such/file"], "can't be read"),
        (["import", "markdown", "/no/such/folder"], "does not exist"),
        (["log", "-n", "0"], "not in the range"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_would_be_right(repo: Path, arguments: list[str], said: str) -> None:
    wrong = gitmem(*arguments)
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert said in wrong.stderr


def test_a_failure_of_ours_exits_with_3_and_leaves_the_traceback_in_a_file() -> None:
    class WithABug(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return click.Command(cmd_name, callback=lambda: 1 / 0)

    result = CliRunner().invoke(WithABug(name="gitmem"), ["anything"])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert f"log: {log_path()}" in result.stderr
    assert "ZeroDivisionError" in log_path().read_text()


def test_a_reader_that_has_enough_ends_the_command_quietly(repo: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    cut = subprocess.run([GITMEM, "log"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (cut.returncode, cut.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--version"], ["query", "--help"], ["record-learning", "t", "--content", "c"]])
def test_an_answer_that_cannot_be_printed_is_no_bug_and_says_that_it_was_done(repo: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([GITMEM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, (
        "It was done, but the answer could not be printed: No space left on device.\n"
        "fix: Send standard output somewhere else. What was written need not be written again.\n"
    ))  # fmt: skip
    if "--content" in arguments:
        assert "learning: t" in git(repo, "log", "-1", "--format=%s", "main")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_does_its_work_whatever_stream_the_shell_closed(repo: Path, closed: str) -> None:
    done = subprocess.run(["sh", "-c", f'"$0" record-learning "$1" --content c {closed}', GITMEM, f"with {closed}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"learning: with {closed}" in git(repo, "log", "-1", "--format=%s", "main")
    assert git(repo, "fsck", "--strict") == ""


def test_the_version_is_told_without_loading_what_is_slow() -> None:
    program = (
        "import sys\nfrom gitmem.facade.cli import commands\n"
        "try:\n    commands.main(['--version'])\nexcept SystemExit as left:\n    assert left.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    version, loaded = done.stdout.splitlines()
    assert version.startswith("gitmem 0.")
    assert loaded == "[]"


def test_the_overview_lists_every_command_under_its_domain() -> None:
    page = gitmem("--help")
    assert page.returncode == 0
    words = page.stdout.split()
    for name in [*SPECIAL, *(verb.replace("_", "-") for verb in VERBS)]:
        assert name in words
    for group, verbs in manual.groups().items():
        if all(verb.name in SPECIAL for verb in verbs):
            continue  # told with the memory itself
        assert f"\n{group.replace('_', ' ').capitalize()}:\n" in page.stdout


def test_recorded_text_cannot_steer_the_terminal(repo: Path) -> None:
    hostile = "before\x9b31m\u202eafter [red]x[/red] :smile: [l](https://evil.example)"
    content = f"{hostile}\n\nsecond line"
    stored = json.loads(gitmem("record-learning", "Hostile\x9b2J text", "--content", "-", "--json", stdin=content).stdout)
    for command in (["get-by-id", stored["id"]], ["query", "hostile"], ["show", stored["id"]], ["log"]):
        for out in (on_a_terminal(*command), gitmem(*command, "--json").stdout):
            assert "\x9b" not in out
            assert "\u202e" not in out
    whole = on_a_terminal("get-by-id", stored["id"])
    assert "[red]x[/red] :smile:" in whole
    assert "https://evil.example" in whole
    assert "\x1b]8;" not in whole  # a hyperlink whose address cannot be seen
    assert json.loads(gitmem("get-by-id", stored["id"], "--json").stdout)["content"] == content


def on_a_terminal(*arguments: str, columns: int = 200) -> str:
    """What the command prints to a terminal, colours and all."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    done = subprocess.Popen([GITMEM, *arguments], stdout=theirs, stderr=subprocess.PIPE, env=environment)
    os.close(theirs)
    printed = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        printed += chunk
    os.close(ours)
    _, complaint = done.communicate()
    assert done.returncode == 0, complaint
    return printed.decode()


def test_a_terminal_gets_tables_and_a_pipe_gets_plain_text(repo: Path) -> None:
    assert "\x1b[" in on_a_terminal("list-projects")
    assert "\x1b[" not in gitmem("list-projects").stdout
    assert "web" in on_a_terminal("doctor")


def lines_on_a_terminal(*arguments: str, columns: int = 200) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal(*arguments, columns=columns))
    return [line.rstrip() for line in plain.splitlines()]


def test_a_terminal_gets_the_briefing_in_lines_under_the_names_of_its_sections(repo: Path) -> None:
    session = json.loads(gitmem("start-session", "--agent", "ann", "--json").stdout)["session_id"]
    ended = gitmem("end-session", "--summary", "Built it.", "--handoff-notes", "Next: load test.\nThen: release.", "--session-id", session)
    assert ended.returncode == 0, ended.stderr
    gitmem("add-backlog-item", "Load test")
    lines = lines_on_a_terminal("brief", "--sections", "handoff", "--sections", "backlog", columns=120)
    handoff = lines.index("handoff")
    assert lines[handoff + 1].startswith("- ann ended less than a minute ago")
    assert lines[handoff + 2 : handoff + 6] == ["  > Next: load test.", "  > Then: release.", "", "backlog"]


@pytest.mark.parametrize("columns", [50, 200])
def test_a_list_leaves_nothing_out_on_a_terminal_of_any_width_and_cuts_no_id(repo: Path, columns: int) -> None:
    made = added("Load test", "--tags", "slow", "--milestone", "v2", "--assigned-to", "me")
    added("Release", "--blocked-by", made)
    shown = "\n".join(lines_on_a_terminal("list-backlog", columns=columns))
    for told in (made, "items", "assigned_to", "milestone", "waits_for", "slow"):
        assert told in shown


def test_lists_on_a_terminal_have_their_names(repo: Path) -> None:
    made = added("Load test")
    added("Release", "--blocked-by", made)
    lines = lines_on_a_terminal("get-backlog-item", made, columns=60)
    assert lines.index("blocks") < lines.index("history")
    assert lines[lines.index("history") + 1].startswith("1. version ")


def added(title: str, *arguments: str) -> str:
    """The id of a backlog item that is new."""
    made: str = json.loads(gitmem("add-backlog-item", title, *arguments, "--json").stdout)["id"]
    return made


def test_stdio_serving_makes_the_memory_and_ends_with_its_client(tmp_path: Path) -> None:
    path = tmp_path / "served.git"
    served = gitmem("serve", "--stdio", "--repo", str(path))
    assert served.returncode == 0, served.stderr
    assert served.stdout == ""
    assert "found this memory" in git(path, "log", "--format=%s", "main")
    assert (path / "hooks" / "pre-receive").exists()


def test_http_serving_makes_the_memory_and_tells_where_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "served.git"
    command = [GITMEM, "serve", "--repo", str(path), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        address = next(line for line in lines if " at http" in line).split()[-1].removesuffix("/mcp")
        with urllib.request.urlopen(f"{address}/health") as answer:
            assert json.load(answer)["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_the_version_comes_within_twice_the_time_of_importing_what_a_hook_needs() -> None:
    import time

    def fastest(command: list[str]) -> float:
        times = []
        for _ in range(7):
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        return min(times)

    assert fastest([GITMEM, "--version"]) <= 2 * fastest([sys.executable, "-c", "import dulwich.repo, yaml"])
