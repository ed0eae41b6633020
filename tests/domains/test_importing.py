"""Importing folders of Markdown: what becomes of files, and what becomes of them the second time."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitmem.desk import UnknownProject
from gitmem.domains import documents
from gitmem.domains.importing import ImportReport, import_markdown
from gitmem.domains.knowledge.record import Knowledge
from gitmem.memory.caller import Caller
from gitmem.memory.gate import BODY_MAX_BYTES
from tests.conftest import Team, git

CAP = BODY_MAX_BYTES


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def bring_in(team: Team, folder: Path, *, agent: str = "ann", project: str = "web", **more: Any) -> ImportReport:
    return import_markdown(team.memory, Caller(agent), folder, project, lambda *_: None, **more)


def records(team: Team) -> dict[str, Knowledge]:
    found = team.memory.view().records(Knowledge, "projects/web/knowledge")
    return {record.source: record for record in found if record.source}


def reasons(report: ImportReport) -> dict[str, str]:
    return {notice.source: notice.what for notice in report.left_out}


# --- what becomes of a file --------------------------------------------------------------------


def test_a_file_becomes_a_record_with_its_front_matter_and_its_text_as_typed(team: Team, docs: Path) -> None:
    text = "Some *text*\n  with   odd spacing.\n\n- and a list"
    write(docs, guide__retry=f"---\ntitle: Retry policy\ntags: [network, retry]\nversion: 1.10\nnested:\n  a: [1, 2]\n---\n\n{text}\n")
    report = bring_in(team, docs)
    assert (report.files, report.added, len(report.commits)) == (1, 1, 1)
    record = records(team)["docs/guide/retry.md"]
    assert record.title == "Retry policy"
    assert record.tags == ("network", "retry")
    assert record.extra == "version: 1.10\nnested:\n  a: [1, 2]\n"
    assert record.content == text
    assert (record.author, record.memory_type, record.status) == ("ann", "architecture", "active")
    assert record.expires is None
    assert git(team.memory.path, "log", "-1", "--format=%an %(trailers:key=Gitmem-Verb,valueonly)", "main").split() == ["ann", "import_markdown"]
    assert git(team.memory.path, "fsck", "--strict") == ""


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: From front matter\n---\n# Heading\n", "From front matter"),
        ("---\ntitle: 2024\n---\nx\n", "2024"),
        ("Words first.\n\n## The `npm` *heading*\n\n# Later\n", "The npm heading"),
        ("Underlined\n==========\n", "Underlined"),
        ("```\n# no heading in code\n```\n", "page"),
        ("> # quoted\n\nx", "page"),
        ("---\ntitle: ''\n---\nx\n", "page"),
        ("# " + "long " * 80, "long " * 39 + "long…"),
    ],
)
def test_the_title_is_that_of_the_front_matter_or_the_first_heading_or_the_files_name(text: str, title: str) -> None:
    assert documents.read("a/page.md", text).title == title


def test_type_and_status_of_the_front_matter_count_if_they_are_ours(team: Team, docs: Path) -> None:
    write(
        docs,
        one="---\ntype: adr\nstatus: deprecated\n---\n# One\n",
        two="---\ntype: page\nstatus: draft\n---\n# Two\n",
        three="---\nmemory_type: gotcha\ntype: adr\n---\n# Three\n",
    )
    report = bring_in(team, docs)
    one, two, three = (records(team)[f"docs/{name}.md"] for name in ("one", "two", "three"))
    assert (one.memory_type, one.status) == ("adr", "deprecated")
    assert (two.memory_type, two.status) == ("architecture", "active")
    assert two.extra == "type: page\noriginal_status: draft\n"
    assert "original_status" in report.notes[0].what
    assert three.memory_type == "gotcha"
    assert three.expires is not None


def test_a_file_cannot_say_who_its_author_is_nor_what_is_ours_to_say(team: Team, docs: Path) -> None:
    write(docs, one="---\nauthor: root\nid: intro\nsource: elsewhere\ncreated: 1999-01-01\nsuperseded_by: x\n---\n# One\n")
    bring_in(team, docs)
    record = records(team)["docs/one.md"]
    assert record.author == "ann"
    assert record.superseded_by == ""
    assert "original_author: root\noriginal_id: intro\n" in record.extra


@pytest.mark.parametrize(
    "head",
    ["title: [never closed", "a: &x 1\nb: *x", "a: 1\na: 2", "just a sentence", "{a: 1, b: 2}", "a: !!python/object:os.system 1", "- a\n- b"],
)
def test_front_matter_that_cannot_be_kept_is_taken_as_text(team: Team, docs: Path, head: str) -> None:
    write(docs, odd=f"---\n{head}\n---\n\n# Title\n")
    report = bring_in(team, docs)
    assert report.added == 1
    assert "front matter was taken as text" in report.notes[0].what
    assert head in records(team)["docs/odd.md"].content
    assert bring_in(team, docs).unchanged == 1


def test_links_between_imported_files_become_links_of_their_records(team: Team, docs: Path) -> None:
    write(
        docs,
        index="[a](guide/retry.md) [b](guide/retry.md#why) [c](<guide/with space.md>) [d](https://x.example/a.md) [e](no.md) [f](#here)\n",
        guide__retry="[up](../index.md) [site](/guide/deep/page) [self](retry.md) ![image](../index.md) `[code](../index.md)`\n",
        guide__deep__page="[reference][r]\n\n[r]: ../retry\n",
    )
    (docs / "guide" / "with space.md").write_text("[away](../../../etc/passwd.md)\n")
    bring_in(team, docs)
    found = records(team)
    ids = {source: record.id for source, record in found.items()}

    def targets(source: str) -> list[str]:
        assert all(link.rel == "links_to" for link in found[source].links)
        return [link.to for link in found[source].links]

    assert targets("docs/index.md") == [ids["docs/guide/retry.md"], ids["docs/guide/with space.md"]]
    assert targets("docs/guide/retry.md") == [ids["docs/index.md"], ids["docs/guide/deep/page.md"]]
    assert targets("docs/guide/deep/page.md") == [ids["docs/guide/retry.md"]]
    assert targets("docs/guide/with space.md") == []
    related = team.call("related", id=ids["docs/index.md"])["related"]
    assert {(each["id"], each["rel"]) for each in related} == {(to, "links_to") for to in targets("docs/index.md")}


def test_many_files_land_in_few_commits(team: Team, docs: Path) -> None:
    write(docs, **{f"page{number}": f"# Page {number}\n\n[next](page{number + 1}.md)\n" for number in range(410)})
    seen: list[tuple[int, int]] = []
    report = import_markdown(team.memory, Caller("ann"), docs, "web", lambda done, total: seen.append((done, total)))
    assert (report.added, len(report.commits)) == (410, 3)
    assert seen[0] == (1, 410)
    assert seen[-1] == (410, 410)
    assert git(team.memory.path, "fsck", "--strict") == ""


# --- what is left out ----------------------------------------------------------------------------


def test_what_cannot_be_imported_is_told_and_the_rest_lands(team: Team, docs: Path, tmp_path: Path) -> None:
    write(docs, good="# Good\n", empty="", blank="---\ntitle: x\n---\n\n", control="# Bell \a rings\n\nDing \a dong\n")
    (docs / "latin.md").write_bytes(b"# Caf\xe9\n")
    (docs / "wide.md").write_bytes("# Wide\n".encode("utf-16"))
    (docs / "huge.md").write_bytes(b"x" * (5 * 1024 * 1024 + 1))
    (tmp_path / "outside.md").write_text("# Outside\n")
    (docs / "link.md").symlink_to(tmp_path / "outside.md")
    (docs / "loop").symlink_to(docs)
    os.mkfifo(docs / "pipe.md")
    (docs / os.fsdecode(b"name\xff.md")).write_text("# Odd name\n")
    (docs / "readme.txt").write_text("not Markdown")
    (docs / "node_modules").mkdir()
    (docs / "node_modules" / "other.md").write_text("# Not ours\n")
    report = bring_in(team, docs)
    told = reasons(report)
    assert list(records(team)) == ["docs/good.md"]
    assert told.pop("empty.md") == told.pop("blank.md") == "is empty"
    assert "control character" in told.pop("control.md")
    assert told.pop("latin.md") == "is not UTF-8: byte 0xe9 at offset 5"
    assert told.pop("wide.md") == "is not UTF-8: byte 0xff at offset 0"
    assert "5,242,881 bytes" in told.pop("huge.md")
    assert told.pop("link.md") == "is a link; links are not followed"
    assert told.pop("loop") == "is a link to a folder; links are not followed"
    assert told.pop("pipe.md") == "is no plain file"
    assert told.pop(os.fsdecode(b"name\xff.md")) == "has a name that is not UTF-8"
    assert told == {}


@pytest.mark.parametrize("name", ["line\nbreak.md", "🎉 party.MD", "x" * 252 + ".md", "-.markdown", "CON.md", "a#2.md", '"q".md'])
def test_odd_file_names_do_no_harm(team: Team, docs: Path, name: str) -> None:
    (docs / name).write_text("plain text\n")
    assert bring_in(team, docs).added == 1
    assert f"docs/{name}" in records(team)
    assert bring_in(team, docs).unchanged == 1


def test_an_unknown_project_is_refused_before_anything_is_read(team: Team, docs: Path) -> None:
    with pytest.raises(UnknownProject, match="wep"):
        bring_in(team, docs, project="wep")


# --- the second time -------------------------------------------------------------------------------


def test_importing_again_without_changes_writes_nothing(team: Team, docs: Path) -> None:
    write(docs, one="---\ntitle: One\nmine: kept\n---\n\n# Heading\r\n\r\ntext  \r\n", two="[one](one.md)\n")
    bring_in(team, docs)
    head = team.memory.head()
    again = bring_in(team, docs, agent="bob")
    assert (again.added, again.updated, again.unchanged, again.commits) == (0, 0, 2, ())
    assert team.memory.head() == head


def test_a_changed_file_updates_its_own_record_and_a_removed_one_is_only_told(team: Team, docs: Path) -> None:
    write(docs, one="# One\n", two="# Two\n", three="# Three\n")
    bring_in(team, docs)
    before = records(team)
    write(docs, one="---\ntype: adr\n---\n# One, decided\n")
    (docs / "two.md").unlink()
    report = bring_in(team, docs, agent="bob")
    after = records(team)
    assert (report.added, report.updated, report.unchanged) == (0, 1, 1)
    assert [(each.source, before["docs/two.md"].id in each.what) for each in report.gone] == [("two.md", True)]
    assert after["docs/two.md"] == before["docs/two.md"]
    assert (after["docs/one.md"].id, after["docs/one.md"].author) == (before["docs/one.md"].id, "ann")
    assert (after["docs/one.md"].title, after["docs/one.md"].memory_type) == ("One, decided", "adr")
    assert len(after) == 3


def test_folders_of_one_project_do_not_get_into_each_others_way(team: Team, docs: Path, tmp_path: Path) -> None:
    wiki = tmp_path / "wiki"
    wiki.mkdir()
    write(docs, readme="# Docs\n")
    write(wiki, readme="# Wiki\n")
    bring_in(team, docs)
    assert bring_in(team, wiki).gone == ()
    assert set(records(team)) == {"docs/readme.md", "wiki/readme.md"}
    moved = docs.rename(tmp_path / "checkout-2")
    assert bring_in(team, moved, name="docs").unchanged == 1


def test_an_edit_in_the_memory_outlives_an_import_of_unchanged_files(team: Team, docs: Path) -> None:
    write(docs, one="# One\n\nAs written.\n")
    bring_in(team, docs)
    one = records(team)["docs/one.md"].id
    team.call("edit", id=one, operation="append", text="Found out later.", agent="bob")
    team.call("change_status", id=one, new_status="deprecated", agent="bob")
    report = bring_in(team, docs)
    assert (report.updated, report.commits) == (0, ())
    assert [(each.source, "bob" in each.what) for each in report.edited] == [("one.md", True)]
    assert "Found out later." in records(team)["docs/one.md"].content


def test_where_both_sides_changed_a_person_is_told_and_may_overwrite(team: Team, docs: Path) -> None:
    write(docs, one="# One\n\nAs written.\n", two="# Two\n")
    bring_in(team, docs)
    one = records(team)["docs/one.md"].id
    team.call("edit", id=one, operation="append", text="Found out later.", agent="bob")
    write(docs, one="# One\n\nRewritten.\n", two="# Two, too\n")
    report = bring_in(team, docs)
    assert report.updated == 1
    assert "changed, and so did" in reasons(report)["one.md"]
    assert "Found out later." in records(team)["docs/one.md"].content
    assert bring_in(team, docs, overwrite=True).updated == 1
    assert records(team)["docs/one.md"].content == "# One\n\nRewritten."


def test_what_was_deleted_in_the_memory_stays_deleted_until_its_file_changes_or_somebody_insists(team: Team, docs: Path) -> None:
    write(docs, one="# One\n", two="# Two\n\n[one](one.md)\n", three="# Three\n")
    bring_in(team, docs)
    before = records(team)
    one, two = before["docs/one.md"].id, before["docs/two.md"].id
    team.call("edit", id=two, operation="append", text="Found out later.")
    for each in (one, two):
        team.call("delete", id=each, reason="wrong")
    head = team.memory.head()
    report = bring_in(team, docs, agent="bob")
    assert (report.added, report.updated, report.unchanged, team.memory.head()) == (0, 0, 1, head)
    deleted = "was deleted in the memory, as {}; --overwrite brings it back"
    assert reasons(report) == {"one.md": deleted.format(one), "two.md": deleted.format(two)}
    write(docs, one="# One\n\nMended.\n")
    report = bring_in(team, docs, agent="bob")
    assert (report.added, reasons(report)) == (1, {"two.md": deleted.format(two)})
    assert [(each.source, each.what) for each in report.notes] == [("one.md", f"changed since {one} was deleted in the memory, and is back")]
    assert bring_in(team, docs, overwrite=True).added == 1
    after = records(team)
    assert {source: record.id for source, record in after.items()} == {source: record.id for source, record in before.items()}
    assert after["docs/one.md"].content == "# One\n\nMended."
    assert after["docs/two.md"] == replace(before["docs/two.md"], created=after["docs/two.md"].created)
    team.call("delete", id=one, reason="wrong again")
    assert list(reasons(bring_in(team, docs))) == ["one.md"]


def test_a_deleted_part_of_a_file_stays_deleted_and_the_others_stay_as_they_are(team: Team, docs: Path) -> None:
    write(docs, handbook=long_document(6, 500), other="[book](handbook.md)\n")
    bring_in(team, docs)
    team.call("delete", id=records(team)["docs/handbook.md#2"].id, reason="wrong")
    report = bring_in(team, docs)
    assert (report.updated, report.commits, list(reasons(report))) == (0, (), ["handbook.md"])
    write(docs, other="# Other\n\n[book](handbook.md)\n")
    assert bring_in(team, docs).updated == 1


def test_what_somebody_changes_during_an_import_is_not_overwritten(team: Team, docs: Path) -> None:
    write(docs, one="# One\n", two="# Two\n")
    bring_in(team, docs)
    one = records(team)["docs/one.md"].id
    write(docs, one="# One, again\n", two="# Two, again\n")

    def edit_meanwhile(done: int, total: int) -> None:
        if done == total:
            team.call("edit", id=one, operation="append", text="In between.", agent="bob")

    report = import_markdown(team.memory, Caller("ann"), docs, "web", edit_meanwhile)
    assert report.updated == 1
    assert "somebody else just now" in reasons(report)["one.md"]
    assert "In between." in records(team)["docs/one.md"].content
    assert records(team)["docs/two.md"].title == "Two, again"


def test_links_that_the_team_added_stay(team: Team, docs: Path) -> None:
    write(docs, one="# One\n", two="# Two\n")
    bring_in(team, docs)
    one, two = (records(team)[f"docs/{name}.md"].id for name in ("one", "two"))
    team.call("edit", id=one, operation="set_fields", fields={"links": [{"rel": "uses", "to": two}]}, agent="bob")
    assert bring_in(team, docs).unchanged == 2
    write(docs, one="# One\n\n[two](two.md)\n")
    bring_in(team, docs)
    assert [(link.rel, link.to) for link in records(team)["docs/one.md"].links] == [("uses", two)]
    assert bring_in(team, docs, overwrite=True).updated == 1
    assert [(link.rel, link.to) for link in records(team)["docs/one.md"].links] == [("uses", two), ("links_to", two)]


# --- long files --------------------------------------------------------------------------------------


def long_document(sections: int, lines: int) -> str:
    text = "# Handbook\n\nIntroduction.\n\n"
    for section in range(sections):
        text += f"## Section {section}\n\n" + "".join(f"Line {line} of {section} says something or other.\n" for line in range(lines)) + "\n"
    return text


def test_a_long_file_is_split_at_its_headings_into_linked_parts(team: Team, docs: Path) -> None:
    write(docs, handbook=long_document(6, 500), other="[book](handbook.md)\n")
    bring_in(team, docs)
    found = records(team)
    parts = [found["docs/handbook.md"], *(found[f"docs/handbook.md#{number}"] for number in range(2, len(found)))]
    assert len(parts) > 2
    assert parts[0].title == "Handbook"
    assert parts[1].title.startswith("Handbook (part 2: Section ")
    assert all(part.content.startswith("## Section") for part in parts[1:])
    assert all(len(part.content.encode()) <= CAP for part in parts)
    assert "\n\n".join(part.content for part in parts) == long_document(6, 500).strip("\n")
    links = [[(link.rel, link.to) for link in part.links] for part in parts]
    assert links[0] == [("next", parts[1].id)]
    assert links[1] == [("part_of", parts[0].id), ("next", parts[2].id)]
    assert links[-1] == [("part_of", parts[0].id)]
    assert [(link.rel, link.to) for link in found["docs/other.md"].links] == [("links_to", parts[0].id)]
    assert bring_in(team, docs).unchanged == len(found)


def test_parts_that_a_file_no_longer_has_are_superseded_until_it_has_them_again(team: Team, docs: Path) -> None:
    write(docs, handbook=long_document(4, 500))
    bring_in(team, docs)
    before = records(team)
    write(docs, handbook="# Handbook\n\nAll moved to the wiki.\n")
    report = bring_in(team, docs)
    shrunk = records(team)
    assert report.gone == ()
    assert shrunk["docs/handbook.md"].links == ()
    assert shrunk["docs/handbook.md#2"].status == "superseded"
    assert shrunk["docs/handbook.md#2"].superseded_by == before["docs/handbook.md"].id
    assert bring_in(team, docs).commits == ()
    write(docs, handbook=long_document(4, 500))
    bring_in(team, docs)
    again = records(team)
    assert {source: (record.id, record.status, record.content) for source, record in again.items()} == {
        source: (record.id, "active", record.content) for source, record in before.items()
    }


def test_a_section_that_is_too_long_by_itself_is_cut_at_paragraphs() -> None:
    paragraph = "Words and more words. " * 400 + "\n"
    text = "# Only section\n\n" + f"{paragraph}\n" * 20
    parts = documents.parts(text, CAP)
    assert len(parts) > 2
    assert all(part.heading == "Only section" for part in parts)
    assert all(part.text.endswith("Words and more words. ") for part in parts)


@given(
    st.lists(st.sampled_from(["# A", "## B", "", "text ü", "    code", "```", "x" * 70, "🎉" * 30, "- item", "---"]), max_size=60),
    st.integers(40, 200),
)
def test_parts_fit_and_lose_nothing(lines: list[str], most_bytes: int) -> None:
    text = "\n".join(lines).strip("\n")
    parts = documents.parts(text, most_bytes)
    assert all(len(part.text.encode()) <= most_bytes for part in parts)
    assert "".join(part.text for part in parts).replace("\n", "") == text.replace("\n", "")


@given(st.text(max_size=300))
def test_any_text_can_be_read_as_a_document(text: str) -> None:
    document = documents.read("folder/page.md", f"---\n{text}\n---\n{text}")
    assert document.title
    assert len(document.title) <= documents.TITLE_MAX
