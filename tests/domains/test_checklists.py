"""Checklists: who ticked off what, and what is refused."""

from typing import Any

import pytest

from gitmem.desk import Conflict
from gitmem.domains.checklists import Checklist
from gitmem.errors import BadArgument, GitmemError
from gitmem.index.search import Index
from gitmem.memory.memory import Memory
from tests.conftest import Team, git
from tests.domains.test_backlog import pinned


def do(team: Team, action: str, name: str = "", agent: str = "ann", **arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] = team.call("checklist", agent=agent, arguments={"action": action, "name": name} | arguments)
    return answer


def no(team: Team, action: str, name: str = "", agent: str = "ann", **arguments: Any) -> GitmemError:
    return team.refusal("checklist", agent=agent, arguments={"action": action, "name": name} | arguments)


@pytest.fixture
def launch(team: Team) -> Team:
    do(team, "create", "launch", items=["Tests pass", "Docs are built", "Docs are read"])
    return team


def states(answer: dict[str, Any]) -> list[tuple[str, bool, str | None]]:
    return [(each["item"], each["done"], each.get("checked_by")) for each in answer["items"]]


def test_a_checklist_tells_who_ticked_off_what_when_and_how_far_it_is(launch: Team):
    checked = do(launch, "check", "launch", agent="bob", item_index=1, notes="version 2")
    assert (checked["progress"], checked["item"], checked["version"]) == ("1 of 3", "Docs are built", do(launch, "get", "launch")["version"])
    read = do(launch, "get", "launch")
    assert states(read) == [("Tests pass", False, None), ("Docs are built", True, "bob"), ("Docs are read", False, None)]
    assert [each["index"] for each in read["items"]] == [0, 1, 2]
    assert read["items"][1]["notes"] == "version 2"
    assert read["items"][1]["checked_at"].endswith("Z")
    assert read["created_by"] == "ann"
    do(launch, "uncheck", "launch", item_text="Docs are built")
    assert states(do(launch, "get", "launch"))[1] == ("Docs are built", False, None)
    assert do(launch, "get", "launch")["items"][1]["notes"] == "version 2"


def test_each_change_is_a_commit_by_who_made_it(launch: Team):
    do(launch, "check", "launch", agent="bob", item_index=0)
    said = git(launch.memory.path, "log", "-1", "--format=%an|%s|%(trailers:key=Gitmem-Verb,valueonly)", "main").strip()
    assert said == "bob|checklist: check launch: Tests pass|checklist"


def test_what_is_ticked_off_already_stays_theirs_and_gets_new_notes(launch: Team):
    do(launch, "check", "launch", agent="bob", item_index=0)
    head = launch.memory.head()
    again = do(launch, "check", "launch", agent="cy", item_index=0)
    assert (again["note"], states(again)[0][2]) == ("it is so already; nothing was written", "bob")
    assert launch.memory.head() == head
    noted = do(launch, "check", "launch", agent="cy", item_index=0, notes="looked again")
    assert (states(noted)[0][2], noted["items"][0]["notes"]) == ("bob", "looked again")


def test_items_are_added_at_the_end_and_removed(launch: Team):
    assert do(launch, "add", "launch", items=["Ship it"])["progress"] == "0 of 4"
    removed = do(launch, "remove", "launch", item_text="docs are READ")
    assert [each["item"] for each in removed["items"]] == ["Tests pass", "Docs are built", "Ship it"]


def test_check_with_done_false_unticks(launch: Team):
    do(launch, "check", "launch", item_index=0, done=True)
    assert do(launch, "check", "launch", item_index=0, done=False)["progress"] == "0 of 3"


def test_checklists_are_listed_unfinished_first_with_those_of_all_projects(launch: Team):
    launch.call("project", action="create", name="api", project="")
    do(launch, "create", "audit", items=["One"])
    do(launch, "check", "audit", item_index=0)
    do(launch, "create", "release", items=["Two"], scope="shared")
    listed = do(launch, "list")
    assert [(each["name"], each["progress"], each["project"]) for each in listed["checklists"]] == [
        ("launch", "0 of 3", "web"), ("release", "0 of 1", "shared"), ("audit", "1 of 1", "web"),
    ]  # fmt: skip
    assert listed["count"] == 3
    assert launch.call("checklist", project="api", action="check", arguments={"name": "release", "item_index": 0})["project"] == "shared"


def test_a_checklist_is_deleted_by_who_made_it_or_an_admin_and_comes_back(launch: Team):
    do(launch, "create", "mine", items=["One"], agent="bob")
    assert "mine was made by bob; only they or an admin may delete it." in no(launch, "delete", "mine", agent="cy").message
    gone = do(launch, "delete", "mine", agent="bob")
    assert "There is no checklist 'mine'" in no(launch, "get", "mine").message
    launch.call("revert", commit=gone["commit"], agent="bob")
    assert do(launch, "get", "mine")["progress"] == "0 of 1"


def test_an_item_that_fits_none_or_several_is_refused_with_those_that_there_are(launch: Team):
    refused = no(launch, "check", "launch", item_index=3)
    assert refused.message == "item_index is 3; 0 to 2 are accepted."
    assert refused.fix == "Its items are 0: 'Tests pass'; 1: 'Docs are built'; 2: 'Docs are read'."
    assert "item_index is -1" in no(launch, "check", "launch", item_index=-1).message
    refused = no(launch, "check", "launch", item_text="docs")
    assert (refused.message, refused.fix) == ("2 items say 'docs'.", "Its items are 1: 'Docs are built'; 2: 'Docs are read'.")
    assert no(launch, "check", "launch", item_text="deploy").message == "No items say 'deploy'."
    assert no(launch, "check", "launch", item_text="docs", item_index=0).message == "Item 0 does not say 'docs'."
    assert "item_index, counted from 0, or item_text" in no(launch, "remove", "launch").message
    do(launch, "check", "launch", item_text="docs", item_index=2)


def test_unknown_and_impossible_checklists_are_refused(launch: Team):
    assert "Did you mean launch?" in no(launch, "get", "lunch").fix
    assert "exists already" in no(launch, "create", "launch", items=["x"]).message
    for name in ("", "..", "a/b", "Launch", "con", "x" * 81, "a\x00b"):
        no(launch, "create", name, items=["x"])
        no(launch, "get", name)


@pytest.mark.parametrize(("items", "what"), [
    ([], "There are no items."),
    (["One", " one "], "has the item 'one' twice; each is accepted once"),
    (["One", ""], "has an item 1 whose text is empty"),
    (["two\nlines"], "holds a line break or control character"),
    (["x" * 301], "has 301 characters; at most 300 are accepted"),
    ([f"item {number}" for number in range(201)], "has 201 items; at most 200 are accepted"),
])  # fmt: skip
def test_items_that_cannot_be_are_refused(launch: Team, items: list[str], what: str):
    assert what in no(launch, "create", "other", items=items).message
    if items and "201" not in what:
        assert "The checklist launch has" in no(launch, "add", "launch", items=items).message
    assert "has the item 'tests pass' twice" in no(launch, "add", "launch", items=["tests pass"]).message
    assert "whose notes has 2001 characters" in no(launch, "check", "launch", item_index=0, notes="x" * 2001).message


def test_a_change_of_an_old_version_is_refused_and_one_of_the_present_is_not_lost(launch: Team):
    version = do(launch, "get", "launch")["version"]
    answer = pinned(
        launch, "checklist", action="check", name="launch", item_text="Docs are read",
        meanwhile=lambda: do(launch, "remove", "launch", item_index=0, agent="bob"),
    )  # fmt: skip
    assert states(answer) == [("Docs are built", False, None), ("Docs are read", True, "ann")]
    assert isinstance(no(launch, "check", "launch", item_index=0, if_version=version), Conflict)


def test_two_who_create_the_same_checklist_at_once_do_not_overwrite_each_other(launch: Team):
    with pytest.raises(GitmemError, match="exists already"):
        pinned(
            launch, "checklist", action="create", name="new", items=["mine"],
            meanwhile=lambda: do(launch, "create", "new", items=["theirs"], agent="bob"),
        )  # fmt: skip
    assert states(do(launch, "get", "new"))[0][0] == "theirs"


def test_a_memory_opened_anew_has_the_checklists(launch: Team):
    do(launch, "check", "launch", item_index=0)
    memory = Memory(launch.memory.path)
    found = memory.view().record("projects/web/checklists/launch.yaml")
    assert isinstance(found, Checklist)
    assert found.progress == "1 of 3"
    index = Index(memory)
    assert index.paths("kind", "checklist", view=memory.view()) == [found.path]
    index.close()
    memory.close()


def test_an_action_that_there_is_not_is_refused(launch: Team):
    assert "not one of create, get, add, check, uncheck, remove, delete, list" in no(launch, "tick", "launch").message
    assert isinstance(no(launch, "get"), BadArgument)
