"""Transactions: one commit or nothing, re-run when they lost a race, refused when they break a rule."""

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitmem.domains.knowledge.record import Knowledge
from gitmem.errors import BadArgument, NotFound
from gitmem.memory.caller import Caller
from gitmem.memory.find import Ambiguous, find_path
from gitmem.memory.gate import GateRefused
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale, StorageFailed
from gitmem.memory.settings import NewerFormat
from gitmem.memory.view import Place
from gitmem.names import new_id, now
from tests.conftest import git
from tests.git.test_refs import fail_to_flush

ANN = Caller("ann", "declared", session="web_ann_12345678")


def learning(title: str = "Retries", **fields: object) -> Knowledge:
    return Knowledge(**{"scope": "shared", "id": new_id(title), "title": title, "created": now(), "content": "Body."} | fields)  # type: ignore[arg-type]


def put(memory: Memory, record: Knowledge) -> Knowledge:
    with memory.transaction(memory.view(), ANN, f"learning: {record.title}", verb="record_learning") as change:
        return change.put(record)


def test_a_transaction_is_one_commit_with_author_and_trailers(memory: Memory):
    record = put(memory, learning("Retries back off"))
    assert git(memory.path, "log", "--format=%an|%s|%(trailers:only,unfold)", "main").strip().splitlines() == [
        "ann|learning: Retries back off|Gitmem-Verb: record_learning",
        "Gitmem-Session: web_ann_12345678",
    ]
    assert git(memory.path, "show", f"main:{record.path}").startswith("---\ntitle: Retries back off\n")
    assert record.version == git(memory.path, "rev-parse", f"main:{record.path}").strip()


def test_nothing_is_committed_when_nothing_changes(memory: Memory):
    record = put(memory, learning())
    head = memory.head()
    put(memory, record)
    assert memory.head() == head


def test_nothing_is_committed_when_the_block_raises(memory: Memory):
    with pytest.raises(ZeroDivisionError), memory.transaction(memory.view(), ANN, "x") as change:
        change.put(learning(title=str(1 / len(change.put(learning()).extra))))
    assert memory.head() == ""


def test_a_write_that_the_disk_does_not_confirm_is_not_there_and_can_be_repeated(memory: Memory, monkeypatch: pytest.MonkeyPatch):
    put(memory, learning("First"))
    fail_to_flush(monkeypatch, memory.path / "refs/heads")
    with pytest.raises(StorageFailed, match="Nothing of this change is kept"):
        put(memory, learning("Second"))
    monkeypatch.undo()
    put(memory, learning("Second"))
    assert [record.title for record in memory.view().records(Knowledge)].count("Second") == 1


def test_all_problems_of_a_transaction_are_listed_and_nothing_lands(memory: Memory):
    change = memory.transaction(memory.view(), ANN, "x")
    change.put(learning())
    change.put(learning("x" * 300, content="y" * 60_000))
    change.put(learning("Bad", tags=("",)))
    with pytest.raises(GateRefused) as refused:
        change.land()
    assert {problem.field for problem in refused.value.problems} == {"title", "content", "tags"}
    assert memory.head() == ""


def test_a_write_made_from_an_old_snapshot_lands_if_nobody_touched_what_it_read(memory: Memory):
    view = memory.view()
    put(memory, learning("First"))
    with memory.transaction(view, ANN, "second") as change:
        change.put(learning("Second"))
    assert len(list(memory.view().records(Knowledge))) == 2


def test_a_write_made_from_an_old_version_of_its_record_is_stale(memory: Memory):
    record = put(memory, learning())
    view = memory.view()
    put(memory, replace(record, content="Theirs."))
    with pytest.raises(Stale) as stale, memory.transaction(view, ANN, "mine") as change:
        change.put(replace(record, content="Mine."))
    assert stale.value.paths == [record.path]
    assert memory.view().get(Knowledge, record.path).content == "Theirs."


def test_a_write_that_depends_on_a_record_it_only_read_is_stale_when_that_changes(memory: Memory):
    rule = put(memory, learning("Rule"))
    view = memory.view()
    view.get(Knowledge, rule.path)
    put(memory, replace(rule, content="Changed."))
    with pytest.raises(Stale), memory.transaction(view, ANN, "follows the rule") as change:
        change.put(learning("Follower"))


def test_writes_of_many_threads_all_land_once_each_a_commit_of_its_own(memory: Memory):
    barrier = threading.Barrier(12)

    def work(number: int) -> None:
        barrier.wait()
        for step in range(10):
            put(memory, learning(f"Thread {number} step {step}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert git(memory.path, "rev-list", "--count", "main").strip() == "120"
    assert len(list(memory.view().records(Knowledge))) == 120
    memory.upkeep.close()  # git complains of a pack that is folded away while it looks
    assert "error" not in git(memory.path, "fsck", "--strict")


def test_what_empties_a_place_may_be_followed_by_others_in_the_same_flush(memory: Memory):
    last = put(memory, learning())
    changes = [memory.transaction(memory.view(), ANN, "edit") for _ in range(3)]
    changes[0].delete(last.path)
    added = [each.put(learning()) for each in changes[1:]]
    threads = [threading.Thread(target=each.land) for each in changes]
    with memory.writer.alone():
        for place, thread in enumerate(threads, 1):
            thread.start()
            while len(memory.writer._queue) <= place:  # until it waits as well, behind who is alone
                pass
    for thread in threads:
        thread.join()
    assert {each.id for each in memory.view().records(Knowledge)} == {each.id for each in added}


def test_a_place_beside_main_has_its_own_history(memory: Memory):
    from gitmem.domains.sessions import LiveSession

    place = Place("sessions", "web")
    with memory.transaction(memory.view(place), ANN, "session starts") as change:
        change.put(LiveSession(scope="projects/web", id="web_ann_12345678", agent="ann", started=now()))
    assert memory.head() == ""
    assert [s.project for s in memory.view(place).records(LiveSession)] == ["web"]
    assert git(memory.path, "ls-tree", "--name-only", "refs/gitmem/sessions/web").split() == ["web_ann_12345678.yaml"]


def test_a_record_is_found_by_any_unambiguous_start_of_its_hex_digits(memory: Memory):
    one = put(memory, learning(id="retries-3fa2b81c"))
    put(memory, learning("Other", id="other-3fa2c000"))
    view = memory.view()
    for part in ("retries-3fa2b81c", "3fa2b81c", "3fa2b"):
        assert find_path(view, part) == one.path
    assert view.reads == {}
    with pytest.raises(Ambiguous):
        find_path(view, "3fa2")
    with pytest.raises(NotFound):
        find_path(view, "ffffffff")
    with pytest.raises(BadArgument):
        find_path(view, "../../etc/passwd")


def test_the_past_is_read_by_commit_date_or_age(memory: Memory):
    record = put(memory, learning())
    first = memory.head()
    put(memory, replace(record, content="Newer."))
    assert memory.view_as_of(first[:8]).get(Knowledge, record.path).content == "Body."
    assert memory.view_as_of("0s").get(Knowledge, record.path).content == "Newer."
    with pytest.raises(NotFound):
        memory.view_as_of("2001-01-01")
    with pytest.raises(BadArgument):
        memory.view_as_of("whenever")


def test_a_memory_of_a_newer_format_is_refused_and_untouched(tmp_path: Path, memory: Memory):
    work = tmp_path / "work"
    git(tmp_path, "clone", "-q", str(memory.path), str(work))
    (work / "gitmem.yaml").write_text("format: 99\n")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "from the future")
    git(work, "push", "-q", "origin", "HEAD:main")
    with pytest.raises(NewerFormat, match="99"):
        Memory(memory.path)


def test_a_transaction_may_be_larger_than_any_cache(memory: Memory):
    with memory.transaction(memory.view(), ANN, "many") as change:
        for number in range(2500):
            change.put(learning(f"Number {number}"))
    assert len(list(memory.view().records(Knowledge))) == 2500


def test_an_edit_beside_it_does_not_disturb_who_only_listed_the_names(memory: Memory):
    record = put(memory, learning(id="retries-3fa2b81c"))
    folder = record.path.rpartition("/")[0]
    view = memory.view()
    assert view.names(folder) == ["retries-3fa2b81c.md"]
    put(memory, replace(record, content="Changed."))
    with memory.transaction(view, ANN, "other") as change:
        change.put(learning("Other", id="other-aaaaaaaa"))
    view = memory.view()
    view.names(folder)
    put(memory, learning("Beside", id="beside-3fffffff"))
    with pytest.raises(Stale), memory.transaction(view, ANN, "other") as change:
        change.put(learning("Another", id="another-bbbbbbbb"))


def test_a_call_that_stands_in_line_may_stand_in_line_again_for_a_part_of_it(memory: Memory):
    with memory.writer.in_line(), memory.writer.in_line():
        put(memory, learning())

    def stand() -> None:
        with memory.writer.in_line():
            pass

    other = threading.Thread(target=stand, daemon=True)
    other.start()
    other.join(timeout=10)
    assert not other.is_alive()  # both places were given up
