"""History whose commits are signed, for a person whose git tells of that in every log."""

from pathlib import Path

import pytest

from gitmem.git.history import log
from gitmem.git.log import last_touched, path_versions
from gitmem.git.repository import Repository
from gitmem.git.signatures import verified
from tests.conftest import git


@pytest.fixture
def signed(tmp_path: Path, signing: None) -> Repository:
    work = tmp_path / "work"
    git(tmp_path, "init", "-q", str(work))
    for number, name in enumerate(("a", "b", "a")):
        (work / name).write_text(str(number))
        git(work, "add", "-A")
        git(work, "commit", "-qm", name)
    git(tmp_path, "clone", "-q", "--bare", str(work), "signed.git")
    return Repository(tmp_path / "signed.git")


def test_what_git_says_of_signatures_is_not_taken_for_history(signed: Repository, tmp_path: Path):
    assert "Good" in git(signed.path, "log", "-1", "--format=%H")
    commits = git(signed.path, "rev-list", "HEAD").split()
    assert [(commit.oid, touched) for commit, touched in log(signed, "HEAD")] == list(zip(commits, (["a"], ["b"], ["a"]), strict=True))
    assert [(each.commit.oid, each.path) for each in path_versions(signed, "HEAD", "a")] == [(commits[0], "a"), (commits[2], "a")]
    assert last_touched(signed.path, "HEAD", "").keys() == {"a", "b"}
    signers = (tmp_path / "signers").read_text().splitlines()
    assert [(each.commit, each.who) for each in verified(signed.path, commits, signers, [])] == [
        (commit, "pat@example.com") for commit in commits
    ]
