"""Merging two trees of records: the scenarios one by one, and what holds of any two edits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from gitmem.domains.backlog import record as backlog
from gitmem.domains.backlog.record import BacklogItem
from gitmem.domains.checklists import Checklist, ChecklistItem
from gitmem.domains.context import ContextValue
from gitmem.domains.guidelines import Guideline
from gitmem.domains.knowledge import record as knowledge
from gitmem.domains.knowledge.record import Interface, Knowledge, Link
from gitmem.domains.memories.record import Remembered
from gitmem.domains.projects import Member, Project
from gitmem.domains.specs.record import Spec
from gitmem.git.objects import NO_TREE, Objects, new_object
from gitmem.git.repository import Repository
from gitmem.memory import gate
from gitmem.memory.caller import GITMEM
from gitmem.memory.chain import graft
from gitmem.memory.merge import Merged, Side, merge_trees
from gitmem.memory.versions import Loss, SideName
from gitmem.memory.view import MAIN_PLACE, ParsedFiles, Place, View
from gitmem.records.codec import decode, encode
from gitmem.records.kind import KINDS, Record, kind_at

Files = Mapping[str, bytes]
NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)


@dataclass(frozen=True)
class Outcome:
    """What a merge made: all files, and what was lost."""

    files: dict[str, bytes]
    losses: tuple[Loss, ...]

    def record(self, like: Record) -> Any:
        declared = kind_at(like.path, like.ref)
        assert declared is not None
        return decode(declared, like.path, self.files[like.path], scope=like.scope).record


class Bench:
    """Trees in memory, and merges of them."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.parsed = ParsedFiles()

    def tree(self, files: Files) -> str:
        blobs = {path: new_object("blob", data) for path, data in files.items()}
        for blob in blobs.values():
            self.objects.keep_blob(blob.oid, blob.data)
        return graft(self.objects, NO_TREE, blobs)[0] if files else NO_TREE

    def merge(
        self, base: Files, ours: Files, theirs: Files, *, times: tuple[datetime, datetime] = (NINE, TEN),
        landed: SideName | None = None, place: Place = MAIN_PLACE,
    ) -> Outcome:
        sides = [Side(self.tree(files), lambda _, time=time: time) for files, time in zip((ours, theirs), times, strict=True)]
        merged = merge_trees(self.objects, self.parsed, place, self.tree(base), *sides, landed=landed)
        # whoever merges loses the same, but one's own is the other's
        losses = tuple(replace(loss, side="ours", is_told=False) for loss in merged.losses)
        return Outcome(self._applied(ours, merged), losses)

    def _applied(self, ours: Files, merged: Merged) -> dict[str, bytes]:
        files = dict(ours)
        for path, blob in merged.edits(self.objects).items():
            if blob is None:
                del files[path]
            else:
                files[path] = blob.data
        return files

    def problems(self, before: Files, after: Files, *, place: Place = MAIN_PLACE) -> list[gate.Problem]:
        view = View(self.objects, self.parsed, place, "")
        view.tree = self.tree(before)
        base = view.tree if before else None
        edits = {path: gate.Edit(was, now) for path, was, now in self.objects.differences(base, self.tree(after) if after else None)}
        return gate.check(gate.Change(view, edits, GITMEM, self.objects.blob, proposed=True))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Repository.init(tmp_path_factory.mktemp("merge") / "memory.git").objects)


def files_of(*records: Record) -> dict[str, bytes]:
    return {record.path: encode(record) for record in records}


WEB, API = (Project(scope=f"projects/{name}", name=name, members=(Member(name="ann", tier="admin"),)) for name in ("web", "api"))
PROJECTS = files_of(WEB, API)
ITEM = BacklogItem(
    scope="projects/web", id="fix-the-login-3fa2b81c", title="Fix the login", tags=("auth", "login"),
    text="It fails.\n\nSee the log.\n\n## Plan\n\nLook at it.",
)  # fmt: skip
FACT = Knowledge(
    scope="projects/web", id="retries-need-jitter-91c0d2aa", title="Retries need jitter", tags=("network",),
    content="First line.\n\nSecond line.\n\nThird line.",
)  # fmt: skip


def merge_edits(bench: Bench, record: Record, ours: Mapping[str, object], theirs: Mapping[str, object]) -> tuple[Any, tuple[Loss, ...]]:
    """A record merged from two edits of it, ours the earlier; the other way round is the same."""
    sides = [PROJECTS | files_of(replace(record, **edit)) for edit in (ours, theirs)]  # type: ignore[arg-type]
    done = bench.merge(PROJECTS | files_of(record), *sides)
    assert bench.merge(PROJECTS | files_of(record), *reversed(sides), times=(TEN, NINE)) == done
    return done.record(record), done.losses


# --- fields ------------------------------------------------------------------------------------------


def test_two_fields_that_were_changed_apart_are_both_changed(bench: Bench):
    merged, losses = merge_edits(bench, FACT, {"title": "Ours"}, {"source": "theirs"})
    assert (merged.title, merged.source, losses) == ("Ours", "theirs", ())


def test_the_later_of_two_titles_stays_and_the_other_is_kept_as_a_file_to_propose(bench: Bench):
    merged, losses = merge_edits(bench, FACT, {"title": "Ours", "tags": ("network", "ours")}, {"title": "Theirs"})
    assert (merged.title, merged.tags) == ("Theirs", ("network", "ours"))
    (loss,) = losses
    assert (loss.path, loss.fields, loss.why) == (FACT.path, ("title",), "both changed it")
    assert loss.lost == encode(replace(merged, title="Ours"))


def test_tags_are_merged_as_sets(bench: Bench):
    merged, losses = merge_edits(bench, ITEM, {"tags": ("login", "ours")}, {"tags": ("auth", "login", "theirs")})
    assert (merged.tags, losses) == (("login", "ours", "theirs"), ())


def test_the_order_of_a_list_is_that_of_whoever_changed_it(bench: Bench):
    fact = replace(FACT, tags=("a", "b", "c"))
    merged, _ = merge_edits(bench, fact, {"tags": ("c", "b", "a")}, {"tags": ("a", "b", "c", "d")})
    assert sorted(merged.tags) == ["a", "b", "c", "d"]
    assert [tag for tag in merged.tags if tag != "d"] == ["c", "b", "a"]


def test_a_status_that_is_further_on_stays(bench: Bench):
    merged, losses = merge_edits(bench, ITEM, {"status": "done", "resolution": "Fixed."}, {"status": "in_progress"})
    assert (merged.status, merged.resolution, losses) == ("done", "Fixed.", ())


def test_what_was_closed_can_be_opened_again_if_nobody_else_touched_it(bench: Bench):
    merged, losses = merge_edits(bench, replace(ITEM, status="done"), {"status": "open"}, {"title": "Theirs"})
    assert (merged.status, merged.title, losses) == ("open", "Theirs", ())


def test_of_two_claims_the_earlier_stays_and_the_other_is_a_loss(bench: Bench):
    claims = [{"assigned_to": name, "status": "in_progress"} for name in ("ann", "bob")]
    merged, (loss,) = merge_edits(bench, ITEM, *claims)
    assert (merged.assigned_to, loss.fields) == ("ann", ("assigned_to",))
    assert loss.lost is not None
    assert b"assigned_to: bob" in loss.lost


def test_what_one_side_empties_and_the_other_changes_stays_changed(bench: Bench):
    merged, losses = merge_edits(bench, replace(ITEM, milestone="v1"), {"milestone": "v2"}, {"milestone": ""})
    assert (merged.milestone, losses) == ("v2", ())


def test_members_are_merged_by_name(bench: Bench):
    bob, eve = Member(name="bob", role="tests"), Member(name="eve")
    start = replace(WEB, members=(*WEB.members, bob))
    merged, losses = merge_edits(bench, start, {"members": (WEB.members[0], replace(bob, tier="pending"), eve)},
                                 {"members": (WEB.members[0], replace(bob, role="reviews"))})
    assert merged.members == (WEB.members[0], replace(bob, tier="pending", role="reviews"), eve)
    assert losses == ()


def test_checklist_items_are_merged_by_their_text(bench: Bench):
    one, two = ChecklistItem(text="Tag it"), ChecklistItem(text="Ship it")
    start = Checklist(scope="projects/web", name="launch", items=(one, two))
    ours = {"items": (replace(one, done=True, by="ann", when=NINE), two)}
    theirs = {"items": (replace(one, done=True, by="bob", when=TEN), ChecklistItem(text="Tell them"))}
    merged, losses = merge_edits(bench, start, ours, theirs)
    assert merged.items == (replace(one, done=True, by="bob", when=TEN), ChecklistItem(text="Tell them"))
    assert losses == ()


def test_json_values_are_merged_by_key_however_deep(bench: Bench):
    start = ContextValue(scope="projects/web", key="stack", value={"db": {"name": "pg", "version": 15}, "ui": "none"})
    merged, losses = merge_edits(
        bench, start, {"value": {"db": {"name": "pg", "version": 16}, "ui": "none"}, "author": "ann"},
        {"value": {"db": {"name": "pg", "version": 15, "port": 5432}}, "author": "bob"},
    )  # fmt: skip
    assert (merged.value, losses) == ({"db": {"name": "pg", "version": 16, "port": 5432}}, ())


def test_one_and_true_are_two_values_in_json(bench: Bench):
    start = ContextValue(scope="projects/web", key="flag", value={"on": 1, "off": 0})
    merged, _ = merge_edits(bench, start, {"value": {"on": True, "off": 0}}, {"value": {"on": 1, "off": 2}})
    assert repr(merged.value) == "{'on': True, 'off': 2}"


def test_an_optional_structure_is_merged_field_by_field(bench: Bench):
    start = replace(FACT, interface=Interface(name="orders", version="1"))
    merged, losses = merge_edits(bench, start, {"interface": Interface(name="orders", version="2")},
                                 {"interface": Interface(name="orders", version="1", schema={"type": "object"})})
    assert merged.interface == Interface(name="orders", version="2", schema={"type": "object"})
    assert losses == ()


def test_keys_that_gitmem_does_not_know_are_merged_and_kept(bench: Bench):
    start = replace(FACT, extra="mood: good\nlist:\n- a\n")
    merged, losses = merge_edits(bench, start, {"extra": "mood: better\nlist:\n- a\n"}, {"extra": "mood: good\nlist:\n- a\nnew: 1\n"})
    assert (merged.extra, losses) == ("mood: better\nlist:\n- a\nnew: 1\n", ())


def test_what_is_too_much_together_is_the_later_version(bench: Bench):
    ours, theirs = (tuple(f"{side}-{n}" for n in range(20)) for side in ("ours", "theirs"))
    merged, (loss,) = merge_edits(bench, replace(FACT, tags=()), {"tags": ours}, {"tags": theirs})
    assert merged.tags == theirs
    assert loss.lost is not None
    assert b"ours-19" in loss.lost


def test_every_list_of_things_says_what_its_things_are_known_by():
    hints = {kind.name: get_type_hints(kind.record) for kind in KINDS.values()}
    unnamed = {
        (kind.name, name): hints[kind.name][name]
        for kind in KINDS.values()
        for name, said in kind.record.declared.items()
        if not said.merge
    }
    lists = [get_args(hint)[0] for hint in unnamed.values() if get_origin(hint) is tuple]
    assert str in lists
    assert [each for each in lists if isinstance(each, type) and issubclass(each, Struct)] == []


def test_every_status_has_its_step():
    for statuses, steps in ((backlog.STATUSES, backlog.STEPS), (knowledge.STATUSES, knowledge.STEPS)):
        named = [name for step in steps for name in ((step,) if isinstance(step, str) else step)]
        assert sorted(named) == sorted(statuses)


# --- prose ---------------------------------------------------------------------------------------------


def prose(bench: Bench, ours: str, theirs: str) -> tuple[str, tuple[Loss, ...]]:
    merged, losses = merge_edits(bench, FACT, {"content": ours}, {"content": theirs})
    return merged.content, losses


def test_changes_of_different_lines_are_both_made(bench: Bench):
    merged = prose(bench, "First line, ours.\n\nSecond line.\n\nThird line.", "First line.\n\nSecond line.\n\nThird line, theirs.")
    assert merged == ("First line, ours.\n\nSecond line.\n\nThird line, theirs.", ())


def test_paragraphs_added_at_one_place_are_both_kept_the_earlier_first(bench: Bench):
    merged = prose(bench, f"{FACT.content}\n\nOurs.", f"{FACT.content}\n\nTheirs.")
    assert merged == (f"{FACT.content}\n\nOurs.\n\nTheirs.", ())


def test_a_paragraph_added_beside_a_line_that_the_other_changed_stays(bench: Bench):
    merged = prose(bench, "First line.\n\nSecond line.\n\nThird, ours.", f"{FACT.content}\n\nTheirs.")
    assert merged == ("First line.\n\nSecond line.\n\nThird, ours.\n\nTheirs.", ())


def test_a_line_that_one_removed_and_the_other_changed_stays_changed(bench: Bench):
    merged = prose(bench, "First line.\n\nThird line.", "First line.\n\nSecond, theirs.\n\nThird line.")
    assert merged == ("First line.\n\nSecond, theirs.\n\nThird line.", ())


def test_of_a_line_that_both_changed_the_later_stays_and_the_other_is_a_loss(bench: Bench):
    merged, (loss,) = prose(bench, "First line.\n\nOurs.\n\nThird line.", "First line.\n\nTheirs.\n\nThird line.\n\nMore.")
    assert merged == "First line.\n\nTheirs.\n\nThird line.\n\nMore."
    assert loss.lost is not None
    assert b"First line.\n\nOurs.\n\nThird line.\n\nMore." in loss.lost


def test_two_plans_for_one_item_are_one_section(bench: Bench):
    start = replace(ITEM, text="It fails.")
    merged, losses = merge_edits(bench, start, {"text": "It fails.\n\n## Plan\n\nOurs."}, {"text": "It fails.\n\n## Plan\n\nTheirs."})
    assert (merged.text, losses) == ("It fails.\n\n## Plan\n\nOurs.\n\nTheirs.", ())


# --- files -------------------------------------------------------------------------------------------------


def test_what_one_side_removed_and_the_other_changed_stays(bench: Bench):
    changed = PROJECTS | files_of(replace(FACT, title="Ours"))
    done = bench.merge(PROJECTS | files_of(FACT), changed, PROJECTS)
    assert (done.files, done.losses) == (changed, ())


def test_what_both_removed_is_gone(bench: Bench):
    assert bench.merge(PROJECTS | files_of(FACT), PROJECTS, PROJECTS).files == PROJECTS


def test_two_records_of_one_name_become_one_and_the_other_is_a_loss(bench: Bench):
    ours, theirs = (Guideline(scope="projects/web", name="commits", rule=f"{who}, first.\n\nThen more.") for who in ("Ours", "Theirs"))
    done = bench.merge(PROJECTS, PROJECTS | files_of(ours), PROJECTS | files_of(theirs))
    assert done.record(ours).rule == theirs.rule
    assert [loss.lost for loss in done.losses] == [encode(ours)]


def test_what_was_moved_and_changed_elsewhere_is_changed_at_its_new_place(bench: Bench):
    moved, changed = replace(ITEM, scope="projects/api"), replace(ITEM, title="Fix it now")
    done = bench.merge(PROJECTS | files_of(ITEM), PROJECTS | files_of(moved), PROJECTS | files_of(changed))
    assert done.files == PROJECTS | files_of(replace(changed, scope="projects/api"))
    assert done.losses == ()


def test_what_was_moved_and_removed_elsewhere_stays_where_it_was_moved(bench: Bench):
    moved = PROJECTS | files_of(replace(ITEM, scope="projects/api"))
    assert bench.merge(PROJECTS | files_of(ITEM), moved, PROJECTS).files == moved


def test_what_was_moved_to_two_places_is_at_the_later_one(bench: Bench):
    places = [PROJECTS | files_of(replace(ITEM, scope=scope)) for scope in ("projects/api", "shared")]
    assert bench.merge(PROJECTS | files_of(ITEM), *places).files == places[1]


def test_a_key_remembered_twice_in_two_categories_is_one_memory(bench: Bench):
    ours, theirs = (Remembered(scope="projects/web", key="psr", category=category, value=f"As {category}.")
                    for category in ("term", "project"))
    done = bench.merge(PROJECTS, PROJECTS | files_of(ours), PROJECTS | files_of(theirs))
    assert done.files == PROJECTS | files_of(theirs)
    assert [(loss.path, b"As term." in (loss.lost or b"")) for loss in done.losses] == [(theirs.path, True)]


def test_files_that_are_no_records_are_merged_by_lines(bench: Bench):
    base, ours, theirs = ({"README.md": text.encode()} for text in ("a\nb\nc\n", "a, ours\nb\nc\n", "a\nb\nc, theirs\n"))
    assert bench.merge(base, ours, theirs) == Outcome({"README.md": b"a, ours\nb\nc, theirs\n"}, ())


def test_a_file_that_nobody_can_read_as_a_record_is_merged_as_text(bench: Bench):
    base, ours, theirs = (PROJECTS | {FACT.path: text.encode()} for text in ("a\nb\nc\n", "x\nb\nc\n", "a\nb\ny\n"))
    done = bench.merge(base, ours, theirs, landed="theirs")
    assert done.files[FACT.path] == b"a\nb\ny\n"  # the gate lets nothing in that cannot be read
    assert [loss.lost for loss in done.losses] == [b"x\nb\ny\n"]


# --- specs --------------------------------------------------------------------------------------------------

SPEC = Spec(scope="projects/web", name="orders", release="1.0.0", owner="ann", content="Orders.\n\nHave lines.\n\nAnd a total.")


def test_the_higher_version_of_a_spec_stays_whole(bench: Bench):
    ours = {"release": "2.0.0", "content": "Orders.\n\nHave items.\n\nAnd a total."}
    theirs = {"release": "1.1.0", "content": "Orders.\n\nHave lines.\n\nAnd a sum."}
    merged, (loss,) = merge_edits(bench, SPEC, ours, theirs)
    assert (merged.release, merged.content) == ("2.0.0", ours["content"])
    assert loss.lost == encode(replace(SPEC, release="2.0.1", content="Orders.\n\nHave items.\n\nAnd a sum."))


def test_of_one_version_released_twice_the_later_stays(bench: Bench):
    ours, theirs = ({"release": "1.1.0", "content": f"Orders.\n\n{who}.\n\nAnd a total."} for who in ("Ours", "Theirs"))
    merged, (loss,) = merge_edits(bench, SPEC, ours, theirs)
    assert (merged.release, merged.content) == ("1.1.0", theirs["content"])
    assert loss.lost is not None
    assert b"release: 1.1.1" in loss.lost
    assert b"Ours." in loss.lost


def test_of_one_version_released_twice_the_landed_one_stays(bench: Bench):
    sides = [PROJECTS | files_of(replace(SPEC, release="1.1.0", content=f"Orders by {who}.")) for who in ("us", "them")]
    done = bench.merge(PROJECTS | files_of(SPEC), *sides, landed="ours")
    assert done.files == sides[0]
    assert any(b"Orders by them." in (loss.lost or b"") for loss in done.losses)


# --- what is fine by itself -----------------------------------------------------------------------------------


def item(name: str, **more: Any) -> BacklogItem:
    return replace(ITEM, id=f"{name}-{name.encode().hex():0<8}"[:40], title=name, **more)


def test_two_edits_that_close_a_circle_keep_the_landed_one(bench: Bench):
    one, two = item("one"), item("two")
    base = PROJECTS | files_of(one, two)
    ours, theirs = base | files_of(replace(one, blocked_by=(two.id,))), base | files_of(replace(two, blocked_by=(one.id,)))
    for landed, stays, other in (("ours", ours, two), ("theirs", theirs, one)):
        done = bench.merge(base, ours, theirs, landed=landed)  # type: ignore[arg-type]
        assert done.files == stays
        assert [(loss.path, loss.fields) for loss in done.losses] == [(other.path, ("blocked_by",))]


def test_what_something_new_waits_for_comes_back(bench: Bench):
    one, two = item("one"), item("two")
    base = PROJECTS | files_of(one)
    done = bench.merge(base, PROJECTS, base | files_of(replace(two, blocked_by=(one.id,))))
    assert done.files == PROJECTS | files_of(one, replace(two, blocked_by=(one.id,)))


def test_a_successor_that_was_removed_comes_back(bench: Bench):
    other = replace(FACT, id="jitter-hurts-3fa2b81c", title="Jitter hurts")
    base = PROJECTS | files_of(FACT, other)
    changed = replace(FACT, status="superseded", superseded_by=other.id)
    done = bench.merge(base, PROJECTS | files_of(FACT), PROJECTS | files_of(changed, other))
    assert done.files == PROJECTS | files_of(changed, other)


def test_a_project_comes_back_with_a_record_that_was_added_to_it(bench: Bench):
    removed = files_of(API)
    done = bench.merge(PROJECTS, removed, PROJECTS | files_of(FACT), landed="ours")
    assert done.files == PROJECTS | files_of(FACT)


# --- any two edits ----------------------------------------------------------------------------------------------

Edit = Callable[[dict[str, Record], str], None]


def change(key: str, edit: Callable[[Any, str], Record]) -> Edit:
    """An edit of one record, if it is there; it may use a word that nobody else uses."""

    def apply(records: dict[str, Record], token: str) -> None:
        if key in records:
            records[key] = edit(records[key], token)

    return apply


def added(key: str, make: Callable[[str], Record]) -> Edit:
    return lambda records, token: records.__setitem__(key, make(token))


def removed(key: str) -> Edit:
    return lambda records, _: records.pop(key, None) and None


def line_edit(name: str, position: int) -> Callable[[Any, str], Record]:
    def edit(record: Any, token: str) -> Record:
        lines = getattr(record, name).split("\n")
        lines[position % len(lines)] = token
        return replace(record, **{name: "\n".join(lines)})

    return edit


def line_gone(name: str, position: int) -> Callable[[Any, str], Record]:
    def edit(record: Any, _: str) -> Record:
        lines = getattr(record, name).split("\n")
        del lines[position % len(lines)]
        return replace(record, **{name: "\n".join(lines) or "left"})

    return edit


def appended(name: str) -> Callable[[Any, str], Record]:
    return lambda record, token: replace(record, **{name: f"{getattr(record, name)}\n\n{token}"})


def with_value(**values: Any) -> Callable[[Any, str], Record]:
    return lambda record, _: replace(record, **values)


def with_token(name: str) -> Callable[[Any, str], Record]:
    return lambda record, token: replace(record, **{name: token})


def with_tag(name: str) -> Callable[[Any, str], Record]:
    return lambda record, token: replace(record, **{name: (*getattr(record, name), token)})


def without_tag(name: str) -> Callable[[Any, str], Record]:
    return lambda record, _: replace(record, **{name: getattr(record, name)[1:]})


def released(part: int) -> Callable[[Any, str], Record]:
    def edit(record: Any, token: str) -> Record:
        numbers = [int(each) for each in record.release.split(".")]
        numbers[part] += 1
        numbers[part + 1 :] = [0] * (2 - part)
        return replace(record, release=".".join(map(str, numbers)), content=f"{record.content}\n\n{token}")

    return edit


def ticked(record: Any, token: str) -> Record:
    items = record.items
    return replace(record, items=(replace(items[0], done=True, notes=token), *items[1:])) if items else record


TWO = replace(item("two"), text="Two.\n\nMore.")
LIST = Checklist(scope="projects/web", name="launch", items=(ChecklistItem(text="Tag it"), ChecklistItem(text="Ship it")))
CONTEXT = ContextValue(scope="projects/web", key="stack", value={"db": {"name": "pg"}, "ui": "none"})
START: dict[str, Record] = {
    "web": WEB, "api": API, "item": ITEM, "two": TWO, "fact": FACT, "list": LIST, "context": CONTEXT, "spec": SPEC,
}  # fmt: skip
EDITS: list[Edit] = [
    *(change(key, with_token("title")) for key in ("item", "two", "fact")),
    *(change(key, edit("tags")) for key in ("item", "fact", "spec") for edit in (with_tag, without_tag)),
    *(change("fact", edit("content", n)) for n in (0, 2, 3, 4) for edit in (line_edit, line_gone)),
    *(change("item", edit("text", n)) for n in (0, 2, 6) for edit in (line_edit, line_gone)),
    *(change(key, appended(name)) for key, name in (("fact", "content"), ("item", "text"), ("two", "text"))),
    *(change("item", with_value(status=status)) for status in ("in_progress", "done", "blocked", "wont_do")),
    *(change("item", with_value(assigned_to=name, status="in_progress")) for name in ("ann", "bob")),
    *(change("item", with_value(scope=scope)) for scope in ("projects/api", "projects/web", "shared")),
    change("item", with_value(blocked_by=(TWO.id,))),
    change("two", with_value(blocked_by=(ITEM.id,))),
    change("two", with_value(parent=ITEM.id)),
    change("item", with_value(parent=TWO.id)),
    change("item", with_token("resolution")),
    change("fact", with_value(memory_type="gotcha")),
    change("fact", with_value(status="archived", restores_to="active")),
    change("fact", lambda record, token: replace(record, links=(*record.links, Link(rel="uses", to=token)))),
    change("fact", lambda record, token: replace(record, extra=f"{record.extra}k{token}: 1\n")),
    change("web", lambda record, token: replace(record, members=(*record.members, Member(name=token, role=token)))),
    change("web", with_token("description")),
    change("list", ticked),
    change("list", lambda record, token: replace(record, items=(*record.items, ChecklistItem(text=token)))),
    change("list", lambda record, _: replace(record, items=record.items[1:])),
    change("context", lambda record, token: replace(record, value={**record.value, token: {"deep": [token]}})),
    change("context", lambda record, token: replace(record, value={**record.value, "ui": token})),
    change("context", lambda record, _: replace(record, value={"ui": record.value.get("ui", 1)})),
    *(change("spec", released(part)) for part in (0, 1, 2)),
    *(removed(key) for key in (*START, "rule", "memory")),
    added("rule", lambda token: Guideline(scope="projects/web", name="commits", rule=f"{token}\n\nSmall ones.", priority=len(token))),
    *(added("memory", lambda token, category=category: Remembered(scope="shared", key="psr", category=category, value=token))
      for category in ("term", "person")),
    added("new", lambda token: replace(FACT, id=f"new-{token}", title=token)),
]  # fmt: skip


def tokens() -> Iterator[str]:
    for number in range(10_000):
        yield f"{0xABC000 + number:x}"


def edited(bench: Bench, chosen: list[int], words: Iterator[str]) -> tuple[dict[str, bytes], list[str]]:
    """A side: what the gate lets in of these edits, and the words that it has and nobody else."""
    records, used, base = dict(START), [], files_of(*START.values())
    files = base
    for number in chosen:
        attempt, token = dict(records), next(words)
        EDITS[number](attempt, token)
        made = files_of(*attempt.values())
        if not bench.problems(files, made) and not bench.problems(base, made):
            records, files = attempt, made
            used.append(token)
    everything = b"".join(files.values())
    return files, [token for token in used if token.encode() in everything]


CHOICES = st.lists(st.integers(0, len(EDITS) - 1), max_size=8)


@settings(max_examples=300)
@given(CHOICES, CHOICES, st.sampled_from([(NINE, TEN), (TEN, NINE), (NINE, NINE)]), st.sampled_from([None, "ours", "theirs"]))
def test_any_two_edits_make_one_memory_and_lose_nothing(
    bench: Bench, first: list[int], second: list[int], times: tuple[datetime, datetime], landed: SideName | None
):
    words, base = tokens(), files_of(*START.values())
    (ours, our_words), (theirs, their_words) = edited(bench, first, words), edited(bench, second, words)
    done = bench.merge(base, ours, theirs, times=times, landed=landed)

    flipped: dict[SideName | None, SideName | None] = {"ours": "theirs", "theirs": "ours", None: None}
    assert bench.merge(base, theirs, ours, times=times[::-1], landed=flipped[landed]) == done
    everything = b"\0".join([*done.files.values(), *(loss.lost or b"" for loss in done.losses)])
    assert [word for word in our_words + their_words if word.encode() not in everything] == []
    for path, data in done.files.items():
        declared = kind_at(path)
        assert declared is not None
        decoded = decode(declared, path, data)
        assert decoded.problems == ()
        assert decoded.record is not None
        assert encode(decoded.record) == data
        assert decoded.record.path == path
    for loss in done.losses:
        if loss.why == "both changed it":  # it can be proposed as it is
            assert bench.problems(done.files, done.files | {loss.path: loss.lost or b""}) == []
    if landed:
        assert bench.problems(ours if landed == "ours" else theirs, done.files) == []


@settings(max_examples=100)
@given(CHOICES)
def test_a_side_merged_with_itself_or_with_the_base_is_that_side(bench: Bench, chosen: list[int]):
    base = files_of(*START.values())
    side, _ = edited(bench, chosen, tokens())
    for ours, theirs in ((side, side), (side, base), (base, side)):
        assert bench.merge(base, ours, theirs) == Outcome(side, ())
