"""Undoing: one new commit, which touches nothing that came later, and says what depends on what is gone."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmem.domains.undo.taking_back import _merged
from tests.conftest import Team, git


def learn(team: Team, topic: str = "Retries", content: str = "One.\n\nTwo.\n\nThree.", agent: str = "ann") -> str:
    made: str = team.call("record_learning", topic=topic, content=content, agent=agent)["id"]
    return made


def edit(team: Team, record: str, find: str, text: str, agent: str = "ann") -> str:
    commit: str = team.call("edit", id=record, operation="find_replace", find=find, text=text, agent=agent)["commit"]
    return commit


def content(team: Team, record: str) -> str:
    text: str = team.call("get_by_id", id=record)["content"]
    return text


def test_what_others_changed_later_in_other_lines_stays(team: Team) -> None:
    made = learn(team)
    wrong = edit(team, made, "One.", "Wrong.", agent="eve")
    edit(team, made, "Three.", "Third.", agent="bob")
    before = team.commits()
    undone = team.call("revert", commit=wrong)
    assert content(team, made) == "One.\n\nTwo.\n\nThird."
    assert undone["kept"] == undone["restored"] == [team.call("get_by_id", id=made)["path"]]
    assert team.commits() == before + 1


def test_what_others_changed_later_in_the_same_lines_is_refused_and_listed_with_who_did(team: Team) -> None:
    made = learn(team)
    wrong = edit(team, made, "One.", "Wrong.", agent="eve")
    edit(team, made, "Wrong.", "Half right.", agent="bob")
    refused = team.refusal("revert", commit=wrong).message
    assert "the same lines were changed again later" in refused
    assert f"{made}.md by bob" in refused
    shown = team.call("revert", commit=wrong, dry_run=True)
    assert [each["by"] for each in shown["in_the_way"]] == [["bob"]]
    assert shown["note"].startswith("nothing was written, and it would be refused")


def test_a_dry_run_tells_what_would_happen_and_writes_nothing(team: Team) -> None:
    made = learn(team)
    path = team.call("get_by_id", id=made)["path"]
    wrong = edit(team, made, "One.", "Wrong.")
    before = git(team.memory.path, "for-each-ref")
    for ways in ({"commit": wrong}, {"agent": "ann", "since": "1h"}, {"id": made, "version": team.call("history", id=made)["versions"][1]["version"]}):
        shown = team.call("revert", arguments={**ways, "dry_run": True})
        assert path in [*shown["restored"], *shown["removed"]]
        assert shown["note"] == "nothing was written; this is what would be undone"
    assert git(team.memory.path, "for-each-ref") == before


def test_a_dry_run_tells_what_the_gate_would_say(team: Team) -> None:
    for text in ("One.", "Two."):
        released = team.call("define_spec", name="orders-api", content=text)
    shown = team.call("revert", commit=released["commit"], dry_run=True)
    assert len(shown["problems"]) == 1
    assert "1.0.1 is out already" in shown["problems"][0]


def test_a_revert_is_reverted_and_that_again(team: Team) -> None:
    made = learn(team)
    commit = edit(team, made, "One.", "First.")
    for expected in ("One.", "First.", "One.", "First."):
        team.call("revert", commit=commit)
        commit = team.memory.head()
        assert content(team, made).startswith(expected)


def test_a_revert_of_what_was_taken_back_already_writes_nothing(team: Team) -> None:
    made = learn(team)
    wrong = edit(team, made, "One.", "Wrong.")
    team.call("revert", commit=wrong)
    before = team.commits()
    assert team.call("revert", commit=wrong)["note"] == "it is so already; nothing was written"
    assert team.commits() == before


def test_all_of_an_agent_is_undone_around_what_others_wrote_between(team: Team) -> None:
    made = learn(team)
    edit(team, made, "One.", "Nonsense.", agent="eve")
    edit(team, made, "Three.", "Third.", agent="bob")
    edit(team, made, "Nonsense.", "More nonsense.", agent="eve")
    own = learn(team, topic="Only nonsense", agent="eve")
    before = team.commits()
    undone = team.call("revert", arguments={"agent": "eve", "since": "1h"})
    assert content(team, made) == "One.\n\nTwo.\n\nThird."
    assert [own in each for each in undone["removed"]] == [True]
    assert team.commits() == before + 1


def test_all_of_an_agent_is_undone_around_those_who_joined_after_them_and_they_stay_members(team: Team) -> None:
    team.call("start_session", agent="eve", task_description="try things")
    made = learn(team, agent="eve")
    team.call("start_session", agent="bob", task_description="look on")
    shown = team.call("revert", arguments={"agent": "eve", "since": "1h", "dry_run": True})
    assert shown["in_the_way"] == []
    undone = team.call("revert", arguments={"agent": "eve", "since": "1h"})
    assert made in undone["removed"][0]
    assert "eve" in [each["name"] for each in team.call("project", action="get", name="web")["project"]["members"]]
    # the log is read when an age means another time
    assert re.search(r"revert what eve did since 20\d\d-\d\d-\d\dT", git(team.memory.path, "log", "-1", "--format=%s", "main"))


def test_what_links_to_or_waits_for_what_is_undone_is_listed(team: Team) -> None:
    target = team.call("record_learning", topic="Retries", content="Three times.", agent="eve")
    linking = team.call("store", title="Client", content="x", links=[{"rel": "uses", "to": target["id"]}])
    old = learn(team, topic="Old news")
    team.call("change_status", id=old, new_status="superseded", superseded_by=target["id"])
    shown = team.call("revert", commit=target["commit"], dry_run=True)
    assert {(each["path"].rpartition("/")[2], each["how"], each["on"]) for each in shown["dependents"]} == {
        (f"{linking['id']}.md", "links to it as uses", target["id"]), (f"{old}.md", "is superseded by it", target["id"]),
    }  # fmt: skip
    one = team.call("add_backlog_item", title="One")
    two = team.call("add_backlog_item", title="Two", blocked_by=[one["id"]])
    three = team.call("add_backlog_item", title="Three", parent=one["id"])
    shown = team.call("revert", commit=one["commit"], dry_run=True)
    assert {(each["path"].rpartition("/")[2], each["how"]) for each in shown["dependents"]} == {
        (f"{two['id']}.md", "waits for it"), (f"{three['id']}.md", "is a part of it"),
    }  # fmt: skip


def test_what_is_undone_together_does_not_depend_on_itself(team: Team) -> None:
    one = team.call("add_backlog_item", title="One", agent="eve")
    team.call("add_backlog_item", title="Two", blocked_by=[one["id"]], agent="eve")
    undone = team.call("revert", arguments={"agent": "eve", "since": "1h"})
    assert len(undone["removed"]) == 2
    assert undone["dependents"] == []


def test_an_edit_of_an_item_that_was_moved_since_is_undone_where_it_is(team: Team) -> None:
    team.call("project", action="create", name="api", project="")
    made = team.call("add_backlog_item", title="Fix the login", description="It fails.")["id"]
    edited = team.call("update_backlog_item", id=made, priority="critical", agent="eve")["commit"]
    team.call("update_backlog_item", id=made, arguments={"project": "api"})
    team.call("revert", commit=edited)
    item = team.call("get_backlog_item", id=made)
    assert (item["project"], item["priority"]) == ("api", "medium")


def test_a_move_is_undone_with_what_was_written_since(team: Team) -> None:
    team.call("project", action="create", name="api", project="")
    made = team.call("add_backlog_item", title="Fix the login", description="It fails.")["id"]
    moved = team.call("update_backlog_item", id=made, arguments={"project": "api"})["commit"]
    team.call("update_backlog_item", id=made, priority="high", agent="bob")
    team.call("revert", commit=moved)
    item = team.call("get_backlog_item", id=made)
    assert (item["project"], item["priority"]) == ("web", "high")


def test_rights_are_asked_for_where_a_record_has_gone_to_as_well(team: Team) -> None:
    team.call("project", action="create", name="api", project="", agent="cy")
    made = team.call("add_backlog_item", title="Fix the login")["id"]
    edited = team.call("update_backlog_item", id=made, priority="high", agent="eve")["commit"]
    team.call("update_backlog_item", id=made, arguments={"project": "api"})
    assert "you are no admin of projects/api, projects/web" in team.refusal("revert", commit=edited).message


@pytest.mark.parametrize("kind", ["guideline", "context", "memory", "checklist", "project"])
def test_every_kind_can_be_undone(team: Team, kind: str) -> None:
    call = {
        "guideline": ("guidelines", {"action": "set", "name": "small", "rule": "One thing."}),
        "context": ("context", {"action": "set", "key": "stack", "value": ["git"]}),
        "memory": ("remember", {"key": "psr", "value": "Status report", "category": "term"}),
        "checklist": ("checklist", {"action": "create", "name": "launch", "items": ["Tests pass"]}),
        "project": ("project", {"action": "create", "name": "other"}),
    }[kind]
    before = git(team.memory.path, "rev-parse", "main^{tree}")
    team.call(call[0], arguments=call[1])
    team.call("revert", commit=team.memory.head())
    assert git(team.memory.path, "rev-parse", "main^{tree}") == before


def test_a_merge_made_by_hand_and_pushed_is_undone_as_what_it_brought(team: Team, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(team.memory.path), "work")
    work = tmp_path / "work"
    for name in ("README.md", "AGENTS.md"):
        (work / name).write_text("Pat's.\n")
        git(work, "commit", "-qam", name)
    made = learn(team)
    git(work, "pull", "-q", "--no-rebase", "--no-edit")
    git(work, "push", "-q")
    later = learn(team, topic="Later")
    merge = git(team.memory.path, "rev-list", "--merges", "-1", "main").strip()
    assert "This would undo changes of Pat Person" in team.refusal("revert", commit=merge, agent="bob").message
    undone = team.call("revert", commit=merge)
    assert undone["restored"] == ["AGENTS.md", "README.md"]
    assert [content(team, each) for each in (made, later)] == ["One.\n\nTwo.\n\nThree."] * 2
    team.call("revert", commit=team.memory.head())
    assert git(team.memory.path, "show", "main:README.md") == "Pat's.\n"


def test_a_branch_merged_on_main_is_undone_whole(team: Team, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(team.memory.path), "work")
    work = tmp_path / "work"
    git(work, "checkout", "-qb", "side")
    (work / "AGENTS.md").write_text("From the side.\n")
    git(work, "commit", "-qam", "side")
    git(work, "checkout", "-q", "main")
    learn(team)
    git(work, "pull", "-q")
    git(work, "merge", "-q", "--no-ff", "-m", "merge side", "side")
    git(work, "push", "-q")
    assert team.call("revert", commit=team.memory.head())["restored"] == ["AGENTS.md"]


LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d\n", b"---\n", b"\n"]), max_size=12).map(b"".join)


@given(base=LINES, now=LINES)
def test_taking_nothing_back_changes_nothing(base: bytes, now: bytes) -> None:
    assert _merged(base, now, base) == now


@given(base=LINES, wanted=LINES)
def test_taking_back_from_what_nobody_touched_is_what_was_before(base: bytes, wanted: bytes) -> None:
    assert _merged(base, base, wanted) == wanted
