"""Every kind can describe itself, and what it says of itself is true."""

from datetime import UTC, datetime
from typing import ClassVar, Literal

import pytest

from gitmem.memory.gate import FREE_FILES
from gitmem.names import check_name
from gitmem.records import kind as declaration
from gitmem.records.check import a_name, at_most, between, one_line
from gitmem.records.codec import decode, encode
from gitmem.records.describe import EXAMPLE_SCOPE, NoExample, example, example_file, schema, summary, table
from gitmem.records.kind import KINDS, Kind, Record, field, kind_at

ALL = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@ALL
def test_the_example_of_a_kind_is_read_without_problems_and_stands_where_the_kind_lives(kind: Kind):
    made = example(kind)
    assert kind_at(made.path, kind.record.ref) is kind
    decoded = decode(kind, made.path, encode(made), scope=EXAMPLE_SCOPE)
    assert decoded.problems == ()
    assert decoded.record == made


@ALL
def test_the_example_file_is_canonical_and_fills_every_field_that_is_required(kind: Kind):
    text = example_file(kind)
    decoded = decode(kind, example(kind).path, text.encode(), scope=EXAMPLE_SCOPE).record
    assert decoded is not None
    assert encode(decoded).decode() == text
    assert all(getattr(decoded, f.name) for f in kind.fields if f.required)


@ALL
def test_the_table_has_a_row_for_every_field_in_file_order(kind: Kind):
    head, rule, *rows = table(kind).splitlines()
    assert [row.split("`")[1] for row in rows] == [f.name for f in kind.fields]
    columns = head.count("|")
    assert rule.count("|") == columns
    assert all(row.replace("\\|", "").count("|") == columns for row in rows)
    assert [("| required |" in row) for row in rows] == [f.required for f in kind.fields]


@ALL
def test_the_schema_names_the_front_matter_and_nothing_that_the_path_or_the_body_holds(kind: Kind):
    described = schema(kind)
    assert list(described["properties"]) == [f.name for f in kind.file_fields]
    assert described.get("required", []) == [f.name for f in kind.file_fields if f.required]
    assert all(each["description"] for each in described["properties"].values())


@ALL
def test_a_default_in_the_schema_is_what_the_field_takes_for_left_out(kind: Kind):
    properties = schema(kind)["properties"]
    for f in kind.file_fields:
        if "default" in properties[f.name]:
            assert f.shape.load(properties[f.name]["default"]) == f.default


@ALL
def test_every_kind_and_every_field_says_what_it_is(kind: Kind):
    assert summary(kind).endswith(".")
    assert all(f.description and not f.description.endswith(".") for f in kind.fields)


@ALL
def test_no_kind_lives_where_the_teams_free_files_are(kind: Kind):
    assert not any(kind.record.ref == "main" and kind.match(path) for path in FREE_FILES)


# A kind of this test alone, and not registered: what it holds is what kinds may come to hold.
class Rule(Record):
    """A rule
    on two lines."""

    home: ClassVar[str] = "{scope}/rules/{name}.md"
    body: ClassVar[str | None] = "rule"

    name: str = field("its name", check=(a_name, at_most(80)))
    level: Literal["must", "should"] = field("how binding | it is", index="keyword")
    priority: int = field("1 to 100", default=50, check=between(1, 100))
    weight: float = field("how much", check=between(50, 100))
    asked: bool = field("whether somebody asked for it")
    since: datetime = field("since when")
    words: tuple[str, ...] = field("words", index="keyword", default=(), check=at_most(3))
    more: dict[str, str] = field("more")
    rule: str = field("what to do", index="text", check=one_line, example="Ask before you delete.")


RULE = Kind("rule", Rule)


def test_an_example_is_made_up_for_every_shape(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(declaration._BY_CLASS, Rule, RULE)
    made = example(RULE)
    assert isinstance(made, Rule)
    assert check_name(made.name)
    assert (made.level, made.weight, made.asked, made.words) == ("must", 100.0, True, ("example",))
    assert made.since == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert made.rule == "Ask before you delete."
    assert made.priority == 50
    decoded = decode(RULE, made.path, encode(made))
    assert (decoded.problems, decoded.record) == ((), made)


def test_a_table_says_what_is_required_what_is_the_default_and_how_search_uses_it():
    assert table(RULE).splitlines()[2:] == [
        "| `name` | text | required | its name (in the path) |  |",
        "| `level` | one of must, should | required | how binding \\| it is | filter, words |",
        "| `priority` | whole number | `50` | 1 to 100 |  |",
        "| `weight` | number | required | how much |  |",
        "| `asked` | true or false | required | whether somebody asked for it |  |",
        "| `since` | time | required | since when |  |",
        "| `words` | list of text |  | words | filter, words |",
        "| `more` | mapping | required | more |  |",
        "| `rule` | text | required | what to do (the text below the front matter) | words |",
    ]
    assert summary(RULE) == "A rule on two lines."


class Odd(Record):
    """A kind whose field accepts nothing that anybody would guess."""

    home: ClassVar[str] = "{scope}/odd/{name}.yaml"
    name: str = field("its name", check=lambda value: None if value == "Pythia" else "is wrong")


def test_a_field_that_accepts_nothing_plausible_has_to_bring_its_own_example():
    with pytest.raises(NoExample, match=r"name .text. needs an example in its declaration"):
        example(Kind("odd", Odd))
