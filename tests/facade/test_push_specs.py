"""Specs, state documents and guidelines that a person pushes: what comes in, and the whole text if it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitmem.domains.specs.record import Spec
from gitmem.records.codec import encode
from tests.conftest import git
from tests.facade.test_push import ME, Person, report
from tests.proofs.workers import Agent, make

PATH = "projects/web/specs/orders-api.md"
STATE = "projects/web/state/web.md"
LONG = "The checkout is half done. " * 20


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Agent]:
    make(tmp_path / "memory.git")
    one = Agent(tmp_path / "memory.git")
    one.call("define_spec", name="orders-api", content="Orders are numbered.", version="1.2.0", json_schema={"type": "object"})
    one.call("define_spec", name="state:web", content=LONG)
    yield one
    one.close()


@pytest.fixture
def pat(ann: Agent, tmp_path: Path) -> Person:
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    return Person(ann.memory.path, tmp_path / "clone")


def rewrite(pat: Person, path: str, *changes: tuple[str, str]) -> None:
    text = (pat.clone / path).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    pat.write(path, text)
    pat.commit()


RAISED = ("release: 1.2.0", "release: 1.3.0")


def test_a_raised_version_is_accepted_and_tagged_when_somebody_asks_for_it(pat: Person, ann: Agent):
    rewrite(pat, PATH, RAISED, ("numbered", "counted"))
    assert pat.push() == "accepted"
    assert git(ann.memory.path, "tag", "-l", "specs/*").split() == ["specs/web/orders-api/v1.2.0"]
    read = ann.call("get_spec", name="orders-api", version="1.3.0").value
    assert (read.content, read.author) == ("Orders are counted.", "Pat Person")
    tag = git(ann.memory.path, "rev-parse", "specs/web/orders-api/v1.3.0")
    assert tag == git(pat.clone, "rev-parse", "HEAD")


def test_versions_pushed_together_are_all_versions(pat: Person, ann: Agent):
    rewrite(pat, PATH, RAISED, ("numbered", "counted"))
    rewrite(pat, PATH, ("release: 1.3.0", "release: 1.4.0"), ("counted", "listed"))
    assert pat.push() == "accepted"
    made = ann.call("define_spec", name="orders-api", content="Orders are sorted.").value
    assert made.version == "1.4.1"
    assert git(ann.memory.path, "tag", "-l", "specs/*").split() == [f"specs/web/orders-api/v1.{n}" for n in ("2.0", "3.0", "4.0", "4.1")]


def test_a_new_spec_is_accepted_and_its_owner_may_go_on(pat: Person, ann: Agent):
    record = Spec(scope="shared", name="naming", release="0.1.0", owner="ann", content="Use short names.")
    pat.write(record.path, encode(record))
    pat.commit()
    assert pat.push() == "accepted"
    assert ann.call("define_spec", name="naming", content="Use names.", scope="shared", bump="minor").value.version == "0.2.0"


def test_a_lowered_version_is_refused(pat: Person):
    rewrite(pat, PATH, ("release: 1.2.0", "release: 1.1.9"), ("numbered", "counted"))
    assert pat.refused() == report(
        f"{PATH}: release is 1.1.9, and 1.2.0 is out already; to go back, release the old text as 1.2.1, 1.3.0 or 2.0.0"
    )


def test_another_text_or_schema_under_the_same_version_is_refused(pat: Person):
    expected = report(f"{PATH}: release is still 1.2.0, but the content or the schema is not what it was; make it 1.2.1, 1.3.0 or 2.0.0")
    rewrite(pat, PATH, ("numbered", "counted"))
    assert pat.refused() == expected
    rewrite(pat, PATH, ("counted", "numbered"), ("type: object", "type: array"))
    assert pat.refused() == expected


def test_other_fields_need_no_new_version(pat: Person):
    rewrite(pat, PATH, ("owner: ann\n", "owner: ann\ntags: [http]\nreviewed: yes\n"))
    assert pat.push() == "accepted"


def test_a_state_document_that_loses_most_of_its_text_needs_a_major_version(pat: Person):
    rewrite(pat, STATE, ("release: 1.0.0", "release: 1.1.0"), (LONG, "Done."))
    assert pat.refused() == report(f"{STATE}: content has 5 characters instead of {len(LONG)}; if that is meant, make release 2.0.0")
    rewrite(pat, STATE, ("release: 1.1.0", "release: 2.0.0"))
    assert pat.push() == "accepted"


def test_a_state_document_is_cut_by_a_commit_that_says_so(pat: Person, ann: Agent):
    rewrite(pat, STATE, ("release: 1.0.0", "release: 1.0.1"), (LONG, "Done."))
    git(pat.clone, "commit", "-q", "--amend", "-m", "cut it", "-m", "Gitmem-Forced: yes")
    assert pat.push() == "accepted"
    ann.call("define_spec", name="state:web", content=LONG)
    ann.call("define_spec", name="state:web", content="Short.", force=True)
    assert git(ann.memory.path, "log", "-1", "--format=%(trailers:key=Gitmem-Forced)").strip() == "Gitmem-Forced: yes"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([("type: object", "type: objekt")], "json_schema is no JSON Schema: $.type: 'objekt' is not valid under any of the given schemas"),
        ([("  type: object", "  const: .nan")], "json_schema is no JSON Schema: holds a number that JSON does not have"),
    ],
)
def test_what_is_no_json_schema_is_refused(pat: Person, changes: list[tuple[str, str]], problem: str):
    rewrite(pat, PATH, RAISED, *changes)
    assert pat.refused() == report(f"{PATH}: {problem}")


def test_every_problem_of_a_spec_is_listed(pat: Person):
    pat.write(PATH, "---\nrelease: '2'\ntags: 7\nspec_type: novel\njson_schema: yes\n---\n\n")
    pat.commit()
    assert pat.refused() == report(
        f"{PATH}: content is empty",
        f"{PATH}: owner is missing: who may change it",
        f"{PATH}:2: release is '2', which is no version; three numbers such as 1.2.0, or 1.2.0-rc.1, are accepted",
        f"{PATH}:4: spec_type is 'novel', not one of interface, api, schema, requirement, architecture",
        f"{PATH}:5: json_schema is 'yes', not a mapping",
    )


def test_a_guideline_by_hand_is_accepted_and_told(pat: Person, ann: Agent):
    pat.write("projects/web/guidelines/small-commits.md", "One thing a commit.\n")
    pat.commit()
    assert pat.push() == "accepted"
    [section] = [each for each in ann.call("start_session").value.sections if each.name == "guidelines"]
    assert section.lines == ("small-commits [web, priority 50]: One thing a commit.",)


def test_a_guideline_with_a_bad_priority_is_refused(pat: Person):
    pat.write("shared/guidelines/small-commits.md", "---\npriority: 0\n---\n\nOne thing a commit.\n")
    pat.commit()
    assert pat.refused() == report("shared/guidelines/small-commits.md:2: priority is 0; 1 to 100 are accepted")


def test_a_removed_spec_is_gone_and_its_versions_stay(pat: Person, ann: Agent):
    (pat.clone / PATH).unlink()
    pat.commit()
    assert pat.push() == "accepted"
    assert git(ann.memory.path, "show", f"specs/web/orders-api/v1.2.0:{PATH}").endswith("Orders are numbered.\n")
    assert ann.call("define_spec", name="orders-api", content="Again.").value.version == "1.2.1"
