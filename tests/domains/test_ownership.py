"""Ownership by verbs: OWNERS.yaml, CODEOWNERS, and what follows for those who write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmem.domains.ownership.codeowners import HEAD, codeowners, refresh
from gitmem.domains.ownership.record import Entry, Handle, Owners, Team
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.memory.selection import pattern_problem, selects
from tests.conftest import Team as TeamOf
from tests.conftest import git

LEARNING = "projects/web/knowledge/learning/"


def own(of: TeamOf, agent: str = "ann", **arguments: Any) -> dict[str, Any]:
    return dict(of.call("owners", agent=agent, project="", arguments=arguments))


def codeowners_of(team: TeamOf) -> str:
    return git(team.memory.path, "show", "main:CODEOWNERS")


def test_owners_and_their_file_for_forges_land_together(team: TeamOf):
    own(team, action="handle", names=["ann"], forge="@ann-on-forge")
    own(team, action="team", team="core", names=["ann", "bob"])
    done = own(team, action="set", paths=["projects/web/specs/"], names=["core", "carl"])
    assert git(team.memory.path, "show", "main:OWNERS.yaml") == (
        "teams:\n- name: core\n  members:\n  - ann\n  - bob\nentries:\n- paths:\n  - projects/web/specs/\n  owners:\n  - core\n  - carl\n"
        "handles:\n- name: ann\n  forge: '@ann-on-forge'\n"
    )
    assert codeowners_of(team) == f"{HEAD}# not on the forge: bob carl\nprojects/web/specs/ @ann-on-forge\n"
    assert done["entries"] == [{"paths": ["projects/web/specs/"], "kinds": [], "owners": ["core", "carl"]}]
    assert own(team, agent="bob", action="of", paths=["projects/web/specs/a.md"])["owners"] == ["core", "carl"]
    assert own(team, action="remove", paths=["projects/web/specs/"])["entries"] == []
    assert codeowners_of(team) == HEAD


def test_a_kind_is_told_to_forges_by_its_folders():
    owners = Owners(entries=(
        Entry(kinds=("spec",), owners=("core",)), Entry(paths=("a b/", "!a b/c"), kinds=("knowledge",), owners=("core",)),
        Entry(paths=("shared/",)),
    ), teams=(Team(name="core", members=("ann",)),), handles=(Handle(name="core", forge="@org/core"),))  # fmt: skip
    assert codeowners(owners) == (
        f"{HEAD}/projects/*/specs/*.md @org/core\n/shared/specs/*.md @org/core\n"
        "# of these files, only: knowledge\na\\ b/ @org/core\nshared/\n"
    )


def test_the_same_entry_again_replaces_its_owners_and_nothing_new_is_no_commit(team: TeamOf):
    own(team, action="set", paths=["a/"], names=["ann"])
    own(team, action="set", kinds=["spec"], names=["ann"])
    done = own(team, action="set", paths=["a/"], names=["bob"])
    assert [each["owners"] for each in done["entries"]] == [["bob"], ["ann"]]
    head = team.memory.head()
    assert own(team, action="set", paths=["a/"], names=["bob"])["done"] == "it is so already; nothing was written"
    assert team.memory.head() == head


def test_only_admins_say_who_owns_what(team: TeamOf):
    error = team.refusal("owners", agent="bob", project="", arguments={"action": "set", "paths": ["a/"], "names": ["bob"]})
    assert "OWNERS.yaml: says who may do what; bob may not change it, but ann may" in error.message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"action": "set", "names": ["ann"]}, "Neither paths nor kinds are given."),
        ({"action": "remove", "paths": ["b/"]}, "There is no entry with exactly these paths and kinds."),
        ({"action": "of"}, "of needs one path."),
        ({"action": "set", "paths": ["a/"], "names": ["Bob B"]}, "has an owner whose name is 'Bob B', which is no name"),
        ({"action": "set", "kinds": ["specs"], "names": ["bob"]}, "has 'specs', which is no kind of record: spec would be"),
        ({"action": "set", "paths": ["#a"], "names": ["bob"]}, "'#a', which is a comment"),
        ({"action": "team", "team": "core", "names": ["core"]}, "has the team core as a member of a team"),
        ({"action": "handle", "names": ["ann"], "forge": "ann"}, "has for ann 'ann'; @name, @org/team or an email address is accepted"),
    ],
)
def test_what_cannot_be_owned_so_is_refused(team: TeamOf, arguments: dict[str, Any], said: str):
    assert said in team.refusal("owners", project="", arguments=arguments).message


def test_what_somebody_owns_others_may_not_create_change_or_remove(team: TeamOf):
    mine = team.call("record_learning", agent="bob", topic="Mine", content="x")
    own(team, action="set", paths=[LEARNING], names=["carl"])
    error = team.refusal("record_learning", agent="bob", topic="New", content="x")
    assert "belongs to carl; bob may not change or remove it, but carl or ann may" in error.message
    assert "belongs to carl" in team.refusal("delete", agent="bob", id=mine["id"], reason="mine").message
    assert team.call("record_learning", agent="carl", topic="New", content="x")["commit"]
    assert team.call("record_learning", agent="ann", topic="Newer", content="x")["commit"]
    assert team.call("store", agent="bob", title="Elsewhere", content="x", memory_type="adr")["commit"]


def test_owning_everything_keeps_nobody_from_starting_and_ending_a_session(team: TeamOf):
    own(team, action="set", paths=["*"], names=["ann"])
    session = team.call("start_session", agent="newcomer")["session_id"]
    assert team.call("end_session", agent="newcomer", session=session, session_id=session, handoff_notes="Go on.")


def test_another_process_sees_the_owners_at_once(team: TeamOf):
    own(team, action="set", paths=["a/"], names=["bob"])
    other = Memory(team.memory.path)
    assert other.view().record("OWNERS.yaml") == team.memory.view().record("OWNERS.yaml")
    other.close()


def test_codeowners_follows_owners_that_came_by_themselves(team: TeamOf):
    assert not refresh(team.memory)
    with team.memory.transaction(team.memory.view(), Caller("ann", "declared"), "by hand") as change:
        change.put_file("OWNERS.yaml", b"entries:\n- paths: [a/]\n  owners: [ann]\n")
    assert refresh(team.memory)
    assert codeowners_of(team) == f"{HEAD}# not on the forge: ann\na/\n"
    assert not refresh(team.memory)


@given(st.text(max_size=30), st.text(alphabet="ab/.*-", max_size=20))
def test_any_pattern_is_refused_or_can_be_asked(pattern: str, path: str):
    if pattern_problem(pattern) is None:
        assert selects(Entry(paths=(pattern,)), path) in (True, False)


def test_without_paths_and_kinds_nothing_is_selected():
    assert not selects(Entry(), "a.md")
    assert selects(Entry(kinds=("settings",)), "gitmem.yaml")
    assert not selects(Entry(paths=("/a/",), kinds=("settings",)), "gitmem.yaml")
