"""What holds for every verb, kind and error, walked through the registries."""

import ast
import inspect
import json
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

import gitmem.domains.all  # noqa: F401
from docs.generate import import_everything
from gitmem import errors, verbs
from gitmem.answers import schema_of, told_schema
from gitmem.domains.knowledge.record import Knowledge
from gitmem.errors import BadArgument, GitmemError
from gitmem.records.describe import example
from gitmem.records.kind import KINDS, Kind, Record
from gitmem.verbs import SECTIONS, VERBS, Verb
from tests.conftest import Team, git

import_everything()  # below, the registries are read to make parameters of them
ALL_VERBS = [pytest.param(verb, id=name) for name, verb in VERBS.items()]

# How each verb is called to do something, on a memory that `prepared` made. `ID` is a record of the caller's.
CALLS: dict[str, dict[str, Any]] = {
    "project": {"action": "create", "name": "other", "project": ""},
    "record_learning": {"topic": "Cache keys", "content": "They hold the tenant."},
    "store": {"title": "Cache design", "content": "Two levels.", "memory_type": "architecture"},
    "query": {"query": "retries"},
    "search_global": {"query": "retries", "project": ""},
    "get_by_id": {"id": "ID"},
    "related": {"id": "ID"},
    "list_projects": {"project": ""},
    "edit": {"id": "ID", "operation": "append", "text": "More."},
    "change_status": {"id": "ID", "new_status": "deprecated"},
    "archive_by_tag": {"tag": "network"},
    "restore_by_tag": {"tag": "old"},
    "doctor": {},
    "delete": {"id": "ID", "reason": "wrong"},
    "history": {"id": "ID"},
    "blame": {"id": "ID"},
    "diff": {"id": "ID"},
    "recent_changes": {},
    "revert": {"commit": "COMMIT"},
    "start_session": {"task_description": "retries"},
    "brief": {},
    "end_session": {"summary": "done", "handoff_notes": "go on"},
    "list_sessions": {},
    "get_session": {"id": "SESSION"},
    "define_spec": {"name": "orders-api", "content": "Orders are numbered.", "bump": "minor"},
    "get_spec": {"name": "orders-api"},
    "list_specs": {"include_versions": True},
    "diff_spec": {"name": "orders-api"},
    "transfer_spec": {"name": "orders-api", "to": "bob"},
    "validate_against_spec": {"name": "orders-api", "document": {"number": "one"}},
    "owners": {"action": "set", "paths": ["shared/specs/"], "names": ["ann"], "project": ""},
    "guidelines": {"action": "set", "name": "small-commits", "rule": "One thing a commit."},
    "lock_files": {"files": ["src/"], "reason": "moving the handlers"},
    "unlock_files": {},
    "renew_locks": {"ttl_minutes": 600},
    "break_lock": {"files": ["docs/"], "reason": "release day"},
    "get_locks": {},
    "check_paths": {"files": ["docs/a.md"]},
    "update_work": {"title": "Move the handlers", "files_touched": ["docs/"], "signals": ["schema-ready"]},
    "get_active_work": {},
    "send_message": {"to_instance": "*", "message": "CI is red."},
    "get_messages": {},
    "wait_for_messages": {"timeout_seconds": 0},
    "acknowledge_message": {"id": "MESSAGE"},
    "update_message_status": {"id": "MESSAGE", "status": "completed"},
    "claim_message": {"id": "MESSAGE"},
    "heartbeat": {"status": "busy", "current_task": "retries"},
    "get_agent_status": {"agent": "ann"},
    "list_agents": {},
    "set_autopilot": {"agent": "ann", "enabled": True},
    "pause_autopilot": {"reason": "odd answers"},
    "autopilot_status": {},
    "autopilot_check_budget": {"id": "MESSAGE"},
    "autopilot_digest": {},
    "remember": {"key": "erp", "value": "The stock system."},
    "recall": {"key": "psr"},
    "set_tier": {"key": "psr", "tier": "deep"},
    "forget": {"key": "psr"},
    "list_memories": {},
    "context": {"action": "set", "key": "stack", "value": ["Python", "git"]},
    "add_backlog_item": {"title": "Fix the queue", "blocked_by": ["ITEM"]},
    "get_backlog_item": {"id": "ITEM"},
    "list_backlog": {"text": "login"},
    "update_backlog_item": {"id": "ITEM", "priority": "high", "reason": "it hurts"},
    "complete_backlog_item": {"id": "ITEM", "resolution": "fixed"},
    "batch_backlog": {"action": "create", "items": [{"title": "One"}, {"title": "Two"}]},
    "claim_backlog_item": {"next": True},
    "ready_backlog": {},
    "set_plan": {"id": "ITEM", "plan": "First look."},
    "set_result": {"id": "ITEM", "result": "It works."},
    "propose": {"title": "A new readme", "reason": "It is old.", "changes": [{"path": "README.md", "content": "# Ours\n"}]},
    "list_proposals": {},
    "get_proposal": {"id": "PROPOSAL"},
    "comment_proposal": {"id": "PROPOSAL", "comment": "Why?"},
    "approve_proposal": {"id": "PROPOSAL"},
    "reject_proposal": {"id": "PROPOSAL", "reason": "It was fine."},
    "withdraw_proposal": {"id": "PROPOSAL"},
    "checklist": {"action": "check", "name": "launch", "item_index": 0, "notes": "all green"},
}
# Where marks are: overwritten blobs, never commits.
MARKS = ("refs/gitmem/presence/", "refs/gitmem/inbox/", "refs/gitmem/usage/")
# end_session lands one commit on main, one that lets go of locks, and one that takes the live session off its own ref.
# What is done to others, or what they wait for, is followed by a message to them; a version of a spec gets a tag.
# A proposal is its record and its branch; one that is turned down keeps a tag, and its author gets a message.
REFS_MOVED = {
    "end_session": 3, "break_lock": 2, "update_work": 2, "define_spec": 2,
    "propose": 2, "comment_proposal": 2, "approve_proposal": 3, "reject_proposal": 3, "withdraw_proposal": 3,
}


@pytest.fixture
def prepared(team: Team) -> dict[str, str]:
    record = team.call("record_learning", topic="Retries back off", content="With jitter.", tags=["network"])
    old = team.call("record_learning", topic="Old news", content="Gone.", tags=["old"])
    team.call("change_status", id=old["id"], new_status="archived")
    schema = {"properties": {"number": {"type": "integer"}}}
    team.call("define_spec", name="orders-api", content="Orders.", spec_type="api", json_schema=schema)
    team.call("project", action="add_agent", name="web", member="bob")
    message = team.call("send_message", agent="bob", to_instance="ann", message="Look at the retries.")
    team.call("set_autopilot", agent="ann", arguments={"agent": "ann", "depth_cap": 2})
    session = team.call("start_session", task_description="network")
    team.call("lock_files", files=["lib/"], reason="mine")
    team.call("lock_files", files=["docs/"], reason="theirs", agent="bob")
    team.call("update_work", title="Wait", files_touched=["docs/"], waiting_for_signal="schema-ready", agent="bob")
    team.call("remember", key="psr", value="Pipeline status report", category="term")
    item = team.call("add_backlog_item", title="Fix the login", description="It fails.")
    proposal = team.call("record_learning", agent="bob", as_proposal=True, topic="Queues", content="They fill up.")["proposal"]
    team.call("checklist", action="create", arguments={"name": "launch", "items": ["Tests pass"]})
    return {
        "ID": record["id"], "COMMIT": record["commit"], "SESSION": session["session_id"], "MESSAGE": message["id"], "ITEM": item["id"],
        "PROPOSAL": proposal,
    }  # fmt: skip


def arguments_of(verb: Verb, prepared: dict[str, str]) -> dict[str, Any]:
    return {name: _filled(value, prepared) for name, value in CALLS[verb.name].items()}


def _filled(value: Any, prepared: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(each, prepared) for each in value]
    return prepared.get(value, value) if isinstance(value, str) else value


def answer_of(team: Team, verb: Verb, prepared: dict[str, str]) -> dict[str, Any]:
    given = arguments_of(verb, prepared)
    answer: dict[str, Any] = team.call(verb.name, project=given.pop("project", "web"), arguments=given)
    return answer


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_a_verb_says_what_it_is_for_in_at_most_three_sentences(verb: Verb):
    assert verb.summary
    assert verb.summary.rstrip(".").count(". ") <= 2
    assert len(verb.summary) <= 300


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_a_verb_describes_every_argument(verb: Verb):
    undescribed = [p.name for p in verb.parameters.values() if not p.description.strip()]
    assert not undescribed
    documented = set(verbs._described(verb.function))
    assert documented <= set(inspect.signature(verb.function).parameters)


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_a_verb_never_takes_its_author_from_an_argument(verb: Verb):
    forbidden = {"author", "owner", "claude_instance"} if verb.writes else set()
    assert not forbidden & set(verb.parameters)


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_the_schemas_of_a_verb_are_plain_json(verb: Verb):
    json.dumps(verb.schema)
    assert schema_of(verb)["type"] == "object"


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_an_unknown_argument_is_refused(verb: Verb):
    with pytest.raises(BadArgument, match="'no_such_thing' is not an argument"):
        verb.bind({"no_such_thing": 1})


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_a_read_moves_no_ref_and_a_write_makes_one_commit_with_its_name(verb: Verb, team: Team, prepared: dict[str, str]):
    before = team.memory.repository.refs.list("refs/")
    answer = answer_of(team, verb, prepared)
    after = team.memory.repository.refs.list("refs/")
    moved = [name for name in after if after[name] != before.get(name)]
    marked = [name for name in moved if name.startswith(MARKS)]
    assert all(git(team.memory.path, "cat-file", "-t", name).strip() == "blob" for name in marked)
    moved = [name for name in moved if name not in marked]
    if not verb.writes:
        assert verb.marks or not marked
        assert moved == []
        return
    assert len(moved) == REFS_MOVED.get(verb.name, 1)
    for name in moved:
        if name.startswith("refs/tags/"):
            assert after[name] in (after["refs/heads/main"], before.get(f"refs/heads/proposals/{prepared['PROPOSAL']}"))
            continue
        since = before["refs/heads/main"] if name.startswith("refs/heads/") else before.get(name)
        span = [after[name], "--first-parent", *([f"^{since}"] if since else [])]
        said = git(team.memory.path, "log", "--format=%an|%(trailers:key=Gitmem-Verb,valueonly)", *span).split()
        assert said == [f"ann|{verb.name}"]
    if verb.name != "start_session":  # its `commit` is the state of main that the briefing reflects
        assert answer["commit"] in after.values()


@pytest.mark.parametrize("verb", [pytest.param(verb, id=name) for name, verb in VERBS.items() if verb.writes])
def test_a_write_as_a_proposal_writes_nothing_else(verb: Verb, team: Team, prepared: dict[str, str]):
    given = arguments_of(verb, prepared) | {"as_proposal": "For a reason."}
    before = team.memory.repository.refs.list("refs/")
    project = given.pop("project", "web")
    if not verbs.proposable(verb):
        assert "cannot be proposed" in team.refusal(verb.name, project=project, arguments=given).message
        return
    answer = team.call(verb.name, project=project, arguments=given)
    after = team.memory.repository.refs.list("refs/")
    moved = {name for name in after if after[name] != before.get(name)}
    branch = f"refs/heads/proposals/{answer['proposal']}"
    assert moved == {branch, next(name for name in moved if name.startswith("refs/gitmem/reviews/"))}
    assert answer["commit"] == after[branch]


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_an_answer_fits_the_schema_that_was_promised(verb: Verb, team: Team, prepared: dict[str, str]):
    answer = answer_of(team, verb, prepared)
    jsonschema.validate(answer, schema_of(verb))
    jsonschema.validate(answer, told_schema(verb))


def test_every_verb_has_a_call_in_this_contract():
    assert set(CALLS) == set(VERBS)


@pytest.mark.parametrize("kind", [pytest.param(each, id=name) for name, each in KINDS.items()])
def test_a_kind_describes_itself_and_every_field(kind: Any):
    assert kind.record.__doc__
    assert all(f.description for f in kind.fields)
    assert set(Record.__struct_fields__) & {f.name for f in kind.fields} == set()


# The day of a receipt is matched as any folder is; what stands in these two was declared before it, and so comes first.
ALSO_MATCHED = {"notice": ["receipt"], "turn": ["receipt"]}


@pytest.mark.parametrize("kind", [pytest.param(each, id=name) for name, each in KINDS.items()])
def test_no_two_kinds_claim_one_path(kind: Kind):
    path = example(kind).path
    claiming = [each.name for each in KINDS.values() if each.record.ref == kind.record.ref and each.match(path) is not None]
    assert claiming == [kind.name, *ALSO_MATCHED.get(kind.name, ())]


@pytest.mark.parametrize("name", list(SECTIONS))
def test_a_section_says_what_it_is_and_what_reads_the_rest(name: str):
    section = SECTIONS[name]
    assert section.lines.__doc__
    assert section.more
    assert 0 < section.share <= 1


def subclasses(cls: type[GitmemError]) -> set[type[GitmemError]]:
    return {cls}.union(*(subclasses(each) for each in cls.__subclasses__()))


ERRORS = sorted((each for each in subclasses(GitmemError) if each.__module__.startswith("gitmem.")), key=lambda e: e.__name__)


def test_no_two_errors_have_one_name():
    names = Counter(error.__name__ for error in ERRORS)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.__name__)
def test_an_error_has_a_docstring_and_a_fix_that_destroys_nothing(error: type[GitmemError]):
    assert error.__doc__
    source = inspect.getsource(error)
    assert not any(word in source for word in ("rm -rf", "reset --hard", "push --force", "push -f"))
    assert all(fix is not None and not may_be_empty(fix) for fix in fixes(error, source))


def fixes(error: type[GitmemError], source: str) -> Iterator[ast.expr | None]:
    """What an error class passes on as its fix, or None where it should and does not."""
    if error is GitmemError or "fix" not in inspect.signature(error.mro()[1].__init__).parameters:
        return
    for call in (node for node in ast.walk(ast.parse(textwrap.dedent(source))) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
            yield next((keyword.value for keyword in call.keywords if keyword.arg == "fix"), None)


def may_be_empty(text: ast.expr) -> bool:
    match text:
        case ast.Constant(value=value):
            return not value
        case ast.IfExp(body=one, orelse=other):
            return may_be_empty(one) or may_be_empty(other)
        case _:
            return False


def test_the_nearest_words_are_suggested():
    assert errors.closest("quer", list(VERBS)) == ["query"]


def test_knowledge_keeps_its_place_in_the_layout(team: Team):
    answer = team.call("record_learning", topic="Retries back off", content="x")
    path = f"projects/web/knowledge/learning/{answer['id'][-8:-6]}/{answer['id']}.md"
    assert isinstance(team.memory.view().record(path), Knowledge)
