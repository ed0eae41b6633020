"""The backlog: adding, reading, listing, changing, closing, moving, and what is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from gitmem import verbs
from gitmem.answers import structured
from gitmem.desk import Conflict, Desk
from gitmem.domains.backlog.record import PRIORITIES, STATUSES, BacklogItem
from gitmem.errors import BadArgument, GitmemError
from gitmem.facade.calls import Claims, Office
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.gate import BODY_MAX_BYTES
from gitmem.memory.memory import Memory
from gitmem.names import new_id
from tests.conftest import Team, git

ANN = Caller("ann", "declared")
LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)


def add(team: Team, title: str, **fields: Any) -> str:
    return str(team.call("add_backlog_item", title=title, **fields)["id"])


def item(title: str, **fields: Any) -> BacklogItem:
    about: dict[str, Any] = {"scope": "projects/web", "id": new_id(title), "title": title, "created": LONG_AGO, "created_by": "ann"}
    return BacklogItem(**about | fields)


def put(team: Team, *items: BacklogItem) -> list[BacklogItem]:
    """Write items as they are, such as old ones."""
    with team.memory.transaction(team.memory.view(), ANN, "put") as change:
        return [change.put(each) for each in items]


def titles(answer: dict[str, Any]) -> list[str]:
    return [each["title"] for each in answer["items"]]


def pinned(team: Team, verb: str, agent: str = "ann", meanwhile: Callable[[], object] = lambda: None, **arguments: Any) -> Any:
    """The answer of a call that began on the present, but lands after `meanwhile`."""
    desk = Desk(team.memory, team.index, Caller(agent, "declared"), project="web", verb=verb)
    desk.view()
    meanwhile()
    return structured(verbs.call(desk, verbs.find(verb), arguments))


# --- adding and reading ------------------------------------------------------------------------------


def test_an_item_is_added_with_its_author_from_the_caller_and_read_back_whole(team: Team):
    first = add(team, "Find the cause")
    made = team.call(
        "add_backlog_item", title="Fix the login", description="It fails.\n\n- at night", item_type="bug", priority="high",
        assigned_to="me", tags=["auth", " auth ", ""], milestone="v2.0", blocked_by=[first[-8:]], parent=first, agent="bob",
    )  # fmt: skip
    assert (made["status"], made["priority"], made["assigned_to"], made["blocked_by"], made["parent"]) == (
        "open", "high", "bob", [first], first,
    )  # fmt: skip
    read = team.call("get_backlog_item", id=made["id"][-8:-3])
    assert read["description"] == "It fails.\n\n- at night"
    assert (read["created_by"], read["tags"], read["milestone"], read["item_type"], read["ready"]) == ("bob", ["auth"], "v2.0", "bug", False)
    assert read["blocked_by"] == [{"id": first, "title": "Find the cause", "status": "open"}]
    assert read["parent"]["id"] == first
    assert [(each["by"], each["verb"], each["changed"]) for each in read["history"]] == [("bob", "add_backlog_item", ["added"])]
    assert (made["version"], made["commit"]) == (read["version"], read["commit"])
    back = team.call("get_backlog_item", id=first)
    assert [each["id"] for each in back["blocks"]] == [each["id"] for each in back["children"]] == [made["id"]]
    assert back["ready"]


def test_the_file_holds_description_plan_and_result_for_those_who_read_it(team: Team):
    one = add(team, "Fix the login", description="It fails.")
    team.call("set_plan", id=one, plan="1. Look.\r\n2. Mend.\n")
    assert git(team.memory.path, "log", "-1", "--format=%s", "main") == f"backlog: plan {one}\n"
    team.call("set_result", id=one, result="It works.")
    read = team.call("get_backlog_item", id=one)
    assert (read["description"], read["plan"], read["result"]) == ("It fails.", "1. Look.\n2. Mend.", "It works.")
    text = git(team.memory.path, "show", f"main:{read['path']}")
    assert text.endswith("---\n\nIt fails.\n\n## Plan\n\n1. Look.\n2. Mend.\n\n## Result\n\nIt works.\n")
    team.call("update_backlog_item", id=one, description="It still fails.")
    team.call("set_plan", id=one, plan="")
    read = team.call("get_backlog_item", id=one)
    assert (read["description"], read.get("plan"), read["result"]) == ("It still fails.", None, "It works.")


def test_the_history_of_an_item_tells_who_changed_which_fields_and_why(team: Team):
    one = add(team, "Fix the login")
    team.call("claim_backlog_item", id=one, agent="bob")
    team.call("update_backlog_item", id=one, priority="critical", title="Fix the login page", reason="customers\n\nwait", agent="cy")
    team.call("set_plan", id=one, plan="Look.", agent="bob")
    team.call("complete_backlog_item", id=one, resolution="cookie", agent="bob")
    read = team.call("get_backlog_item", id=one)
    assert read["edits"] == 5
    assert [(each["by"], each["verb"], each["changed"], each.get("reason")) for each in read["history"]] == [
        ("bob", "complete_backlog_item", ["status: in_progress -> done", "resolution"], None),
        ("bob", "set_plan", ["plan"], None),
        ("cy", "update_backlog_item", ["title", "priority: medium -> critical"], "customers\n\nwait"),
        ("bob", "claim_backlog_item", ["status: open -> in_progress", "assigned_to: none -> bob"], None),
        ("ann", "add_backlog_item", ["added"], None),
    ]
    assert read["history"][0]["version"] == read["version"]


def test_an_item_is_read_as_it_was(team: Team):
    one = team.call("add_backlog_item", title="Fix the login")
    team.call("update_backlog_item", id=one["id"], status="deferred")
    assert team.call("get_backlog_item", id=one["id"], as_of=one["commit"])["status"] == "open"
    assert team.call("list_backlog", status="deferred", as_of=one["commit"])["total"] == 0
    assert team.call("list_backlog", status="deferred")["total"] == 1


def test_unfinished_items_of_the_same_title_are_told(team: Team):
    one = add(team, "Fix the login")
    again = team.call("add_backlog_item", title="fix  the LOGIN")
    assert [each["id"] for each in again["similar"]] == [one]
    for each in (one, again["id"]):
        team.call("complete_backlog_item", id=each)
    assert "similar" not in team.call("add_backlog_item", title="Fix the login")


def test_a_memory_opened_anew_knows_the_whole_backlog(team: Team):
    one = add(team, "Fix the login", priority="high")
    team.call("claim_backlog_item", id=one, agent="bob")
    add(team, "Fix the queue", blocked_by=[one])
    memory = Memory(team.memory.path)
    index = Index(memory)

    def call(verb: str, **arguments: Any) -> Any:
        desk = Desk(memory, index, ANN, project="web", verb=verb)
        return structured(verbs.call(desk, verbs.find(verb), arguments))

    assert titles(call("list_backlog")) == ["Fix the login", "Fix the queue"]
    assert call("ready_backlog")["total"] == 0
    with pytest.raises(GitmemError) as refused:
        call("claim_backlog_item", id=one)
    assert "is assigned to bob" in refused.value.message
    index.close()
    memory.close()


# --- lists -------------------------------------------------------------------------------------------


@pytest.fixture
def many(team: Team) -> list[BacklogItem]:
    """Items of all sorts, several of them of one moment, and some of all projects."""
    made: list[BacklogItem] = []
    for number in range(80):
        status = STATUSES[number * 7 % 9]
        made.append(item(
            f"Task {number} about {'login' if number % 3 else 'queue'}", status=status, priority=PRIORITIES[number * 5 % 4],
            created=None if number % 20 == 19 else LONG_AGO + timedelta(days=number * 13 % 90, seconds=number % 4),
            assigned_to=("", "ann", "bob")[number % 3], tags=("auth",) if number % 2 else (), milestone=("", "v1")[number % 2],
            item_type=("task", "bug")[number % 2], scope="shared" if number % 10 == 0 else "projects/web",
            blocked_by=(made[number * 3 % number].id,) if number % 4 == 3 else (),
        ))  # fmt: skip
    return put(team, *made)


def in_order(items: list[BacklogItem]) -> list[str]:
    return [each.id for each in sorted(items, key=lambda each: (
        PRIORITIES.index(each.priority), (each.created or datetime.max.replace(tzinfo=UTC)), each.id,
    ))]  # fmt: skip


def listed(team: Team, **arguments: Any) -> list[str]:
    """All pages of a list, and that they say how many there are."""
    found: list[str] = []
    cursor = ""
    while True:
        page = team.call("list_backlog", cursor=cursor, arguments=arguments)
        found += [each["id"] for each in page["items"]]
        assert page["count"] == len(page["items"])
        if "cursor" not in page:
            assert page["total"] == len(found)
            return found
        cursor = page["cursor"]


FILTERS: dict[str, tuple[dict[str, Any], Callable[[BacklogItem], bool]]] = {
    "nothing": ({}, lambda each: not each.is_closed),
    "what is closed too": ({"include_done": True}, lambda each: True),
    "a status": ({"status": "done"}, lambda each: each.status == "done"),
    "statuses": ({"status": ["open", "blocked"]}, lambda each: each.status in ("open", "blocked")),
    "priorities": ({"priority": ["high", "low"]}, lambda each: not each.is_closed and each.priority in ("high", "low")),
    "me": ({"assigned_to": "me"}, lambda each: not each.is_closed and each.assigned_to == "ann"),
    "somebody": ({"assigned_to": "bob"}, lambda each: not each.is_closed and each.assigned_to == "bob"),
    "nobody": ({"assigned_to": "nobody"}, lambda each: not each.is_closed and not each.assigned_to),
    "tag and milestone": ({"tag": "auth", "target_version": "v1"}, lambda each: not each.is_closed and "auth" in each.tags),
    "a type": ({"item_type": "bug", "status": "open"}, lambda each: each.status == "open" and each.item_type == "bug"),
    "no such milestone": ({"milestone": "v9"}, lambda each: False),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("limit", [100, 7])
def test_a_list_is_filtered_and_in_order_page_by_page(team: Team, many: list[BacklogItem], name: str, limit: int):
    arguments, accepts = FILTERS[name]
    assert listed(team, limit=limit, **arguments) == in_order([each for each in many if accepts(each)])


def test_a_list_by_words_has_the_best_matches_and_keeps_its_filters(team: Team, many: list[BacklogItem]):
    found = listed(team, text="queue", status="open", limit=3)
    assert set(found) == {each.id for each in many if "queue" in each.title and each.status == "open"}
    assert team.call("list_backlog", text="nothing says this")["items"] == []


def test_what_is_a_part_of_an_item_or_waits_for_it_is_told_up_to_a_number(team: Team):
    epic = add(team, "Epic")
    put(team, *(item(f"Part {number}", parent=epic, blocked_by=(epic,)) for number in range(60)))
    read = team.call("get_backlog_item", id=epic)
    assert (len(read["children"]), len(read["blocks"])) == (50, 50)
    assert read["note"].startswith("10 more blocks and 10 more children; list_backlog(parent=")
    assert team.call("list_backlog", parent=epic[-8:])["total"] == 60
    assert team.call("list_backlog", parent=epic, text="part 7", limit=1)["items"][0]["title"] == "Part 7"
    closed = team.call("complete_backlog_item", id=epic)
    assert (len(closed["unblocked"]), closed["note"]) == (20, "40 more are unblocked")
    assert "There is no backlog item" in team.refusal("list_backlog", parent="nothing-00000000").message


def test_a_list_tells_what_an_item_still_waits_for(team: Team):
    one, two = add(team, "One"), add(team, "Two")
    add(team, "Three", blocked_by=[one, two])
    team.call("complete_backlog_item", id=one)
    (third,) = (each for each in team.call("list_backlog")["items"] if each["title"] == "Three")
    assert third["waits_for"] == [two]


def test_the_backlog_of_another_project_is_not_in_the_list(team: Team):
    team.call("project", action="create", name="api", project="")
    add(team, "Ours")
    add(team, "Theirs", project="api")
    add(team, "Everybody's", scope="shared")
    assert set(titles(team.call("list_backlog"))) == {"Ours", "Everybody's"}
    assert set(titles(team.call("ready_backlog", project="api"))) == {"Theirs", "Everybody's"}


@pytest.mark.parametrize("arguments", [{"status": "opne"}, {"priority": "urgent"}, {"item_type": "story"}, {"status": ["open", "finished"]}])
def test_a_list_by_what_does_not_exist_is_refused_with_what_does(team: Team, arguments: dict[str, Any]):
    (name,) = arguments
    refused = team.refusal("list_backlog", arguments=arguments)
    accepted = {"status": STATUSES, "priority": PRIORITIES, "item_type": ("task", "feature", "bug", "tech_debt")}[name]
    assert f"not one of {', '.join(accepted)}" in refused.message


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"cursor": "x"}, {"text": "x" * 3000}])
def test_a_list_that_cannot_be_is_refused(team: Team, arguments: dict[str, Any]):
    team.refusal("list_backlog", arguments=arguments)


def test_an_item_that_cannot_be_read_stops_no_list(team: Team, tmp_path: Any):
    one, two = add(team, "Readable"), add(team, "Broken")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(team.memory.path), str(clone))
    (team.memory.path / "hooks" / "pre-receive").unlink()  # how else would it get in
    path = team.call("get_backlog_item", id=two)["path"]
    (clone / path).write_text("---\n- broken\n---\n")
    git(clone, "commit", "-qam", "break it")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert titles(team.call("list_backlog")) == titles(team.call("ready_backlog")) == ["Readable"]
    assert team.call("get_backlog_item", id=one)["title"] == "Readable"
    assert "is not a mapping" in team.refusal("get_backlog_item", id=two).message


# --- changing ----------------------------------------------------------------------------------------


def test_what_an_update_leaves_out_stays(team: Team):
    one = add(team, "Fix the login", description="It fails.", tags=["auth"], milestone="v1", assigned_to="me")
    changed = team.call("update_backlog_item", id=one, priority="low", tags=[], milestone="")
    assert changed["changed"] == ["priority: medium -> low", "tags: auth -> none", "milestone: v1 -> none"]
    read = team.call("get_backlog_item", id=one)
    assert (read["description"], read["assigned_to"], read["priority"]) == ("It fails.", "ann", "low")
    assert "tags" not in read
    assert "milestone" not in read


def test_an_update_that_changes_nothing_writes_nothing(team: Team):
    one = add(team, "Fix the login", priority="low")
    head = team.memory.head()
    for changed in (
        team.call("update_backlog_item", id=one, priority="low", title=" Fix the login "),
        team.call("set_plan", id=one, plan="\n"),
        team.call("update_backlog_item", id=one, arguments={"project": "web"}),
    ):
        assert changed["note"] == "it is so already; nothing was written"
        assert "commit" not in changed
    assert team.memory.head() == head


def test_an_update_of_an_old_version_is_refused(team: Team):
    one = team.call("add_backlog_item", title="Fix the login")
    team.call("set_plan", id=one["id"], plan="Look.", if_version=one["version"])
    changes: dict[str, dict[str, str]] = {
        "update_backlog_item": {"status": "open"}, "set_result": {"result": "x"}, "set_plan": {"plan": "y"},
        "complete_backlog_item": {"resolution": "z"},
    }
    for verb, fields in changes.items():
        refused = team.refusal(verb, id=one["id"], if_version=one["version"], **fields)
        assert isinstance(refused, Conflict)


def test_closing_and_opening_keep_the_dates_and_the_resolution_true(team: Team):
    one = add(team, "Fix the login")
    closed = team.call("update_backlog_item", id=one, status="duplicate", resolution="of another")
    assert closed["status"] == "duplicate"
    read = team.call("get_backlog_item", id=one)
    assert "closed" in read
    assert read["resolution"] == "of another"
    team.call("update_backlog_item", id=one, status="open")
    read = team.call("get_backlog_item", id=one)
    assert "closed" not in read
    assert "resolution" not in read


def test_completing_says_done_or_will_not_be_done_and_can_be_repeated(team: Team):
    one, two = add(team, "One"), add(team, "Two")
    assert team.call("complete_backlog_item", id=one, resolution="fixed")["status"] == "done"
    assert team.call("complete_backlog_item", id=two, wont_do=True)["status"] == "wont_do"
    head = team.memory.head()
    team.call("complete_backlog_item", id=one)
    assert team.memory.head() == head
    assert team.call("get_backlog_item", id=one)["resolution"] == "fixed"


def test_an_item_that_is_given_up_is_open_again(team: Team):
    one = add(team, "Fix the login")
    team.call("claim_backlog_item", id=one)
    released = team.call("update_backlog_item", id=one, assigned_to="")
    assert released["changed"] == ["status: in_progress -> open", "assigned_to: ann -> none"]
    assert titles(team.call("ready_backlog", agent="bob")) == ["Fix the login"]


# --- who it is given to --------------------------------------------------------------------------------


def test_an_item_is_given_to_members_and_to_agents_at_work_and_to_nobody_else(team: Team):
    team.call("project", action="add_human", arguments={"name": "web", "member": "petra"}, project="")
    team.call("start_session", agent="bob")
    for who in ("petra", "bob", "ann", "me"):
        made = team.call("add_backlog_item", title=f"For {who}", assigned_to=who)
        assert made["assigned_to"] == {"me": "ann"}.get(who, who)
    refused = team.refusal("add_backlog_item", title="For a stranger", assigned_to="peta")
    assert refused.message == "'peta' is no member of web and has no live session there."
    assert refused.fix == (
        "Did you mean petra? project(action='add_agent' or 'add_human', name='web', member=...) adds somebody; '' assigns to nobody."
    )
    assert "of any project" in team.refusal("add_backlog_item", title="x", scope="shared", assigned_to="peta").message


# --- what waits for what ---------------------------------------------------------------------------------


def test_ready_is_what_is_open_free_or_mine_and_waits_for_nothing(team: Team):
    mine = add(team, "Mine", assigned_to="me")
    first = add(team, "First", priority="high")
    add(team, "Second", blocked_by=[first], priority="critical")
    team.call("claim_backlog_item", id=add(team, "Taken"), agent="bob")
    team.call("update_backlog_item", id=add(team, "Deferred"), status="deferred")
    ready = team.call("ready_backlog")
    assert (titles(ready), ready["total"]) == (["First", "Mine"], 2)
    assert titles(team.call("ready_backlog", agent="bob")) == ["First"]
    done = team.call("complete_backlog_item", id=first)
    assert [each["title"] for each in done["unblocked"]] == ["Second"]
    assert titles(team.call("ready_backlog")) == ["Second", "Mine"]
    team.call("update_backlog_item", id=first, status="retest")
    assert titles(team.call("ready_backlog")) == ["Mine"]
    assert team.call("get_backlog_item", id=mine)["ready"]


def test_what_is_ready_is_counted_as_it_is_listed(team: Team, many: list[BacklogItem]):
    by_id = {each.id: each for each in many}
    expected = [
        each for each in many
        if each.is_startable and each.assigned_to in ("", "ann") and all(by_id[b].is_closed for b in each.blocked_by)
    ]  # fmt: skip
    ready = team.call("ready_backlog", limit=100)
    assert [each["id"] for each in ready["items"]] == in_order(expected)
    few = team.call("ready_backlog", limit=2)
    assert (few["count"], few["total"]) == (2, len(expected))
    assert [each["id"] for each in few["items"]] == in_order(expected)[:2]


def test_of_equals_that_comes_first_for_which_most_wait(team: Team):
    _, two, three = put(team, item("One"), item("Two"), item("Three"))
    put(team, item("Later", blocked_by=(two.id,)), item("Last", blocked_by=(two.id, three.id)))
    assert titles(team.call("ready_backlog"))[:2] == ["Two", "Three"]


def test_an_item_that_says_blocked_is_ready_when_what_it_names_is_closed(team: Team):
    first = add(team, "First")
    second = add(team, "Second", blocked_by=[first])
    alone = add(team, "Blocked by something else")
    for each in (second, alone):
        team.call("update_backlog_item", id=each, status="blocked")
    assert [each["title"] for each in team.call("complete_backlog_item", id=first)["unblocked"]] == ["Second"]
    assert titles(team.call("ready_backlog")) == ["Second"]


def test_a_blocker_that_is_gone_blocks_nothing_and_is_told(team: Team):
    put(team, item("Waits", id="waits-11111111"), gone := item("Goes", id="goes-22222222"))
    team.call("update_backlog_item", id="waits-11111111", blocked_by=["goes-22222222"])
    with team.memory.transaction(team.memory.view(), ANN, "as a push may") as change:
        change.delete(gone.path)
    assert team.call("get_backlog_item", id="1111")["blocked_by"] == [{"id": "goes-22222222", "title": "", "status": "gone"}]
    assert titles(team.call("ready_backlog")) == ["Waits"]
    team.call("update_backlog_item", id="1111", priority="high")  # it may stay as it is


@pytest.mark.parametrize("link", ["blocked_by", "parent"])
def test_a_circle_is_refused_and_spelled_out(team: Team, link: str):
    a, b, c = add(team, "a"), add(team, "b"), add(team, "c")
    team.call("update_backlog_item", arguments={"id": a, link: b})
    team.call("update_backlog_item", arguments={"id": b, link: c})
    what = {"blocked_by": "wait for itself", "parent": "be a part of itself"}[link]
    refused = team.refusal("update_backlog_item", arguments={"id": c, link: a[-8:]})
    assert refused.message == f"{c} would {what}: {c} -> {a} -> {b} -> {c}. Nothing was written."
    refused = team.refusal("update_backlog_item", arguments={"id": a, link: a})
    assert f"{a} -> {a}" in refused.message


def test_a_long_circle_is_spelled_in_short(team: Team):
    chain = [item(f"Step {number}", id=f"step-{number:08x}") for number in range(300)]
    put(team, *(replace(each, blocked_by=(before.id,)) for before, each in pairwise(chain)), chain[0])
    refused = team.refusal("update_backlog_item", id=chain[0].id, blocked_by=[chain[-1].id])
    assert "(289 more)" in refused.message
    assert len(refused.message) < 600


def test_circles_of_two_updates_at_once_are_not_closed(team: Team):
    a, b = add(team, "a"), add(team, "b")
    with pytest.raises(BadArgument, match="would wait for itself"):
        pinned(
            team, "update_backlog_item", id=b, blocked_by=[a],
            meanwhile=lambda: team.call("update_backlog_item", id=a, blocked_by=[b], agent="bob"),
        )  # fmt: skip
    assert "blocked_by" not in team.call("get_backlog_item", id=b)


def test_a_circle_through_other_items_is_not_closed_by_two_at_once(team: Team):
    a, b, c, d = (add(team, each) for each in "abcd")
    team.call("update_backlog_item", id=b, blocked_by=[c])
    team.call("update_backlog_item", id=d, blocked_by=[a])
    with pytest.raises(BadArgument, match="would wait for itself"):
        pinned(
            team, "update_backlog_item", id=a, blocked_by=[b],
            meanwhile=lambda: team.call("update_backlog_item", id=c, blocked_by=[d]),
        )  # fmt: skip


def test_dependencies_reach_other_projects(team: Team):
    team.call("project", action="create", name="api", project="")
    theirs = add(team, "Theirs", project="api")
    ours = add(team, "Ours", blocked_by=[theirs])
    assert team.call("ready_backlog")["total"] == 0
    refused = team.refusal("update_backlog_item", id=theirs, blocked_by=[ours])
    assert "would wait for itself" in refused.message
    team.call("complete_backlog_item", id=theirs)
    assert titles(team.call("ready_backlog")) == ["Ours"]


# --- what is not accepted --------------------------------------------------------------------------------


def test_an_unknown_id_names_near_ones(team: Team):
    one = add(team, "Fix the login page")
    for wrong in ("fix-the-login-page-00000000", "Fix the login page", "fix-the-logn-page"):
        refused = team.refusal("get_backlog_item", id=wrong)
        assert one in refused.fix
    assert "list_backlog" in team.refusal("claim_backlog_item", id="00000000").fix


@pytest.mark.parametrize("verb", ["get_backlog_item", "claim_backlog_item", "complete_backlog_item", "set_plan", "update_backlog_item"])
@pytest.mark.parametrize("wrong", ["../../projects/web/project.yaml", " ", "x", "*", "first-\x00", "a" * 5000, "🚀", "-1", "HEAD"])
def test_an_id_that_is_none_is_refused(team: Team, verb: str, wrong: str):
    refused = team.refusal(verb, id=wrong, arguments={"plan": "x"} if verb == "set_plan" else {})
    assert len(str(refused)) < 1000


def test_the_id_of_a_record_of_another_kind_is_no_item(team: Team):
    record = team.call("record_learning", topic="Retries back off", content="With jitter.")
    assert "There is no backlog item" in team.refusal("get_backlog_item", id=record["id"]).message


@pytest.mark.parametrize(("fields", "what"), [
    ({"title": ""}, "title is empty; one line of text is accepted"),
    ({"title": "x" * 300}, "title has 300 characters; at most 200 are accepted"),
    ({"title": "two\nlines"}, "title holds a line break"),
    ({"description": "x" * (BODY_MAX_BYTES + 1)}, "description, plan and result has 51,201 bytes; at most 51,200 are accepted"),
    ({"description": "bell \x07"}, "holds the control character '\\x07'"),
    ({"tags": ["x"] * 2 + [str(n) for n in range(40)]}, "tags has 41 items; at most 30 are accepted"),
    ({"milestone": "m" * 81}, "milestone has 81 characters"),
    ({"blocked_by": ["nothing-00000000"]}, "There is no backlog item 'nothing-00000000'"),
    ({"parent": "nothing-00000000"}, "There is no backlog item 'nothing-00000000'"),
    ({"priority": "urgent"}, "priority is 'urgent', not one of critical, high, medium, low"),
    ({"item_type": "story"}, "item_type is 'story', not one of task, feature, bug, tech_debt"),
    ({"description": "text\n## Result\nmore"}, "description has a line '## Result', which begins a section"),
    ({"description": "```\nnever closed"}, "opens a block of code with ``` and never closes it"),
])  # fmt: skip
def test_what_an_item_cannot_be_is_refused_when_added_and_when_changed(team: Team, fields: dict[str, Any], what: str):
    assert what in team.refusal("add_backlog_item", arguments={"title": "Fine"} | fields).message
    one = add(team, "Fine")
    assert what in team.refusal("update_backlog_item", id=one, arguments=fields).message


def test_all_problems_of_an_item_are_told_at_once(team: Team):
    refused = team.refusal("add_backlog_item", title="x" * 300, assigned_to="stranger", blocked_by=["a-00000000", "b-00000000"])
    assert refused.message.startswith("Nothing was written: 4 problems.\n- 'stranger' is no member of web")
    assert refused.message.count("\n- ") == 4


def test_headings_of_sections_may_stand_in_code(team: Team):
    text = "Like this:\n\n```\n## Plan\n```\n\n### Plan"
    one = add(team, "Fine", description=text)
    team.call("set_plan", id=one, plan=text)
    read = team.call("get_backlog_item", id=one)
    assert read["description"] == read["plan"] == text


# --- moving ------------------------------------------------------------------------------------------------


def test_an_item_moves_to_another_project_with_its_id_and_history(team: Team):
    team.call("project", action="create", name="api", project="")
    one = add(team, "Fix the login", description="It fails.")
    child = add(team, "Part of it", parent=one, blocked_by=[one])
    team.call("set_plan", id=one, plan="Look.", agent="bob")
    before = git(team.memory.path, "rev-list", "--count", "main").strip()
    moved = team.call("update_backlog_item", id=one[-8:], agent="cy", arguments={"project": "api", "reason": "it is theirs", "priority": "high"})
    assert (moved["id"], moved["project"], moved["moved_from"]) == (one, "api", "web")
    assert moved["changed"] == ["project: web -> api", "priority: medium -> high"]
    assert int(git(team.memory.path, "rev-list", "--count", "main")) == int(before) + 1
    files = git(team.memory.path, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert [each for each in files if one in each] == [f"projects/api/backlog/{one[-8:-6]}/{one}.md"]

    read = team.call("get_backlog_item", id=one)
    assert [(each["by"], each["changed"]) for each in read["history"]] == [
        ("cy", ["project: web -> api", "priority: medium -> high"]), ("bob", ["plan"]), ("ann", ["added"]),
    ]  # fmt: skip
    told = team.call("history", id=one)
    assert [each["author"] for each in told["versions"]] == ["cy", "bob", "ann"]
    assert [each.get("path", told["path"]).split("/")[1] for each in told["versions"]] == ["api", "web", "web"]
    assert "+priority: high" in team.call("diff", id=one)["diff"]
    assert team.call("get_backlog_item", id=child)["parent"]["id"] == one
    assert titles(team.call("list_backlog", project="api")) == ["Fix the login"]

    team.call("update_backlog_item", id=one, arguments={"project": "shared"})
    assert team.call("get_backlog_item", id=one)["project"] == "shared"
    team.call("revert", id=one, version=told["versions"][1]["version"], agent="ann")
    read = team.call("get_backlog_item", id=one)
    assert (read["project"], read["priority"], read["edits"]) == ("shared", "medium", 5)


def test_the_history_of_an_item_follows_it_out_of_a_project_that_is_gone(team: Team):
    team.call("project", action="create", name="api", project="")
    one = add(team, "Fix the login", project="api")
    team.call("set_plan", id=one, plan="Look.")
    team.call("update_backlog_item", id=one, arguments={"project": "web"})
    with team.memory.transaction(team.memory.view(), ANN, "the project goes") as change:
        change.delete("projects/api/project.yaml")
    history = team.call("get_backlog_item", id=one)["history"]
    assert [each["changed"] for each in history] == [["project: api -> web"], ["plan"], ["added"]]


def test_dates_of_long_ago_and_none_are_read_and_listed(team: Team):
    first = datetime(1001, 1, 1, tzinfo=UTC)
    old, older, undated = put(team, item("Old", created=datetime(1970, 1, 1, tzinfo=UTC)), item("Older", created=first), item("Undated", created=None))
    assert [each["id"] for each in team.call("list_backlog")["items"]] == [older.id, old.id, undated.id]
    for each in (old, older, undated):
        assert team.call("get_backlog_item", id=each.id)["edits"] == 1


def test_only_a_project_in_the_call_moves_an_item_not_the_project_that_the_caller_works_in(team: Team):
    team.call("project", action="create", name="api", project="")
    one = add(team, "Fix the login", project="api")
    office = Office(team.memory)
    ours = Claims(agent="ann", project="web")
    assert office.call("update_backlog_item", {"id": one, "priority": "high"}, ours).value.project == "api"
    started = office.call("start_session", {}, ours).value.session_id
    assert office.call("update_backlog_item", {"id": one, "priority": "low", "session_id": started}, Claims()).value.project == "api"
    assert office.call("update_backlog_item", {"id": one, "project": "web"}, Claims(agent="ann")).value.moved_from == "api"
    assert office.call("list_backlog", {"project": "api"}, ours).value.total == 0


def test_a_move_can_be_reverted(team: Team):
    team.call("project", action="create", name="api", project="")
    one = add(team, "Fix the login")
    moved = team.call("update_backlog_item", id=one, arguments={"project": "api"})
    team.call("revert", commit=moved["commit"])
    read = team.call("get_backlog_item", id=one)
    assert (read["project"], [each["changed"] for each in read["history"]]) == (
        "web", [["project: api -> web"], ["project: web -> api"], ["added"]],
    )  # fmt: skip


def test_a_project_that_an_item_cannot_move_to_is_refused(team: Team):
    one = add(team, "Fix the login")
    assert "Did you mean web?" in team.refusal("update_backlog_item", id=one, arguments={"project": "wep"}).fix
    team.refusal("update_backlog_item", id=one, arguments={"project": "../web"})


def test_a_short_id_that_two_projects_have_is_ambiguous_when_it_moves(team: Team):
    team.call("project", action="create", name="api", project="")
    put(team, item("Ours", id="ours-12345678"), item("Theirs", id="theirs-12345679", scope="projects/api"))
    refused = team.refusal("update_backlog_item", id="1234567", project="api", arguments={"project": "api"})
    assert "could be any of ours-12345678, theirs-12345679" in refused.message
    assert team.call("get_backlog_item", id="1234567")["title"] == "Ours"


def test_an_item_that_two_move_at_once_is_in_one_place(team: Team):
    for name in ("api", "db"):
        team.call("project", action="create", name=name, project="")
    one = add(team, "Fix the login")
    answer = pinned(
        team, "update_backlog_item", id=one, project="db",
        meanwhile=lambda: team.call("update_backlog_item", id=one, arguments={"project": "api"}),
    )  # fmt: skip
    assert answer["moved_from"] == "api"
    files = git(team.memory.path, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert [each.split("/")[1] for each in files if one in each] == ["db"]


# --- many at once ------------------------------------------------------------------------------------------


def test_a_batch_is_one_commit_in_the_order_in_which_it_was_sent(team: Team):
    team.call("project", action="create", name="api", project="")
    before = team.commits()
    made = team.call("batch_backlog", action="create", items=[
        {"title": "One", "priority": "high", "target_version": "v1"}, {"title": "Two", "project": "api"}, {"title": "Three", "scope": "shared"},
    ])  # fmt: skip
    assert team.commits() == before + 1
    assert [(each["title"], each["project"]) for each in made["items"]] == [("One", "web"), ("Two", "api"), ("Three", "shared")]
    one, two, three = made["ids"]
    changed = team.call("batch_backlog", action="update", reason="planning", items=[
        {"id": two, "blocked_by": [one]}, {"item_id": three[-8:], "project": "web", "assigned_to": "me"},
    ])  # fmt: skip
    assert [each["changed"] for each in changed["items"]] == [[f"blocked_by: none -> {one}"], ["project: shared -> web", "assigned_to: none -> ann"]]
    assert team.call("get_backlog_item", id=two)["history"][0]["reason"] == "planning"
    done = team.call("batch_backlog", action="complete", items=[{"id": one, "resolution": "ok"}, {"id": three, "wont_do": True}])
    assert [each["status"] for each in done["items"]] == ["done", "wont_do"]
    assert [each["id"] for each in done["unblocked"]] == [two]
    gone = team.call("batch_backlog", action="delete", items=[{"id": one}, {"id": three}])
    assert gone["count"] == 2
    assert team.commits() == before + 4
    assert team.call("list_backlog", include_done=True)["total"] == 0
    again = team.call("revert", commit=gone["commit"])
    assert len(again["restored"]) == 2


def test_a_batch_with_problems_lists_every_one_of_every_item_and_writes_nothing(team: Team):
    one = add(team, "One")
    refused = team.refusal("batch_backlog", action="create", items=[
        {"title": "Fine"},
        {"title": "x" * 300, "assigned_to": "stranger", "blocked_by": ["nothing-00000000", one]},
        {"titel": "Two", "priority": "urgent", "project": 7},
        {"title": "Lost", "project": "wep"},
    ])  # fmt: skip
    lines = refused.message.splitlines()
    assert lines[0] == "Nothing was written: 8 problems."
    assert [line[:60] for line in lines[1:]] == [
        "- items[1]: 'stranger' is no member of web and has no live s",
        "- items[1]: There is no backlog item 'nothing-00000000'. lis",
        "- items[1]: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx': titl",
        "- items[2]: 'titel' is not an argument, did you mean 'title'",
        "- items[2]: priority is 'urgent', not one of critical, high,",
        "- items[2]: title is missing (what is to be done, in one lin",
        "- items[2]: project is '7', not text.",
        "- items[3]: There is no project 'wep' in this memory. Did yo",
    ]
    refused = team.refusal("batch_backlog", action="update", items=[
        {"id": one, "status": "finished", "if_version": "0000"}, {"id": "nothing-00000000"}, {"status": "open"}, {"id": one, "reason": "x"},
    ])  # fmt: skip
    assert [line.partition(":")[0] for line in refused.message.splitlines()[1:]] == [
        "- items[0]", "- items[0]", "- items[1]", "- items[2]", "- items[3]", f"- {one} is there twice. Say once what becomes of an item.",
    ]  # fmt: skip


def test_a_batch_that_closes_a_circle_is_refused(team: Team):
    a, b = add(team, "a"), add(team, "b")
    refused = team.refusal("batch_backlog", action="update", items=[{"id": a, "blocked_by": [b]}, {"id": b, "blocked_by": [a]}])
    assert f"{a} -> {b} -> {a}" in refused.message
    team.call("batch_backlog", action="update", items=[{"id": a, "blocked_by": [b]}])
    # turned round in one commit it is none
    team.call("batch_backlog", action="update", items=[{"id": a, "blocked_by": []}, {"id": b, "blocked_by": [a]}])


@pytest.mark.parametrize("action", ["update", "complete", "delete"])
def test_a_batch_made_from_an_old_version_of_an_item_is_refused(team: Team, action: str):
    one, two = add(team, "One"), add(team, "Two")
    seen = team.call("get_backlog_item", id=one)["version"]
    current = team.call("update_backlog_item", id=one, description="Do not lose this.", agent="bob")["version"]
    refused = team.refusal("batch_backlog", action=action, items=[{"id": two}, {"id": one, "if_version": seen}])
    assert f"items[1]: projects/web/backlog/{one[-8:-6]}/{one}.md is at version {current[:12]}, not" in refused.message
    team.call("batch_backlog", action=action, items=[{"id": one, "if_version": current}])


def test_an_item_of_a_batch_with_an_empty_id_is_not_skipped(team: Team):
    refused = team.refusal("batch_backlog", action="complete", items=[{"id": add(team, "One")}, {"id": ""}])
    assert "items[1]: There is no backlog item ''." in refused.message


@pytest.mark.parametrize("name", ["resolution", "wont_do"])
def test_a_deletion_takes_nothing_that_would_be_lost_with_the_item(team: Team, name: str):
    refused = team.refusal("batch_backlog", action="delete", items=[{"id": add(team, "One"), name: True if name == "wont_do" else "ok"}])
    assert f"items[0]: {name} says nothing about an item that is deleted. delete takes id and if_version" in refused.message


@pytest.mark.parametrize(("action", "name"), [
    *((action, name) for action in ("create", "update", "complete", "delete") for name in ("as_proposal", "session_id")),
    ("complete", "project"), ("delete", "project"), ("update", "reason"),
])  # fmt: skip
def test_what_holds_for_a_whole_batch_is_not_dropped_from_an_item(team: Team, action: str, name: str):
    item = {"title": "One"} if action == "create" else {"id": add(team, "One")}
    refused = team.refusal("batch_backlog", action=action, items=[{**item, name: "to be looked at"}])
    assert refused.message.splitlines()[1:] == [f"- items[0]: {name} is of the whole batch. Pass it beside items."]


@pytest.mark.parametrize("items", [[], [{"title": "x"}] * 201], ids=["none", "too many"])
def test_a_batch_has_a_bound(team: Team, items: list[dict[str, str]]):
    assert "1 to 200 are accepted" in team.refusal("batch_backlog", action="create", items=items).fix


def test_only_who_added_an_item_or_an_admin_deletes_it_and_nothing_that_others_need(team: Team):
    one = add(team, "One", agent="bob")
    two = add(team, "Two", blocked_by=[one])
    refused = team.refusal("batch_backlog", action="delete", items=[{"id": one}], agent="cy")
    assert f"{one} was added by bob; only they or an admin may delete it." in refused.message
    refused = team.refusal("batch_backlog", action="delete", items=[{"id": one}], agent="bob")
    assert f"{one} cannot be deleted, because others need it, as blocked_by or parent: {two}." in refused.message
    team.call("batch_backlog", action="delete", items=[{"id": one}, {"id": two}])  # ann is an admin
    assert team.call("history", id=one)["versions"][0]["version"] == ""


def test_who_comes_to_need_an_item_while_it_is_deleted_keeps_it(team: Team):
    one, two = add(team, "One"), add(team, "Two")
    with pytest.raises(BadArgument, match="cannot be deleted"):
        pinned(
            team, "batch_backlog", action="delete", items=[{"id": one}],
            meanwhile=lambda: team.call("update_backlog_item", id=two, blocked_by=[one]),
        )  # fmt: skip
    assert team.call("get_backlog_item", id=one)["title"] == "One"


@pytest.mark.parametrize("verb", ["update_backlog_item", "add_backlog_item"])
def test_what_is_deleted_meanwhile_cannot_be_waited_for(team: Team, verb: str):
    one, two = add(team, "One"), add(team, "Two")
    arguments = {"id": two} if verb == "update_backlog_item" else {"title": "Three"}
    with pytest.raises(GitmemError, match="There is no backlog item"):
        pinned(
            team, verb, blocked_by=[one], **arguments,
            meanwhile=lambda: team.call("batch_backlog", action="delete", items=[{"id": one}]),
        )  # fmt: skip


# --- the briefing --------------------------------------------------------------------------------------------


def briefed(team: Team, **who: Any) -> list[str]:
    sections = team.call("brief", sections=["backlog"], **who)["sections"]
    return list(sections[0]["lines"]) if sections else []


def test_a_briefing_tells_what_is_mine_then_what_is_ready_then_checklists(team: Team):
    assert briefed(team) == []
    later = add(team, "Later", assigned_to="me", priority="critical")
    now = add(team, "Now", assigned_to="me", priority="low")
    team.call("claim_backlog_item", id=now)
    free = add(team, "Free", priority="high", item_type="bug")
    add(team, "Waits", blocked_by=[free])
    team.call("checklist", action="create", arguments={"name": "launch", "items": ["a", "b"]})
    assert briefed(team) == [
        f"yours: Now [low, in_progress, {now}]",
        f"yours: Later [critical, open, {later}]",
        f"ready to claim: Free [high, bug, {free}]",
        "checklist launch: 0 of 2 done",
    ]
    assert briefed(team, agent="bob")[0].startswith("ready to claim: Free")
    team.call("checklist", action="check", arguments={"name": "launch", "item_index": 0})
    team.call("checklist", action="check", arguments={"name": "launch", "item_index": 1})
    assert not any("launch" in line for line in briefed(team))


def test_a_briefing_counts_what_it_does_not_tell(team: Team):
    put(team, *(item(f"Task {number}", assigned_to="ann") for number in range(30)))
    lines = briefed(team)
    assert len(lines) == 13
    assert lines[-1] == "yours: 18 more that you touched longer ago"
