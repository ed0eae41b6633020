"""Servers tend their memory: late, in turn, and without being in the way of their own end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from serving import environment, http_server

from gitmem.domains import upkeep
from gitmem.domains.sessions import LiveSession, count_live, place_of
from gitmem.facade.calls import Office
from gitmem.facade.cli import commands
from gitmem.facade.tending import FIRST_AFTER_SECONDS, Tending
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.names import now
from tests.conftest import Team

# A stdio server whose first turn comes at once.
EAGER = (
    "import sys, pathlib; from gitmem.facade import tending; tending.FIRST_AFTER_SECONDS = 0.0; "
    "from gitmem.facade.stdio import serve_stdio; serve_stdio(pathlib.Path(sys.argv[1]))"
)


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def abandon_session(memory: Memory) -> None:
    started = now() - timedelta(days=20)
    with memory.transaction(memory.view(place_of("web")), Caller("gone"), "starts") as change:
        change.put(LiveSession(scope="projects/web", id="web_gone_1", agent="gone", started=started))


def test_the_first_turn_is_far_behind_the_start_of_a_server():
    assert FIRST_AFTER_SECONDS >= 60


def test_a_turn_is_taken_in_the_background_and_ends_when_it_is_stopped(team: Team):
    abandon_session(team.memory)
    office = Office(Memory(team.memory.path))
    tending = Tending(office, 0.0)
    tending.start()
    until(lambda: not upkeep.is_due(team.memory))
    tending.stop()
    assert count_live(team.memory) == 0
    assert not tending._thread.is_alive()
    office.close()


def test_a_turn_that_fails_is_logged_and_ends_nothing(team: Team, caplog: pytest.LogCaptureFixture):
    office = Office(Memory(team.memory.path))
    (team.memory.repository.private / "tend.lock").mkdir()
    tending = Tending(office, 0.0)
    tending.start()
    until(lambda: "upkeep: " in caplog.text)
    assert tending._thread.is_alive()
    tending.stop()
    office.close()


def test_an_office_that_was_never_told_to_tend_closes_all_the_same(team: Team):
    Office(Memory(team.memory.path)).close()


def test_a_server_over_stdio_tends_and_ends_with_its_client(team: Team):
    abandon_session(team.memory)
    server = subprocess.Popen([sys.executable, "-c", EAGER, str(team.memory.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment())
    until(lambda: not upkeep.is_due(team.memory))
    _, errors = server.communicate(timeout=20)
    assert server.returncode == 0
    assert errors == b""
    assert count_live(team.memory) == 0


def test_a_server_that_waits_for_its_turn_stops_at_once(team: Team):
    with http_server(team.memory.path) as (_, process):
        began = time.monotonic()
        process.terminate()
        process.wait(timeout=10)
    assert time.monotonic() - began < 5
    assert upkeep.is_due(team.memory)


def run(path: Path, *arguments: str) -> str:
    done = CliRunner().invoke(commands, ["upkeep", "--repo", str(path), *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_tells_what_it_did(team: Team):
    abandon_session(team.memory)
    lines = run(team.memory.path).splitlines()
    assert lines[0] == "sessions of web: 1 dropped"
    assert [line.split(":")[0] for line in lines[1:]] == ["before", "after"]
    told = json.loads(run(team.memory.path, "--json"))
    assert told["tended"] == {"dropped": [], "archived": [], "failed": []}
    assert told["after"]["packs"] == 1
    assert not team.memory.upkeep.wants_thorough()


def test_the_command_does_it_whether_or_not_it_was_just_done(team: Team):
    run(team.memory.path)
    abandon_session(team.memory)
    assert run(team.memory.path).startswith("sessions of web: 1 dropped")
