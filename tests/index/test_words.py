from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitmem.domains.knowledge.record import Knowledge
from gitmem.git.repository import Repository
from gitmem.index.analysis import code_words, words
from gitmem.index.passages import PASSAGE_MAX, WHOLE_MAX, sections
from gitmem.index.search import Index
from gitmem.index.snippet import SNIPPET_MAX, snippet
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from tests.index.conftest import Write


@pytest.mark.parametrize(
    ("content", "question"),
    [
        ("def retryWithBackoff(): pass", "retryWithBackoff"),
        ("def retryWithBackoff(): pass", "retry_with_backoff"),
        ("def retryWithBackoff(): pass", "backoff of retries"),
        ("see src/utils/resilience.py for it", "src/utils/resilience.py"),
        ("see src/utils/resilience.py for it", "resilience.py"),
        ("see src/utils/resilience.py for it", "resilience"),
        ("uses http.client.HTTPConnection", "http.client.HTTPConnection"),
        ("uses http.client.HTTPConnection", "HTTPConnection"),
        ("uses http.client.HTTPConnection", "connection"),
        ("set MAX_RETRY_COUNT to 5", "max retry count"),
        ("Crème brûlée in the café", "creme brulee cafe"),
        ("Creme brulee in the cafe", "Crème brûlée"),
        ("Cre\u0300me", "crème"),
        ("Ärger in Straßen", "arger"),
        ("検索エンジンの設定", "検索"),
        ("検索エンジンの設定", "設定"),
        ("検索エンジンの設定", "定"),
        ("数据库连接池", "连接"),
        ("데이터베이스 연결", "연결"),
        ("Настройка базы данных", "базы"),
        ("the database is locked", "db"),
        ("authentication by token", "auth"),
        ("reconfiguring needs a restart", "restarts"),
        ("configuration of pools", "configurat"),
        ("the semaphore is released", "semaphroe"),
    ],
)
def test_it_is_found(memory: Memory, index: Index, write: Write, content: str, question: str) -> None:
    write("Elsewhere", "something quite different")
    index.search("x", view=memory.view())
    record = write("Here", content)
    for _ in range(2):
        assert [hit.path for hit in index.search(question, view=memory.view()).hits] == [record.path]
        index.fold()


@pytest.mark.parametrize(
    "question",
    ["don't panic", "panic)", "((panic", "path: panic", "path:panic", "* panic", '"panic', "panic AND", "panic^2", "panic~", "title:panic OR [a TO b]", "-panic", "\\panic", "panic\x00"],
)
def test_punctuation_in_questions_means_nothing(memory: Memory, index: Index, write: Write, question: str) -> None:
    record = write("Here", "panic is not an option")
    other = write("There", "calm")
    assert [hit.path for hit in index.search(question, view=memory.view()).hits] == [record.path]
    assert other.path not in [hit.path for hit in index.search("*", view=memory.view()).hits]


def test_questions_of_stop_words_alone_still_ask_for_them(memory: Memory, index: Index, write: Write) -> None:
    record = write("Quote", "to be or not to be")
    assert [hit.path for hit in index.search("to be or not", view=memory.view()).hits] == [record.path]


def test_the_title_counts_more_than_the_text(memory: Memory, index: Index, write: Write) -> None:
    write("Other", "something about deadlocks in passing")
    record = write("Deadlocks", "something else that happens in passing")
    assert index.search("deadlocks", view=memory.view()).hits[0].path == record.path


def test_an_overlong_question_is_answered(memory: Memory, index: Index, write: Write) -> None:
    record = write("Needle", "needle")
    text = " ".join(f"word{number}" for number in range(5000)) + " needle"
    index.search(text, view=memory.view())
    assert index.search("needle " + text, view=memory.view()).hits[0].path == record.path


def test_identifiers_are_indexed_whole_and_in_parts() -> None:
    assert code_words("call parseHTTPHeader in a.b_c") == "parse http header abc"
    assert code_words("plain words only, of course.") == ""
    assert words("Don't split_me") == ["don", "t", "split", "me"]


def test_long_bodies_are_cut_at_headings_but_not_inside_code() -> None:
    filler = "x" * 750
    body = f"intro\n\n# One\n{filler}\n\n```\n# no heading\n```\n\n## Two\n{filler}"
    assert [heading for heading, _ in sections(body)] == ["", "One", "Two"]
    assert sections("# short\n\ntext") == [("", "# short\n\ntext")]


def test_a_heading_is_named_without_its_closing_marks_and_one_of_marks_alone_is_kept() -> None:
    filler = "x" * 1600
    assert [heading for heading, _ in sections(f"## One ## \t\n{filler}\n# ###\n{filler}")] == ["One", "One", "#", "#"]


@given(st.text(alphabet="ab \n.é", max_size=3000).map(lambda text: text * 3))
def test_sections_lose_nothing_and_are_short(body: str) -> None:
    pieces = sections(body)
    assert all(len(text) <= (PASSAGE_MAX if len(body) > WHOLE_MAX else WHOLE_MAX) for _, text in pieces)
    assert "".join("".join(text.split()) for _, text in pieces) == "".join(body.split())


@given(st.text(max_size=2000), st.sets(st.text(min_size=1, max_size=6)))
def test_snippets_are_one_short_line(text: str, wanted: set[str]) -> None:
    shown = snippet(text, wanted)
    assert "\n" not in shown
    assert len(shown) <= SNIPPET_MAX + 4


_WORDS = ["alpha", "beta", "gamma", "delta", "retryWithBackoff", "src/a.py"]
_EDIT = st.tuples(st.integers(0, 4), st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4) | st.none(), st.booleans())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_EDIT, min_size=1, max_size=3), min_size=1, max_size=6))
def test_any_edits_are_answered_as_by_an_index_made_anew(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[int, list[str] | None, bool]]]
) -> None:
    path: Path = tmp_path_factory.mktemp("memory") / "memory.git"
    Repository.init(path)
    memory = Memory(path)
    index = Index(memory)
    commits = []
    for step in steps:
        with memory.transaction(memory.view(), Caller("ada"), "edit") as change:
            for number, text, _ in step:
                record = Knowledge(id=f"n-00000{number}", title=f"Record {number}", content=" ".join(text or []))
                if text is not None:
                    change.put(record)
                elif memory.view().entry(record.path) is not None:
                    change.delete(record.path)
        answers(index, memory, memory.head())
        commits.append(memory.head())
        if step[0][2]:
            index.fold()
    followed = [answers(index, memory, commit) for commit in commits]
    index.rebuild()
    assert [answers(index, memory, commit) for commit in commits] == followed
    index.close()
    memory.close()


def answers(index: Index, memory: Memory, commit: str) -> list[object]:
    view = memory.view(commit=commit)
    told: list[object] = [index.count(view=view, by="kind"), index.paths("memory_type", "learning", view=view)]
    for word in [*_WORDS, "record", ""]:
        found = index.search(word, view=view, limit=20)
        hits = sorted((hit.path, hit.snippet, hit.updated, hit.updated_by) for hit in found.hits)
        told.append((found.total, found.searched, found.commit, hits))
    return told
