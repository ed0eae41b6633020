"""`gitmem sync --watch`: keeps a clone in step, and waits longer for a hub that is away."""

from pathlib import Path

import pytest

from gitmem.cloning import clone
from gitmem.facade.keeping_up import keep_up
from gitmem.memory import hubs
from gitmem.memory.sync import Report
from tests.conftest import Team, git


def test_it_syncs_when_something_is_written_here_and_says_when_the_hub_is_away(
    team: Team, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    git(tmp_path, "clone", "-q", "--mirror", str(team.memory.path), "forge.git")
    clone(str(tmp_path / "forge.git"), tmp_path / "clone.git").close()
    here = Team(tmp_path / "clone.git")
    told: list[Report] = []

    def tell(reports: object) -> None:
        told.extend(reports)  # type: ignore[call-overload]
        if len(told) == 1:
            here.call("record_learning", topic="written meanwhile", content="text")

    chosen = hubs.hubs(here.memory.repository)
    keep_up(here.memory, chosen, 3600, tell, rounds=2)
    assert [[each.went for each in report.refs] for report in told] == [[], [1]]
    (tmp_path / "forge.git").rename(tmp_path / "away.git")
    keep_up(here.memory, chosen, 5, tell, rounds=1)
    assert "Next try in 10 seconds." in capsys.readouterr().err
    here.close()
