"""Sync: clones that work apart and come together through a hub, or with each other."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitmem.cloning import clone
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.locks.record import Lock
from gitmem.domains.memories.record import Usage
from gitmem.founding import found
from gitmem.git.chains import Chains
from gitmem.git.repository import MAIN, run_git
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.rerooting import begin_anew
from gitmem.memory.settling import UnrelatedHistory
from gitmem.memory.sync import Report, Sync, shared_refs, sync_with
from gitmem.memory.view import Place
from tests.conftest import Team, git


class Clone(Team):
    """A clone with an index, in which anybody can call verbs."""

    def __init__(self, url: str, path: Path) -> None:
        clone(url, path).close()
        super().__init__(path)

    def sync(self, name: str = "hub") -> Report:
        hub = hubs.hub_named(self.memory.repository, name)
        return Sync(self.memory, hub, hub.remote(self.memory.repository)).run()

    def refs(self) -> dict[str, str]:
        """What clones share."""
        return self.shared_of(self.memory)

    @staticmethod
    def shared_of(memory: Memory) -> dict[str, str]:
        """What the clones of a memory share."""
        return shared_refs(memory)

    def titles(self) -> set[str]:
        """Of all knowledge."""
        return {each.title for each in self.memory.view().records(Knowledge)}

    def locked(self) -> list[str]:
        """What anybody holds."""
        return sorted(lock.pattern for lock in self.memory.view(Place("locks", "web")).records(Lock))

    def learn(self, topic: str, agent: str = "ann") -> str:
        return str(self.call("record_learning", agent=agent, topic=topic, content=f"About {topic}.")["id"])


Cloner = Callable[..., Clone]


@pytest.fixture
def cloned(team: Team, tmp_path: Path) -> Iterator[Cloner]:
    """Makes clones of the team's memory, or of a repository at another address."""
    made: list[Clone] = []

    def make(name: str, url: str = "") -> Clone:
        made.append(Clone(url or str(team.memory.path), tmp_path / f"{name}.git"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def bare_hub(team: Team, tmp_path: Path) -> str:
    """A hub that knows nothing of gitmem, as a forge."""
    git(tmp_path, "clone", "-q", "--bare", str(team.memory.path), "forge.git")
    return str(tmp_path / "forge.git")


def test_what_two_clones_wrote_is_in_both_after_a_sync(team: Team, cloned: Cloner):
    one, two = cloned("one"), cloned("two")
    one.learn("one found this")
    two.learn("two found that", agent="bob")
    one.sync()
    report = two.sync()
    one.sync()
    assert [(each.ref, each.came, each.went, each.merged) for each in report.refs if each.ref == MAIN] == [(MAIN, 1, 1, True)]
    assert one.refs() == two.refs()
    for each in (one, two):
        assert {"one found this", "two found that"} <= each.titles()
    assert team.memory.head() == one.memory.head()
    assert git(one.memory.path, "fsck", "--strict", "--no-dangling") == ""


def test_a_second_sync_moves_nothing(cloned: Cloner):
    one = cloned("one")
    one.learn("something")
    one.sync()
    before = one.memory.repository.refs.list("refs/")
    report = one.sync()
    assert (report.refs, report.refused, report.proposals) == ((), (), ())
    assert one.memory.repository.refs.list("refs/") == before


def test_clones_that_merge_the_same_make_the_same_commit(team: Team, cloned: Cloner, tmp_path: Path):
    one, two = cloned("one"), cloned("two")
    for here, there in ((one, two), (two, one)):
        hubs.add(here.memory.repository, str(there.memory.path), "peer")
        here.learn(f"by {here.memory.path.name}")
    copies = [Memory(Path(shutil_copy(each.memory.path, tmp_path / f"copy-{each.memory.path.name}"))) for each in (one, two)]
    one.sync("peer")
    run_git(copies[1].path, "config", "remote.peer.url", str(copies[0].path))
    hub = hubs.hub_named(copies[1].repository, "peer")
    Sync(copies[1], hub, hub.remote(copies[1].repository)).run()
    assert copies[1].head() == one.memory.head() == two.memory.head()
    assert len(one.memory.repository.objects.commit(one.memory.head()).parents) == 2
    for each in copies:
        each.close()


def shutil_copy(source: Path, target: Path) -> str:
    return str(shutil.copytree(source, target))


def test_both_edited_one_record_and_what_loses_becomes_the_same_proposal(team: Team, cloned: Cloner):
    one, two = cloned("one"), cloned("two")
    known = one.learn("shared ground")
    one.sync()
    two.sync()
    one.call("edit", id=known, operation="set_fields", fields={"title": "The title that one gave"})
    two.call("edit", agent="bob", id=known, operation="set_fields", fields={"title": "The title that two gave"})
    one.sync()
    report = two.sync()
    one.sync()
    assert len(report.proposals) == 1
    assert one.refs() == two.refs()
    assert report.proposals[0] in one.refs()
    diff = git(one.memory.path, "diff", "main", report.proposals[0])
    assert "-title: The title that two gave" in diff or "-title: The title that one gave" in diff


def test_locks_messages_and_marks_come_along(cloned: Cloner):
    one, two = cloned("one"), cloned("two")
    session = one.call("start_session", agent="ann", task_description="work")["session_id"]
    one.call("lock_files", session=session, files=("src/a.py",), reason="editing")
    one.call("heartbeat", session=session)
    one.call("start_session", agent="bob")
    one.call("send_message", to_instance="bob", message="to you")
    one.sync()
    two.sync()
    assert two.locked() == ["src/a.py"]
    assert one.refs() == two.refs()
    assert two.call("get_messages", agent="bob")["messages"]
    assert "refs/gitmem/presence/web/ann" in two.refs()


def test_a_tag_that_was_set_comes_along_and_so_does_a_branch_that_was_removed(team: Team, cloned: Cloner):
    one, two = cloned("one"), cloned("two")
    head = git(one.memory.path, "commit-tree", "-p", "main", "-m", "an idea", "main^{tree}").strip()
    run_git(one.memory.path, "update-ref", "refs/heads/proposals/idea-12345678", head)
    one.call("define_spec", name="api", content="GET /items lists them.")
    one.sync()
    two.sync()
    assert two.refs()["refs/heads/proposals/idea-12345678"] == head
    assert two.refs()["refs/tags/specs/web/api/v1.0.0"] == one.memory.head()
    run_git(two.memory.path, "update-ref", "-d", "refs/heads/proposals/idea-12345678")
    two.sync()
    one.sync()
    assert "refs/heads/proposals/idea-12345678" not in one.refs()
    assert "refs/heads/proposals/idea-12345678" not in team.memory.repository.refs.list("refs/heads/")


def test_a_chain_that_began_anew_at_the_hub_keeps_what_was_removed_since_away(team: Team, cloned: Cloner):
    one = cloned("one")
    team.call("lock_files", files=("a.py", "b.py"), reason="both")
    one.sync()
    team.call("unlock_files", files=("a.py",))
    assert begin_anew(team.memory, Chains(team.memory.repository), Place("locks", "web"))
    one.call("lock_files", agent="bob", files=("c.py",), reason="mine")
    one.sync()
    assert one.locked() == ["b.py", "c.py"]
    assert one.refs()["refs/gitmem/locks/web"] == team.memory.repository.refs.read("refs/gitmem/locks/web")


def test_a_memory_that_was_just_founded_takes_over_the_history_of_its_hub(team: Team, tmp_path: Path):
    fresh, _ = found(tmp_path / "fresh.git")
    hub = hubs.add(fresh.repository, str(team.memory.path))
    Sync(fresh, hub, hub.remote(fresh.repository)).run()
    assert fresh.head() == team.memory.head()
    fresh.close()


def test_an_empty_hub_gets_everything(team: Team, tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    team.call("lock_files", files=("a.py",), reason="work")
    hub = hubs.add(team.memory.repository, str(tmp_path / "empty.git"))
    Sync(team.memory, hub, hub.remote(team.memory.repository)).run()
    there = git(tmp_path / "empty.git", "for-each-ref", "--format=%(refname)").split()
    assert {MAIN, "refs/gitmem/locks/web"} <= set(there)


def test_another_memory_is_refused_and_nothing_changes(team: Team, tmp_path: Path):
    git(tmp_path, "init", "-q", "other")
    (tmp_path / "other" / "gitmem.yaml").write_text("format: 1\n")
    git(tmp_path / "other", "add", "-A")
    git(tmp_path / "other", "commit", "-qm", "another team")
    hub = hubs.add(team.memory.repository, str(tmp_path / "other"))
    before = team.memory.head()
    with pytest.raises(UnrelatedHistory, match="two memories"):
        Sync(team.memory, hub, hub.remote(team.memory.repository)).run()
    assert team.memory.head() == before
    assert git(tmp_path / "other", "log", "--format=%s", "main").split("\n")[0] == "another team"


def test_recalls_are_not_counted_twice_because_they_came_by_two_hubs(team: Team, cloned: Cloner, tmp_path: Path):
    team.call("remember", key="psr", value="Pressure sensor.", category="term")
    forge = bare_hub(team, tmp_path)
    one, two = cloned("one"), cloned("two")
    for each in (one, two):
        hubs.add(each.memory.repository, forge, "forge")
        sync_with(each.memory, hubs.hubs(each.memory.repository))
    for recalls, each in enumerate((one, two), 1):
        for _ in range(recalls):
            each.call("recall", key="psr")
    for each in (one, two, one, two):
        sync_with(each.memory, hubs.hubs(each.memory.repository))
    for each in (one, two):
        mark = each.memory.marks.read(Usage, "web", "ann")
        assert mark is not None
        assert [(use.key, use.count) for use in mark.uses] == [("psr", 2)]
    assert one.refs() == two.refs()


def test_memories_that_were_made_at_the_same_second_are_two(team: Team, tmp_path: Path):
    other = Team(tmp_path / "other.git")
    other.call("project", action="create", name="web", description="The web shop.")
    roots = {git(each.memory.path, "rev-list", "--max-parents=0", "main") for each in (team, other)}
    assert len(roots) == 2
    hub = hubs.add(team.memory.repository, str(other.memory.path))
    with pytest.raises(UnrelatedHistory):
        Sync(team.memory, hub, hub.remote(team.memory.repository)).run()
    other.close()


def test_a_hub_that_began_a_chain_anew_and_one_that_did_not_come_together(team: Team, cloned: Cloner, tmp_path: Path):
    forge = bare_hub(team, tmp_path)
    one = cloned("one")
    hubs.add(one.memory.repository, forge, "forge")
    team.call("lock_files", files=("a.py",), reason="work")
    chosen = hubs.hubs(one.memory.repository)
    sync_with(one.memory, chosen)
    assert begin_anew(team.memory, Chains(team.memory.repository), Place("locks", "web"))
    reports = sync_with(one.memory, chosen)
    assert [report.refused for report in reports] == [(), ()]
    ends = {shared_refs(each)["refs/gitmem/locks/web"] for each in (team.memory, one.memory, Memory(Path(forge)))}
    assert len(ends) == 1
    before = one.refs()
    reports = sync_with(one.memory, chosen)
    assert [report.refs for report in reports] == [(), ()]
    assert one.refs() == before
    assert one.locked() == ["a.py"]


def test_what_came_in_bad_is_refused_with_the_file_and_the_rest_goes_on(team: Team, cloned: Cloner, tmp_path: Path):
    forge = bare_hub(team, tmp_path)
    one = cloned("one", forge)
    git(tmp_path, "clone", "-q", forge, "work")
    (tmp_path / "work" / "projects/web/context").mkdir(parents=True)
    (tmp_path / "work" / "projects/web/nowhere.txt").write_text("no record")
    git(tmp_path / "work", "add", "-A")
    git(tmp_path / "work", "commit", "-qm", "by hand")
    git(tmp_path / "work", "push", "-q")
    one.call("lock_files", files=("a.py",), reason="work")
    before = one.memory.head()
    report = one.sync()
    assert [refusal.ref for refusal in report.refused] == [MAIN]
    assert "projects/web/nowhere.txt" in report.refused[0].why
    assert one.memory.head() == before
    assert "refs/gitmem/locks/web" in git(Path(forge), "for-each-ref")


def test_a_refusal_of_the_hubs_hook_is_told_in_its_words_and_what_came_is_taken(team: Team, cloned: Cloner):
    one = cloned("one")
    team.call("record_learning", topic="from the hub", content="text")
    one.learn("from here")
    hook = team.memory.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'not today' >&2\nexit 1\n")
    report = one.sync()
    assert [(each.ref, each.why) for each in report.refused if each.ref == MAIN] == [(MAIN, "not today")]
    assert {"from the hub", "from here"} <= one.titles()


def test_as_of_tells_what_was_here_before_a_sync_brought_older_commits(cloned: Cloner):
    one, two = cloned("one"), cloned("two")
    two.learn("made elsewhere, long ago")
    two.sync()
    before = one.memory.head()
    one.sync()
    pushes = one.memory.repository.refs.pushes(MAIN)
    assert pushes[one.memory.head()][0] == before
