import subprocess
from pathlib import Path

import pytest

from gitmem.git import history
from gitmem.git.history import last_changes
from gitmem.git.repository import Repository
from gitmem.index.search import Index
from gitmem.memory.memory import Memory
from tests.index.conftest import Write


def _git(folder: Path, *arguments: str, day: int = 1, author: str = "Pat") -> str:
    moment = f"2026-01-{day:02}T00:00:00Z"
    who = ["-c", f"user.name={author}", "-c", "user.email=x@example.com"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments],
        capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": moment, "GIT_AUTHOR_DATE": moment},
    )
    return done.stdout.strip()


def _commit(folder: Path, path: str, text: str, *, day: int, author: str) -> None:
    (folder / path).write_text(text)
    _git(folder, "add", "-A", day=day)
    _git(folder, "commit", "-qm", path, day=day, author=author)


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """A history with a branch and a merge that itself edits one file."""
    folder = tmp_path / "work"
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    for name in ("kept", "ours", "theirs", "both", "ä file"):
        _commit(folder, name, "1", day=1, author="Ada")
    _git(folder, "branch", "side")
    _commit(folder, "ours", "2", day=2, author="Bob")
    _commit(folder, "both", "ours", day=3, author="Bob")
    _git(folder, "checkout", "-q", "side")
    _commit(folder, "theirs", "2", day=4, author="Eve")
    _commit(folder, "both", "theirs", day=5, author="Eve")
    _git(folder, "checkout", "-q", "main")
    _git(folder, "merge", "-q", "-s", "ours", "--no-commit", "side")
    (folder / "theirs").write_text("2")
    (folder / "both").write_text("merged")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "merge", day=6, author="Mel")
    return folder


@pytest.mark.parametrize("steps", [300, 0, 1, 3], ids=lambda steps: f"{steps}-steps-in-process")
def test_a_merge_is_passed_through_to_who_made_the_change(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(history, "STEPS_IN_PROCESS", steps)
    _git(tmp_path, "clone", "-q", "--bare", str(merged), "bare.git")
    repository = Repository(tmp_path / "bare.git")
    head = _git(merged, "rev-parse", "HEAD")
    found = last_changes(repository, head, ["kept", "ours", "theirs", "both", "ä file"])
    assert {path: change.author for path, change in found.items()} == {
        "kept": "Ada", "ours": "Bob", "theirs": "Eve", "both": "Mel", "ä file": "Ada",
    }
    assert found["theirs"].time.day == 4
    for store in repository.objects._stores:
        store.close()


def test_a_shallow_clone_counts_its_oldest_commit(merged: Path, tmp_path: Path) -> None:
    _git(tmp_path, "clone", "-q", "--bare", "--depth=1", f"file://{merged}", "bare.git")
    repository = Repository(tmp_path / "bare.git")
    found = last_changes(repository, _git(merged, "rev-parse", "HEAD"), ["kept", "both"])
    assert {change.author for change in found.values()} == {"Mel"}
    for store in repository.objects._stores:
        store.close()


def test_a_pushed_merge_is_searched_with_its_authors(memory: Memory, index: Index, write: Write, tmp_path: Path) -> None:
    record = write("One", "alpha", by="ada")
    index.search("alpha", view=memory.view())
    _git(tmp_path, "clone", "-q", str(memory.path), "work")
    work = tmp_path / "work"
    _git(work, "checkout", "-q", "-b", "side")
    (work / record.path).write_text((work / record.path).read_text().replace("alpha", "omega"))
    _git(work, "commit", "-qam", "edit", author="Sue", day=2)
    _git(work, "checkout", "-q", "main")
    _git(work, "merge", "-q", "--no-ff", "-m", "merge", "side", author="Mel", day=3)
    _git(work, "push", "-q", "origin", "main")
    for _ in range(2):
        hit = index.search("omega", view=memory.view()).hits[0]
        assert (hit.path, hit.updated_by, hit.updated.day) == (record.path, "Sue", 2)
        index.rebuild()
    assert index.touched(record.path, view=memory.view()) == (hit.updated, "Sue")
