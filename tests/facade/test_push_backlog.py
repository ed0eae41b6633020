"""Pushes of the backlog: what the gate says of items that people write by hand or merge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitmem.answers import structured
from gitmem.domains.backlog.record import STATUSES, BacklogItem
from gitmem.domains.checklists import Checklist, ChecklistItem
from gitmem.domains.projects import Project
from gitmem.names import now
from gitmem.records.codec import encode
from tests.conftest import git
from tests.facade.test_push import Person, report
from tests.proofs.workers import Agent, make


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    make(tmp_path / "memory.git")
    return tmp_path / "memory.git"


@pytest.fixture
def ann(memory: Path) -> Iterator[Agent]:
    one = Agent(memory)
    yield one
    one.close()


@pytest.fixture
def pat(memory: Path, tmp_path: Path) -> Person:
    return Person(memory, tmp_path / "clone")


def item(letter: str, **fields: Any) -> BacklogItem:
    return BacklogItem(**{"scope": "projects/web", "id": f"task-{letter * 8}", "title": f"Task {letter}"} | fields)


def push(pat: Person, *items: BacklogItem | Checklist | Project) -> str:
    for each in items:
        pat.write(each.path, encode(each))
    pat.commit()
    return pat.push()


A, B, C = "task-aaaaaaaa", "task-bbbbbbbb", "task-cccccccc"
A_PATH, B_PATH, C_PATH = (f"projects/web/backlog/{each[-2:]}/{each}.md" for each in (A, B, C))


def test_items_that_people_write_are_on_the_backlog(pat: Person, ann: Agent):
    text = "---\ntitle: Fix the login\nstatus: blocked\nblocked_by: task-bbbbbbbb\n---\nIt fails.\n\n## plan\nLook.\n"
    pat.write(A_PATH, text)
    assert push(pat, item("b", priority="critical", created=now())) == "accepted"
    read = structured(ann.call("get_backlog_item", id=A))
    assert (read["description"], read["plan"], read["created_by"]) == ("It fails.", "Look.", "Pat Person")
    assert [each.title for each in ann.call("list_backlog").value.items] == ["Task b", "Fix the login"]
    assert [each.id for each in ann.call("complete_backlog_item", id=B).value.unblocked] == [A]


def test_every_problem_of_an_item_is_told_with_file_field_and_what_would_be_accepted(pat: Person):
    pat.write(A_PATH, "---\ntitle: ''\nstatus: finished\npriority: urgent\nassigned_to: A B\nblocked_by:\n- nothing\n---\n\n## Plan\n\nx\n\n## Plan\n")
    pat.commit()
    assert pat.refused() == report(
        f"{A_PATH}: text has the section ## Plan twice; one is accepted, with the text of both",
        f"{A_PATH}:2: title is empty; one line of text is accepted",
        f"{A_PATH}:3: status is 'finished', not one of {', '.join(STATUSES)}",
        f"{A_PATH}:4: priority is 'urgent', not one of critical, high, medium, low",
        f"{A_PATH}:5: assigned_to is 'A B', which is no name: it has characters that no name has; 1 to 80 of a-z 0-9 . _ - are accepted",
        f"{A_PATH}:6: blocked_by item 'nothing' is 'nothing', which is no id such as 'retry-policy-3fa2b81c'",
    )


def test_a_push_that_closes_a_circle_is_refused_and_spells_it_out(pat: Person, ann: Agent):
    assert push(pat, item("a"), item("b", blocked_by=(A,)), item("c", blocked_by=(B,))) == "accepted"
    pat.write(A_PATH, encode(item("a", blocked_by=(C,))))
    pat.commit()
    assert pat.refused() == report(
        f"{A_PATH}: blocked_by closes a circle, so that it waits for itself: {A} -> {C} -> {B} -> {A}; take one of them out"
    )
    pat.write(A_PATH, encode(item("a", parent=A)))
    pat.commit()
    assert pat.refused() == report(f"{A_PATH}: parent closes a circle, so that it is a part of itself: {A} -> {A}; take one of them out")


def test_new_items_that_wait_for_each_other_are_refused(pat: Person):
    pat.write(A_PATH, encode(item("a", blocked_by=(B,))))
    pat.write(B_PATH, encode(item("b", blocked_by=(A,))))
    pat.commit()
    said = pat.refused()
    assert f"{A} -> {B} -> {A}" in said
    assert f"{B} -> {A} -> {B}" in said


def test_a_merge_of_two_clones_that_closes_a_circle_is_refused(pat: Person, memory: Path, tmp_path: Path):
    assert push(pat, item("a"), item("b")) == "accepted"
    other = Person(memory, tmp_path / "other")
    assert push(other, item("b", blocked_by=(A,))) == "accepted"
    pat.write(A_PATH, encode(item("a", blocked_by=(B,))))
    pat.commit()
    git(pat.clone, "pull", "-q", "--no-rebase", "--no-edit")
    assert f"{A_PATH}: blocked_by closes a circle" in pat.refused()
    pat.write(A_PATH, encode(item("a")))
    pat.commit()
    assert pat.push() == "accepted"


def test_what_an_item_waits_for_must_be_there_when_it_is_written_but_not_for_ever(pat: Person):
    missing = f"{A_PATH}: parent names '{B}', which is no backlog item; full ids of items are accepted"
    pat.write(A_PATH, encode(item("a", parent=B)))
    pat.commit()
    assert pat.refused() == report(missing)
    pat.write(B_PATH, encode(item("b")))
    pat.commit()
    assert pat.push() == "accepted"
    (pat.clone / B_PATH).unlink()
    pat.commit()
    assert pat.push() == "accepted"
    pat.write(A_PATH, encode(item("a", parent=B, title="Another title")))
    pat.commit()
    assert pat.push() == "accepted"


def test_an_item_that_is_moved_by_hand_is_moved_and_one_that_is_copied_is_refused(pat: Person, ann: Agent):
    assert push(pat, Project(scope="projects/api", name="api", created=now()), item("a", blocked_by=()), item("b", blocked_by=(A,))) == "accepted"
    target = A_PATH.replace("web", "api")
    pat.write(target, (pat.clone / A_PATH).read_text())
    pat.commit()
    assert pat.refused() == report(f"{target}: is the same item as {A_PATH}; an item is in one place, so remove one of the two files")
    (pat.clone / A_PATH).unlink()
    pat.commit()
    assert pat.push() == "accepted"
    read = structured(ann.call("get_backlog_item", id=A))
    assert (read["project"], [each["changed"] for each in read["history"]][-1]) == ("api", ["added"])
    assert [each["id"] for each in read["blocks"]] == [B]


def test_a_checklist_that_people_write_is_read_and_a_bad_one_is_refused(pat: Person, ann: Agent):
    path = "projects/web/checklists/launch.yaml"
    assert push(pat, Checklist(scope="projects/web", name="launch", items=(ChecklistItem(text="Tests pass"),))) == "accepted"
    assert ann.call("checklist", action="check", name="launch", item_index=0).value.progress == "1 of 1"
    git(pat.clone, "pull", "-q")
    pat.write(path, "items:\n- text: One\n- text: one\n- done: maybe\n")
    pat.commit()
    assert pat.refused() == report(
        f"{path}:1: items[2].done is 'maybe', not true or false", f"{path}:1: items[2].text is missing"
    )
    pat.write(path, "items:\n- text: One\n- text: one\n")
    pat.commit()
    assert pat.refused() == report(f"{path}:1: items has the item 'one' twice; each is accepted once")
