"""Whatever way main goes, through merges, pushes and syncs: a search is right, and the index comes after."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gitmem.founding import found
from gitmem.index import follower
from gitmem.index.search import Index
from gitmem.memory.memory import Memory
from gitmem.memory.view import View
from gitmem.names import new_id
from gitmem.records.kind import kind_at
from tests.conftest import git
from tests.index.conftest import Open, Write

COMPLEX_KEY = "---\ntitle: x\n? [a, b]\n: c\n---\n\nbad\n"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return found(tmp_path / "memory.git")[0]


class Person:
    """Somebody with a clone."""

    def __init__(self, memory: Memory, folder: Path) -> None:
        git(folder.parent, "clone", "-q", str(memory.path), str(folder))
        git(folder, "config", "user.name", "Pat")
        git(folder, "config", "user.email", "pat@example.com")
        self.folder = folder

    def commit(self, title: str = "", text: str = "") -> str:
        """Commit what is in the folder, and a record if one is given; the commit."""
        if title:
            record_id = new_id(title)
            file = self.folder / f"shared/knowledge/learning/{record_id[-8:-6]}/{record_id}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text if text.startswith("---") else f"---\ntitle: {title}\n---\n\n{text}\n")
            git(self.folder, "add", "-A")
        git(self.folder, "commit", "-qm", title or "more")
        return git(self.folder, "rev-parse", "HEAD").strip()

    def pull(self, *how: str) -> None:
        git(self.folder, "fetch", "-q")
        git(self.folder, "merge", "-q", "--no-edit", *how, "origin/main")

    def push(self) -> None:
        git(self.folder, "push", "-q", "origin", "main")


@pytest.fixture
def pat(memory: Memory, write: Write, tmp_path: Path) -> Person:
    write("First", "alpha")
    return Person(memory, tmp_path / "pat")


def there(view: View) -> list[str]:
    """All records of a view, found without the index."""
    return sorted(path for path, _ in view.files() if kind_at(path) and (decoded := view.decoded(path)) and decoded.record)


def indexed(index: Index, view: View) -> list[str]:
    return index.paths("kind", *index.count(view=view, by="kind"), view=view)


@pytest.mark.parametrize("how", [(), ("-s", "ours")], ids=["merged", "ours"])
def test_after_a_merge_from_elsewhere_all_commits_are_searched_right_and_folded(
    memory: Memory, pat: Person, write: Write, open_index: Open, how: tuple[str, ...]
) -> None:
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    write("Agents", "kangaroo")
    index.search("kangaroo", view=memory.view())
    beside = pat.commit("Pats", "wombat")
    pat.pull(*how)
    pat.push()

    for commit in (memory.head(), beside, memory.head()):
        view = memory.view(commit=commit)
        assert indexed(index, view) == there(view)
    assert index.fold()
    assert index.commit == memory.head()
    for commit in (memory.head(), beside):
        view = memory.view(commit=commit)
        assert indexed(index, view) == there(view)


def test_after_more_commits_than_are_gone_through_one_by_one_the_index_is_folded(
    memory: Memory, write: Write, open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_STEPS_MAX", 5)
    write("First", "alpha")
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    for number in range(10):
        write(f"Number {number}", "beta")

    assert index.search("beta", view=memory.view()).total == 10
    assert index.fold()
    assert index.commit == memory.head()
    assert index.search("beta", view=memory.view()).total == 10


def test_what_was_changed_back_was_last_changed_by_whoever_did_that(memory: Memory, write: Write, open_index: Open) -> None:
    record = write("Port", "alpha", by="ada")
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    write("Port", "beta", id=record.id, by="bob")
    write("Port", "alpha", id=record.id, by="eve")

    def last(view: View) -> list[str]:
        told = index.touched(record.path, view=view)
        return [told[1] if told else "", *(hit.updated_by for hit in index.search("port", view=view).hits)]

    assert last(memory.view()) == ["eve", "eve"]
    assert index.fold()
    assert last(memory.view()) == ["eve", "eve"]
    parents = memory.repository.objects.commit(memory.head()).parents
    first = memory.repository.objects.commit(parents[0]).parents[0]
    assert last(memory.view(commit=first)) == ["ada", "ada"]
    assert last(memory.view(commit=parents[0])) == ["bob", "bob"]


def test_main_set_back_is_searched_right_and_folded(memory: Memory, write: Write, open_index: Open) -> None:
    write("First", "alpha")
    before = memory.head()
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    write("Second", "alpha")
    assert index.search("alpha", view=memory.view()).total == 2
    assert memory.repository.refs.swap("refs/heads/main", memory.head(), before)
    write("Third", "beta")

    assert index.search("alpha", view=memory.view()).total == 1
    assert index.search("beta", view=memory.view()).total == 1
    assert index.fold()
    assert index.commit == memory.head()


def submodule(pat: Person) -> None:
    git(pat.folder, "update-index", "--add", "--cacheinfo", f"160000,{pat.commit('Third', 'beta')},shared/knowledge/learning/aa/x-aaaaaaaa.md")
    pat.commit()
    git(pat.folder, "rm", "-q", "--cached", "shared/knowledge/learning/aa/x-aaaaaaaa.md")


def a_bad_file(pat: Person) -> None:
    pat.commit("Bad", COMPLEX_KEY)
    git(pat.folder, "rm", "-q", *git(pat.folder, "diff", "--name-only", "HEAD~").split())


@pytest.mark.parametrize("bad", [submodule, a_bad_file])
def test_what_a_push_mended_before_it_arrived_hurts_no_search(
    memory: Memory, pat: Person, open_index: Open, bad: Callable[[Person], None]
) -> None:
    index = open_index(memory)
    index.search("alpha", view=memory.view())
    bad(pat)
    pat.commit()
    pat.commit("Last", "gamma")
    pat.push()

    assert index.search("gamma", view=memory.view()).total == 1
    assert index.search("alpha", view=memory.view(commit=git(pat.folder, "rev-parse", "HEAD~2").strip())).total == 1
    assert index.fold()
    assert index.commit == memory.head()


def test_an_index_of_a_commit_that_is_not_there_is_made_anew(memory: Memory, write: Write, open_index: Open, tmp_path: Path) -> None:
    write("First", "alpha")
    other = found(tmp_path / "other.git")[0]
    write("Other", "beta", into=other)
    for each in (memory, other):
        open_index(each).search("x", view=each.view())
    (ours,), (theirs,) = (list(each.repository.private.glob("index-*[0-9]")) for each in (memory, other))
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    other.close()

    for index in (open_index(memory), open_index(memory)):
        assert index.search("alpha", view=memory.view()).total == 1
        assert index.search("beta", view=memory.view()).total == 0
