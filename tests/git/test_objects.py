"""What gitmem writes, git itself reads; what git does to the repository, gitmem survives."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmem.git import folding, maintenance
from gitmem.git.objects import EMPTY_TREE, FILE, FOLDER, Commit, Entry, MissingObject, Person, Tree, new_object
from gitmem.git.refs import Refs
from gitmem.git.repository import MAIN, NotARepository, Repository, run_git
from gitmem.names import now
from tests.conftest import git

names = st.text(st.sampled_from("abcxyz.-_09AZ"), min_size=1, max_size=6).filter(lambda n: n not in (".", ".."))
BLOB = new_object("blob", b"hello\n")
WHO = Person("Ann", "ann@example.com")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.init(tmp_path / "memory.git")


def commit_file(repository: Repository, number: int) -> str:
    blob = new_object("blob", b"%d\n" % number)
    tree = EMPTY_TREE.with_entry(f"f{number}", Entry(FILE, blob.oid))
    made = new_object("tree", tree.data)
    parent = repository.refs.read(MAIN)
    commit = new_object("commit", Commit(made.oid, (parent,) if parent else (), WHO, WHO, now(), f"{number}\n").encode())
    with repository.objects.written([blob, made, commit]):
        pass
    assert repository.refs.swap(MAIN, parent, commit.oid)
    return commit.oid


@given(st.dictionaries(names, st.booleans(), max_size=12))
@settings(max_examples=100)
def test_a_tree_is_in_gits_own_order_however_it_was_made(entries: dict[str, bool]):
    tree = EMPTY_TREE
    for name, is_folder in entries.items():
        tree = tree.with_entry(name, Entry(FOLDER if is_folder else FILE, BLOB.oid))
    assert Tree.parse(tree.data).entries == tree.entries
    from dulwich.objects import Tree as TheirTree

    theirs = TheirTree()
    for name, entry in tree.entries.items():
        theirs.add(name.encode(), entry.mode, entry.oid.encode())
    assert theirs.as_raw_string() == tree.data
    for name in entries:
        tree = tree.with_entry(name, None)
    assert tree.data == b""


def test_git_reads_what_was_written_and_finds_nothing_wrong(repository: Repository):
    oid = commit_file(repository, 1)
    assert git(repository.path, "show", f"{oid}:f1") == "1\n"
    assert "Ann <ann@example.com>" in git(repository.path, "log", "-1", "--format=%an <%ae>", "main")
    assert "error" not in git(repository.path, "fsck", "--strict")


def test_a_ref_moves_only_from_what_it_is_expected_to_hold(repository: Repository):
    first = commit_file(repository, 1)
    other = commit_file(repository, 2)
    assert not repository.refs.swap(MAIN, first, first)
    assert not repository.refs.swap(MAIN, None, first)
    assert repository.refs.read(MAIN) == other


@pytest.mark.parametrize("name", ["refs/heads/../../config", "refs/heads/a\0b"])
def test_what_git_would_not_call_a_ref_is_none(repository: Repository, name: str):
    assert repository.refs.read(name) is None
    (repository.path / "refs/heads/link").write_text(f"ref: {name}\n")
    assert repository.refs.read("refs/heads/link") is None


def test_packed_refs_are_read_after_git_packed_them(repository: Repository):
    oid = commit_file(repository, 1)
    reader = Refs(repository.path)
    assert reader.read(MAIN) == oid
    run_git(repository.path, "pack-refs", "--all")
    assert reader.read(MAIN) == oid
    newer = commit_file(repository, 2)
    assert reader.read(MAIN) == newer
    assert reader.list("refs/heads/") == {MAIN: newer}


def test_of_many_swaps_from_one_state_exactly_one_wins(repository: Repository):
    base = commit_file(repository, 0)
    targets = []
    for number in range(8):
        made = new_object("commit", Commit(repository.objects.commit(base).tree, (base,), WHO, WHO, now(), f"{number}\n").encode())
        with repository.objects.written([made]):
            pass
        targets.append(made.oid)
    barrier, won = threading.Barrier(8), []

    def race(target: str) -> None:
        barrier.wait()
        if Refs(repository.path).swap(MAIN, base, target):
            won.append(target)

    threads = [threading.Thread(target=race, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert repository.refs.read(MAIN) == won[0]


def test_a_lock_file_that_a_killed_program_left_does_not_stay(repository: Repository):
    oid = commit_file(repository, 1)
    lock = repository.path / (MAIN + ".lock")
    lock.touch()
    os.utime(lock, (1, 1))
    assert repository.refs.swap(MAIN, oid, commit_orphan(repository))


def commit_orphan(repository: Repository) -> str:
    head = repository.refs.read(MAIN)
    assert head
    made = new_object("commit", Commit(repository.objects.commit(head).tree, (head,), WHO, WHO, now(), "next\n").encode())
    with repository.objects.written([made]):
        pass
    return made.oid


def test_folding_keeps_every_object_and_leaves_few_packs(repository: Repository):
    commits = [commit_file(repository, number) for number in range(40)]
    assert len(repository.objects.packs()) == 40
    reader = Repository(repository.path)
    assert reader.objects.commit(commits[0]).message == "0\n"
    folding.fold(repository)
    assert len(repository.objects.packs()) < folding.FOLD_AT
    for number, oid in enumerate(commits):
        assert reader.objects.commit(oid).message == f"{number}\n"
    assert "error" not in git(repository.path, "fsck", "--strict")


def test_folding_leaves_alone_packs_with_deltas_and_unreferenced_objects(repository: Repository):
    for number in range(20):
        commit_file(repository, number)
    waiting = commit_orphan(repository)
    upkeep = maintenance.Upkeep(repository)
    condition = upkeep.run(thorough=True)
    assert condition.packs <= 2
    assert condition.loose_objects == 0
    assert Repository(repository.path).objects.commit(waiting).message == "next\n"
    for number in range(20, 40):
        commit_file(repository, number)
    upkeep.run()
    assert "error" not in git(repository.path, "fsck", "--strict")
    assert len(git(repository.path, "rev-list", "main").split()) == 40


def test_a_reader_survives_a_repack_by_git_itself(repository: Repository):
    commits = [commit_file(repository, number) for number in range(10)]
    reader = Repository(repository.path)
    assert reader.objects.commit(commits[0]).message == "0\n"
    subprocess.run(["git", "-C", str(repository.path), "repack", "-adq"], check=True)
    assert [reader.objects.commit(oid).message for oid in commits] == [f"{n}\n" for n in range(10)]


def test_an_object_that_is_not_there_is_named(repository: Repository):
    with pytest.raises(MissingObject, match="f" * 40):
        repository.objects.read("f" * 40)


@pytest.mark.parametrize("make", ["nothing", "file", "folder", "worktree"])
def test_a_path_that_is_no_bare_repository_is_refused_and_says_why(tmp_path: Path, make: str):
    path = tmp_path / "place"
    if make == "file":
        path.write_text("x")
    elif make == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif make == "worktree":
        subprocess.run(["git", "init", "-q", str(path)], check=True)
    with pytest.raises(NotARepository) as refused:
        Repository(path)
    assert "gitmem init" in refused.value.fix
    if make == "folder":
        with pytest.raises(NotARepository):
            Repository.init(path)
        assert (path / "notes.txt").read_text() == "mine"
