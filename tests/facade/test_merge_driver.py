"""A person's `git merge`, `git rebase` and `git cherry-pick` in a worktree of a memory, with the merge driver."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitmem.domains.backlog.record import BacklogItem
from gitmem.domains.checklists import Checklist, ChecklistItem
from gitmem.founding import found
from gitmem.git.merge_driver import configure_driver
from gitmem.records.codec import encode
from gitmem.records.kind import Record
from tests.conftest import git

ITEM = BacklogItem(
    scope="shared", id="fix-the-login-3fa2b81c", title="Fix the login", tags=("auth",), text="It fails.\n\nSee the log.",
)  # fmt: skip
OURS = replace(ITEM, status="done", tags=("auth", "ours"), text="It fails.\n\nSee the log.\n\nOurs.")
THEIRS = replace(ITEM, status="in_progress", tags=("auth", "theirs"), text="It fails.\n\nSee the log.\n\nTheirs.")
MERGED = replace(ITEM, status="done", tags=("auth", "ours", "theirs"), text="It fails.\n\nSee the log.\n\nOurs.\n\nTheirs.")


class Worktree:
    """A person's clone of a memory."""

    def __init__(self, path: Path, memory: Path) -> None:
        self.path = path
        git(path.parent, "clone", "-q", str(memory), str(path))
        configure_driver(path)
        self._clock = 0

    def git(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        self._clock += 60
        when = f"@{1_800_000_000 + self._clock} +0000"
        dates = ["env", f"GIT_AUTHOR_DATE={when}", f"GIT_COMMITTER_DATE={when}"]
        return subprocess.run([*dates, "git", *arguments], cwd=self.path, capture_output=True, text=True, check=False)

    def commit(self, *records: Record, branch: str = "") -> None:
        if branch:
            self.git("switch", "-q", "-C", branch)
        for record in records:
            file = self.path / record.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(record))
        self.git("add", "-A")
        assert self.git("commit", "-q", "-m", "change").returncode == 0

    def branches(self, base: Record, ours: Record, theirs: Record) -> None:
        """`main` with our change, `other` with theirs, which is the later."""
        self.commit(base)
        self.git("branch", "other")
        self.commit(ours)
        self.git("switch", "-q", "other")
        self.commit(theirs)
        self.git("switch", "-q", "main")

    def file(self, record: Record) -> bytes:
        return (self.path / record.path).read_bytes()


@pytest.fixture
def worktree(tmp_path: Path) -> Worktree:
    memory, _ = found(tmp_path / "memory.git")
    memory.close()
    return Worktree(tmp_path / "work", tmp_path / "memory.git")


def test_git_merge_merges_records_field_by_field(worktree: Worktree):
    worktree.branches(ITEM, OURS, THEIRS)
    done = worktree.git("merge", "-q", "other")
    assert (done.returncode, done.stderr) == (0, "")
    assert worktree.file(ITEM) == encode(MERGED)
    assert worktree.git("status", "--porcelain").stdout == ""


def test_it_is_the_same_whoever_merges_whom(worktree: Worktree):
    worktree.branches(ITEM, OURS, THEIRS)
    worktree.git("switch", "-q", "other")
    assert worktree.git("merge", "-q", "main").returncode == 0
    assert worktree.file(ITEM) == encode(MERGED)


def test_git_rebase_merges_records_field_by_field(worktree: Worktree):
    worktree.branches(ITEM, OURS, THEIRS)
    worktree.git("switch", "-q", "other")
    assert worktree.git("rebase", "-q", "main").returncode == 0
    assert worktree.file(ITEM) == encode(MERGED)


def test_git_cherry_pick_merges_records_field_by_field(worktree: Worktree):
    worktree.branches(ITEM, OURS, THEIRS)
    assert worktree.git("cherry-pick", "other").returncode == 0
    assert worktree.file(ITEM) == encode(MERGED)


def test_what_excludes_each_other_stops_git_with_the_later_version_and_no_marker(worktree: Worktree):
    ours, theirs = replace(OURS, title="Ours"), replace(THEIRS, title="Theirs")
    worktree.branches(ITEM, ours, theirs)
    done = worktree.git("merge", "other")
    assert done.returncode == 1
    assert done.stderr == (
        f"gitmem: '{ITEM.path}': both sides changed title. It is merged, with theirs there; with ours it would be:\n"
        "  -title: Theirs\n"
        "  +title: Ours\n"
        "fix: edit it or leave it as it is, then 'git add' it.\n"
    )
    assert f"CONFLICT (content): Merge conflict in {ITEM.path}" in done.stdout
    assert worktree.file(ITEM) == encode(replace(MERGED, title="Theirs"))
    stages = [worktree.git("show", f":{stage}:{ITEM.path}").stdout.encode() for stage in (1, 2, 3)]
    assert stages == [encode(ITEM), encode(ours), encode(theirs)]
    worktree.git("add", "-A")
    assert worktree.git("commit", "-q", "--no-edit").returncode == 0
    assert worktree.git("show", f"HEAD:{ITEM.path}").stdout.encode() == encode(replace(MERGED, title="Theirs"))


def test_the_later_version_is_that_of_the_later_commit_even_if_it_is_ours(worktree: Worktree):
    ours, theirs = replace(ITEM, title="Ours"), replace(ITEM, title="Theirs")
    worktree.branches(ITEM, ours, theirs)
    worktree.git("switch", "-q", "other")
    assert worktree.git("merge", "main").returncode == 1
    assert worktree.file(ITEM) == encode(theirs)


@pytest.mark.usefixtures("signing")
def test_git_merge_merges_what_was_committed_with_signatures(worktree: Worktree):
    worktree.branches(ITEM, OURS, THEIRS)
    assert worktree.git("merge", "-q", "other").returncode == 0
    assert worktree.file(ITEM) == encode(MERGED)


def test_a_yaml_record_that_both_sides_added_is_merged(worktree: Worktree):
    worktree.commit(ITEM)
    worktree.git("branch", "other")
    lists = [Checklist(name="launch", items=(ChecklistItem(text=text),)) for text in ("Ours", "Theirs")]
    worktree.commit(lists[0])
    worktree.git("switch", "-q", "other")
    worktree.commit(lists[1])
    assert worktree.git("merge", "-q", "main").returncode == 0
    assert worktree.file(lists[0]) == encode(Checklist(name="launch", items=(ChecklistItem(text="Ours"), ChecklistItem(text="Theirs"))))


def test_a_record_that_was_moved_and_changed_elsewhere_is_merged_at_its_new_place(worktree: Worktree):
    long = replace(ITEM, text="\n\n".join(f"Line {n}." for n in range(20)))
    worktree.commit(long)
    worktree.git("branch", "other")
    (worktree.path / long.path).unlink()
    moved = replace(long, scope="projects/web", tags=("moved",))
    worktree.commit(moved)
    worktree.git("switch", "-q", "other")
    worktree.commit(replace(long, title="Fix it now", tags=("auth", "theirs")))
    assert worktree.git("merge", "-q", "main").returncode == 0
    assert worktree.file(moved) == encode(replace(moved, title="Fix it now", tags=("moved", "theirs")))
    assert not (worktree.path / long.path).exists()


def test_the_command_does_what_the_driver_does(worktree: Worktree, tmp_path: Path):
    files = [tmp_path / name for name in ("base", "ours", "theirs")]
    for file, record in zip(files, (ITEM, OURS, THEIRS), strict=True):
        file.write_bytes(encode(record))
    command = [sys.executable, "-m", "gitmem.facade.cli", "merge-driver", *map(str, files), ITEM.path]
    done = subprocess.run(command, cwd=worktree.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files[1].read_bytes() == encode(MERGED)


def test_without_the_driver_git_merges_as_it_always_does(worktree: Worktree):
    worktree.git("config", "--remove-section", "merge.gitmem")
    worktree.branches(ITEM, replace(ITEM, title="Ours"), replace(ITEM, text="It fails.\n\nSee the log.\n\nTheirs."))
    assert worktree.git("merge", "-q", "other").returncode == 0
    assert worktree.file(ITEM) == encode(replace(ITEM, title="Ours", text="It fails.\n\nSee the log.\n\nTheirs."))
