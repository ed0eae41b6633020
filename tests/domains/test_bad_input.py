"""What agents, scripts and attackers send by mistake or on purpose: refused whole with a fix, or kept byte for byte."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitmem import verbs
from gitmem.errors import GitmemError
from gitmem.memory.gate import BODY_MAX_BYTES
from gitmem.memory.memory import Memory
from gitmem.verbs import VERBS
from tests.conftest import Team, git
from tests.proofs.workers import Agent, make


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    path = tmp_path_factory.mktemp("bad") / "memory.git"
    make(path)
    one = Agent(path)
    one.call("record_learning", topic="First", content="One.\n\n## Fix\n\nTwo.", tags=["postgres"])
    yield one
    one.close()


def refused(one: Agent, verb: str, /, **arguments: Any) -> GitmemError:
    """The refusal of a call, which says what helps and has written nothing."""
    before = git(one.memory.path, "for-each-ref")
    with pytest.raises(GitmemError) as caught:
        one.call(verb, **arguments)
    error = caught.value
    assert error.message.strip()
    assert error.fix.strip()
    assert len(str(error)) < 4000, "an error must not send back what was sent"
    str(error).encode()  # a half character or the like cannot be sent to anybody
    assert "\x00" not in str(error)
    assert git(one.memory.path, "for-each-ref") == before
    return error


def answer_of(one: Agent, verb: str, /, **arguments: Any) -> Any:
    """What a call answers; None if it is refused, as it should be, with a fix."""
    try:
        return one.call(verb, **arguments).value
    except GitmemError as error:
        refusal = error
    assert refusal.message
    assert refusal.fix
    assert len(str(refusal)) < 4000
    str(refusal).encode()
    return None


def as_agent(one: Agent, *, name: str = "ann", project: str = "web") -> Agent:
    other = Agent.__new__(Agent)
    other.memory, other.index, other.name, other.project = one.memory, one.index, name, project
    return other


def first(one: Agent) -> str:
    found = one.call("query", query="First").value.results
    return str(found[0].id)


# --- names ------------------------------------------------------------------------------------------

BAD_NAMES = {
    "dots": "..", "parent": "../../etc/passwd", "inner dots": "a..b", "slash": "a/b", "backslash": "a\\b", "nul": "a\x00b",
    "long": "x" * 300, "huge": "x" * 1_000_000, "emoji": "café-🚀", "upper": "Web", "space": "a b", "line": "a\nb", "reserved": "con",
    "reserved with ending": "nul.txt", "shared": "shared", "lock": "web.lock", "git": "web.git", "dash": "-rf", "dot": ".hidden",
    "blank": " ", "half a character": "a\ud800b", "bidi": "a\u202eb", "glob": "*", "brackets": "{scope}", "format": "%s%n", "quote": "a'b",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_project_cannot_have_a_name_that_is_no_name(ann: Agent, name: str):
    refused(ann, "project", action="create", name=name)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_member_cannot_have_a_name_that_is_no_name(ann: Agent, name: str):
    refused(ann, "project", action="add_agent", name="web", member=name)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
@pytest.mark.parametrize("verb", ["record_learning", "query", "list_sessions", "start_session", "project"])
def test_a_project_that_is_no_name_is_unknown_and_nothing_is_read_there(ann: Agent, verb: str, name: str):
    needed: dict[str, dict[str, Any]] = {
        "record_learning": {"topic": "x", "content": "y"}, "query": {"query": "x"}, "project": {"action": "get", "name": name},
    }
    refused(as_agent(ann, project=name), verb, **needed.get(verb, {}))


def test_an_unknown_project_names_near_ones(ann: Agent):
    error = refused(as_agent(ann, project="wep"), "query", query="x")
    assert "'wep'" in error.message
    assert "Did you mean web?" in error.fix


@pytest.mark.parametrize("record_id", [
    "../../projects/web/project.yaml", "projects/web/project.yaml", "/etc/passwd", "", " ", "x", "first-", "zzzz", "*", "first-\x00",
    "a" * 5000, "🚀", "\ud800", "first/../first", "0" * 41, "README.md", "HEAD", "refs/heads/main", "-1",
])  # fmt: skip
@pytest.mark.parametrize("verb", ["get_by_id", "edit", "change_status", "delete", "history", "blame", "diff", "related", "revert"])
def test_an_id_that_is_none_is_refused(ann: Agent, verb: str, record_id: str):
    needed: dict[str, dict[str, Any]] = {
        "edit": {"operation": "append", "text": "x"}, "change_status": {"new_status": "deprecated"},
        "delete": {"reason": "x"}, "revert": {"version": "0" * 40},
    }
    refused(ann, verb, id=record_id, **needed.get(verb, {}))


@pytest.mark.parametrize("session", ["../x", "x/y", "\x00", "🚀", "x" * 500, "", "nobody_12345678", "\ud800"])
def test_a_session_that_is_none_is_refused(ann: Agent, session: str):
    refused(ann, "get_session", id=session)


@pytest.mark.parametrize(("asked", "is_proposed"), [("False", False), (" false ", False), ("TRUE", True), ("as agreed", True)])
def test_a_word_for_true_or_false_is_one_where_a_reason_may_stand(team: Team, asked: str, is_proposed: bool):
    answer = team.call("record_learning", topic="t", content="c", as_proposal=asked)
    assert ("proposal" in answer) == is_proposed


def test_a_reason_that_cannot_be_kept_leaves_no_proposal_behind(ann: Agent):
    assert "surrogate" in str(refused(ann, "record_learning", topic="t", content="c", as_proposal="\ud800x"))


@pytest.mark.parametrize("version", ["zzzz", "0000000", "../x", "--all", "-1", "HEAD", "\x00", "x" * 5000, "🚀"])
def test_a_version_that_is_none_is_refused(ann: Agent, version: str):
    refused(ann, "revert", id=first(ann), version=version)
    refused(ann, "edit", id=first(ann), operation="append", text="x", if_version=version)
    refused(ann, "diff", id=first(ann), from_version=version)


# --- titles, tags, texts ----------------------------------------------------------------------------

BAD_TITLES = {"empty": "", "blank": " \t ", "lines": "a\nb", "carriage return": "a\rb", "nul": "a\x00b", "escape": "\x1b[31mred",
              "long": "x" * 300, "half a character": "\udfff"}


@pytest.mark.parametrize("title", BAD_TITLES.values(), ids=BAD_TITLES.keys())
def test_a_title_is_one_line_of_plain_text(ann: Agent, title: str):
    refused(ann, "record_learning", topic=title, content="x")
    refused(ann, "edit", id=first(ann), operation="set_fields", fields={"title": title})


BAD_TAGS: dict[str, list[str]] = {"lines": ["a\nb"], "nul": ["a\x00"], "long": ["x" * 300], "half a character": ["\ud83d"], "several in one": ["a,b"],
                                  "many": [f"t{n}" for n in range(31)], "very many": [f"t{n}" for n in range(100_000)]}


@pytest.mark.parametrize("tags", BAD_TAGS.values(), ids=BAD_TAGS.keys())
def test_tags_are_a_few_short_lines(ann: Agent, tags: list[str]):
    refused(ann, "record_learning", topic="x", content="x", tags=tags)


@pytest.mark.parametrize("title", ["café-🚀", "../../etc/passwd", "con", "---", "- item", "a: b", "[x](y)", "null", "1.10", "2026-01-31",
                                   "!!python/object x", "'", "#", "x" * 200, "日本語", "\u202eevil", "{scope}", "%s", "yes"])
def test_any_one_line_is_a_title_and_comes_back_as_it_was(ann: Agent, title: str):
    made = ann.call("store", title=title, content=f"About {title!r}.", tags=[title[:60]], force=True).value
    found = ann.call("get_by_id", id=made.id).value
    assert (found.title, found.tags) == (title, (title[:60],))
    assert found.path.startswith("projects/web/knowledge/learning/")
    assert found.path.isascii()


def test_a_body_over_the_cap_says_its_size_and_the_cap(ann: Agent):
    for text in ("x" * (BODY_MAX_BYTES + 1), "é" * (BODY_MAX_BYTES // 2 + 1)):
        error = refused(ann, "record_learning", topic="Long", content=text)
        assert f"{len(text.encode()):,} bytes" in error.message
        assert "51,200" in error.message


def test_a_body_of_exactly_the_cap_is_kept(ann: Agent):
    text = "word " * (BODY_MAX_BYTES // 5)
    made = ann.call("store", title="Full", content=text.rstrip() + "s", force=True).value
    assert ann.call("get_by_id", id=made.id).value.content == text.rstrip() + "s"


def test_edits_cannot_make_a_body_grow_over_the_cap(ann: Agent):
    made = ann.call("store", title="Growing", content="word " * 10_000, force=True).value
    refused(ann, "edit", id=made.id, operation="append", text="word " * 1000)
    refused(ann, "edit", id=made.id, operation="find_replace", find="word", text="longer word", expected_count=10_000)


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\ud800"])
def test_a_body_holds_no_control_or_half_character(ann: Agent, character: str):
    refused(ann, "record_learning", topic="x", content=f"a{character}b")


BODIES = {
    "front matter": "---\ntitle: not mine\nstatus: archived\n---\n\nText.",
    "fence at the start": "---",
    "fence at the end": "Text.\n\n---",
    "fences": "---\n---\n---",
    "python object": "!!python/object/apply:os.system ['true']",
    "yaml": "a: &a [1]\nb: *a\n<<: *a\n...\n%YAML 1.1",
    "conflict markers": "```\n<<<<<<< HEAD\nmine\n=======\ntheirs\n>>>>>>> theirs\n```",
    "markdown": "# A\n\n```\n---\n```\n\n| a | b |\n|---|---|",
    "html": "<script>alert(1)</script>\n<!-- x -->",
    "template": "{{ x }} {scope} %s $(true) `true` ${HOME}",
    "unicode": "日本語 🚀 é e\u0301 \u202e \u200b \ufeff \u2028 \u2029 \x85 end",
    "leading bom": "\ufeffText.",
    "tabs": "\tindented\n\t\tmore\n    code",
    "trailing spaces": "a  \nb\t\nc",
    "blank lines": "a\n\n\n\n\nb",
    "one character": "x",
    "trailers": "Text.\n\nGitmem-Verb: forged\nCo-authored-by: eve <e@x>",
    "wiki links": "[[x]] [[../../etc]] [[]] [[a|b]]",
}


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES.keys())
def test_any_text_comes_back_as_it_was(ann: Agent, text: str):
    made = ann.call("store", title="Kept", content=text, force=True).value
    assert ann.call("get_by_id", id=made.id).value.content == text.strip("\n")
    reopened = Memory(ann.memory.path)
    assert reopened.view().record(f"projects/web/knowledge/learning/{made.id[-8:-6]}/{made.id}.md").content == text.strip("\n")
    reopened.close()
    ann.call("edit", id=made.id, operation="append", text=text)
    assert ann.call("get_by_id", id=made.id).value.content == f"{text}\n\n{text}".strip("\n")
    assert ann.call("get_by_id", id=made.id).value.title == "Kept"


@pytest.mark.parametrize("text", ["x\nGitmem-Verb: forged", "a\n\nGitmem-Key: admin", "\n\nauthor eve <e@x> 1 +0000"])
def test_no_text_forges_a_trailer_of_its_commit(ann: Agent, text: str):
    ann.call("change_status", id=first(ann), new_status="deprecated", reason=text)
    ann.call("change_status", id=first(ann), new_status="active", reason=text)
    shown = git(ann.memory.path, "log", "-1", "--format=%an|%(trailers:key=Gitmem-Verb,valueonly,separator=%x2C)|%(trailers:key=Gitmem-Key,valueonly)", "main")
    assert shown.strip() == "ann|change_status|"


@pytest.mark.parametrize("name", ["eve <e@x>", "eve\nauthor x", "eve\x00", "", " ", "<>", "e" * 5000, "🚀", "\ud800"])
def test_an_agents_name_never_breaks_a_commit(ann: Agent, name: str):
    """A name comes from a key, a client or a person's configuration; facades check it, and the writer holds out anyway."""
    eve = as_agent(ann, name=name)
    answer_of(eve, "record_learning", topic=f"By {len(name)}", content=f"{name!r}")
    ann.memory.upkeep.close()  # fsck complains of packs that are folded under its eyes
    assert "error" not in git(ann.memory.path, "fsck", "--strict")


# --- arguments --------------------------------------------------------------------------------------


def test_an_unknown_argument_names_the_nearest(ann: Agent):
    error = refused(ann, "record_learning", topic="x", contents="y")
    assert "'contents' is not an argument, did you mean 'content'?" in error.message


def test_an_unknown_tool_names_near_ones(ann: Agent):
    with pytest.raises(GitmemError) as caught:
        verbs.find("record_lerning")
    assert "record_learning" in caught.value.fix
    with pytest.raises(GitmemError):
        verbs.find("x" * 100_000)


def test_all_problems_of_a_call_are_listed_at_once(ann: Agent):
    error = refused(ann, "store", titel="x", content=7, memory_type="learnin", tags={"a": 1}, expires_in_days="soon", force="maybe")
    for part in ("'titel'", "content is 7, not text", "memory_type is 'learnin', not one of", "tags", "expires_in_days", "force", "title is missing"):
        assert part in error.message, part


def test_all_problems_of_a_record_are_listed_at_once(ann: Agent):
    error = refused(ann, "store", title="x" * 300, content="a\x00", tags=["x" * 100], links=[{"rel": "BAD REL", "to": "x"}])
    for part in ("title has 300", "content holds the control", "tags item", "links has the relation"):
        assert part in error.message, part


WRONG: list[Any] = [None, True, 7, -1, 1.5, float("nan"), [], [[]], [None], {}, {"a": {"b": []}}, "", "\x00", "x" * 100_000, 10**30, "10" * 30, ["\ud800"], {"\ud800": 1},
                    "--5", "[" * 100_000, '{"a":' * 100_000, "\x1b[2J", ["\x1b[2J"], [{"name": "x", "desc": "\x1b[2J"}],
                    {"name": "\x1b[2J", "version": "\x1b[2J"}]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_no_value_of_any_argument_of_a_verb_gets_anything_but_an_answer_or_a_refusal(ann: Agent, verb: str):
    called = VERBS[verb]
    good = {
        "action": "get", "name": "web", "topic": "x", "title": "x", "content": "x", "id": first(ann), "operation": "append", "text": "x",
        "new_status": "active", "tag": "t", "reason": "x", "query": "x", "version": "0" * 40, "summary": "x", "task_description": "x",
    }
    needed = {name: good.get(name, "x") for name, parameter in called.parameters.items() if parameter.required}
    patience = {"timeout_seconds": 0} if called.waits else {}
    for name in (*called.parameters, "as_proposal"):
        for value in WRONG:
            waits_long = name in patience and (value is None or (isinstance(value, (int, float)) and value > 0))
            if not waits_long:
                answer_of(as_agent(ann, name="mallory"), verb, **needed | patience | {name: value})


# --- queries ----------------------------------------------------------------------------------------

QUERIES = {
    "empty": "", "blank": "  ", "star": "*", "stars": "** *a* ?", "quote": '"', "open phrase": '"postgres', "brackets": "(((", "braces": "}{][",
    "field": "title:x path:/etc", "operators": "AND OR NOT", "minus": "-postgres", "plus": "+", "colon": ":", "slash": "/a/", "regex": "(a+)+$",
    "caret": "x^1000", "tilde": "x~99", "backslash": "\\", "nul": "a\x00b", "emoji": "🚀", "unicode": "日本語 \u202e \ufeff", "range": "[a TO z]",
    "words": "word " * 20_000, "one long word": "x" * 100_000, "many words": " ".join(f"w{n}" for n in range(15_000)), "path": "../../etc/passwd",
    "letters": " ".join("abcdefghijklmnopqrstuvwxyz"), "camel": "aB" * 5000, "snake": "a_" * 5000, "dots": "a." * 5000, "cjk": "日" * 10_000,
}


@pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES.keys())
@pytest.mark.parametrize("verb", ["query", "search_global"])
def test_any_query_is_answered_or_refused(ann: Agent, verb: str, text: str):
    answer = answer_of(ann, verb, query=text)
    assert answer is None or len(answer.results) <= 5


@pytest.mark.parametrize("limit", [-1, 0, -(10**9), "-5"])
def test_a_limit_below_one_is_refused(ann: Agent, limit: Any):
    for verb in ("query", "list_sessions", "recent_changes"):
        assert "1 to " in refused(ann, verb, limit=limit, **({"query": "x"} if verb == "query" else {})).fix


@pytest.mark.parametrize("limit", [10**9, 10**18, "5"])
def test_a_large_limit_is_answered_with_a_sensible_number(ann: Agent, limit: Any):
    assert len(ann.call("query", query="x", limit=limit).value.results) <= 50
    ann.call("list_sessions", limit=limit)
    ann.call("recent_changes", limit=limit)


@pytest.mark.parametrize("cursor", ["-1", "x", "9" * 30, "1.5", "\x00", "٣", "²", " 1"])
def test_a_cursor_that_is_none_is_refused_or_beyond_the_end(ann: Agent, cursor: str):
    answer = answer_of(ann, "query", query="first", cursor=cursor)
    assert answer is None or answer.results == ()


@pytest.mark.parametrize("when", ["whenever", "0000", "2026-13-45", "-7d", "99999999d", "999999w", "0001-01-01", "9999-99-99", "HEAD", "main",
                                  "../x", "\x00", "\ud800", "zzzz", "f" * 41, "x" * 100_000, "1970-01-01T00:00:00+99:00", "٣d",
                                  "0001-01-01T00:00:00+23:00"])  # fmt: skip
def test_a_moment_that_is_none_is_refused(ann: Agent, when: str):
    refused(ann, "query", query="x", as_of=when)


@pytest.mark.parametrize("days", [-1, 0, 10**5, 10**6, 10**9, 10**18, -(10**18)])
def test_any_number_of_days_is_answered_or_refused(ann: Agent, days: int):
    answer_of(ann, "query", query="x", updated_within_days=days)
    answer_of(ann, "store", title=f"Days {days}", content=str(days), expires_in_days=days)


def test_after_all_this_the_memory_is_sound(ann: Agent):
    assert "error" not in git(ann.memory.path, "fsck", "--strict")
    fresh = Agent(Path(ann.memory.path))
    assert fresh.call("query", query="First").value.results
    fresh.close()


@pytest.mark.parametrize(("verb", "arguments"), [
    ("project", {"action": "create", "name": "x", "description": "a\x00b\x1b[2J"}),
    ("project", {"action": "add_agent", "name": "web", "member": "bob", "role": "r\x1b[2J"}),
    ("project", {"action": "add_agent", "name": "web", "member": "bob", "paths": ["src/\x1b"]}),
    ("store", {"title": "x", "content": "y", "interface": {"name": "\x1b\x00\n"}}),
    ("store", {"title": "x", "content": "y", "interface": {"name": "x", "version": "\x1b"}}),
])  # fmt: skip
def test_no_field_takes_control_characters(ann: Agent, verb: str, arguments: dict[str, Any]):
    assert "control character" in str(refused(ann, verb, **arguments))


def test_no_handoff_takes_control_characters(team: Team):
    team.call("start_session")
    assert "control character" in str(team.refusal("end_session", summary="x", learnings=["\x1b[2J\x00evil"]))


@pytest.mark.parametrize("line_break", ["\n", "\r", "\u2028", "\u2029", "\x85", "\x0b"])
def test_what_is_told_in_a_line_holds_nothing_that_a_reader_takes_for_a_line_break(team: Team, line_break: str):
    title = f"one{line_break}## two"
    assert "line break" in str(team.refusal("add_backlog_item", title=title))
    assert "line break" in str(team.refusal("lock_files", files=["src/"], reason=title))
