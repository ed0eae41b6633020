"""Cloning a memory with the command, and what is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitmem.cloning import NotEmpty, clone, clone_to_work, folder_for
from gitmem.errors import GitmemError
from gitmem.git.objects import LeftOut
from gitmem.git.remote import AccessDenied, NoRepository, Unreachable
from gitmem.git.repository import NotARepository, ShallowHistory
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.settings import NewerFormat
from gitmem.memory.settling import NoMemory
from gitmem.memory.sync import sync_with
from tests.conftest import Team, git
from tests.hubs import free_port, ssh_hub
from tests.test_hubs import STARTERS


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
    with pytest.raises(NoMemory, match=r"no gitmem\.yaml"):
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


# --- small machines -----------------------------------------------------------------------------------


def with_past(team: Team) -> str:
    """A record with five versions."""
    known = team.call("record_learning", topic="versions", content="It is 0.\n")["id"]
    for number in range(1, 5):
        team.call("edit", id=known, operation="append", text=f"It is {number}.\n")
    return str(known)


def opened(path: Path) -> Team:
    """A clone in which anybody can call verbs."""
    return Team(path)


def test_a_shallow_clone_works_and_says_what_it_does_not_have(team: Team, tmp_path: Path):
    known = with_past(team)
    clone(f"file://{team.memory.path}", tmp_path / "small.git", options=["--depth=2"]).close()
    small = opened(tmp_path / "small.git")
    assert git(small.memory.path, "rev-list", "--count", "main").strip() == "2"
    assert "It is 4." in small.call("get_by_id", id=known)["content"]
    assert len(small.call("history", id=known)["versions"]) == 1
    with pytest.raises(ShallowHistory, match="not in it"):
        small.call("blame", id=known)
    with pytest.raises(ShallowHistory, match="what there was at 2020-01-01 is not in it"):
        small.call("get_by_id", id=known, as_of="2020-01-01")
    team.call("edit", id=known, operation="append", text="It is 5.\n")
    small.call("record_learning", topic="made here", content="text")
    sync_with(small.memory, hubs.hubs(small.memory.repository))
    assert "It is 5." in small.call("get_by_id", id=known)["content"]
    small.close()


def test_a_clone_without_old_files_gets_them_when_they_are_asked_for(team: Team, tmp_path: Path):
    known = with_past(team)
    first = team.call("history", id=known)["versions"][-1]
    clone(f"file://{team.memory.path}", tmp_path / "small.git", options=["--filter=blob:none"]).close()
    small = opened(tmp_path / "small.git")
    missing = git(small.memory.path, "rev-list", "--objects", "--missing=print", "main").count("?")
    assert missing == 4, "only what main has now is there"
    assert "It is 0." in small.call("get_by_id", id=known, as_of=first["commit"])["content"]
    team.call("edit", id=known, operation="append", text="It is 5.\n")
    sync_with(small.memory, hubs.hubs(small.memory.repository))
    assert "It is 5." in small.call("get_by_id", id=known)["content"]
    small.close()


def test_a_missing_old_file_is_told_when_the_hub_is_away(team: Team, tmp_path: Path):
    known = with_past(team)
    first = team.call("history", id=known)["versions"][-1]
    clone(f"file://{team.memory.path}", tmp_path / "small.git", options=["--filter=blob:none"]).close()
    team.memory.path.rename(tmp_path / "away.git")
    small = opened(tmp_path / "small.git")
    with pytest.raises(LeftOut, match="left out"):
        small.call("get_by_id", id=known, as_of=first["commit"])
    small.close()
    (tmp_path / "away.git").rename(team.memory.path)


# --- a person's clone --------------------------------------------------------------------------------


def test_a_persons_clone_has_files_the_merge_driver_and_the_hooks(team: Team, tmp_path: Path):
    team.call("record_learning", topic="to read", content="text")
    path = clone_to_work(str(team.memory.path), tmp_path / "work")
    assert (path / "gitmem.yaml").exists()
    assert list(path.glob("projects/web/knowledge/learning/*/*.md"))
    assert git(path, "config", "remote.origin.url").strip() == str(team.memory.path)
    assert "merge_driver" in git(path, "config", "merge.gitmem.driver")
    with pytest.raises(NotARepository, match="it has a worktree"):
        Memory(path)


# --- over the network --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["file", "daemon", "http", "ssh"])
def test_a_clone_over_any_transport_syncs_both_ways(name: str, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    git(tmp_path, "clone", "-q", "--mirror", str(team.memory.path), "forge.git")
    with STARTERS[name](tmp_path) as hub:
        for variable, value in getattr(hub, "key", lambda _: {})("pat").items():
            monkeypatch.setenv(variable, value)
        for each in ("one", "two"):
            clone(hub.url("forge.git"), tmp_path / f"{each}.git").close()
        one, two = opened(tmp_path / "one.git"), opened(tmp_path / "two.git")
        one.call("lock_files", files=("a.py",), reason="work")
        two.call("record_learning", topic="by two", content="text")
        for each in (one, two, one):
            sync_with(each.memory, hubs.hubs(each.memory.repository))
        assert one.memory.head() == two.memory.head()
        assert "local_only" not in two.call("lock_files", agent="bob", files=("b.py",), reason="work")
        conflict = one.call("lock_files", files=("b.py",), reason="work")
        assert [each["held_by"] for each in conflict["conflicts"]] == ["bob"]
        one.close()
        two.close()


def test_who_is_not_let_in_and_what_is_not_there_are_told_apart(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(NoRepository, match="There is no repository at"):
        clone(str(tmp_path / "nothing.git"), tmp_path / "clone.git")
    with pytest.raises(Unreachable, match="cannot be reached"):
        clone(f"http://127.0.0.1:{free_port()}/memory.git", tmp_path / "clone.git")
    with ssh_hub(tmp_path, tmp_path / "keys") as hub:
        monkeypatch.setenv("GIT_SSH_COMMAND", hub.command("stranger"))
        with pytest.raises(AccessDenied, match="does not let you in"):
            clone(hub.url("team.git"), tmp_path / "clone.git")
    assert not (tmp_path / "clone.git").exists()


# --- the commands ---------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gitmem.facade.cli", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_commands_clone_sync_and_look_after_hubs(team: Team, tmp_path: Path):
    git(tmp_path, "clone", "-q", "--mirror", str(team.memory.path), "forge.git")
    forge, place = str(tmp_path / "forge.git"), str(tmp_path / "clone.git")
    code, out, said = run("clone", forge, place)
    assert (code, out.strip()) == (0, place), said
    repo = ("--repo", place)
    assert run(*repo, "--project", "web", "--agent", "ann", "record-learning", "--topic", "from the shell", "--content", "x")[0] == 0
    assert run(*repo, "sync")[1].splitlines() == ["hub: heads/main: 0 came, 1 went"]
    assert run(*repo, "sync")[1].splitlines() == ["hub: nothing new on either side"]
    code, out, _ = run(*repo, "hub", "list", "--json")
    assert json.loads(out) == [{"name": "hub", "url": forge, "decides": True}]
    git(tmp_path, "init", "-q", "--bare", "second.git")
    assert run(*repo, "hub", "add", str(tmp_path / "second.git"), "--name", "backup")[0] == 0
    assert git(tmp_path / "second.git", "rev-parse", "main") == git(tmp_path / "forge.git", "rev-parse", "main")
    assert json.loads(run(*repo, "sync", "--json")[1])[0] == {"hub": "backup", "refs": [], "lost": [], "proposals": [], "refused": []}
    assert run(*repo, "hub", "remove", "hub")[0] == 0
    assert json.loads(run(*repo, "hub", "list", "--json")[1])[0]["decides"] is True
    code, _, said = run(*repo, "sync", "hubb")
    assert code == 1
    assert said == "There is no hub 'hubb'.\nfix: The hubs are: backup.\n"


def test_a_sync_that_lost_something_names_the_command_that_shows_it(team: Team, tmp_path: Path):
    made = team.call("record_learning", topic="Queue", content="It is RabbitMQ.")["id"]
    git(tmp_path, "clone", "-q", "--mirror", str(team.memory.path), "forge.git")
    place = str(tmp_path / "clone.git")
    assert run("clone", str(tmp_path / "forge.git"), place)[0] == 0
    for where, text in ((place, "Kafka"), (str(tmp_path / "forge.git"), "NATS")):
        change = ("edit", made, "--operation", "find_replace", "--find", "RabbitMQ", "--text", text)
        assert run("--repo", where, "--project", "web", "--agent", "ann", *change)[0] == 0
    told = run("--repo", place, "sync")[1].splitlines()
    command = re.fullmatch(r"hub: kept as a proposal: (.+); 'gitmem get-proposal (.+)' shows it", told[-1])
    assert command, told
    shown = run("--repo", place, "--project", "web", "get-proposal", command[2])[1]
    assert "+It is Kafka." in shown


def test_a_forge_that_refuses_hidden_refs_takes_main_and_the_rest_is_said_to_stay_here(team: Team, tmp_path: Path):
    git(tmp_path, "clone", "-q", "--bare", str(team.memory.path), "forge.git")
    hook = tmp_path / "forge.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\nwhile read -r _ _ ref; do case $ref in refs/gitmem/*) echo "no hidden refs"; exit 1;; esac; done\n')
    hook.chmod(0o755)
    clone(str(tmp_path / "forge.git"), tmp_path / "clone.git").close()
    one = opened(tmp_path / "clone.git")
    one.call("record_learning", topic="made here", content="x")
    assert "no hidden refs" in one.call("lock_files", files=("a.py",), reason="work")["local_only"]
    code, out, _ = run("--repo", str(one.memory.path), "sync")
    assert (code, out.splitlines()[0]) == (1, "hub: heads/main: 0 came, 1 went")
    assert "hub: gitmem/locks/web was refused: no hidden refs" in out
    assert "stays here" in out
    one.close()


def test_a_memory_is_no_hub_of_itself_by_whatever_name(team: Team, tmp_path: Path):
    (tmp_path / "link.git").symlink_to(team.memory.path)
    for address in (str(team.memory.path), str(tmp_path / "link.git"), f"file://{team.memory.path}"):
        with pytest.raises(hubs.OwnAddress) as refused:
            hubs.add(team.memory.repository, address)
        assert refused.value.message.endswith("is this memory itself. Nothing was changed.")
    assert hubs.hubs(team.memory.repository) == []


def test_a_clone_of_nothing_to_its_own_name_says_that_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoRepository) as refused:
        clone("nowhere.git", Path("nowhere.git"))
    assert refused.value.message == "There is no repository at 'nowhere.git': there is nothing"
    assert list(tmp_path.iterdir()) == []


def test_a_memory_without_hubs_says_so(team: Team):
    code, out, said = run("--repo", str(team.memory.path), "hub", "list")
    assert (code, out, said) == (0, "", "there is no hub yet; add one with: gitmem hub add URL\n")


def test_what_cannot_be_made_is_said_for_both_sorts_of_clone(team: Team, tmp_path: Path):
    (tmp_path / "file").write_text("a file, and no folder")
    for made in (clone, clone_to_work):
        with pytest.raises(GitmemError, match=r"could not be written|nothing can be made there"):
            made(str(team.memory.path), tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "a file, and no folder"
