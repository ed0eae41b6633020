"""A sync by path: whoever may write the hub's files anyway brings what the agents here did; a plain push does not."""

import getpass
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitmem.git.repository import MAIN
from gitmem.memory.claims import SEAL, claim_by_path
from gitmem.memory.memory import Memory
from gitmem.memory.pushers import Note, note_of
from tests.conftest import Team, git
from tests.memory.test_sync import Clone


@pytest.fixture
def hub(team: Team) -> Team:
    """A hub with its hooks, and members in whose names others may not push: ann, who made the project, and bob."""
    team.call("project", action="add_agent", name="web", member="bob", tier="member")
    return team


def test_what_registered_agents_did_in_a_clone_reaches_a_hub_of_the_same_user(hub: Team, tmp_path: Path):
    one = Clone(str(hub.memory.path), tmp_path / "one.git")
    one.learn("by ann")
    one.learn("by bob", agent="bob")
    session = one.call("start_session", agent="bob", task_description="work")["session_id"]
    one.call("lock_files", agent="bob", session=session, files=("a.py",), reason="work")
    one.call("send_message", agent="ann", to_instance="bob", message="to you")
    report = one.sync()
    assert report.refused == ()
    assert one.refs() == Clone.shared_of(hub.memory)
    assert note_of(hub.memory.repository, one.memory.head()) == Note(getpass.getuser(), "front door")
    one.close()


def test_the_note_names_the_person_that_the_team_knows_the_user_as(hub: Team, tmp_path: Path):
    text = f"format: 1\npeople:\n- name: pat\n  os_users: [{getpass.getuser()}]\n"
    hub.write("gitmem.yaml", text)
    one = Clone(str(hub.memory.path), tmp_path / "one.git")
    one.learn("by ann")
    assert one.sync().refused == ()
    assert note_of(hub.memory.repository, one.memory.head()) == Note("pat", "front door")
    one.close()


def test_a_plain_push_by_path_speaks_for_nobody_else_as_before(hub: Team, tmp_path: Path):
    one = Clone(str(hub.memory.path), tmp_path / "one.git")
    one.learn("by ann")
    said = git(one.memory.path, "push", "hub", MAIN, check=False)
    assert "says that it is by ann" in said
    one.close()


def test_who_may_not_read_the_secret_claims_nothing(hub: Team, tmp_path: Path):
    path, secret = hub.memory.path, hub.memory.path / "gitmem" / "pusher-secret"
    assert claim_by_path(f"file://{path}", "pat")[SEAL] == claim_by_path(str(path), "pat")[SEAL]
    assert secret.stat().st_mode & 0o777 == 0o600
    for elsewhere in ("ssh://host/memory.git", "host:memory.git", "memory.git", str(tmp_path / "nowhere"), "file://"):
        assert claim_by_path(elsewhere, "pat") == {}
    if os.getuid() == 0:
        secret.unlink()
        os.chown(path, 1, 1)
        assert claim_by_path(str(path), "pat") == {}
        assert not secret.exists()


def test_a_plain_repository_is_left_as_it_is(hub: Team, tmp_path: Path):
    git(tmp_path, "clone", "-q", "--bare", str(hub.memory.path), "plain.git")
    one = Clone(str(tmp_path / "plain.git"), tmp_path / "one.git")
    one.learn("by ann")
    assert one.sync().refused == ()
    assert not (tmp_path / "plain.git" / "gitmem").exists()
    assert Memory(one.memory.path).head() == git(tmp_path / "plain.git", "rev-parse", "main").strip()
    one.close()


@pytest.fixture
def one(hub: Team, tmp_path: Path) -> Iterator[Clone]:
    made = Clone(str(hub.memory.path), tmp_path / "one.git")
    yield made
    made.close()


def test_what_the_hub_knows_from_a_proposal_already_still_comes_in_as_its_authors_work(hub: Team, one: Clone):
    fact = hub.call("record_learning", agent="bob", topic="Before", content="About it.")["id"]
    hub.call("owners", action="set", paths=("projects/web/knowledge/",), names=("bob",))
    hub.call("define_spec", agent="ann", name="state", spec_type="state", content="word " * 400)
    one.sync()
    hub.call("edit", agent="bob", id=fact, operation="set_fields", fields={"title": "There"})
    one.call("edit", agent="bob", id=fact, operation="set_fields", fields={"title": "Here"})
    one.call("define_spec", agent="ann", name="state", spec_type="state", content="short", force=True)
    former = hub.memory.path / "hooks" / "update"
    former.write_text('#!/bin/sh\ntest "$1" != refs/heads/main || { echo "not today" >&2; exit 1; }\n')
    former.chmod(0o755)
    report = one.sync()
    assert [(each.ref, each.why.splitlines()[0]) for each in report.refused] == [(MAIN, "not today")]
    assert [ref for ref in Clone.shared_of(hub.memory) if ref.startswith("refs/heads/proposals/")]
    former.unlink()
    assert one.sync().refused == ()
    assert hub.memory.head() == one.memory.head()


def test_an_admin_decides_in_a_clone_on_what_somebody_else_has_pushed(hub: Team, tmp_path: Path):
    strict = f"file://localhost{hub.memory.path}"  # counts who pushes, as a plain push does
    hub.write("gitmem.yaml", f"format: 1\npeople:\n- name: pat\n  os_users: [{getpass.getuser()}]\n  speaks_for: [ann, eve]\n")
    one = Clone(strict, tmp_path / "one.git")
    change = {"verb": "record_learning", "arguments": {"topic": "a way", "content": "to go"}}
    made = one.call("propose", agent="eve", title="A way", reason="it helps", changes=[change])["proposal"]
    assert one.sync().refused == ()
    text = f"format: 1\npeople:\n- name: sam\n  os_users: [{getpass.getuser()}]\n  speaks_for: [ann]\n"
    hub.write("gitmem.yaml", text)
    one.sync()
    one.call("reject_proposal", agent="ann", id=made, reason="not now")
    assert one.sync().refused == ()
    assert one.refs() == Clone.shared_of(hub.memory)
    assert f"refs/heads/proposals/{made}" not in one.refs()
    one.close()
