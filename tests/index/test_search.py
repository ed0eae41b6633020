import json
import subprocess
import sys
from datetime import UTC, datetime

from msgspec.structs import replace

from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.projects import Project
from gitmem.index.search import Index
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from tests.index.conftest import Open, Write


def paths(index: Index, memory: Memory, text: str, **more) -> list[str]:
    return [hit.path for hit in index.search(text, view=memory.view(), **more).hits]


def test_an_empty_memory_has_no_hits(memory: Memory, index: Index) -> None:
    found = index.search("anything", view=memory.view())
    assert found.hits == ()
    assert (found.total, found.searched, found.rebuilding) == (0, 0, False)
    assert index.paths("kind", "knowledge", view=memory.view()) == []
    assert index.count(view=memory.view(), by="scope") == {}


def test_a_record_is_found_right_after_it_is_written(memory: Memory, index: Index, write: Write) -> None:
    first = write("Retries need jitter", "Without jitter all clients come back at once.")
    assert paths(index, memory, "jitter") == [first.path]
    second = write("Timeouts", "Every call has a deadline, and jitter on top.")
    assert set(paths(index, memory, "jitter")) == {first.path, second.path}
    assert paths(index, memory, "deadlines of calls") == [second.path]


def test_a_hit_tells_its_last_change_and_the_words_around_the_match(memory: Memory, index: Index, write: Write) -> None:
    write("Old", "nothing here", by="bob")
    index.search("x", view=memory.view())
    record = write("Pools", "Connections are kept.\n\nThe pool holds at most ten sockets.", by="eve")
    hit = index.search("sockets", view=memory.view(), explain=True).hits[0]
    assert hit.path == record.path
    assert hit.updated_by == "eve"
    assert hit.updated == memory.repository.objects.commit(memory.head()).time
    assert hit.snippet == "Connections are kept. The pool holds at most ten sockets."
    assert hit.section == ""
    assert hit.explain[0].startswith("text: socket ")
    index.fold()
    assert index.commit == memory.head()
    folded = index.search("sockets", view=memory.view()).hits[0]
    assert replace(folded, score=0.0) == replace(hit, score=0.0, explain=())


def test_another_memory_on_the_same_path_finds_it_too(memory: Memory, index: Index, write: Write, open_index: Open) -> None:
    write("One", "alpha")
    assert len(paths(index, memory, "alpha")) == 1
    other = Memory(memory.path)
    elsewhere = open_index(other)
    record = write("Two", "alpha", into=other)
    assert len(paths(elsewhere, other, "alpha")) == 2
    assert elsewhere.fold()
    assert len(paths(index, memory, "alpha")) == 2
    write("Three", "alpha")
    assert len(paths(elsewhere, other, "alpha")) == 3
    assert not index.fold() or index.commit == memory.head()
    assert record.path in paths(index, memory, "two")
    other.close()


def test_another_process_finds_it_too(memory: Memory, index: Index, write: Write) -> None:
    write("One", "alpha")
    index.search("alpha", view=memory.view())
    record = write("Two", "beta")
    program = (
        "import sys, json, pathlib; import gitmem.domains.all; from gitmem.memory.memory import Memory;"
        "from gitmem.index.search import Index; m = Memory(pathlib.Path(sys.argv[1])); i = Index(m);"
        "print(json.dumps([hit.path for hit in i.search('beta', view=m.view()).hits])); i.close(); m.close()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(memory.path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [record.path]


def test_an_edit_masks_the_old_text(memory: Memory, index: Index, write: Write) -> None:
    record = write("Port", "the server listens on alpha")
    assert paths(index, memory, "alpha") == [record.path]
    write("Port", "the server listens on beta", id=record.id)
    assert paths(index, memory, "alpha") == []
    assert paths(index, memory, "beta") == [record.path]
    index.fold()
    assert paths(index, memory, "alpha") == []
    assert paths(index, memory, "beta") == [record.path]


def test_a_deleted_record_is_not_found(memory: Memory, index: Index, write: Write, delete) -> None:
    record, other = write("One", "alpha"), write("Two", "alpha")
    assert len(paths(index, memory, "alpha")) == 2
    delete(record)
    assert paths(index, memory, "alpha") == [other.path]
    assert paths(index, memory, "") == [other.path]
    assert index.count(view=memory.view(), by="kind") == {"knowledge": 1}
    index.fold()
    assert paths(index, memory, "alpha") == [other.path]
    assert index.search("alpha", view=memory.view()).searched == 1


def test_pages_of_long_records_end_only_where_there_is_no_more(memory: Memory, index: Index, write: Write) -> None:
    long = "\n\n".join(f"## Part {number}\n\n" + "alpha beta gamma " * 60 for number in range(5))
    for number in range(5):
        write(f"Long {number}", long)
    for number in range(4):
        write(f"Short {number}", "Of alpha there is one word among many others here.")
    index.rebuild()
    pages = [index.search("alpha", view=memory.view(), limit=5, offset=offset) for offset in (0, 5)]
    assert pages[0].total > 5  # so that there is a next page
    assert pages[1].total == 9
    assert len({hit.path for page in pages for hit in page.hits}) == 9


def test_an_old_commit_is_answered_as_it_was(memory: Memory, index: Index, write: Write, delete) -> None:
    record = write("Port", "alpha", by="bob")
    then = memory.view()
    assert index.search("alpha", view=then).total == 1
    write("Port", "beta", id=record.id)
    middle = memory.view()
    write("Other", "alpha")
    delete(record)
    assert record.path not in paths(index, memory, "alpha")
    index.fold()
    for _ in range(2):
        old = index.search("alpha", view=then)
        assert [(hit.path, hit.updated_by) for hit in old.hits] == [(record.path, "bob")]
        assert old.commit == then.commit
        assert [hit.path for hit in index.search("alpha beta", view=middle).hits] == [record.path]
        assert index.paths("id", record.id, view=middle) == [record.path]
        assert index.paths("id", record.id, view=memory.view()) == []
        index.rebuild()


def test_facets_filter_count_and_look_up_exactly(memory: Memory, index: Index, write: Write) -> None:
    with memory.transaction(memory.view(), Caller("ada"), "create") as change:
        change.put(Project(name="demo"))
    one = write("One", "alpha [[Two]]", tags=("net", "io"), scope="projects/demo")
    two = write("Two", "alpha", tags=("io",), memory_type="gotcha")
    index.search("alpha", view=memory.view())
    three = write("Three", "alpha", tags=("disk",), memory_type="gotcha", scope="projects/demo")
    for _ in range(2):
        assert set(paths(index, memory, "alpha", where={"tags": ["io", "disk"]})) == {one.path, two.path, three.path}
        assert paths(index, memory, "alpha", where={"tags": ["io"], "memory_type": ["gotcha"]}) == [two.path]
        assert paths(index, memory, "alpha", where={"scope": ["shared"]}) == [two.path]
        assert paths(index, memory, "alpha", where={"tags": []}) == []
        assert index.search("alpha", view=memory.view(), where={"memory_type": ["gotcha"]}).searched == 2
        assert index.count(view=memory.view(), by="tags") == {"net": 1, "io": 2, "disk": 1}
        assert index.count(view=memory.view(), by="scope", where={"memory_type": ["gotcha"]}) == {"shared": 1, "projects/demo": 1}
        assert index.paths("digest", three.digest, view=memory.view()) == [three.path]
        assert index.paths("link", "Two", view=memory.view()) == [one.path]
        index.fold()


def test_no_text_means_the_newest_first(memory: Memory, index: Index) -> None:
    for day in (1, 3, 2):
        record = Knowledge(id=f"day-00000{day}", title=f"Day {day}", content="x")
        change = memory.transaction(memory.view(), Caller("ada"), "learn")
        change.time = datetime(2026, 1, day, tzinfo=UTC)
        with change:
            change.put(record)
        index.search("", view=memory.view())
    for _ in range(2):
        assert [path[-4] for path in paths(index, memory, "  ")] == ["3", "2", "1"]
        assert [path[-4] for path in paths(index, memory, "", limit=1, offset=1)] == ["2"]
        after = datetime(2026, 1, 1, 12, tzinfo=UTC)
        assert [path[-4] for path in paths(index, memory, "day", updated_after=after)] == ["3", "2"]
        index.fold()


def test_a_long_record_is_one_hit_with_the_section_that_matches(memory: Memory, index: Index, write: Write) -> None:
    filler = "Plain words about nothing in particular. " * 30
    body = f"# Start\n\n{filler}\n\n## Backups\n\n{filler} Snapshots go to the vault.\n\n## End\n\n{filler}"
    record = write("Operations", body)
    found = index.search("vault snapshots", view=memory.view())
    assert [(hit.path, hit.section) for hit in found.hits] == [(record.path, "Backups")]
    assert "vault" in found.hits[0].snippet
    assert len(found.hits[0].snippet) <= 300
    assert index.search("plain", view=memory.view()).total == 1
    assert index.count(view=memory.view(), by="kind") == {"knowledge": 1}


def test_who_touched_a_file_last_is_known(memory: Memory, index: Index, write: Write) -> None:
    record = write("One", "alpha", by="bob")
    write("Two", "beta", by="eve")
    touched = index.touched(record.path, view=memory.view())
    assert touched is not None
    assert touched[1] == "bob"
    assert index.touched("no/such/file.md", view=memory.view()) is None


def test_words_that_were_asked_for_before_are_found_in_what_is_written_later(memory: Memory, index: Index, write: Write) -> None:
    for number in range(120):  # so many that what is new hardly changes how telling a word is
        write(f"Case {number}", f"Pools drop idle sockets after {number} seconds.")
    index.search("", view=memory.view())
    index.fold()
    assert index.commit == memory.head()
    asked = ["zebra", "stripe", "sockets", "delete"]
    assert [bool(paths(index, memory, word)) for word in asked] == [False, False, True, False]
    for title, content, word in (
        ("Animals", "A zebra is there.", "zebra"),
        ("Patterns", "Stripelike marks are drawn.", "stripe"),
        ("Networks", "Socketpairs need no pool.", "socket"),
        ("Cleaning up", "Old rows are removed at night.", "delete"),
    ):
        record = write(title, content)
        assert record.path in paths(index, memory, word, limit=50)
        assert record.path in paths(index, memory, word, limit=50)


def test_an_opening_that_lies_beyond_the_hits_that_were_looked_at_counts_all_the_same(
    memory: Memory, index: Index, write: Write
) -> None:
    for number in range(130):
        write(f"Case {number}", "We saw a quartz there. " + "Nothing else is known of it. " * 4)

    def long(title: str, opening: str) -> Knowledge:
        rest = "Plain words fill the page. " * 60
        return write(title, f"{opening}\n\n## Stones\n\nMany.\n\n## Lattice of quartz\n\nThe quartz lattice: a lattice of quartz.\n\n## More\n\n{rest}")

    other = long("Two", "Somewhere far down it is about marble. " + "Other stones are told of first. " * 20)
    about = long("One", "Somewhere far down it is about quartz. " + "Other stones are told of first. " * 20)
    index.search("", view=memory.view())
    index.fold()
    assert index.commit == memory.head()
    assert paths(index, memory, "quartz lattice", limit=2) == [about.path, other.path]
