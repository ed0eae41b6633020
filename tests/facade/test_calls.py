"""Who calls, and about which project: what a facade settles before a verb runs."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from gitmem.facade.calls import Claims, Office
from gitmem.memory.memory import Memory
from tests.conftest import Team


@pytest.fixture
def team(team: Team) -> Team:
    team.call("project", action="create", name="api", project="")
    return team


@pytest.fixture
def office(team: Team) -> Iterator[Office]:
    with closing(Office(Memory(team.memory.path))) as opened:
        yield opened


@pytest.fixture
def at_stdio(team: Team) -> Iterator[Office]:
    """What a client of its own talks to."""
    with closing(Office(Memory(team.memory.path), one_client=True)) as opened:
        yield opened


def claims_of(office: Office) -> Claims:
    return Claims(agent=office.agent, project=office.project)


def recorded_in(office: Office) -> str:
    topic = f"Finding {office.memory.head()}"
    return office.call("record_learning", {"topic": topic, "content": "alpha"}, claims_of(office)).value.project


@pytest.mark.parametrize("spelling", ["project", "project_name"])
def test_a_session_begins_in_the_project_that_the_call_names_in_any_spelling(office: Office, spelling: str):
    for own in ("", "web"):
        started = office.call("start_session", {spelling: "api"}, Claims(agent="ann", project=own)).value
        assert (started.project, started.session_id[:8]) == ("api", "api_ann_")


def test_over_stdio_the_project_of_the_newest_session_is_the_one_that_is_worked_in(at_stdio: Office):
    for project in ("api", "web", "api"):
        at_stdio.call("start_session", {"agent": "ann", "project": project}, claims_of(at_stdio))
        assert (at_stdio.agent, recorded_in(at_stdio)) == ("ann", project)


def test_so_it_is_for_an_agent_that_the_process_was_told(team: Team):
    with closing(Office(Memory(team.memory.path), one_client=True, agent="ann")) as office:
        office.call("start_session", {"project": "api"}, claims_of(office))
        assert recorded_in(office) == "api"


def test_the_project_that_the_process_was_told_stays(team: Team):
    with closing(Office(Memory(team.memory.path), one_client=True, project="web")) as office:
        office.call("start_session", {"agent": "ann", "project": "api"}, claims_of(office))
        assert (office.agent, recorded_in(office)) == ("ann", "web")


def test_a_session_of_a_worker_moves_nobody_else(team: Team):
    with closing(Office(Memory(team.memory.path), one_client=True, agent="ann")) as office:
        office.call("start_session", {"project": "web"}, claims_of(office))
        worker = {"project": "api", "agent": "ann-1", "spawned_by": "ann"}
        assert office.call("start_session", worker, claims_of(office)).value.agent == "worker_ann-1"
        assert (office.agent, recorded_in(office)) == ("ann", "web")
