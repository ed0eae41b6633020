"""Pushes of several commits: what each of them may do, they may do together."""

from pathlib import Path

from gitmem.domains.backlog.record import BacklogItem
from gitmem.records.codec import encode
from tests.conftest import Team
from tests.facade.test_push import Person

ONE, TWO = (BacklogItem(scope="projects/web", id=f"{name}-3fa2b81c", title=name) for name in ("one", "two"))
WAITING = BacklogItem(scope="projects/web", id=ONE.id, title="one", blocked_by=(TWO.id,))


def test_an_item_may_wait_for_one_that_is_removed_in_the_next_commit(team: Team, tmp_path: Path):
    pat = Person(team.memory.path, tmp_path / "clone")
    for record in (ONE, TWO):
        pat.write(record.path, encode(record))
    pat.commit()
    assert pat.push() == "accepted"
    pat.write(ONE.path, encode(WAITING))
    pat.commit()
    (pat.clone / TWO.path).unlink()
    pat.commit()
    assert pat.push() == "accepted"


def test_in_one_commit_that_is_a_slip(team: Team, tmp_path: Path):
    pat = Person(team.memory.path, tmp_path / "clone")
    pat.write(WAITING.path, encode(WAITING))
    pat.commit()
    said = pat.push()
    assert f"{WAITING.path}: blocked_by names '{TWO.id}', which is no backlog item" in said
