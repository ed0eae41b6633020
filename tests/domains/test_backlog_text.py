"""The text of an item: what is put together is taken apart again, whatever people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmem.domains.backlog.body import Parts, join, part_problem, split, text_problem, tidy
from gitmem.domains.backlog.record import BacklogItem
from gitmem.records.codec import decode, encode
from gitmem.records.kind import kind_of

LINES = st.sampled_from([
    "", " ", "text", "## Plan", "## Result", "  ## plan  ", "## RESULT ##", "## Plans", "### Plan", "    ## Plan", "##Plan", "#", "---",
    "```", "```python", "~~~", "   ````", "``` x ``` y", "~~~~ ~", "> ## Plan", "- ## Plan", "\t## Plan", "Plan", "====", "<<<", "\u2028## Plan",
])  # fmt: skip
TEXTS = st.one_of(
    st.lists(LINES, max_size=8).map("\n".join),
    st.lists(LINES, max_size=6).map("\r\n".join),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60),
)
PARTS = TEXTS.map(tidy).filter(lambda text: part_problem(text) is None)


@given(PARTS, PARTS, PARTS)
def test_parts_that_are_accepted_come_back_as_they_were(description: str, plan: str, result: str):
    parts = Parts(description, plan, result)
    text = join(parts)
    assert split(text) == parts
    assert text_problem(text) is None


@given(PARTS, PARTS, PARTS)
def test_parts_come_back_from_a_file(description: str, plan: str, result: str):
    item = BacklogItem(scope="projects/web", id="fix-it-3fa2b81c", title="Fix it", text=join(Parts(description, plan, result)))
    read = decode(kind_of(BacklogItem), item.path, encode(item)).record
    assert isinstance(read, BacklogItem)
    assert read == item
    assert read.parts == Parts(description, plan, result)


@given(PARTS, PARTS)
def test_one_part_is_replaced_and_the_others_stay(plan: str, other: str):
    item = BacklogItem(scope="projects/web", id="fix-it-3fa2b81c", title="Fix it").with_part("description", "It fails.").with_part("result", other)
    assert item.with_part("plan", plan).parts == Parts("It fails.", plan, other)
    assert item.with_part("plan", plan).with_part("plan", "") == item


@given(TEXTS)
def test_any_text_can_be_split_and_nothing_but_headings_and_empty_lines_goes(text: str):
    parts = split(tidy(text))
    kept = sorted(line for part in (parts.description, parts.plan, parts.result) for line in part.split("\n") if line.strip())
    was = sorted(line for line in tidy(text).split("\n") if line.strip())
    for line in kept:
        was.remove(line)
    assert len(was) <= 2
    assert all(line.strip().lower().lstrip("# ").startswith(("plan", "result")) for line in was)


def test_sections_that_people_write_in_another_order_and_case_are_read():
    assert split("## result\n\nDone.\n\n## Plan ##\nLook.") == Parts("", "Look.", "Done.")


@pytest.mark.parametrize(("text", "parts"), [
    ("A\n\n````\n```\n## Plan\n````\n\n## Plan\nB", Parts("A\n\n````\n```\n## Plan\n````", "B")),
    ("```\n## Plan", Parts("```\n## Plan")),
    ("A\n## Plan\nB\n## Plan\nC", Parts("A", "B\n## Plan\nC")),
    ("", Parts()),
])  # fmt: skip
def test_what_stands_in_code_begins_no_section(text: str, parts: Parts):
    assert split(text) == parts


def test_a_text_with_a_section_twice_is_no_text_of_an_item():
    assert text_problem("## Plan\nA\n## Plan\nB") == "has the section ## Plan twice; one is accepted, with the text of both"
