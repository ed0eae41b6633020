"""Proof on documentation that others wrote: npm's own, imported whole, answers questions put in plain words."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitmem.domains.importing import ImportReport, import_markdown
from gitmem.domains.knowledge.record import Knowledge
from gitmem.memory.caller import Caller
from tests.conftest import Team

# Ten of the questions of `benchmarks/questions/npm.yaml`, where many more are ranked: about seven in ten of those
# find their page among the first three, and more than eight in ten among the first ten. Those in words that the
# page does not have are not found by words.
QUESTIONS = {
    "install dependencies cleanly in continuous integration": "commands/npm-ci.md",
    "who may publish a package, add another maintainer": "commands/npm-owner.md",
    "report known vulnerabilities in my dependencies and fix them": "commands/npm-audit.md",
    "how long are the log files kept and where": "using-npm/logging.md",
    "why does this package end up in node_modules, show the chain of dependencies": "commands/npm-explain.md",
    "which scripts run before and after npm publish": "using-npm/scripts.md",
    "per-user configuration file and environment variables in it": "configuring-npm/npmrc.md",
    "symlink a package folder that I work on into another project": "commands/npm-link.md",
    "which environment variables does a lifecycle script see": "using-npm/scripts.md",
    "turn on two-factor authentication for my account": "commands/npm-profile.md",
}


def documentation() -> Path | None:
    if shutil.which("npm") is None:
        return None
    root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False)
    folder = Path(root.stdout.strip()) / "npm" / "docs"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Team, ImportReport]]:
    folder = documentation()
    if folder is None:
        pytest.skip("npm and its documentation are not on this machine")
    team = Team(tmp_path_factory.mktemp("npm") / "memory.git")
    team.call("project", action="create", name="npm", project="")
    yield team, import_markdown(team.memory, Caller("ann"), folder, "npm", lambda *_: None)
    team.close()


def test_all_of_it_comes_in_and_nothing_is_left_out(npm: tuple[Team, ImportReport]) -> None:
    team, report = npm
    assert report.files > 50
    assert report.left_out == ()
    assert report.added >= report.files
    assert team.call("list_projects")["projects"][0]["records"] == report.added


@pytest.mark.parametrize(("question", "answered_by"), list(QUESTIONS.items()))
def test_a_question_in_plain_words_finds_its_page_among_the_first_three(
    npm: tuple[Team, ImportReport], question: str, answered_by: str
) -> None:
    team, _ = npm
    hits = team.call("query", project="npm", query=question, limit=3)["results"]
    sources = [team.call("get_by_id", project="npm", id=hit["id"])["source"] for hit in hits]
    assert f"docs/content/{answered_by}" in [source.partition("#")[0] for source in sources]


def test_what_stands_in_the_last_part_of_a_split_page_is_found(npm: tuple[Team, ImportReport]) -> None:
    team, _ = npm
    last = next(record for record in team.memory.view().records(Knowledge) if record.source.endswith("config.md#2"))
    heading = last.content.splitlines()[0].strip("#` ")
    hits = team.call("query", project="npm", query=f"the {heading} setting", limit=3)["results"]
    assert last.id in [hit["id"] for hit in hits]


def test_importing_it_again_changes_nothing(npm: tuple[Team, ImportReport]) -> None:
    team, report = npm
    folder = documentation()
    assert folder is not None
    again = import_markdown(team.memory, Caller("bob"), folder, "npm", lambda *_: None)
    assert (again.added, again.updated, again.unchanged) == (0, 0, report.added)
