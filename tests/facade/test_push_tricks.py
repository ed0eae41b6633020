"""Pushes that try to get something into main, or into somebody's name, without the right to it."""

import subprocess
from pathlib import Path

import pytest

from gitmem.memory.caller import Caller
from gitmem.memory.claims import VARIABLES, claim
from gitmem.records.codec import encode
from tests.conftest import Team, git
from tests.facade.test_push import Person, learning
from tests.facade.test_push_identity import let_sign, public, signed_with, ssh_key
from tests.hubs import git_daemon

SPEC = "projects/web/specs/orders-api.md"
REVIEWED = "is under review: somebody else than its author has to let it in"
POLICIES = "format: 1\npolicies:\n- review: review\n  paths: [projects/web/knowledge/]\n"


@pytest.fixture(autouse=True)
def members(team: Team) -> None:
    for member in ("bob", "eve"):
        team.call("project", action="add_agent", name="web", member=member, tier="member")
    team.call("define_spec", name="orders-api", content="Orders are numbered.", version="1.0.0")


@pytest.fixture
def memory(team: Team) -> Path:
    return team.memory.path


@pytest.fixture
def eve(memory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Person:
    """Somebody whom a front door knows as eve: a member, and no admin."""
    be(monkeypatch, memory, "eve")
    return Person(memory, tmp_path / "clone")


def be(monkeypatch: pytest.MonkeyPatch, memory: Path, name: str) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in claim(memory, name).items() if name else ():
        monkeypatch.setenv(variable, value)


def policies(team: Team) -> None:
    with team.memory.transaction(team.memory.view(), Caller("ann", "declared"), "policies") as change:
        change.put_file("gitmem.yaml", POLICIES.encode())


def written(who: Person, number: int, *options: str) -> str:
    record = learning(number)
    who.write(record.path, encode(record))
    git(who.clone, "add", "-A")
    git(who.clone, *options, "commit", "-qm", f"by hand {number}")
    return git(who.clone, "rev-parse", "HEAD").strip()


def evil_merge(who: Person, other: str, number: int) -> str:
    """A merge with a change that neither side has."""
    git(who.clone, "merge", "-q", "--no-ff", "--no-commit", "-s", "ours", other)
    record = learning(number)
    who.write(record.path, encode(record))
    git(who.clone, "add", "-A")
    git(who.clone, "-c", "user.name=Nobody", "commit", "-qm", "a merge")
    return record.path


# --- what lies between the first and the last commit of a push ---------------------------------------


def test_a_version_that_a_push_makes_and_takes_back_is_no_version_of_anothers_spec(eve: Person, team: Team):
    text = (eve.clone / SPEC).read_text()
    eve.write(SPEC, text.replace("release: 1.0.0", "release: 1.0.1").replace("numbered", "free"))
    eve.commit()
    middle = git(eve.clone, "rev-parse", "HEAD").strip()
    eve.write(SPEC, text)
    eve.commit()
    said = eve.push()
    if said.startswith("accepted"):
        eve.push("origin", f"{middle}:refs/tags/specs/web/orders-api/v1.0.1")
    team.call("define_spec", name="orders-api", content="Orders are numbered twice.", version="1.0.1")
    assert "twice" in str(team.call("get_spec", name="orders-api", version="1.0.1"))


# --- merges ------------------------------------------------------------------------------------------


def test_a_merge_that_changes_something_by_itself_is_a_proposal_of_who_pushes_it(eve: Person, team: Team):
    policies(team)
    proposal = team.call("record_learning", agent="bob", topic="A", content="B", as_proposal=True)["proposal"]
    git(eve.clone, "pull", "-q")
    git(eve.clone, "fetch", "-q")
    path = evil_merge(eve, f"origin/proposals/{proposal}", 7)
    assert eve.push("origin", "HEAD:refs/heads/proposals/mine") == "accepted"
    assert f"{path}: {REVIEWED}" in eve.refused()
    with pytest.raises(Exception, match="nobody approves their own"):
        team.call("approve_proposal", id="mine", agent="eve")


def test_what_nobody_known_has_proposed_is_not_let_in_by_one_of_their_names(eve: Person, team: Team, memory: Path, monkeypatch: pytest.MonkeyPatch):
    policies(team)
    git(eve.clone, "pull", "-q")
    written(eve, 7, "-c", "user.name=Nobody")
    be(monkeypatch, memory, "")
    with git_daemon(memory.parent) as hub:
        assert eve.push(hub.url(memory.name), "HEAD:refs/heads/proposals/mine") == "accepted"
    with pytest.raises(Exception, match="nobody known who has proposed"):
        team.call("approve_proposal", agent="eve", id="mine")


# --- signatures --------------------------------------------------------------------------------------


def test_a_signature_proves_who_made_a_commit_and_nothing_of_other_refs(
    team: Team, memory: Path, tmp_path: Path
):
    key = ssh_key(memory.parent, "ann")
    let_sign(team, f"ann {public(key)}")
    proposal = team.call("record_learning", agent="bob", topic="A", content="B", as_proposal=True)["proposal"]
    far = Person(memory, tmp_path / "far")
    signed = written(far, 7, "-c", "user.name=ann", *signed_with(key))  # that somebody has found somewhere
    with git_daemon(memory.parent) as hub:
        git(far.clone, "remote", "set-url", "origin", hub.url(memory.name))
        for ref in (f"origin/proposals/{proposal}:refs/heads/main", f":refs/heads/proposals/{proposal}", "origin/main:refs/heads/x"):
            assert far.refused("origin", f"{signed}:refs/heads/theirs", ref).startswith(
                "gitmem: it is not known who pushes this: a signature proves only what brings signed commits"
            )
        assert far.push("origin", f"{signed}:refs/heads/theirs", f"{signed}:refs/heads/main") == "accepted"


# --- names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "Ann", " ann", "an\u200bn", "\uff41nn", "ann\u2060"])
def test_a_name_that_looks_like_a_members_is_theirs(eve: Person, name: str):
    written(eve, 7, "-c", f"user.name={name}")
    assert "says that it is by ann, and eve, who pushes, may not speak for ann" in eve.refused()


def test_a_name_in_another_encoding_is_refused(eve: Person):
    commit = written(eve, 7)
    raw = subprocess.run(["git", "-C", str(eve.clone), "cat-file", "commit", commit], capture_output=True, check=True).stdout
    head, _, message = raw.partition(b"\n\n")
    lines = [line if not line.startswith(b"author") else b"author +AGEAbgBu- <x@example.com> 1 +0000" for line in head.split(b"\n")]
    made = subprocess.run(
        ["git", "-C", str(eve.clone), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=b"\n".join([*lines, b"encoding UTF-7"]) + b"\n\n" + message, capture_output=True, check=True,
    ).stdout.decode().strip()
    assert eve.refused("origin", f"{made}:refs/heads/main") == (
        f"gitmem: commit {made[:8]} is in another encoding than UTF-8, in which its author would read otherwise. Nothing was changed.\n"
        "fix: commit it again with 'git -c i18n.commitEncoding=UTF-8 commit --amend'.\n"
    )


# --- proposals that are over -------------------------------------------------------------------------


def test_the_name_of_a_proposal_that_is_over_is_not_taken_for_another(eve: Person, team: Team):
    proposal = team.call("record_learning", agent="bob", topic="A", content="B", as_proposal=True)["proposal"]
    team.call("reject_proposal", agent="ann", id=proposal, reason="no")
    kept = git(eve.memory, "rev-parse", f"closed/{proposal}")
    written(eve, 7)
    assert f"a proposal {proposal} is over already" in eve.refused("origin", f"HEAD:refs/heads/proposals/{proposal}")
    assert git(eve.memory, "rev-parse", f"closed/{proposal}") == kept


# --- what is too much --------------------------------------------------------------------------------


def test_a_tree_that_unfolds_without_end_is_refused_in_time(eve: Person):
    blob = git(eve.clone, "hash-object", "-w", "-t", "blob", "/dev/null").strip()
    tree = subprocess.run(["git", "-C", str(eve.clone), "mktree"], input=f"100644 blob {blob}\tx\n", capture_output=True, text=True, check=True).stdout.strip()
    for _ in range(9):
        listing = "".join(f"040000 tree {tree}\t{name}\n" for name in "abcdefghij")
        tree = subprocess.run(["git", "-C", str(eve.clone), "mktree"], input=listing, capture_output=True, text=True, check=True).stdout.strip()
    commit = git(eve.clone, "commit-tree", tree, "-p", "HEAD", "-m", "bomb").strip()
    assert "files" in eve.refused("origin", f"{commit}:refs/heads/main")
    assert "files" in eve.refused("origin", f"{commit}:refs/heads/proposals/bomb")


def test_a_tree_without_a_bottom_is_refused_in_words(eve: Person):
    blob = git(eve.clone, "hash-object", "-w", "-t", "blob", "/dev/null").strip()
    tree = subprocess.run(["git", "-C", str(eve.clone), "mktree"], input=f"100644 blob {blob}\tx\n", capture_output=True, text=True, check=True).stdout.strip()
    for _ in range(1500):
        tree = subprocess.run(["git", "-C", str(eve.clone), "mktree"], input=f"040000 tree {tree}\ta\n", capture_output=True, text=True, check=True).stdout.strip()
    commit = git(eve.clone, "commit-tree", tree, "-p", "HEAD", "-m", "deep").strip()
    said = eve.refused("origin", f"{commit}:refs/heads/main")
    assert "Traceback" not in said
