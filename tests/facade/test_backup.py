"""Backups of a memory that is in use, brought back by the command; and files that are no backups, refused."""

import json
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gitmem.domains import restoring
from gitmem.domains.backup import back_up
from gitmem.domains.examining import examine
from gitmem.domains.presence import Presence
from gitmem.errors import GitmemError
from gitmem.facade.cli import commands
from gitmem.git import bundles
from gitmem.git.chains import Chains
from gitmem.git.objects import new_object
from gitmem.git.repository import MAIN, Repository
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.memory.rerooting import begin_anew
from gitmem.memory.view import Place
from gitmem.names import now
from tests.conftest import Team, git


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(each) for each in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "fix: " in result.stderr
    return result.stderr


def done(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def quiet(*_: int) -> None:
    """No progress."""


def refs(path: Path) -> str:
    return git(path, "for-each-ref")


@pytest.fixture
def lived_in(team: Team) -> Team:
    """A memory with everything that a backup must keep."""
    session = team.call("start_session")["session_id"]
    team.call("record_learning", topic="Retry policy", content="Three times.", session=session)
    team.call("define_spec", name="orders-api", content="Orders are numbered.")
    team.call("lock_files", files=["src/"], reason="moving")
    team.call("start_session", agent="bob")
    team.call("send_message", to_instance="bob", message="CI is red.")
    team.call("get_messages", agent="bob")
    mark(team, "ann")
    git(team.memory.path, "update-ref", "refs/heads/proposals/one-3fa2b81c", team.memory.head())
    git(team.memory.path, "tag", "-a", "v1", "-m", "a tag of a person's", MAIN)
    return team


def mark(team: Team, agent: str) -> None:
    team.memory.marks.change(Presence, "web", agent, lambda old: Presence(scope="projects/web", agent=agent, seen=now()))


def test_after_backup_loss_and_restore_every_ref_is_identical_and_the_memory_works(lived_in: Team, tmp_path: Path) -> None:
    path, before = lived_in.memory.path, refs(lived_in.memory.path)
    assert {"blob", "commit", "tag"} <= set(before.split())  # marks, chains, tags
    said = done("backup", tmp_path / "team.backup", "--repo", path)
    assert said.stdout == f"{tmp_path / 'team.backup'}\n"
    assert f"{len(before.splitlines())} refs" in said.stderr
    lived_in.close()
    shutil.rmtree(path)
    done("restore", tmp_path / "team.backup", path)
    assert refs(path) == before
    assert git(path, "fsck", "--strict", "--no-dangling") == ""
    assert examine(path, records=True).healthy
    again = Team(path)
    assert [each["title"] for each in again.call("query", query="retry")["results"]] == ["Retry policy"]
    again.call("record_learning", topic="After", content="It goes on.")
    again.close()


def test_a_memory_in_a_folder_with_a_strange_name_is_backed_up(tmp_path: Path) -> None:
    path = tmp_path / 'two\nlines, "a quote" and a \\n' / "memory.git"
    path.parent.mkdir()
    team = Team(path)
    team.call("project", action="create", name="web")
    team.call("record_learning", topic="Retries", content="They back off.")
    first = done("backup", tmp_path / "first.backup", "--repo", path)
    assert first.stdout == f"{tmp_path / 'first.backup'}\n"
    team.call("record_learning", topic="More", content="Of it.")
    done("backup", tmp_path / "second.backup", "--repo", path, "--since", tmp_path / "first.backup")
    team.close()


def test_a_backup_is_a_bundle_that_plain_git_verifies_and_clones(lived_in: Team, tmp_path: Path) -> None:
    done("backup", tmp_path / "team.backup", "--repo", lived_in.memory.path)
    assert "records a complete history" in git(lived_in.memory.path, "bundle", "verify", str(tmp_path / "team.backup"))
    git(tmp_path, "clone", "-q", str(tmp_path / "team.backup"), "clone")
    assert (tmp_path / "clone" / "gitmem.yaml").exists()


def test_what_came_since_an_earlier_backup_is_added_to_it(lived_in: Team, tmp_path: Path) -> None:
    path = lived_in.memory.path
    whole, second, third = (tmp_path / f"{name}.backup" for name in ("whole", "second", "third"))
    done("backup", whole, "--repo", path)
    lived_in.call("record_learning", topic="Newer", content="Than the whole one.")
    lived_in.call("unlock_files")
    mark(lived_in, "bob")
    git(path, "update-ref", "-d", "refs/heads/proposals/one-3fa2b81c")
    done("backup", second, "--repo", path, "--since", whole)
    lived_in.call("record_learning", topic="Newest", content="Of all.")
    done("backup", third, "--repo", path, "--since", second)
    assert bundles.read(third).objects < bundles.read(whole).objects
    done("restore", whole, second, third, tmp_path / "back.git")
    assert refs(tmp_path / "back.git") == refs(path)


def test_an_increment_is_small_although_much_was_there_before(team: Team, tmp_path: Path) -> None:
    for number in range(30):
        team.call("record_learning", topic=f"Learning {number}", content=f"{number} times nothing. " * 50)
    whole = back_up(team.memory, tmp_path / "whole", quiet)
    team.call("record_learning", topic="One more", content="Only this.")
    more = back_up(team.memory, tmp_path / "more", quiet, since=str(tmp_path / "whole"))
    assert more.objects < 20 < whole.objects


def test_nothing_new_since_is_a_backup_too(lived_in: Team, tmp_path: Path) -> None:
    back_up(lived_in.memory, tmp_path / "whole", quiet)
    back_up(lived_in.memory, tmp_path / "same", quiet, since=str(tmp_path / "whole"))
    restoring.restore([tmp_path / "whole", tmp_path / "same"], tmp_path / "back.git", quiet)
    assert refs(tmp_path / "back.git") == refs(lived_in.memory.path)


def test_since_a_commit_leaves_out_what_main_was_then(team: Team, tmp_path: Path) -> None:
    back_up(team.memory, tmp_path / "whole", quiet)
    commit = team.memory.head()
    team.call("record_learning", topic="Newer", content="Than the commit.")
    back_up(team.memory, tmp_path / "more", quiet, since=commit[:12])
    assert bundles.read(tmp_path / "more").needs == (commit,)
    restoring.restore([tmp_path / "whole", tmp_path / "more"], tmp_path / "back.git", quiet)
    assert refs(tmp_path / "back.git") == refs(team.memory.path)


def test_archived_histories_are_kept_and_a_chain_may_begin_anew_between_two_backups(lived_in: Team, tmp_path: Path) -> None:
    memory = lived_in.memory
    back_up(memory, tmp_path / "whole", quiet)
    chains = Chains(memory.repository)
    assert begin_anew(memory, chains, Place("messages", "web"))
    (_, archive) = next(iter(chains.finish(0)))
    lived_in.call("send_message", to_instance="bob", message="CI is green.")
    back_up(memory, tmp_path / "more", quiet, since=str(tmp_path / "whole"))
    back_up(memory, tmp_path / "even-more", quiet, since=str(tmp_path / "more"))
    assert (tmp_path / "even-more").stat().st_size < archive.stat().st_size + 3000
    restoring.restore([tmp_path / name for name in ("whole", "more", "even-more")], tmp_path / "back.git", quiet)
    assert refs(tmp_path / "back.git") == refs(memory.path)
    assert (tmp_path / "back.git" / "archive" / archive.name).read_bytes() == archive.read_bytes()


def test_hubs_are_kept_without_passwords_and_nothing_that_could_run_a_program(team: Team, tmp_path: Path) -> None:
    path = team.memory.path
    for name, value in (
        ("remote.hub.url", "https://pat:secret@example.com/team.git"), ("remote.hub.fetch", "+refs/gitmem/*:refs/remotes/hub/gitmem/*"),
        ("remote.hub.uploadpack", "touch /tmp/owned"), ("core.sshCommand", "touch /tmp/owned"), ("gitmem.hub", "hub"),
    ):  # fmt: skip
        git(path, "config", name, value)
    back_up(team.memory, tmp_path / "team.backup", quiet)
    restoring.restore([tmp_path / "team.backup"], tmp_path / "back.git", quiet)
    kept = git(tmp_path / "back.git", "config", "--local", "--list")
    assert "remote.hub.url=https://pat@example.com/team.git" in kept
    assert "remote.hub.fetch=" in kept
    assert "gitmem.hub=hub" in kept
    assert "owned" not in kept
    assert "secret" not in kept


def test_a_restored_memory_has_its_hubs(team: Team, tmp_path: Path) -> None:
    for name in ("hub", "team.mirror"):
        hubs.add(team.memory.repository, f"https://example.com/{name}.git", name)
    for setting in ("remote.--upload-pack=touch owned.url", "remote.--upload-pack=touch owned.gitmem"):
        git(team.memory.path, "config", setting, "true")
    back_up(team.memory, tmp_path / "team.backup", quiet)
    restoring.restore([tmp_path / "team.backup"], tmp_path / "back.git", quiet)
    kept = [each for each in hubs.hubs(team.memory.repository) if not each.name.startswith("--")]
    assert hubs.hubs(Repository(tmp_path / "back.git")) == kept
    assert [(each.name, each.decides) for each in kept] == [("hub", True), ("team.mirror", False)]


def test_when_pushes_arrived_is_known_after_a_restore(team: Team, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(team.memory.path), "clone")
    (tmp_path / "clone" / "AGENTS.md").write_text("Be kind.\n")
    git(tmp_path / "clone", "commit", "-qam", "say it")
    git(tmp_path / "clone", "push", "-q", "origin", "main")
    back_up(team.memory, tmp_path / "team.backup", quiet)
    restoring.restore([tmp_path / "team.backup"], tmp_path / "back.git", quiet)
    back = Memory(tmp_path / "back.git")
    assert back.repository.refs.pushes(MAIN) == team.memory.repository.refs.pushes(MAIN) != {}
    back.close()


def test_a_backup_under_writers_is_one_moment_of_the_memory(team: Team, tmp_path: Path) -> None:
    stop, writers = threading.Event(), 3
    ready = threading.Barrier(writers + 1)

    def write(agent: str) -> None:
        ready.wait()
        while not stop.is_set():
            session = team.call("start_session", agent=agent)["session_id"]
            team.call("end_session", agent=agent, session=session, summary="done")

    threads = [threading.Thread(target=write, args=(f"agent-{number}",)) for number in range(writers)]
    for each in threads:
        each.start()
    ready.wait()
    try:
        for number in range(4):
            back_up(team.memory, tmp_path / f"{number}.backup", quiet)
    finally:
        stop.set()
        for each in threads:
            each.join()
    for number in range(4):
        back = restoring.restore([tmp_path / f"{number}.backup"], tmp_path / f"{number}.git", quiet)
        assert back.problems == ()


# --- refusals -------------------------------------------------------------------------------------


def test_a_backup_does_not_replace_a_file_unless_it_is_forced(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "team.backup"
    file.write_text("something dear")
    assert "exists already. Nothing was written." in refused("backup", file, "--repo", team.memory.path)
    assert file.read_text() == "something dear"
    assert "is a folder" in refused("backup", tmp_path, "--repo", team.memory.path, "--force")
    assert "There is no folder" in refused("backup", tmp_path / "no" / "team.backup", "--repo", team.memory.path)
    done("backup", file, "--repo", team.memory.path, "--force")
    assert bundles.read(file)


def test_an_increment_to_something_else_is_refused(team: Team, tmp_path: Path) -> None:
    other = Team(tmp_path / "other.git")
    other.call("project", action="create", name="other")
    back_up(other.memory, tmp_path / "other.backup", quiet)
    other.close()
    where = ("backup", tmp_path / "team.backup", "--repo", team.memory.path, "--since")
    assert "is not a backup of this memory" in refused(*where, tmp_path / "other.backup")
    assert f"There is no file {tmp_path / 'nothing.backup'}" in refused(*where, tmp_path / "nothing.backup")
    assert "is no commit, date or age" in refused(*where, "nonsense")
    assert "There was no memory yet at 30d.\nfix: Ask for a later date, or name none.\n" in refused(*where, "30d")
    assert list(tmp_path.glob("*team.backup*")) == []


def test_a_shallow_clone_is_not_backed_up(team: Team, tmp_path: Path) -> None:
    team.call("record_learning", topic="One", content="More commit.")
    git(tmp_path, "clone", "-q", "--bare", "--depth=1", f"file://{team.memory.path}", "part.git")
    assert "only a part of the memory's history" in refused("backup", tmp_path / "part.backup", "--repo", tmp_path / "part.git")


def test_increments_need_what_they_build_upon_in_the_order_of_their_making(team: Team, tmp_path: Path) -> None:
    names = ("whole", "second", "third")
    for before, name in zip(("", *names), names, strict=False):
        back_up(team.memory, tmp_path / name, quiet, since=str(tmp_path / before) if before else "")
        team.call("record_learning", topic=f"After {name}", content="More.")
    whole, second, third = (tmp_path / name for name in names)
    back = tmp_path / "back.git"
    assert "has only what changed since an earlier backup" in refused("restore", second, back)
    assert "has only what changed since an earlier backup" in refused("restore", whole, third, back)
    assert "does not go on from" in refused("restore", whole, second, third, second, back)
    assert not list(tmp_path.glob("*back.git*"))


def test_a_folder_with_something_in_it_is_not_restored_into(team: Team, tmp_path: Path) -> None:
    back_up(team.memory, tmp_path / "team.backup", quiet)
    full = tmp_path / "full"
    full.mkdir()
    done("restore", tmp_path / "team.backup", full)  # empty as yet
    before = refs(full)
    assert "is there already and not empty. Nothing was changed." in refused("restore", tmp_path / "team.backup", full)
    assert refs(full) == before


def a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.txt", "text")


def a_code_bundle(path: Path) -> None:
    git(path.parent, "init", "-q", "code")
    git(path.parent / "code", "commit", "-q", "--allow-empty", "-m", "code")
    git(path.parent / "code", "bundle", "create", "-q", str(path), "--all")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_text("Dear diary,\n"), "it begins with 'Dear diary,"),
        (lambda path: path.write_bytes(bytes(range(256)) * 40), "it begins with"),
        (lambda path: path.write_text("# v3 git bundle\n@object-format=sha1\n"), "it is a bundle in version 3"),
        (a_zip, "it begins with 'PK"),
        (a_code_bundle, "it is a bundle of git that has no seal of gitmem's"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: None, "No such file"),
    ],
    ids=["empty", "text", "bytes", "version-3", "zip", "code", "folder", "missing"],
)  # fmt: skip
def test_what_is_no_backup_is_refused_and_nothing_is_left_behind(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    make(tmp_path / "odd")
    told = refused("restore", tmp_path / "odd", tmp_path / "sub" / "back.git")
    assert "is not a backup of a memory" in told
    assert said in told
    assert not (tmp_path / "sub").exists()


@pytest.fixture(scope="module")
def one_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    team = Team(folder / "team.git")
    team.call("project", action="create", name="web")
    team.call("record_learning", topic="Retry policy", content="Three times.")
    back_up(team.memory, folder / "whole", quiet)
    team.close()
    return folder / "whole"


@given(data=st.data())
@examples(max_examples=300)
def test_one_flipped_bit_anywhere_is_refused(one_backup: Path, data: st.DataObject) -> None:
    content = bytearray(one_backup.read_bytes())
    start = bundles.read(one_backup).start
    # half of the flips in the header, which is the smaller part
    position = data.draw(st.one_of(st.integers(0, start + 12), st.integers(0, len(content) - 1)))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    copy = one_backup.with_name("flipped")
    copy.write_bytes(content)
    refuses(copy)


@given(share=st.floats(0, 1, exclude_max=True), more=st.binary(max_size=3))
def test_a_backup_that_was_cut_off_or_has_something_behind_it_is_refused(one_backup: Path, share: float, more: bytes) -> None:
    content = one_backup.read_bytes()
    copy = one_backup.with_name("cut")
    copy.write_bytes(content[: int(len(content) * share)])
    refuses(copy)
    copy.write_bytes(content + b"\n" + more)
    refuses(copy)


def refuses(copy: Path) -> None:
    back = copy.parent / "back.git"
    with pytest.raises(GitmemError) as error:
        restoring.restore([copy], back, quiet)
    assert "Nothing was changed" in error.value.message
    assert not list(copy.parent.glob("*back.git*"))


@pytest.mark.slow
def test_every_flipped_byte_of_the_header_is_refused(one_backup: Path) -> None:
    content = one_backup.read_bytes()
    copy = one_backup.with_name("flipped")
    for position in range(bundles.read(one_backup).start + 12):
        for flip in (0x01, 0x20, 0xFF):
            copy.write_bytes(content[:position] + bytes([content[position] ^ flip]) + content[position + 1 :])
            refuses(copy)


def test_a_backup_of_a_newer_gitmem_is_refused(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("gitmem.domains.backup.FORMAT_VERSION", 99)
        back_up(team.memory, tmp_path / "newer.backup", quiet)
    assert "is a backup of format '99'; this gitmem knows formats up to 1" in refused("restore", tmp_path / "newer.backup", tmp_path / "b.git")
    assert not list(tmp_path.glob("*b.git*"))


def test_a_memory_of_a_newer_format_is_refused(team: Team, tmp_path: Path) -> None:
    past_the_gate(team, "gitmem.yaml", "format: 99\n")
    back_up(team.memory, tmp_path / "newer.backup", quiet)
    assert "has format version 99" in refused("restore", tmp_path / "newer.backup", tmp_path / "b.git")
    assert not list(tmp_path.glob("*b.git*"))


def test_a_memory_with_a_file_that_the_gate_would_refuse_is_restored_only_as_it_is(team: Team, tmp_path: Path) -> None:
    past_the_gate(team, "projects/web/odd.bin", "what is this")
    back_up(team.memory, tmp_path / "team.backup", quiet)
    told = refused("restore", tmp_path / "team.backup", tmp_path / "b.git")
    assert "The backup is undamaged, but what it holds has 1 problems" in told
    assert "projects/web/odd.bin" in told
    assert not list(tmp_path.glob("*b.git*"))
    said = done("restore", tmp_path / "team.backup", tmp_path / "b.git", "--as-it-is")
    assert "warning: projects/web/odd.bin" in said.stderr
    assert refs(tmp_path / "b.git") == refs(team.memory.path)


def past_the_gate(team: Team, path: str, text: str) -> None:
    """Put a file on main as somebody would who writes into the repository itself."""
    clone = team.memory.path.parent / "past"
    git(clone.parent, "clone", "-q", str(team.memory.path), str(clone))
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "by hand")
    git(team.memory.path, "fetch", "-q", str(clone), "main:main")


def test_a_damaged_memory_is_not_backed_up_and_no_file_is_left(team: Team, tmp_path: Path) -> None:
    lost = new_object("blob", b"never written").oid
    (team.memory.path / "refs" / "heads" / "odd").write_text(f"{lost}\n")
    assert "git" in refused("backup", tmp_path / "team.backup", "--repo", team.memory.path)
    assert list(tmp_path.glob("*team.backup*")) == []


def test_the_answers_can_be_had_as_json(team: Team, tmp_path: Path) -> None:
    made = json.loads(done("backup", tmp_path / "t", "--repo", team.memory.path, "--json").stdout)
    assert (made["commit"], made["since"]) == (team.memory.head(), "")
    back = json.loads(done("restore", tmp_path / "t", tmp_path / "b.git", "--json").stdout)
    assert (back["commit"], back["refs"], back["problems"]) == (team.memory.head(), made["refs"], [])
