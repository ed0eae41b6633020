"""Specs: who may define them, versions that only rise and are tags, and what can be read of them."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitmem.desk import Desk
from gitmem.domains.specs.record import Spec, State
from gitmem.domains.specs.release import a_release, acceptable_after, order, raised
from gitmem.errors import GitmemError
from gitmem.git.objects import FILE, Entry, new_object
from gitmem.index.search import Index
from gitmem.memory import gate
from gitmem.memory.caller import Caller
from gitmem.memory.chain import graft
from gitmem.memory.memory import Memory
from gitmem.records.codec import decode, encode
from gitmem.records.kind import Record, kind_of
from tests.conftest import Team, git
from tests.facade.test_push import ME

PATH = "projects/web/specs/orders-api.md"
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "lines": {"type": "array", "items": {"properties": {"sku": {"type": "string"}}}}},
    "required": ["id"],
}


def tags(team: Team) -> list[str]:
    return git(team.memory.path, "tag", "-l").split()


def define(team: Team, content: str = "Orders are numbered.", *, name: str = "orders-api", **more: Any) -> Any:
    return team.call("define_spec", name=name, content=content, **more)


@pytest.fixture
def bob(team: Team) -> str:
    team.call("project", action="add_agent", name="web", member="bob")
    return "bob"


# --- defining ----------------------------------------------------------------------------------------


def test_the_first_definition_makes_the_caller_owner_and_version_1_0_0_with_a_tag(team: Team):
    made = define(team, spec_type="api", json_schema=SCHEMA, tags=["http", "http", " "], agent="bob")
    assert made == {
        "name": "orders-api", "spec_type": "api", "version": "1.0.0", "owner": "bob", "project": "web", "path": PATH,
        "tag": "specs/web/orders-api/v1.0.0", "blob": made["blob"], "commit": git(team.memory.path, "rev-parse", "main").strip(),
    }  # fmt: skip
    assert git(team.memory.path, "log", "-1", "--format=%an %s", made["tag"]) == "bob spec: orders-api 1.0.0\n"
    read = team.call("get_spec", name="orders-api")
    assert read["content"] == "Orders are numbered."
    assert read["json_schema"] == SCHEMA
    assert read["tags"] == ["http"]


def test_every_version_can_be_read_with_plain_git(team: Team):
    define(team, "One.")
    define(team, "Two.", bump="minor")
    define(team, "Three.", version="v2.0.0-rc.1")
    define(team, "Four.")
    versions = ["1.0.0", "1.1.0", "2.0.0-rc.1", "2.0.0"]
    assert sorted(tags(team)) == sorted(f"specs/web/orders-api/v{version}" for version in versions)
    texts = [git(team.memory.path, "show", f"specs/web/orders-api/v{version}:{PATH}").splitlines()[-1] for version in versions]
    assert texts == ["One.", "Two.", "Three.", "Four."]
    assert git(team.memory.path, "cat-file", "-t", "specs/web/orders-api/v1.0.0") == "commit\n"
    assert git(team.memory.path, "fsck", "--strict", "--no-dangling") == ""


def test_the_file_is_natural_to_read(team: Team):
    define(team, "# Orders\n\nNumbered.\n", spec_type="schema", json_schema={"type": "object"}, tags=["http"])
    created = team.call("get_spec", name="orders-api")["created"]
    assert git(team.memory.path, "show", f"main:{PATH}") == (
        f"---\nrelease: 1.0.0\nowner: ann\ntags:\n- http\ncreated: {created}\n"
        "spec_type: schema\njson_schema:\n  type: object\n---\n\n# Orders\n\nNumbered.\n"
    )


def test_the_same_text_again_makes_no_commit(team: Team):
    made = define(team, version="1.2.0")
    before = team.memory.repository.refs.list("refs/")
    for version in ("", "1.2.0"):
        again = define(team, "Orders are numbered.\r\n", version=version)
        assert (again["version"], again["blob"], again["note"]) == ("1.2.0", made["blob"], "it is so already; nothing was written")
        assert "commit" not in again
    assert team.memory.repository.refs.list("refs/") == before


def test_the_same_version_with_another_text_is_refused(team: Team):
    define(team, version="1.2.3")
    error = team.refusal("define_spec", name="orders-api", content="Other.", version="1.2.3")
    assert error.message == (
        "orders-api cannot become version 1.2.3: 1.2.3 is out already with another text or schema, and versions only rise. "
        "Nothing was written."
    )
    assert error.fix == "Pass version 1.2.4, 1.3.0 or 2.0.0, or leave version out and say with bump which part rises."


def test_another_schema_needs_another_version(team: Team):
    define(team, json_schema={"const": 1})
    assert "is out already" in team.refusal("define_spec", name="orders-api", content="Orders are numbered.", version="1.0.0", json_schema={"const": True}).message
    assert define(team, json_schema={"const": True})["version"] == "1.0.1"


def test_a_lower_version_is_refused(team: Team):
    define(team, version="1.2.3")
    error = team.refusal("define_spec", name="orders-api", content="Other.", version="1.2.3-rc.1")
    assert error.message == "orders-api cannot become version 1.2.3-rc.1: 1.2.3 is out already, and versions only rise. Nothing was written."


def test_a_higher_version_of_the_same_text_is_a_version(team: Team):
    define(team)
    assert define(team, version="2.0.0")["version"] == "2.0.0"
    assert tags(team) == ["specs/web/orders-api/v1.0.0", "specs/web/orders-api/v2.0.0"]


@pytest.mark.parametrize("version", ["1", "1.2", "01.2.3", "1.2.3.4", "latest", "1.0.0+build", "1.0.0-RC", "1.0.0-x.lock", "1.0.0-../x", "9" * 5000, "1.0.0\n2"])
def test_what_is_no_version_is_refused(team: Team, version: str):
    error = team.refusal("define_spec", name="orders-api", content="x", version=version)
    assert error.message.startswith("version is ")
    assert len(error.message) < 300
    assert problems(team, PATH, Spec(scope="projects/web", name="orders-api", release=version, owner="ann", content="x"), Caller("ann", "key"))


def test_what_a_definition_does_not_say_stays(team: Team):
    define(team, spec_type="api", json_schema=SCHEMA, tags=["http"])
    define(team, "Other.")
    read = team.call("get_spec", name="orders-api")
    assert (read["spec_type"], read["json_schema"], read["tags"]) == ("api", SCHEMA, ["http"])
    assert define(team, "Other.", tags=[], spec_type="schema")["version"] == "1.0.1"
    read = team.call("get_spec", name="orders-api")
    assert (read["spec_type"], read["tags"], read["version"]) == ("schema", [], "1.0.1")
    assert tags(team) == ["specs/web/orders-api/v1.0.0", "specs/web/orders-api/v1.0.1"]


def test_if_version_takes_the_version_or_the_blob_and_refuses_another(team: Team):
    first = define(team, "One.")
    second = define(team, "Two.", if_version="1.0.0")
    error = team.refusal("define_spec", name="orders-api", content="Three.", if_version=first["blob"])
    assert error.message == f"orders-api is at version 1.0.1 ({second['blob'][:12]}), not '{first['blob']}'."
    assert team.refusal("transfer_spec", name="orders-api", to="ann", if_version="1.0.0").message == (
        f"orders-api is at version 1.0.1 ({second['blob'][:12]}), not '1.0.0'."
    )
    assert define(team, "Three.", if_version=second["blob"][:12])["version"] == "1.0.2"
    assert team.refusal("define_spec", name="new", content="x", if_version="1.0.0").message == "There is no spec new here yet."


def test_names_of_other_servers_are_taken_over(team: Team):
    made = define(team, name="api:user-auth")
    assert (made["name"], made["spec_type"], made["path"]) == ("api.user-auth", "api", "projects/web/specs/api.user-auth.md")
    assert team.call("get_spec", name="api:user-auth")["name"] == "api.user-auth"
    assert define(team, name="mqtt:frame-status")["spec_type"] == "interface"


@pytest.mark.parametrize("name", ["", " ", "Orders", "a/b", "..", "a\x00b", "x" * 81, "state:", "state:a/b", "con", "x.lock", "ünï"])
def test_what_is_no_name_is_refused(team: Team, name: str):
    assert "cannot be the name of a spec" in team.refusal("define_spec", name=name, content="x").message
    assert "cannot be the name of a spec" in team.refusal("get_spec", name=name).message


@pytest.mark.parametrize("content", ["", "\n \n", "a\x00b", "x" * 51_201])
def test_what_is_no_text_is_refused(team: Team, content: str):
    assert f"{PATH}: content " in team.refusal("define_spec", name="orders-api", content=content).message


def test_fifty_kibibytes_of_any_text_are_kept(team: Team):
    text = "---\nrelease: 9.9.9\n---\n🚀 [[x]] {scope} %s\n" + "é" * 25_000
    define(team, text)
    assert team.call("get_spec", name="orders-api")["content"] == text


def test_a_shared_spec_is_read_by_all_projects_unless_they_have_their_own(team: Team):
    team.call("project", action="create", name="app", project="")
    made = define(team, "Shared.", scope="shared")
    assert (made["project"], made["tag"]) == ("shared", "specs/shared/orders-api/v1.0.0")
    assert team.call("get_spec", name="orders-api", project="app")["content"] == "Shared."
    define(team, "Ours.", project="app", agent="bob")
    assert team.call("get_spec", name="orders-api", project="app")["content"] == "Ours."
    assert team.call("get_spec", name="orders-api")["content"] == "Shared."


def test_another_memory_on_the_same_path_sees_everything(team: Team):
    define(team, "One.")
    define(team, "Two.")
    with_restart = Team.__new__(Team)
    with_restart.memory = Memory(team.memory.path)
    with_restart.index = Index(with_restart.memory)
    assert with_restart.call("get_spec", name="orders-api", version="1.0.0")["content"] == "One."
    assert with_restart.call("list_specs", include_versions=True)["specs"][0]["all_versions"] == ["1.0.1", "1.0.0"]
    assert "belongs to ann" in with_restart.refusal("define_spec", agent="bob", name="orders-api", content="x").message
    with_restart.close()


# --- owners -------------------------------------------------------------------------------------------


def test_a_definition_by_somebody_else_is_refused_with_the_owner_and_how_to_propose(team: Team, bob: str):
    define(team)
    error = team.refusal("define_spec", agent=bob, name="orders-api", content="Mine.")
    assert error.message == "orders-api (1.0.0, web) belongs to ann, and bob may not define a version of it."
    assert error.fix == (
        "Propose your change: the same call with as_proposal=True, "
        "or ask for it to be handed over with transfer_spec."
    )
    assert "belongs to ann" in team.refusal("define_spec", agent=bob, name="orders-api", content="Orders are numbered.").message


def test_an_admin_takes_a_spec_over_before_defining_it(team: Team, bob: str):
    define(team, agent=bob)
    error = team.refusal("define_spec", name="orders-api", content="Mine.")
    assert error.fix == "You are an admin: transfer_spec(name='orders-api', to='ann') makes it yours."
    assert team.call("transfer_spec", name="orders-api", to="ann")["owner"] == "ann"
    assert define(team, "Mine.")["version"] == "1.0.1"


def test_a_transfer_changes_the_owner_and_neither_version_nor_tag(team: Team, bob: str):
    made = define(team)
    moved = team.call("transfer_spec", name="orders-api", to=bob)
    assert (moved["owner"], moved["version"]) == ("bob", "1.0.0")
    assert git(team.memory.path, "rev-parse", made["tag"]).strip() == made["commit"]
    assert git(team.memory.path, "log", "-1", "--format=%s") == "spec: orders-api goes to bob\n"
    assert "belongs to bob" in team.refusal("define_spec", name="orders-api", content="x").message
    assert define(team, "Two.", agent=bob)["version"] == "1.0.1"
    assert "note" in team.call("transfer_spec", agent=bob, name="orders-api", to=bob)


def test_only_the_owner_or_an_admin_hands_a_spec_over(team: Team, bob: str):
    define(team)
    error = team.refusal("transfer_spec", agent=bob, name="orders-api", to=bob)
    assert error.message == "orders-api (1.0.0, web) belongs to ann, and bob may not hand it over."


def test_a_spec_goes_to_nobody_who_is_not_there(team: Team, bob: str):
    define(team)
    error = team.refusal("transfer_spec", name="orders-api", to="bobb")
    assert error.message == "'bobb' is no member of web and has no live session there."
    assert error.fix.startswith("Did you mean bob? project(action='add_agent' or ")
    assert team.refusal("transfer_spec", name="orders-api", to="zoe\n").fix.startswith("There are ann, bob. project(")
    team.call("start_session", agent="zoe")
    assert team.call("transfer_spec", name="orders-api", to="zoe")["owner"] == "zoe"


def change_of(team: Team, path: str, record: Record | None, caller: Caller, *, forced: bool = False) -> gate.Change:
    """A change of one file, as the gate sees it, whoever asks and however they proved who they are."""
    view = team.memory.view()
    blob = new_object("blob", encode(record)) if record else None

    def read(oid: str) -> bytes:
        return blob.data if blob and oid == blob.oid else team.memory.repository.objects.blob(oid)

    return gate.Change(view, {path: gate.Edit(view.entry(path), Entry(FILE, blob.oid) if blob else None)}, caller, read, forced)


def problems(*args: Any, **more: Any) -> list[str]:
    return [str(each) for each in gate.check(change_of(*args, **more))]


def spec(team: Team) -> Spec:
    return team.memory.view().get(Spec, PATH)


def test_the_gate_holds_the_owner_rule_for_everybody_who_is_known(team: Team, bob: str):
    define(team)
    changed = replace(spec(team), content="Mine.", release="1.0.1")
    refusal = [f"{PATH}: belongs to ann; bob may not change or remove it, but ann may"]
    assert problems(team, PATH, changed, Caller(bob, "key")) == refusal
    assert problems(team, PATH, None, Caller(bob, "session")) == refusal
    assert problems(team, PATH, replace(spec(team), owner=bob), Caller(bob, "declared")) == refusal
    assert problems(team, PATH, changed, Caller("ann", "key")) == []
    assert problems(team, PATH, None, Caller("ann", "declared")) == []
    define(team, name="bobs", agent=bob)
    assert problems(team, "projects/web/specs/bobs.md", None, Caller("ann", "key")) == []
    assert problems(team, "projects/web/specs/bobs.md", None, Caller("zoe", "key")) == [
        "projects/web/specs/bobs.md: belongs to bob; zoe may not change or remove it, but bob or ann may"
    ]


def test_whoever_pushes_is_asked_as_whoever_calls(team: Team):
    define(team)
    given = replace(spec(team), owner="bob")
    assert problems(team, PATH, given, Caller("bob", "push")) == [f"{PATH}: belongs to ann; bob may not change or remove it, but ann may"]
    assert problems(team, PATH, given, Caller("ann", "push")) == []
    assert problems(team, PATH, given, Caller("bob", "push", brings=frozenset({"ann"}))) == []


def test_nobody_becomes_admin_and_takes_a_spec_in_one_change(team: Team, bob: str):
    define(team)
    project = team.memory.view().record("projects/web/project.yaml")
    assert project is not None
    coup = change_of(team, PATH, replace(spec(team), owner=bob), Caller(bob, "key"))
    members = new_object("blob", encode(project).replace(b"- name: bob\n", b"- name: bob\n  tier: admin\n"))
    edits = {**coup.edits, project.path: gate.Edit(coup.before.entry(project.path), Entry(FILE, members.oid))}
    both = gate.Change(coup.before, edits, coup.caller, lambda oid: members.data if oid == members.oid else coup.read(oid))
    assert sorted(str(each) for each in gate.check(both)) == [
        "projects/web/project.yaml: is for its admins to change; bob may add others as pending, but only ann may do more",
        f"{PATH}: belongs to ann; bob may not change or remove it, but ann may",
    ]


def test_no_other_verb_reaches_a_spec(team: Team, bob: str):
    define(team)
    for name in ("orders-api", "specs/orders-api.md", PATH):
        for called, more in {
            "edit": {"operation": "append", "text": "x"}, "delete": {"reason": "x"}, "change_status": {"new_status": "archived"},
            "revert": {"version": "0000"},
        }.items():  # fmt: skip
            assert "is not an id" in team.refusal(called, agent=bob, id=name, **more).message


# --- going back ------------------------------------------------------------------------------------


def test_a_revert_cannot_take_a_version_back(team: Team):
    define(team, "One.")
    second = define(team, "Two.")
    error = team.refusal("revert", commit=second["commit"])
    assert error.message == (
        f"Nothing was written: 1 problem.\n- {PATH}: release is 1.0.0, and 1.0.1 is out already; "
        "to go back, release the old text as 1.0.2, 1.1.0 or 2.0.0"
    )
    old = team.call("get_spec", name="orders-api", version="1.0.0")["content"]
    assert define(team, old)["version"] == "1.0.2"


def test_a_transfer_can_be_reverted_by_an_admin_alone(team: Team, bob: str):
    define(team)
    moved = team.call("transfer_spec", name="orders-api", to=bob)
    assert "undo changes of ann" in team.refusal("revert", agent=bob, commit=moved["commit"]).message
    team.call("revert", commit=moved["commit"])
    assert spec(team).owner == "ann"


def test_a_spec_that_was_removed_comes_back_above_its_last_version(team: Team):
    first = define(team, "One.", version="1.4.0")
    team.call("revert", commit=first["commit"])
    assert team.refusal("get_spec", name="orders-api").message == "There is no spec 'orders-api'."
    assert "1.4.0 is out already" in team.refusal("define_spec", name="orders-api", content="Two.", version="1.0.0").message
    assert define(team, "Two.")["version"] == "1.4.1"
    assert team.call("get_spec", name="orders-api", version="1.4.0")["content"] == "One."
    removed = git(team.memory.path, "rev-parse", "main~1").strip()
    assert "changed again later" in team.refusal("revert", commit=removed).message


# --- tags -------------------------------------------------------------------------------------------


def test_a_tag_that_a_crash_left_out_is_set_by_the_next_call_that_meets_it(team: Team):
    first, tag = define(team, "One."), "specs/web/orders-api/v1.0.0"

    def lose() -> None:
        git(team.memory.path, "tag", "-d", tag)

    lose()
    define(team, "One.")
    assert git(team.memory.path, "rev-parse", tag).strip() == first["commit"]
    lose()
    define(team, "Two.")
    assert git(team.memory.path, "rev-parse", tag).strip() == first["commit"]
    lose()
    assert team.call("get_spec", name="orders-api", version="1.0.0")["content"] == "One."
    assert git(team.memory.path, "rev-parse", tag).strip() == first["commit"]
    assert team.refusal("get_spec", name="orders-api", version="1.0.7").fix == "Did you mean 1.0.1? There are 1.0.1, 1.0.0."


def test_a_tag_lost_before_other_edits_still_goes_to_the_commit_that_made_the_version(team: Team, bob: str):
    first = define(team)
    git(team.memory.path, "tag", "-d", "specs/web/orders-api/v1.0.0")
    team.call("transfer_spec", name="orders-api", to=bob)
    assert git(team.memory.path, "rev-parse", "specs/web/orders-api/v1.0.0").strip() == first["commit"]


def test_a_tag_that_cannot_be_set_does_not_stop_the_version(team: Team):
    git(team.memory.path, "tag", "specs/web", "main")
    assert define(team, "One.")["version"] == "1.0.0"
    assert team.call("get_spec", name="orders-api", version="1.0.0")["content"] == "One."
    git(team.memory.path, "tag", "-d", "specs/web")
    define(team, "Two.")
    assert tags(team) == ["specs/web/orders-api/v1.0.0", "specs/web/orders-api/v1.0.1"]


def test_tags_that_somebody_made_up_change_no_version(team: Team):
    define(team, "One.")
    git(team.memory.path, "tag", "specs/web/orders-api/v7.0.0", "main")
    git(team.memory.path, "tag", "specs/web/orders-api/v8.0.0", "main^{tree}")
    git(team.memory.path, "tag", "specs/web/orders-api/vx", "main")
    git(team.memory.path, "tag", "-a", "-m", "x", "specs/web/orders-api/v9.0.0", "main")
    assert define(team, "Two.")["version"] == "1.0.1"
    assert team.refusal("get_spec", name="orders-api", version="7.0.0").message == "orders-api has no version '7.0.0'."


def test_packed_tags_are_as_good(team: Team):
    define(team, "One.")
    git(team.memory.path, "pack-refs", "--all")
    define(team, "Two.")
    team.memory.upkeep.run(thorough=True)
    define(team, "Three.")
    assert len(tags(team)) == 3
    assert team.call("get_spec", name="orders-api", version="1.0.1")["content"] == "Two."


# --- state documents ---------------------------------------------------------------------------------


LONG = "Where we are.\n\n" + "The checkout is half done. " * 20


def test_a_state_document_has_its_own_home_and_tags(team: Team):
    made = define(team, LONG, name="state:web")
    assert (made["name"], made["spec_type"], made["path"], made["tag"]) == ("state:web", "state", "projects/web/state/web.md", "state/web/web/v1.0.0")
    assert define(team, LONG + "More.", name="web", spec_type="state")["version"] == "1.0.1"
    assert define(team, LONG + "Yet more.", name="web")["path"] == "projects/web/state/web.md"
    assert tags(team) == [f"state/web/web/v1.0.{n}" for n in range(3)]
    assert team.call("get_spec", name="web")["name"] == "state:web"


def test_a_spec_and_a_state_document_may_have_one_name(team: Team):
    define(team, LONG, name="state:web")
    define(team, "The web.", name="web", spec_type="architecture")
    assert team.call("get_spec", name="web")["content"] == "The web."
    assert team.call("get_spec", name="state:web")["content"] == LONG.strip("\n")


def test_a_state_document_is_not_replaced_by_half_of_itself(team: Team):
    define(team, LONG, name="state:web")
    error = team.refusal("define_spec", name="state:web", content="Half.")
    assert error.message == f"state:web would shrink from {len(LONG)} to 5 characters. Nothing was written."
    assert error.fix == "Read it with get_spec(name='state:web') and keep what still holds; pass force=true if it is really to be replaced."
    half = "x" * (len(LONG) // 2 + len(LONG) % 2)
    assert define(team, half, name="state:web")["version"] == "1.0.1"
    assert define(team, "Half.", name="state:web", version="1.0.5", force=True)["version"] == "1.0.5"


def test_a_short_state_document_and_a_spec_may_shrink(team: Team):
    define(team, "x" * 200, name="state:web")
    assert define(team, "x", name="state:web")["version"] == "1.0.1"
    define(team, "x" * 5000)
    assert define(team, "x")["version"] == "1.0.1"


def test_the_gate_guards_state_documents_unless_a_major_version_says_that_it_is_meant(team: Team):
    path = define(team, LONG, name="state:web")["path"]
    record = team.memory.view().get(State, path)
    short = replace(record, content="Short.", release="1.1.0")
    pusher = Caller("ann", "push")
    assert problems(team, path, short, pusher) == [f"{path}: content has 6 characters instead of {len(LONG)}; if that is meant, make release 2.0.0"]
    assert problems(team, path, short, pusher, forced=True) == []
    assert problems(team, path, replace(short, release="2.0.0"), pusher) == []
    assert problems(team, path, None, pusher) == []


def test_a_state_document_has_no_schema_and_no_other_type(team: Team):
    error = team.refusal("define_spec", name="state:web", content="x", json_schema={})
    assert error.message == "state:web is a state document, which has no JSON Schema."
    assert team.refusal("define_spec", name="state:web", content="x", spec_type="api").message == "state:web is a state document, and no api."


def test_the_briefing_tells_the_beginnings_of_state_documents(team: Team):
    define(team, "# Now\n\n" + "\n".join(f"Step {n} " + "x" * 300 for n in range(20)), name="state:web")
    section = next(each for each in team.call("start_session")["sections"] if each["name"] == "state")
    assert section["lines"][0] == "state:web 1.0.0 by ann, less than a minute ago:"
    assert section["lines"][1] == "> # Now"
    assert all(line.startswith("> ") and len(line) <= 242 for line in section["lines"][1:])
    whole = next(each for each in team.call("brief", budget_tokens=20_000)["sections"] if each["name"] == "state")
    assert whole["lines"][-1] == "> … 9 more lines: get_spec(name='state:web')"


# --- reading ------------------------------------------------------------------------------------------


def test_an_earlier_version_is_read_by_version_or_by_time(team: Team):
    first = define(team, "One.", agent="bob")
    define(team, "Two.", agent="bob")
    old = team.call("get_spec", name="orders-api", version="v1.0.0")
    assert (old["content"], old["version"], old["author"], old["commit"]) == ("One.", "1.0.0", "bob", first["commit"])
    assert old["note"] == "an earlier version; the current one is 1.0.1"
    assert team.call("get_spec", name="orders-api", as_of=first["commit"])["content"] == "One."
    assert "note" not in team.call("get_spec", name="orders-api", version="1.0.1")
    assert "both given" in team.refusal("get_spec", name="orders-api", version="1.0.0", as_of="1d").message


def test_an_unknown_name_or_version_is_refused_with_near_ones(team: Team):
    define(team, version="1.0.0")
    define(team, "Shared.", name="orders", scope="shared")
    assert team.refusal("get_spec", name="orders-ap").fix == "Did you mean orders-api or orders? list_specs lists them all."
    assert team.refusal("get_spec", name="zzz").fix == "list_specs lists them all."
    assert team.refusal("get_spec", name="orders-api", version="latest").fix == "There are 1.0.0."


def test_specs_are_listed_by_type_and_owner_with_all_versions(team: Team):
    define(team, "One.", spec_type="api")
    define(team, "Two.", bump="major")
    define(team, LONG, name="state:web", agent="bob")
    define(team, "Shared.", name="naming", scope="shared")
    listed = team.call("list_specs", include_versions=True)
    assert [(each["name"], each["version"], each["project"], each["all_versions"]) for each in listed["specs"]] == [
        ("orders-api", "2.0.0", "web", ["2.0.0", "1.0.0"]),
        ("state:web", "1.0.0", "web", ["1.0.0"]),
        ("naming", "1.0.0", "shared", ["1.0.0"]),
    ]
    assert [each["name"] for each in team.call("list_specs", spec_type="state")["specs"]] == ["state:web"]
    assert [each["name"] for each in team.call("list_specs", owner="bob")["specs"]] == ["state:web"]
    cut = team.call("list_specs", limit=1)
    assert (cut["count"], cut["total"]) == (1, 3)
    team.call("project", action="add_agent", name="web", member="zoe")
    assert team.call("list_specs", owner="zoe") == {"specs": [], "count": 0, "total": 0}


def test_versions_differ_by_what_was_changed(team: Team):
    for text in ("One.", "Two.", "Three."):
        define(team, f"Same.\n\n{text}")
    last = team.call("diff_spec", name="orders-api")
    assert (last["from_version"], last["to_version"]) == ("1.0.1", "1.0.2")
    assert "-Two.\n+Three.\n" in last["diff"]
    both = team.call("diff_spec", name="orders-api", arguments={"from": "1.0.0", "to": "1.0.2"})
    assert "-One.\n+Three.\n" in both["diff"]
    same = team.call("diff_spec", name="orders-api", from_version="1.0.0", to_version="1.0.0")
    assert (same["diff"], same["note"]) == ("", "the two versions are the same")
    first = team.call("diff_spec", name="orders-api", to_version="1.0.0")
    assert (first["diff"], first["note"]) == ("", "there is no version before this one")
    assert "note" not in last
    assert "no version '3.0.0'" in team.refusal("diff_spec", name="orders-api", from_version="3.0.0").message


def test_a_version_that_came_with_a_merge_is_a_version(team: Team, tmp_path: Path):
    define(team, "One.")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(team.memory.path), str(clone))
    for branch, release in (("a", "1.1.0"), ("b", "1.2.0")):
        git(clone, "checkout", "-qb", branch, "origin/main")
        file = clone / PATH
        file.write_text(file.read_text().replace("1.0.0", release).replace("One.", f"{branch}."))
        git(clone, "commit", "-qam", release)
    git(clone, "merge", "-q", "--no-commit", "-s", "ours", "a")
    (clone / PATH).write_text((clone / PATH).read_text().replace("1.2.0", "1.3.0").replace("b.", "Both."))
    git(clone, "commit", "-qam", "merged")
    git(team.memory.path, "fetch", "-q", str(clone), "b:main")
    assert team.call("list_specs", include_versions=True)["specs"][0]["all_versions"] == ["1.3.0", "1.2.0", "1.1.0", "1.0.0"]
    assert team.call("get_spec", name="orders-api", version="1.3.0")["content"] == "Both."
    assert git(team.memory.path, "show", f"specs/web/orders-api/v1.1.0:{PATH}").endswith("\na.\n")
    assert len(tags(team)) == 4


def test_a_file_that_came_in_past_the_gate_is_told_and_can_be_mended(team: Team):
    define(team, "One.")
    view = team.memory.view()
    broken = encode(replace(spec(team), release="../../heads/x"))
    tree, new = graft(view.objects, view.tree, {PATH: new_object("blob", broken)})
    with view.objects.written(new):
        pass
    commit = git(team.memory.path, "commit-tree", "-m", "past the gate", "-p", view.commit, tree).strip()
    git(team.memory.path, "-c", "core.hooksPath=/dev/null", "update-ref", "refs/heads/main", commit)
    assert team.call("get_spec", name="orders-api")["version"] == "../../heads/x"
    assert define(team, "Two.")["version"] == "1.0.1"
    assert [each["all_versions"] for each in team.call("list_specs", include_versions=True)["specs"]] == [["1.0.1", "1.0.0"]]


# --- JSON Schema --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "objekt"}, "$.type: 'objekt' is not valid under any of the given schemas"),
        ({"properties": {"a": {"minimum": "x"}}}, "$.properties.a.minimum: 'x' is not of type 'number'"),
        ({"properties": {"a": {"pattern": "("}}}, "$.properties.a.pattern: '(' is not a 'regex'"),
        ({"$schema": "https://example.com/mine"}, "$.$schema: 'https://example.com/mine' is no version of JSON Schema that is known; 2020-12 is assumed without it"),
        ({"$schema": 7}, "$.$schema: 7 is no version of JSON Schema that is known; 2020-12 is assumed without it"),
        ({"const": float("inf")}, "holds a number that JSON does not have"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": 3}, "$.exclusiveMinimum: 3 is not of type 'boolean'"),
    ],
)
def test_what_is_no_json_schema_is_refused_with_the_place(team: Team, schema: dict[str, Any], place: str):
    error = team.refusal("define_spec", name="orders-api", content="x", json_schema=schema)
    assert error.message == f"json_schema is no JSON Schema: {place}."


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


def test_a_schema_as_deep_as_a_file_can_hold_is_kept_and_a_deeper_one_refused(team: Team):
    define(team, json_schema=nested(17))
    assert team.call("get_spec", name="orders-api")["json_schema"] == nested(17)
    error = team.refusal("define_spec", name="deep", content="x", json_schema=nested(18))
    assert error.message == "json_schema is no JSON Schema: is nested deeper than 18 levels; name its parts under $defs and refer to them."
    assert "nested deeper than 100 levels" in team.refusal("define_spec", name="deep", content="x", json_schema=nested(400)).message


def test_a_document_is_valid_or_all_its_errors_are_told_with_their_places(team: Team):
    define(team, json_schema=SCHEMA)
    valid = team.call("validate_against_spec", name="orders-api", document={"id": 7})
    assert valid == {"name": "orders-api", "version": "1.0.0", "valid": True, "errors": [], "count": 0}
    bad = team.call("validate_against_spec", name="orders-api", document=json.dumps({"lines": [{"sku": "a"}, {"sku": 7}]}))
    assert bad["valid"] is False
    assert bad["errors"] == [
        {"path": "$", "problem": "'id' is a required property", "schema_path": "#/required"},
        {"path": "$.lines[1].sku", "problem": "7 is not of type 'string'", "schema_path": "#/properties/lines/items/properties/sku/type"},
    ]


@pytest.mark.parametrize("document", [None, True, 3.5, "text", "{not json", [1, [2]], [], {}])
def test_a_document_may_be_any_json_value(team: Team, document: object):
    define(team, json_schema={"enum": [document]})
    if document is None:
        return  # an argument that is null is one left out
    assert team.call("validate_against_spec", name="orders-api", document=document)["valid"] is True


def test_many_errors_are_counted_and_the_first_hundred_told_in_short(team: Team):
    define(team, json_schema={"items": {"maxLength": 1}})
    answer = team.call("validate_against_spec", name="orders-api", document=["x" * 400] * 500)
    assert (answer["count"], len(answer["errors"])) == (500, 100)
    assert max(len(each["problem"]) for each in answer["errors"]) == 300


def test_a_spec_without_a_schema_validates_nothing(team: Team):
    define(team)
    error = team.refusal("validate_against_spec", name="orders-api", document={})
    assert error.message == "orders-api 1.0.0 has no JSON Schema, so nothing can be held against it."
    assert error.fix == "Its owner ann can give it one with define_spec(name='orders-api', json_schema=...)."


def test_an_earlier_version_of_a_schema_can_be_asked(team: Team):
    define(team, json_schema={"type": "integer"})
    define(team, json_schema={"type": "string"})
    assert team.call("validate_against_spec", name="orders-api", document=7)["valid"] is False
    assert team.call("validate_against_spec", name="orders-api", document=7, version="1.0.0")["valid"] is True


@pytest.fixture
def visits() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine, and the paths that it was asked for."""
    seen: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_ever_fetched_from_elsewhere(team: Team, visits: tuple[str, list[str]]):
    address, seen = visits
    define(team, json_schema={"properties": {"a": {"$ref": f"{address}/schema.json"}}, "$id": f"{address}/base"})
    error = team.refusal("validate_against_spec", name="orders-api", document={"a": 1})
    assert error.message == (
        f"The JSON Schema of orders-api 1.0.0 refers to '{address}/schema.json', which is not in it; nothing is fetched from elsewhere."
    )
    define(team, json_schema={"$ref": "file:///etc/passwd"})
    assert "nothing is fetched" in team.refusal("validate_against_spec", name="orders-api", document=1).message
    assert seen == []


def test_the_published_schema_of_schemas_may_be_referred_to(team: Team):
    define(team, json_schema={"$ref": "https://json-schema.org/draft/2020-12/schema"})
    assert team.call("validate_against_spec", name="orders-api", document={"type": "objekt"})["valid"] is False


def test_a_schema_that_leads_back_to_itself_is_told(team: Team):
    define(team, json_schema={"$ref": "#"})
    error = team.refusal("validate_against_spec", name="orders-api", document=1)
    assert error.message == "The JSON Schema of orders-api 1.0.0 leads back to itself without end."


DOUBLING = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(40)}


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 60 + "!"),
        ({"$defs": {**DOUBLING, "a40": False}, "$ref": "#/$defs/a0"}, 1),
    ],
    ids=["pattern", "references"],
)
def test_a_schema_that_takes_for_ever_is_given_up(team: Team, schema: dict[str, Any], document: object):
    define(team, json_schema=schema)
    error = team.refusal("validate_against_spec", name="orders-api", document=document)
    assert error.message == "The JSON Schema was given up: checking with it takes more time or memory than it may."


def test_a_pattern_that_takes_for_ever_to_read_is_refused_and_stops_nobody(team: Team):
    schema = {"pattern": "(?i)" + "[\x01-\U0010ffff]" * 3000}
    error = team.refusal("define_spec", name="orders-api", content="x", json_schema=schema)
    assert error.message == "The JSON Schema was given up: checking with it takes more time or memory than it may."


def test_a_document_has_a_limit(team: Team):
    define(team, json_schema={})
    assert "The document has 1,048,578 bytes." in team.refusal("validate_against_spec", name="orders-api", document="x" * 1024 * 1024).message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), json_values, max_size=4))
def test_a_schema_survives_its_file(schema: dict[str, Any]):
    made = Spec(scope="projects/web", name="orders-api", release="1.0.0", owner="ann", content="x", json_schema=schema)
    read = decode(kind_of(Spec), PATH, encode(made))
    assert read.problems == ()
    assert read.record == made
    assert isinstance(read.record, Spec)
    assert read.record.substance == made.substance


# --- versions -----------------------------------------------------------------------------------------

numbers = st.integers(0, 10**6)
releases = st.builds(lambda a, b, c, pre: f"{a}.{b}.{c}{pre}", numbers, numbers, numbers, st.sampled_from(["", "-rc.1", "-alpha", "-0"]))


@given(releases, st.sampled_from(["patch", "minor", "major"]))
def test_a_raised_version_is_a_higher_version(release: str, part: Any):
    assert a_release(release) is None
    assert a_release(raised(release, part)) is None
    assert order(raised(release, part)) > order(release)
    assert raised(release, part) in acceptable_after(release)


def test_a_verb_that_races_a_push_of_the_same_spec_takes_its_turn_after_it(team: Team, tmp_path: Path):
    define(team, "One.")
    team.call("project", action="add_human", name="web", member=ME, tier="admin")
    desk = Desk(team.memory, team.index, Caller("ann", "declared"), project="web", verb="define_spec")
    desk.view().record(PATH)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(team.memory.path), str(clone))
    (clone / PATH).write_text((clone / PATH).read_text().replace("1.0.0", "1.5.0").replace("One.", "Pushed."))
    git(clone, "commit", "-qam", "by hand")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert define(team, "Two.")["version"] == "1.5.1"
    assert "specs/web/orders-api/v1.5.0" in tags(team)


def test_errors_do_not_send_back_what_was_sent(team: Team):
    for arguments in ({"name": "x" * 100_000}, {"name": "a", "version": "1" * 100_000}, {"name": "a", "json_schema": {"type": "y" * 20_000}}):
        with pytest.raises(GitmemError) as refused:
            team.call("define_spec", content="x", arguments=arguments)
        assert len(str(refused.value)) < 1500
