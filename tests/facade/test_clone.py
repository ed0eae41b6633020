"""Cloning a memory with the command, and what is refused."""

from pathlib import Path

import pytest

from gitmem.cloning import NoMemory, NotEmpty, clone, folder_for
from gitmem.memory.settings import NewerFormat
from tests.conftest import Team, git


def test_a_clone_has_the_same_main_and_its_hub_in_the_configuration(team: Team, tmp_path: Path):
    made = clone(str(team.memory.path), tmp_path / "clone.git")
    assert made.head() == team.memory.head()
    assert git(made.path, "config", "remote.hub.url").strip() == str(team.memory.path)
    assert git(made.path, "fsck", "--strict") == ""
    assert (made.path / "hooks" / "pre-receive").exists()
    made.close()


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_is(team: Team, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(NotEmpty):
        clone(str(team.memory.path), tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_repository_that_is_no_memory_is_refused_and_nothing_stays(tmp_path: Path):
    git(tmp_path, "init", "-q", "code")
    git(tmp_path / "code", "commit", "-q", "--allow-empty", "-m", "start")
    with pytest.raises(NoMemory, match="no gitmem.yaml"):
        clone(str(tmp_path / "code"), tmp_path / "clone.git")
    assert not (tmp_path / "clone.git").exists()


def test_a_memory_of_a_newer_format_is_refused_and_nothing_stays(team: Team, tmp_path: Path):
    git(tmp_path, "clone", "-q", str(team.memory.path), "work")
    (tmp_path / "work" / "gitmem.yaml").write_text("format: 99\n")
    git(tmp_path / "work", "commit", "-qam", "newer")
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "work"), "newer.git")
    with pytest.raises(NewerFormat, match="format version 99"):
        clone(str(tmp_path / "newer.git"), tmp_path / "clone.git")
    assert not (tmp_path / "clone.git").exists()


@pytest.mark.parametrize(
    ("url", "folder"),
    [("https://example.com/team/memory.git", "memory.git"), ("git@example.com:memory", "memory.git"), ("/srv/a/", "a.git")],
)
def test_the_folder_is_named_after_the_address(url: str, folder: str):
    assert folder_for(url) == Path(folder)
