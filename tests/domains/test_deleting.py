"""Deleting: a record of one's own, whatever its kind."""

import pytest

from gitmem.git.repository import run_git
from tests.conftest import Team


@pytest.fixture(autouse=True)
def members(team: Team) -> None:
    for name in ("bob", "eve"):
        team.call("project", action="add_agent", name="web", member=name)


def test_a_backlog_item_goes_by_its_id_and_comes_back(team: Team):
    made = team.call("add_backlog_item", agent="bob", title="Retry twice")["id"]
    refused = team.refusal("delete", agent="eve", id=made, reason="x")
    assert refused.message == f"{made} was added by bob; only they or an admin may delete it."
    gone = team.call("delete", agent="bob", id=made, reason="never mind")
    assert team.call("list_backlog")["items"] == []
    assert gone["note"] == f"revert(id='{made}', version='{gone['version'][:12]}') brings it back"
    team.call("revert", agent="bob", id=made, version=gone["version"])
    assert [each["id"] for each in team.call("list_backlog")["items"]] == [made]


def test_a_backlog_item_that_others_wait_for_stays(team: Team):
    first = team.call("add_backlog_item", agent="bob", title="First")["id"]
    second = team.call("add_backlog_item", agent="bob", title="Second", blocked_by=[first])["id"]
    refused = team.refusal("delete", agent="bob", id=first, reason="x")
    assert refused.message == f"{first} cannot be deleted, because others need it, as blocked_by or parent: {second}."


@pytest.mark.parametrize(("name", "kind"), [("orders", "api"), ("state:now", "state")])
def test_a_spec_or_state_document_goes_by_its_name_and_comes_back(team: Team, name: str, kind: str):
    team.call("define_spec", agent="bob", name=name, content="As it is.", version="1.0.0", spec_type=kind)
    refused = team.refusal("delete", agent="eve", name=name, reason="x")
    assert refused.message == f"{name} (1.0.0, web) belongs to bob, and eve may not delete it."
    gone = team.call("delete", agent="bob", name=name, reason="replaced")
    assert team.refusal("get_spec", name=name).message == f"There is no spec '{name}'."
    assert gone["note"] == f"revert(commit='{gone['commit'][:12]}') brings it back"
    team.call("revert", agent="bob", commit=gone["commit"])
    assert team.call("get_spec", name=name)["content"].strip() == "As it is."


def test_an_admin_may_delete_anybodys(team: Team):
    team.call("define_spec", agent="bob", name="orders", content="x", version="1.0.0", spec_type="api")
    team.call("delete", agent="ann", name="orders", reason="x")
    assert "delete orders" in run_git(team.memory.path, "log", "-1", "--format=%s", "main")


def test_a_deleted_name_can_be_defined_anew(team: Team):
    team.call("define_spec", agent="bob", name="orders", content="x", version="1.0.0", spec_type="api")
    team.call("delete", agent="bob", name="orders", reason="x")
    team.call("define_spec", agent="bob", name="orders", content="y", version="1.0.1", spec_type="api")
    assert team.call("get_spec", name="orders")["version"]


def test_a_name_of_another_kind_is_answered_with_the_verb_for_it(team: Team):
    team.call("checklist", action="create", name="release", items=["tag"])
    refused = team.refusal("delete", name="release", reason="x")
    assert refused.message == "There is no spec 'release'."
    assert refused.fix == (
        "list_specs lists them all. Guidelines, checklists and context go with their own verbs and action='delete', "
        "memories with forget(key), knowledge and backlog items by id."
    )


@pytest.mark.parametrize("what", [{}, {"id": "x-3fa2b81c", "name": "orders"}])
def test_exactly_one_of_id_and_name_is_needed(team: Team, what: dict[str, str]):
    assert team.refusal("delete", reason="x", **what).message == "delete needs to know what goes."
