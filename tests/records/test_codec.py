"""Records and files: canonical, lossless, tolerant when read, with every problem named."""

import gc
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gitmem.domains.knowledge.record import Interface, Knowledge, Link
from gitmem.domains.projects import Capability, Member, Project
from gitmem.domains.sessions import Session
from gitmem.names import new_id
from gitmem.records.codec import decode, encode
from gitmem.records.kind import KINDS, Record, kind_of

# what front matter can hold: everything but the control characters that YAML itself refuses
line = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\x85\ufeff\ufffe\uffff"), min_size=1, max_size=60)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=300)
moments = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=0))
json_values = st.recursive(st.none() | st.booleans() | st.integers(-(10**9), 10**9) | line, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(line, inner, max_size=3), max_leaves=8)

knowledge = st.builds(
    Knowledge,
    scope=st.sampled_from(["shared", "projects/web-shop"]),
    memory_type=st.sampled_from(["learning", "adr", "interface"]),
    id=line.map(new_id),
    title=line,
    status=st.sampled_from(["active", "archived"]),
    tags=st.lists(line, max_size=4).map(tuple),
    links=st.lists(st.builds(Link, rel=st.just("uses"), to=line), max_size=2).map(tuple),
    interface=st.none() | st.builds(Interface, name=line, version=line, schema=st.none() | st.dictionaries(line, json_values, max_size=3)),
    expires=st.none() | moments,
    author=st.sampled_from(["", "ann"]),
    created=st.none() | moments,
    content=text,
)
projects = st.builds(
    Project,
    scope=st.just("projects/web-shop"),
    name=st.just("web-shop"),
    description=line,
    created=st.none() | moments,
    members=st.lists(st.builds(Member, name=line, role=line, capabilities=st.lists(st.builds(Capability, name=line, desc=line), max_size=2).map(tuple)), max_size=3).map(tuple),
)
sessions = st.builds(
    Session, scope=st.just("projects/web-shop"), id=st.just("web-shop_ann_3fa2b81c"), agent=line, task=line,
    ended=moments, summary=text, learnings=st.lists(line, max_size=3).map(tuple), handoff_notes=text,
)  # fmt: skip


def read_back(record: Record) -> Record | None:
    return decode(kind_of(type(record)), record.path, encode(record)).record


@settings(max_examples=300)
@given(knowledge | projects | sessions)
def test_a_record_survives_its_file(record: Record):
    assert read_back(record) == record


@settings(max_examples=200)
@given(knowledge | projects | sessions)
def test_writing_what_was_read_changes_no_byte(record: Record):
    data = encode(record)
    again = decode(kind_of(type(record)), record.path, data).record
    assert again is not None
    assert encode(again) == data


@settings(max_examples=200)
@given(knowledge)
def test_other_yaml_readers_see_the_same_front_matter(record: Knowledge):
    head = encode(record).decode().split("---\n")[1] if "---\n" not in record.title else ""
    if head:
        assert yaml.safe_load(head)["title"] == record.title


# what looks enough like YAML to get past its parser: every tag on every text, collections as keys, anchors, aliases
words = st.sampled_from(["title", "status", "members", "name", "x", "maybe", "''", "-", "1.10", "1_000", "~", "0x", "1:" * 200 + "1.0", "<<", "*a"])
tags = st.just("") | st.sampled_from(["&a ", "! ", "!mine ", *(f"!!{name} " for name in ("str", "int", "float", "bool", "null", "binary", "map", "seq", "set"))])
nodes = st.recursive(
    st.builds("{}{}".format, tags, words),
    lambda inner: st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]")
    | st.lists(st.tuples(st.sampled_from(["", "? "]), inner, inner), max_size=3).map(lambda each: "{" + ", ".join(f"{mark}{key}: {value}" for mark, key, value in each) + "}")
    | st.builds("{}{}".format, tags, inner),
    max_leaves=6,
)
entries = st.builds("{}: {}\n".format, st.uuids(), nodes) | st.builds("? {}\n: {}\n".format, nodes, nodes) | st.builds("{}:\n- {}\n- {}\n".format, words, nodes, nodes)
yaml_like = st.lists(entries, min_size=1, max_size=4).map(lambda each: "".join(each).encode())


@settings(max_examples=400)
@given(st.binary(max_size=400) | yaml_like)
def test_any_bytes_are_read_without_an_exception(data: bytes):
    decode(KINDS["knowledge"], "shared/knowledge/learning/ab/x-abcdef12.md", b"---\n" + data)
    decode(KINDS["knowledge"], "shared/knowledge/learning/ab/x-abcdef12.md", b"---\n" + data + b"---\n")
    decode(KINDS["project"], "projects/p/project.yaml", data)


PATH = "projects/p/knowledge/learning/3f/retry-3fa2b81c.md"


def file(front: str, body: str = "Body.\n") -> bytes:
    return f"---\n{front}---\n\n{body}".encode()


def test_unknown_keys_survive_a_rewrite_as_they_were_typed():
    found = decode(KINDS["knowledge"], PATH, file("title: Retry\nreviewed_by: [pat,   'x']  # last week\nweight: 1.10\n"))
    assert found.problems == ()
    assert isinstance(found.record, Knowledge)
    rewritten = encode(replace(found.record, tags=("new",))).decode()
    assert "reviewed_by: [pat,   'x']  # last week\nweight: 1.10\n" in rewritten
    assert "tags:\n- new\n" in rewritten


@pytest.mark.parametrize("front", [
    "{title: x, foo: {bar: [1, 'é']}}\n", "{\ntitle: x,\nfoo: {bar: [1, 'é']}\n}\n", "title: x\n? foo\n: bar: [1, 'é']\n",
    "  title: x\n  foo:\n    bar: [1, 'é']\n", "? title\n: x\n? foo\n:\n  bar:\n  - 1\n  - 'é'\n",
])  # fmt: skip
def test_unknown_keys_survive_a_rewrite_however_they_stand(front: str):
    kind = KINDS["knowledge"]
    read = decode(kind, PATH, file(front))
    assert (read.problems, read.record.title) == ((), "x")
    again = encode(replace(read.record, title="y"))
    assert yaml.safe_load(again.decode().split("---\n")[1])["foo"] == {"bar": [1, "é"]}
    twice = decode(kind, PATH, again)
    assert twice.problems == ()
    assert encode(twice.record) == again


def test_text_that_looks_like_another_type_stays_text():
    found = decode(KINDS["knowledge"], PATH, file("title: 1.10\ntags: [on, 007, null, 2026-01-01]\n"))
    assert isinstance(found.record, Knowledge)
    assert (found.record.title, found.record.tags) == ("1.10", ("on", "007", "null", "2026-01-01"))


def test_every_problem_of_a_file_is_reported_at_once_with_its_line():
    found = decode(KINDS["knowledge"], PATH, file("status: gone\ntags: {a: b}\nexpires: never\nlinks:\n- rel: uses\n"))
    said = {(p.field, p.line) for p in found.problems}
    assert said == {("title", 0), ("status", 2), ("tags", 3), ("expires", 4), ("links[0].to", 5)}
    assert "one of active, deprecated" in next(p.what for p in found.problems if p.field == "status")


def test_crlf_and_a_byte_order_mark_are_read_and_written_without():
    data = b"\xef\xbb\xbf" + file("title: Retry\n").replace(b"\n", b"\r\n")
    found = decode(KINDS["knowledge"], PATH, data)
    assert isinstance(found.record, Knowledge)
    assert found.problems == ()
    assert encode(found.record) == file("title: Retry\n")


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("title: !!python/object/apply:os.system [echo]\n", "uses the tag"),
        ("title: &a x\ntags: [*a]\n", "uses an alias"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\ntitle: x\n", "uses an alias"),
        ("title: x\ntitle: y\n", "twice"),
        ("title: [\n", "is not YAML"),
        ("- a\n- b\n", "is not a mapping"),
        ("title: x\nextra: " + "[" * 100 + "]" * 100 + "\n", "nested deeper"),
        ("title: x\n? [a, b]\n: c\n", "has a key that is not text"),
        ("title: x\nextra: {a: 1, b: {c: 1, c: 2}}\n", "says 'c' twice"),
        ("title: &a x\n*a : y\n", "uses an alias"),
        ("&a title: x\nextra: *a\n", "uses an alias"),
        ("!mine title: x\n", "uses the tag"),
        ("title: !!bool maybe\n", "is not a bool"),
        ("title: !!int ''\n", "is not a int"),
        ("title: !!float ''\n", "is not a float"),
        ("title: x\nextra: " + "1:" * 400 + "1.0\n", "is not a float"),
        ("title: x\nextra: 0x" + "f" * 5000 + "\n", "is not a int"),
        ("title: x\nlong: " + "y" * 40_000 + "\n", "at most 32,768"),
    ],
)
def test_hostile_front_matter_is_refused_with_a_reason(front: str, said: str):
    found = decode(KINDS["knowledge"], PATH, file(front))
    assert found.record is None
    assert [p for p in found.problems if said in p.what], found.problems


DEEP = {
    "sequences": "x: " + "[" * 32_000,
    "mappings": "x: " + "{" * 32_000,
    "keys in braces": "x: " + "{? " * 10_000,
    "block sequences": "x:\n " + "- " * 16_000,
    "explicit keys": "? " * 16_000,
    "tags": "x: " + "!!seq [" * 4_000,
    "anchors": "x: " + "".join(f"&a{number} [" for number in range(3_000)),
    "indentation": "".join(f"{' ' * depth}x:\n" for depth in range(240)),
}
READ = """
import sys
from gitmem.domains.projects import Project
from gitmem.domains.knowledge.record import Knowledge
from gitmem.records.codec import decode
from gitmem.records.kind import KINDS
data = sys.stdin.read()
found = decode(KINDS["knowledge"], "shared/knowledge/learning/ab/x-abcdef12.md", f"---\\n{data}\\n---\\n".encode())
found = found.problems + decode(KINDS["project"], "projects/p/project.yaml", data.encode()).problems
print(*found, sep="\\n")
"""


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_nesting_without_end_is_refused_before_it_takes_the_process_down(text: str):
    # in a process of its own, since an exhausted stack of C is no exception
    done = subprocess.run([sys.executable, "-c", READ], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("is nested deeper than 20 levels") == 2


def test_twenty_levels_are_read():
    found = decode(KINDS["knowledge"], PATH, file("title: x\nextra: " + "[" * 20 + "a" + "]" * 20 + "\n"))
    assert found.problems == ()


def test_reading_keeps_nothing_of_what_was_read():
    decode(KINDS["knowledge"], PATH, file("title: 1\n"))
    gc.collect()
    before = sum(isinstance(each, yaml.Node) for each in gc.get_objects())
    decode(KINDS["knowledge"], PATH, file("title: 1\nweights: [1, 2.5, true, null]\n"))
    gc.collect()
    assert sum(isinstance(each, yaml.Node) for each in gc.get_objects()) == before


def test_a_file_that_is_not_utf8_names_the_byte_and_the_line():
    found = decode(KINDS["knowledge"], PATH, b"---\ntitle: caf\xe9\n---\n")
    assert found.record is None
    assert found.problems[0].line == 2
    assert "0xe9" in found.problems[0].what


def test_a_body_over_the_cap_says_how_long_it_is_and_what_is_accepted():
    found = decode(KINDS["knowledge"], PATH, file("title: Long\n", "é" * 26_000))
    assert [p.what for p in found.problems if "52,000 bytes" in p.what and "51,200" in p.what]


def test_a_file_with_problems_still_gives_the_rest_of_its_record():
    found = decode(KINDS["knowledge"], PATH, file("title: Retry\nstatus: gone\n"))
    assert isinstance(found.record, Knowledge)
    assert (found.record.title, found.record.status, found.record.content) == ("Retry", "active", "Body.")
