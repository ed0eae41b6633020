"""Histories that are put away: counted cheaply, bundled whole, let go of late, and dropped only when nobody can want them."""

import os
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from gitmem.errors import GitmemError
from gitmem.git import folding, maintenance, repacking
from gitmem.git.chains import Chains, PutAway
from gitmem.git.expiry import NEVER, Expiry
from gitmem.git.objects import EMPTY_TREE, FILE, Commit, Entry, MissingObject, Person, new_object
from gitmem.git.packs import KEEP_TEXT
from gitmem.git.repository import GitFailed, Repository, git_version
from gitmem.names import now
from tests.conftest import git

REF = "refs/gitmem/locks/web"
WHO = Person("Ann", "ann@example.com")
DAY = 86_400.0


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.init(tmp_path / "memory.git")


@pytest.fixture
def chains(repository: Repository) -> Chains:
    return Chains(repository)


def grow(repository: Repository, number: int, *, anew: bool = False) -> str:
    """One commit more on the ref; `anew`: without a parent."""
    blob = new_object("blob", b"%d\n" % number)
    tree = new_object("tree", EMPTY_TREE.with_entry(f"f{number}", Entry(FILE, blob.oid)).data)
    parent = repository.refs.read(REF)
    parents = (parent,) if parent and not anew else ()
    commit = new_object("commit", Commit(tree.oid, parents, WHO, WHO, now(), f"{number}\n").encode())
    with repository.objects.written([blob, tree, commit]):
        pass
    assert repository.refs.swap(REF, parent, commit.oid)
    return commit.oid


def put_away(repository: Repository, chains: Chains, commits: int = 5) -> PutAway:
    for number in range(commits):
        tip = grow(repository, number)
    history = PutAway.of(REF, tip)
    chains.hold(history)
    grow(repository, 99, anew=True)
    return history


def long(repository: Repository, most: int) -> list[str]:
    # made anew each time, as by another process
    return Chains(repository).too_long({REF: repository.refs.read(REF) or ""}, most)


# --- how long a chain is ------------------------------------------------------------------------


def test_a_chain_is_too_long_when_it_has_more_commits_than_are_allowed(repository: Repository):
    for number in range(5):
        tip = grow(repository, number)
    assert long(repository, 5) == []
    assert long(repository, 4) == [REF]
    assert (repository.private / "chains").read_text() == f"{REF} {tip} 5\n"
    for number in range(5, 9):
        grow(repository, number)
    assert long(repository, 9) == []
    assert long(repository, 8) == [REF]


def test_a_chain_that_did_not_move_is_not_counted_again(repository: Repository):
    tip = grow(repository, 1)
    (repository.private / "chains").write_text(f"{REF} {tip} 77\n")
    assert long(repository, 80) == []
    assert (repository.private / "chains").read_text().endswith(" 77\n")


def test_what_was_noted_of_a_chain_that_began_anew_makes_it_not_too_long(repository: Repository):
    for number in range(5):
        grow(repository, number)
    assert long(repository, 4) == [REF]
    grow(repository, 9, anew=True)
    assert long(repository, 4) == []
    assert (repository.private / "chains").read_text().endswith(" 1\n")


@pytest.mark.parametrize("note", ["", "nonsense\n", f"{REF} {'0' * 40} 3\n", f"{REF} 1 x\n"])
def test_a_bad_note_is_only_a_lost_cache(repository: Repository, note: str):
    for number in range(5):
        grow(repository, number)
    (repository.private / "chains").write_text(note)
    assert long(repository, 4) == [REF]
    assert long(repository, 5) == []


# --- putting away -------------------------------------------------------------------------------


def test_a_history_is_bundled_whole_and_a_stranger_can_read_it(repository: Repository, chains: Chains, tmp_path: Path):
    history = put_away(repository, chains)
    assert history.ref == f"refs/gitmem/archive/locks/web/{history.tip[:10]}"
    assert history.chain == REF
    made = list(chains.finish(0.0))
    assert made == [(history, repository.path / "archive" / f"locks-web-{history.tip[:10]}.bundle")]
    git(tmp_path, "init", "-q", "--bare", "other.git")
    git(tmp_path / "other.git", "fetch", "-q", str(made[0][1]), "refs/*:refs/*")
    assert git(tmp_path / "other.git", "log", "--format=%s", history.ref).split() == ["4", "3", "2", "1", "0"]
    assert "error" not in git(tmp_path / "other.git", "fsck", "--strict")
    assert [each.name for each in (repository.path / "archive").iterdir()] == [made[0][1].name]


def test_a_history_is_let_go_of_after_the_next_repack(repository: Repository, chains: Chains):
    history = put_away(repository, chains)
    list(chains.finish(0.0))
    assert list(chains.finish(time.time() - 60)) == []
    assert chains.held() == [history]
    assert list(chains.finish(time.time() + 60)) == []
    assert chains.held() == []
    assert repository.objects.commit(history.tip).oid == history.tip


def test_a_history_that_is_still_part_of_its_chain_is_not_archived(repository: Repository, chains: Chains):
    tip = grow(repository, 1)
    chains.hold(PutAway.of(REF, tip))
    grow(repository, 2)
    assert list(chains.finish(0.0)) == []
    assert chains.held() == []
    assert not (repository.path / "archive").exists()


def test_what_a_killed_process_left_is_cleared_away_and_done_again(repository: Repository, chains: Chains):
    put_away(repository, chains)
    left = repository.path / "archive" / "tmp_left"
    (left / "history.git").mkdir(parents=True)
    (left / "x.bundle").write_text("half")
    assert len(list(chains.finish(0.0))) == 1
    assert not left.exists()


def test_a_history_that_cannot_be_archived_stays_where_it_is(repository: Repository, chains: Chains):
    history = put_away(repository, chains)
    (repository.path / "archive").write_text("no folder")
    with pytest.raises((OSError, GitmemError)):
        list(chains.finish(0.0))
    assert chains.held() == [history]
    (repository.path / "archive").unlink()
    assert len(list(chains.finish(0.0))) == 1


def test_a_history_that_is_damaged_is_not_taken_for_archived(repository: Repository, chains: Chains):
    history = put_away(repository, chains)
    repacking.repack(repository, thorough=True)
    for pack in repository.objects.packs():
        data = pack.with_suffix(".pack").read_bytes()
        pack.with_suffix(".pack").chmod(0o644)
        pack.with_suffix(".pack").write_bytes(data[:-40] + bytes(40))
    with pytest.raises(GitFailed):
        list(Chains(Repository(repository.path)).finish(0.0))
    assert chains.held() == [history]
    assert list((repository.path / "archive").glob("*.bundle")) == []


# --- what no ref holds --------------------------------------------------------------------------


def aged(repository: Repository, days: float) -> None:
    """Make everything on disk that many days older, the times of the repacks too."""
    for path in repository.objects.pack_folder.iterdir():
        os.utime(path, (path.stat().st_mtime - days * DAY,) * 2)
    note = repository.private / "referenced"
    if note.exists():
        note.write_text(" ".join(str(float(each) - days * DAY) for each in note.read_text().split()))


def thorough(repository: Repository) -> None:
    maintenance.Upkeep(repository).run(thorough=True)


def has(repository: Repository, oid: str) -> bool:
    try:
        Repository(repository.path).objects.read(oid)
    except MissingObject:
        return False
    return True


needs_cruft = pytest.mark.skipif(git_version() < repacking.CRUFT_PACKS, reason="this git keeps what no ref holds")


@needs_cruft
def test_what_no_ref_holds_goes_at_the_second_repack_that_sees_it_after_two_weeks(repository: Repository):
    old = grow(repository, 1)
    thorough(repository)
    grow(repository, 2, anew=True)
    aged(repository, 30)
    thorough(repository)  # the first that sees it unreferenced
    assert has(repository, old)
    thorough(repository)  # too soon to count
    assert has(repository, old)
    aged(repository, 2)
    thorough(repository)
    assert not has(repository, old)
    assert "error" not in git(repository.path, "fsck", "--strict")
    assert len(repository.objects.packs()) == 1


@needs_cruft
def test_what_is_young_stays_however_often_git_repacks(repository: Repository):
    old = grow(repository, 1)
    grow(repository, 2, anew=True)
    for _ in range(3):
        thorough(repository)
        aged(repository, 4)
    assert has(repository, old)


@needs_cruft
def test_nothing_goes_when_the_time_of_the_last_repack_is_not_known(repository: Repository):
    old = grow(repository, 1)
    grow(repository, 2, anew=True)
    thorough(repository)
    aged(repository, 60)
    (repository.private / "referenced").unlink()
    thorough(repository)
    assert has(repository, old)


@needs_cruft
def test_folding_leaves_the_pack_of_what_no_ref_holds_alone(repository: Repository):
    for number in range(3):
        grow(repository, number, anew=True)
    thorough(repository)
    (cruft,) = repository.objects.pack_folder.glob("*.mtimes")
    for number in range(40):
        grow(repository, number)
    folding.fold(repository)
    assert cruft.exists()
    assert cruft.with_suffix(".pack").exists()
    assert len(repository.objects.packs()) < folding.FOLD_AT


def test_the_age_that_git_is_told_is_never_younger_than_the_repack_before(tmp_path: Path):
    expiry = Expiry(tmp_path / "referenced")
    assert expiry.is_due()
    with expiry.round() as expires:
        assert expires == NEVER
    assert not expiry.is_due()
    with expiry.round() as expires:
        assert expires == NEVER
    counted = time.time() - 20 * DAY
    expiry._note.write_text(f"{counted} {time.time() - 8 * DAY}")
    assert expiry.is_due()
    with expiry.round() as expires:
        assert expires == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(counted - 3600))
    expiry._note.write_text(f"{time.time() - 2 * DAY} {time.time() - 2 * DAY}")
    with expiry.round() as expires:
        assert expires[:10] == time.strftime("%Y-%m-%d", time.gmtime(time.time() - 14 * DAY))


def test_a_repack_that_failed_does_not_count(tmp_path: Path):
    expiry = Expiry(tmp_path / "referenced")
    with pytest.raises(RuntimeError), expiry.round():
        raise RuntimeError
    assert expiry.latest == 0


def test_a_clock_that_was_set_back_does_not_stop_it_for_ever(tmp_path: Path):
    expiry = Expiry(tmp_path / "referenced")
    expiry._note.write_text(f"{time.time() + 900 * DAY} {time.time() + 900 * DAY}")
    assert expiry.is_due()
    with expiry.round():
        pass
    assert expiry.latest <= time.time()


# --- half a pack ----------------------------------------------------------------------------------


def half_a_pack(repository: Repository, *, kept: bool) -> Path:
    """What a process leaves that is killed between a pack and its index."""
    grow(repository, 77)
    index = max(repository.objects.packs(), key=lambda each: each.stat().st_mtime_ns)
    made = index.with_name(f"pack-{'a' * 40}.pack")
    made.write_bytes(index.with_suffix(".pack").read_bytes())
    if kept:
        made.with_suffix(".keep").write_bytes(KEEP_TEXT)
    return made


def test_half_a_pack_of_a_killed_writer_goes_and_stops_no_repack(repository: Repository):
    half = half_a_pack(repository, kept=True)
    thorough(repository)
    assert not half.exists()
    assert not half.with_suffix(".keep").exists()
    assert Expiry(repository.private / "referenced").latest > 0


def test_half_a_pack_of_somebody_else_stops_no_repack(repository: Repository):
    half_a_pack(repository, kept=False)
    thorough(repository)
    assert len(repository.objects.packs()) == 1
    assert "error" not in git(repository.path, "fsck", "--strict")


def test_a_repack_waits_for_who_is_between_a_pack_and_its_index(repository: Repository):
    half = half_a_pack(repository, kept=True)
    with FileLock(repository.private / maintenance.WRITE_LOCK):
        thread = threading.Thread(target=thorough, args=(repository,))
        thread.start()
        thread.join(0.3)
        assert half.exists()
    thread.join()
    assert not half.exists()
