"""What agents can do with knowledge, as they see it."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from gitmem.domains.knowledge.changing import replace_section
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.knowledge.recording import Duplicate
from gitmem.memory.caller import Caller
from gitmem.names import now
from tests.conftest import Team, git


def learn(team: Team, topic: str = "Retries back off", content: str = "With jitter, or all clients come back at once.", **more: object) -> str:
    return str(team.call("record_learning", topic=topic, content=content, **more)["id"])


def test_what_one_agent_recorded_another_finds_at_once(team: Team):
    learn(team)
    hit = team.call("query", query="why does everybody reconnect at the same moment? jitter", agent="bob")["results"][0]
    assert (hit["title"], hit["author"], hit["type"], hit["warnings"]) == ("Retries back off", "ann", "learning", [])


def test_who_changed_a_record_of_somebody_else_is_told_where_it_is_found(team: Team):
    made = learn(team)
    assert "updated_by" not in team.call("query", query="jitter")["results"][0]
    team.call("edit", id=made, operation="append", text="At most 5 s.", agent="bob")
    hit = team.call("query", query="jitter")["results"][0]
    assert (hit["author"], hit["updated_by"]) == ("ann", "bob")


def test_a_history_tells_a_path_once_and_that_of_a_version_only_if_it_stood_elsewhere(team: Team):
    team.call("project", action="create", name="api")
    item = team.call("add_backlog_item", title="Mend it")["id"]
    stood = team.call("get_backlog_item", id=item)["path"]
    team.call("set_plan", id=item, plan="Look.")
    told = team.call("history", id=item)
    assert (told["path"], ["path" in each for each in told["versions"]]) == (stood, [False, False])
    team.call("update_backlog_item", id=item, arguments={"project": "api"})
    moved = team.call("history", id=item)
    assert moved["path"] == team.call("get_backlog_item", id=item, project="api")["path"]
    assert [each.get("path") for each in moved["versions"]] == [None, stood, stood]


def test_a_search_for_an_id_says_what_reads_its_record(team: Team):
    made = learn(team)
    found = team.call("query", query=made.rpartition("-")[2])
    assert (found["results"], found["total"]) == ([], 0)
    assert f"get_by_id(id='{made}')" in found["note"]
    item = team.call("add_backlog_item", title="Mend it")["id"]
    for other in (item.rpartition("-")[2], "ffffffff", "xylophone"):
        assert "note" not in team.call("query", query=other)


def test_no_more_records_match_than_are_searched(team: Team):
    sections = "\n\n".join(f"# Part {number}\n\n{'cache ' * 200}" for number in range(30))
    for number in range(12):
        learn(team, topic=f"Finding {number}", content=f"{number}\n\n{sections}")
    found = team.call("query", query="cache")
    assert (found["total"], found["searched"]) == (12, "12 records in web and shared")


def test_a_record_with_one_version_differs_from_nothing_and_the_answer_says_so(team: Team):
    made = learn(team)
    shown = team.call("diff", id=made)
    assert (shown["diff"], shown["note"]) == ("", "there is no version before this one")
    team.call("edit", id=made, operation="append", text="At most 5 s.")
    now = team.call("diff", id=made)["to_version"]
    assert team.call("diff", id=made, from_version=now)["note"] == "the two versions are the same"


def test_the_same_text_again_is_refused_with_the_id_of_the_first(team: Team):
    first = learn(team)
    refused = team.refusal("record_learning", topic="retries  BACK off", content="with jitter, or all clients come back at once.")
    assert first in refused.message
    assert first in refused.fix


def test_the_same_text_is_recorded_twice_if_forced(team: Team):
    first = learn(team)
    again = team.call("store", title="Retries back off", content="With jitter, or all clients come back at once.", force=True)
    assert again["id"] != first


def test_nearly_the_same_text_is_recorded_and_the_first_is_named(team: Team):
    first = learn(team)
    again = team.call("record_learning", topic="Retries back off", content="With jitter, or all the clients come back at once!")
    assert [each["id"] for each in again["similar"]] == [first]


def test_a_record_that_supersedes_marks_the_old_one_in_the_same_commit(team: Team):
    old = learn(team)
    new = team.call("store", title="Retries stop after five", content="Then the circuit opens.", supersedes=old)
    assert new["superseded"] == old
    read = team.call("get_by_id", id=old)
    assert (read["status"], read["superseded_by"]) == ("superseded", new["id"])
    assert f"superseded by {new['id']}" in read["warnings"]
    assert read["commit"] == new["commit"]


def test_types_expire_after_their_own_time_unless_told_otherwise(team: Team):
    def expires(**arguments: object) -> object:
        made = team.call("store", title=f"x {arguments}", content=f"{arguments}", **arguments)
        return team.call("get_by_id", id=made["id"]).get("expires")

    assert expires(memory_type="architecture") is None
    assert str(expires(memory_type="handoff")).startswith(f"{(now() + timedelta(days=28)):%Y-%m-%d}")
    assert expires(memory_type="learning", expires_in_days=0) is None
    assert str(expires(memory_type="adr", expires_in_days=3)).startswith(f"{(now() + timedelta(days=3)):%Y-%m-%d}")


def test_an_old_and_an_expired_record_carry_a_warning(team: Team):
    record = Knowledge(
        scope="projects/web", id="old-3fa2b81c", title="Old advice", content="Use the proxy.",
        created=now() - timedelta(days=200), expires=now() - timedelta(days=20),
    )  # fmt: skip
    change = team.memory.transaction(team.memory.view(), Caller("ann"), "old")
    change.time = now() - timedelta(days=200)
    change.put(record)
    change.land()
    warnings = team.call("query", query="proxy advice")["results"][0]["warnings"]
    assert warnings == ["expired 20 days ago", "last changed 200 days ago; check it before you rely on it"]


def test_edits_append_prepend_replace_a_section_and_replace_text(team: Team):
    made = learn(team, content="# Why\n\nLoad.\n\n## Detail\n\nold\n\n# Fix\n\nJitter.")
    team.call("edit", id=made, operation="append", text="End.")
    team.call("edit", id=made, operation="prepend", text="Start.")
    team.call("edit", id=made, operation="replace_section", section="detail", text="new")
    team.call("edit", id=made, operation="find_replace", find="Jitter", text="Full jitter")
    assert team.call("get_by_id", id=made)["content"] == "Start.\n\n# Why\n\nLoad.\n\n## Detail\n\nnew\n\n# Fix\n\nFull jitter.\n\nEnd."


def test_a_heading_in_a_code_block_is_not_a_section():
    text = "# One\n\n```\n# Two\n```\n\n# Two\n\nreal"
    assert replace_section(text, "Two", "changed") == "# One\n\n```\n# Two\n```\n\n# Two\n\nchanged"


def test_an_edit_from_an_old_version_is_refused_with_the_current_one(team: Team):
    made = team.call("record_learning", topic="Retries", content="One.")
    changed = team.call("edit", id=made["id"], operation="append", text="Two.", if_version=made["version"], agent="bob")
    refused = team.refusal("edit", id=made["id"], operation="append", text="Three.", if_version=made["version"])
    assert changed["version"][:12] in refused.message


def test_find_replace_counts_before_it_changes(team: Team):
    made = learn(team, content="a a a")
    assert "3 times, not 1" in team.refusal("edit", id=made, operation="find_replace", find="a", text="b").message
    team.call("edit", id=made, operation="find_replace", find="a", text="b", expected_count=3)
    assert team.call("get_by_id", id=made)["content"] == "b b b"


def test_set_fields_takes_known_fields_only_and_checks_them(team: Team):
    made = learn(team)
    team.call("edit", id=made, operation="set_fields", fields={"tags": ["net"], "title": "Back off"})
    read = team.call("get_by_id", id=made)
    assert (read["title"], read["tags"]) == ("Back off", ["net"])
    assert "'author' cannot be set" in team.refusal("edit", id=made, operation="set_fields", fields={"author": "bob"}).message
    assert "title" in team.refusal("edit", id=made, operation="set_fields", fields={"title": "x" * 300}).message


def test_archiving_by_tag_and_restoring_gives_each_its_status_back(team: Team):
    one, two, three = (learn(team, topic=f"Topic {n}", content=f"Content {n}", tags=["v1"]) for n in range(3))
    team.call("change_status", id=two, new_status="deprecated", reason="old")
    archived = team.call("archive_by_tag", tag="v1")
    assert archived["count"] == 3
    assert team.call("query", query="topic content")["results"] == []
    assert team.call("query", query="topic content", statuses=["archived"])["total"] == 3
    restored = team.call("restore_by_tag", tag="v1")
    assert restored["count"] == 3
    assert [team.call("get_by_id", id=each)["status"] for each in (one, two, three)] == ["active", "deprecated", "active"]
    assert git(team.memory.path, "rev-list", "--count", f"{archived['commit']}..main").strip() == "1"


def test_a_deleted_record_is_gone_from_search_stays_in_history_and_comes_back(team: Team):
    made = learn(team)
    team.call("delete", id=made, reason="wrong")
    assert team.call("query", query="jitter")["results"] == []
    versions = team.call("history", id=made)["versions"]
    assert [each["verb"] for each in versions] == ["delete", "record_learning"]
    team.call("revert", id=made, version=versions[1]["version"])
    assert team.call("query", query="jitter")["results"][0]["id"] == made


def test_only_its_author_or_an_admin_deletes_a_record(team: Team):
    made = learn(team, agent="bob")
    assert "recorded by bob" in team.refusal("delete", id=made, reason="x", agent="eve").message
    team.call("delete", id=made, reason="x", agent="ann")  # ann made the project, so she is its admin


def test_history_blame_and_diff_tell_who_changed_what(team: Team):
    made = learn(team, content="One.\n\nTwo.")
    team.call("edit", id=made, operation="find_replace", find="Two.", text="Second.", agent="bob", session="web_bob_12345678")
    history = team.call("history", id=made)
    assert [(each["author"], each["verb"]) for each in history["versions"]] == [("bob", "edit"), ("ann", "record_learning")]
    parts = team.call("blame", id=made)["parts"]
    assert ("bob", "web_bob_12345678", "Second.") in [(p["author"], p["session"], p["text"].strip()) for p in parts]
    assert not any("title:" in p["text"] for p in parts)
    assert team.call("diff", id=made)["diff"].splitlines()[-2:] == ["-Two.", "+Second."]


def test_a_commit_of_a_clock_that_was_wrong_does_not_hide_what_changed_before_it(team: Team):
    learn(team)
    with team.memory.transaction(team.memory.view(), Caller("ann"), "long ago, says the clock") as change:
        change.time = now() - timedelta(days=400)
        change.put(Knowledge(scope="projects/web", id="note-12345678", title="Note", content="Noted."))
    told = [each["subject"] for each in team.call("recent_changes")["changes"]]
    assert told[:2] == ["long ago, says the clock", "learning: Retries back off"]


def test_recent_changes_end_with_what_is_too_old(team: Team):
    for days in range(40, 0, -1):
        with team.memory.transaction(team.memory.view(), Caller("ann"), f"{days} days ago") as change:
            change.time = now() - timedelta(days=days)
            change.put(Knowledge(scope="projects/web", id="note-12345678", title="Note", content=f"Noted {days}."))
    told = [each["subject"] for each in team.call("recent_changes", since="3d")["changes"]]
    assert told[:2] == ["1 days ago", "2 days ago"]
    assert "4 days ago" not in told


def test_recent_changes_of_somebody_who_never_changed_anything_are_refused(team: Team):
    team.call("project", arguments={"action": "add_agent", "name": "web"}, member="ben")
    founder = git(team.memory.path, "log", "--format=%an", "--max-parents=0", "main").strip()
    for known in ("ann", "ben", founder):  # the last is no member, but there are commits of theirs
        assert team.call("recent_changes", arguments={"agent": known, "since": "2099-01-01"})["count"] == 0
    refused = team.refusal("recent_changes", arguments={"agent": "ghost"})
    assert refused.message == "'ghost' is no member of web and was never seen there."
    assert "ann, ben" in refused.fix


def test_recent_changes_are_those_of_the_project_and_of_one_agent_if_asked(team: Team):
    team.call("project", action="create", name="other", project="")
    learn(team)
    learn(team, topic="Elsewhere", content="x", project="other")
    learn(team, topic="Mine", content="y", agent="bob")
    assert [each["subject"] for each in team.call("recent_changes")["changes"]] == ["learning: Mine", "learning: Retries back off", "create project web"]
    assert [each["author"] for each in team.call("recent_changes", arguments={"agent": "bob"})["changes"]] == ["bob"]


def test_a_commit_is_reverted_as_one_new_commit_unless_it_was_built_upon(team: Team):
    made = team.call("record_learning", topic="Retries", content="One.")
    edit = team.call("edit", id=made["id"], operation="append", text="Two.")
    assert "changed again later" in team.refusal("revert", commit=made["commit"]).message
    team.call("revert", commit=edit["commit"][:10])
    assert team.call("get_by_id", id=made["id"])["content"] == "One."
    team.call("revert", commit=team.call("recent_changes")["commit"])
    assert team.call("get_by_id", id=made["id"])["content"] == "One.\n\nTwo."


def test_all_that_an_agent_did_since_a_time_is_reverted_by_an_admin(team: Team):
    kept = learn(team)
    team.call("edit", id=kept, operation="append", text="Nonsense.", agent="eve")
    learn(team, topic="More nonsense", content="z", agent="eve")
    assert "no admin" in team.refusal("revert", agent="bob", arguments={"agent": "eve", "since": "1h"}).message
    undone = team.call("revert", arguments={"agent": "eve", "since": "1h"})
    assert len(undone["removed"]) == 1
    assert team.call("get_by_id", id=kept)["content"] == "With jitter, or all clients come back at once."


@pytest.mark.parametrize("part", [4, 8])
def test_an_id_may_be_shortened_to_the_start_of_its_digits(team: Team, part: int):
    made = learn(team)
    assert team.call("get_by_id", id=made.rpartition("-")[2][:part])["id"] == made


def test_the_end_of_an_ids_digits_means_nothing_and_the_refusal_says_what_does(team: Team):
    made = team.call("record_learning", topic="Cut", content="Short.")["id"]
    refused = team.refusal("get_by_id", id=made[-5:])
    assert refused.message == f"There is no record '{made[-5:]}'."
    assert "cut to its last part, and that to its first four or more digits" in refused.fix


def test_links_wikilinks_and_backlinks_are_followed_in_both_directions(team: Team):
    target = learn(team)
    source = team.call("store", title="Client design", content=f"See [[{target}]] and [[Retries back off]].", links=[{"rel": "uses", "to": target}])["id"]
    far = team.call("store", title="Overview", content=f"Starts at [[{source}]].")["id"]
    assert [(each["id"], each["rel"]) for each in team.call("get_by_id", id=target)["backlinks"]] == [(source, "uses")]
    found = team.call("related", id=target, depth=2)["related"]
    assert [(each["id"], each["direction"], each["distance"]) for each in found] == [(source, "from", 1), (far, "from", 2)]
    assert [each["id"] for each in team.call("related", id=source)["related"]] == [target, far]


def test_filters_paging_and_an_empty_answer_say_what_was_searched(team: Team):
    for number in range(7):
        learn(team, topic=f"Cache finding {number}", content=f"cache {number}", tags=["cache", "even" if number % 2 == 0 else "odd"])
    team.call("store", title="Cache page", content="cache", memory_type="architecture", scope="shared")
    first = team.call("query", query="cache", limit=3)
    rest = team.call("query", query="cache", limit=10, cursor=first["cursor"])
    assert first["total"] == 8
    assert len({each["id"] for each in first["results"] + rest["results"]}) == 8
    assert team.call("query", query="cache", tags=["cache", "odd"], limit=10)["total"] == 3
    assert team.call("query", query="cache", memory_types=["architecture"])["total"] == 1
    assert team.call("query", query="cache", include_shared=False)["total"] == 7
    nothing = team.call("query", query="xylophone", author="bob")
    assert nothing["results"] == []
    assert "web and shared" in nothing["searched"]
    assert "author bob" in nothing["searched"]


def test_the_past_is_searched_and_read_as_it_was(team: Team):
    made = team.call("record_learning", topic="Port", content="The port is eighty.")
    team.call("edit", id=made["id"], operation="find_replace", find="eighty", text="ninety")
    assert team.call("query", query="eighty")["results"] == [] or "ninety" in team.call("query", query="port")["results"][0]["snippet"]
    past = team.call("query", query="eighty", as_of=made["commit"])
    assert past["results"][0]["snippet"] == "The port is eighty."
    assert past["commit"] == made["commit"]
    assert "eighty" in team.call("get_by_id", id=made["id"], as_of=made["commit"][:12])["content"]


def test_explain_says_which_fields_and_terms_made_the_rank(team: Team):
    learn(team)
    hit = team.call("query", query="jitter retries", explain=True)["results"][0]
    assert any("jitter" in reason for reason in hit["explain"])


def test_all_projects_are_searched_together_and_counted(team: Team):
    team.call("project", action="create", name="api", project="")
    learn(team)
    learn(team, topic="API retries", content="jitter too", project="api")
    assert {each["project"] for each in team.call("search_global", query="jitter", project="")["results"]} == {"web", "api"}
    counts = {each["name"]: each["records"] for each in team.call("list_projects", project="")["projects"]}
    assert counts == {"web": 1, "api": 1}


def test_the_same_text_recorded_by_eight_at_once_is_recorded_once(team: Team):
    barrier, outcomes = threading.Barrier(8), []

    def work(number: int) -> None:
        barrier.wait()
        try:
            outcomes.append(team.call("record_learning", agent=f"a{number}", topic="One thing", content="Said by all.")["id"])
        except Duplicate:
            outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 7
    assert len(list(team.memory.view().records(Knowledge))) == 1


def test_what_others_wrote_between_an_agents_edits_is_not_undone_with_them(team: Team):
    made = learn(team, content="Base.")
    for agent in ("eve", "bob", "eve"):
        team.call("edit", agent=agent, id=made, operation="append", text=f"By {agent}.")
    refused = team.refusal("revert", agent="eve", arguments={"agent": "eve", "since": "1h"})
    assert "changed again later" in refused.message
    assert "By bob." in team.call("get_by_id", id=made)["content"]


def test_a_merge_is_not_taken_for_the_work_of_who_merged(team: Team, tmp_path: Path):
    git(tmp_path, "clone", "-q", str(team.memory.path), str(tmp_path / "work"))
    learn(team)
    (tmp_path / "work" / "README.md").write_text("Pat's page.\n")
    git(tmp_path / "work", "commit", "-qam", "readme")
    git(tmp_path / "work", "pull", "-q", "--no-rebase", "--no-edit")
    git(tmp_path / "work", "push", "-q")
    undone = team.call("revert", agent="Pat Person", arguments={"agent": "Pat Person", "since": "1h"})
    assert undone["restored"] == ["README.md"]
    assert team.call("query", query="jitter")["total"] == 1
    assert [each["author"] for each in team.call("history", id=team.call("query", query="jitter")["results"][0]["id"])["versions"]] == ["ann"]
    merge = git(team.memory.path, "rev-list", "--merges", "-1", "main").strip()
    again = team.call("revert", commit=merge)  # what it brought to main was Pat's page alone
    assert (again["restored"], again["note"]) == ([], "it is so already; nothing was written")


def test_a_record_whose_successor_was_deleted_can_still_be_changed(team: Team):
    old = learn(team, tags=["v1"])
    new = team.call("store", title="Newer", content="Holds now.", supersedes=old)["id"]
    team.call("delete", id=new, reason="wrong")
    team.call("edit", id=old, operation="append", text="Still editable.")
    assert team.call("archive_by_tag", tag="v1")["count"] == 1


def test_no_record_supersedes_itself_by_way_of_others(team: Team):
    one, two = learn(team), learn(team, topic="Two", content="Another.")
    team.call("change_status", id=one, new_status="superseded", superseded_by=two)
    assert "supersede itself" in team.refusal("change_status", id=two, new_status="superseded", superseded_by=one).message


def test_an_edit_that_changes_nothing_claims_no_commit(team: Team):
    made = learn(team)
    learn(team, topic="Other", content="z", agent="bob")
    assert "commit" not in team.call("edit", id=made, operation="set_fields", fields={"title": "Retries back off"})


def test_what_a_reader_could_not_read_back_is_refused(team: Team):
    refused = team.refusal("store", title="Many files", content="x", files_related=[f"{n}/{'y' * 390}" for n in range(100)])
    assert "at most 32,768" in refused.message


def test_verbs_for_knowledge_say_what_to_call_for_a_backlog_item(team: Team):
    item = team.call("add_backlog_item", title="Fix it")["id"]
    for called, more in {"get_by_id": {}, "related": {}, "edit": {"operation": "append", "text": "x"}}.items():
        refused = team.refusal(called, id=item, **more)
        assert refused.message == f"'{item}' is a record of the kind backlogitem, and no knowledge."
        assert "update_backlog_item" in refused.fix


def test_a_title_that_two_projects_share_is_linked_where_the_link_stands(team: Team):
    team.call("project", action="create", name="api", project="")
    ours = team.call("store", title="Deployment", content="By hand.")["id"]
    theirs = team.call("store", title="Deployment", content="By a robot.", project="api")["id"]
    source = team.call("store", title="Overview", content="See [[Deployment]].", project="api")["id"]
    assert [each["id"] for each in team.call("related", id=source, project="api")["related"]] == [theirs]
    assert [each["id"] for each in team.call("get_by_id", id=theirs)["backlinks"]] == [source]
    assert team.call("get_by_id", id=ours)["backlinks"] == []


def test_a_link_by_the_first_digits_of_an_id_is_followed_back(team: Team):
    target = learn(team)
    digits = target.rpartition("-")[2]
    named = team.call("store", title="Client", content="See there.", links=[{"rel": "uses", "to": digits[:4]}])["id"]
    wiki = team.call("store", title="Overview", content=f"See [[{digits[:6]}]].")["id"]
    assert {(each["id"], each["rel"]) for each in team.call("get_by_id", id=target)["backlinks"]} == {(named, "uses"), (wiki, "mentions")}


def test_links_that_lead_nowhere_are_told(team: Team):
    made = team.call("store", title="Overview", content="See [[Missing page]].", links=[{"rel": "uses", "to": "nope-12345678"}])["id"]
    assert team.call("related", id=made)["unresolved"] == ["nope-12345678", "Missing page"]


def test_an_interface_is_read_as_it_was_stored(team: Team):
    interface = {"name": "Orders", "version": "1", "schema": {"type": "object"}}
    made = team.call("store", title="Orders", content="The service.", memory_type="interface", interface=interface)["id"]
    assert team.call("get_by_id", id=made)["interface"] == interface
    assert "interface" not in team.call("get_by_id", id=learn(team))


def test_history_by_a_word_of_an_id_or_by_digits_that_several_have_mixes_no_records(team: Team):
    one = team.call("record_learning", topic="Use facade pattern", content="One.")
    learn(team, topic="Another facade thing", content="Two.")
    for verb in ("history", "diff", "revert"):
        more = {"version": one["version"]} if verb == "revert" else {}
        assert "never was" in team.refusal(verb, id="facade", **more).message
    gone = [Knowledge(scope="projects/web", id=f"gone-{number}-7b23{number}51f", title="Gone", content=str(number)) for number in (1, 2)]
    for each in gone:
        with team.memory.transaction(team.memory.view(), Caller("ann"), "put") as change:
            change.put(each)
    with team.memory.transaction(team.memory.view(), Caller("ann"), "delete") as change:
        for each in gone:
            change.delete(each.path)
    assert "could be any of gone-1-7b23151f, gone-2-7b23251f" in team.refusal("history", id="7b23").message
    assert [team.call("history", id=part)["id"] for part in ("7b231", "gone-2-7b23251f")] == [each.id for each in gone]


def test_what_a_push_brought_counts_as_recent_from_its_arrival(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    learn(team)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(team.memory.path), str(clone))
    (clone / "README.md").write_text("# Ours\n")
    with monkeypatch.context() as then:
        then.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
        git(clone, "-c", "user.name=Bob", "-c", "user.email=bob@example.com", "commit", "-qam", "notes")
    git(clone, "push", "-q", "origin", "main")
    learn(team, topic="Mine", content="y")
    subjects = ["learning: Mine", "learning: Retries back off", "create project web"]
    assert [each["subject"] for each in team.call("recent_changes")["changes"]] == subjects
    assert team.call("recent_changes", since="2019-12-31")["count"] == 3


def test_what_was_asked_is_done_or_refused(team: Team):
    one, two = learn(team), learn(team, topic="Another", content="Else.")
    assert "superseded_by goes with" in team.refusal("change_status", id=one, new_status="deprecated", superseded_by=two).message
    assert "nothing to append" in team.refusal("edit", id=one, operation="append").message
    version = team.call("get_by_id", id=one)["version"]
    assert "fits many versions" in team.refusal("edit", id=one, operation="append", text="x", if_version=version[0]).message


def test_line_ends_of_another_system_are_found_in_what_was_kept(team: Team):
    made = team.call("record_learning", topic="Lines", content="one\r\ntwo\r\nthree")["id"]
    team.call("edit", id=made, operation="find_replace", find="one\r\ntwo", text="1\r\n2")
    assert team.call("get_by_id", id=made)["content"] == "1\n2\nthree"


def test_every_filter_of_a_search_is_told(team: Team):
    learn(team)
    found = team.call("query", query="retries", statuses=["expired"], updated_within_days=1, tags=["x"])
    assert found["searched"] == "0 records in web and shared, only status expired, tag x, changed in the last 1 day"


def test_what_was_archived_and_is_superseded_is_as_if_it_had_never_been_archived(team: Team):
    old = team.call("store", title="Old", content="x", tags=["net"])["id"]
    team.call("archive_by_tag", tag="net")
    team.call("store", title="New", content="y", supersedes=old)
    path = f"projects/web/knowledge/learning/{old[-8:-6]}/{old}.md"
    before = git(team.memory.path, "show", f"main:{path}")
    assert "restores_to" not in before
    team.call("archive_by_tag", tag="net")
    team.call("restore_by_tag", tag="net")
    assert git(team.memory.path, "show", f"main:{path}") == before
