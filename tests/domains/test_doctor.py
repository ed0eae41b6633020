"""The health report, on memories that something happened to."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from gitmem.domains.doctor import Finding, Health
from gitmem.domains.examining import examine
from gitmem.domains.mending import MENDINGS, Mended, mend
from gitmem.domains.presence import Presence
from gitmem.facade.cli import commands
from gitmem.founding import HOOKS
from gitmem.git.repository import Repository
from gitmem.memory import hubs
from gitmem.names import now
from tests.conftest import Team, git


def finding(report: Health, name: str) -> Finding:
    return next(each for each in report.findings if each.name == name)


def test_a_new_memory_is_healthy_and_looking_changes_nothing(team: Team) -> None:
    refs = git(team.memory.path, "for-each-ref")
    report = examine(team.memory.path, records=True)
    assert report.healthy
    assert [each for each in report.findings if each.state != "ok"] == []
    assert git(team.memory.path, "for-each-ref") == refs
    names = [each.name for each in report.findings]
    assert names == [
        "git", "repository", "head", "format", "settings", *(["hook"] * len(HOOKS)), "refs", "proposals", "storage", "space", "index",
        "sessions", "lock", "objects", "record",
    ]  # fmt: skip


def test_a_folder_that_is_no_memory_is_a_problem_that_says_how_to_make_one(tmp_path: Path) -> None:
    report = examine(tmp_path / "nothing.git")
    assert not report.healthy
    assert "gitmem init" in finding(report, "repository").help


def test_a_repository_that_nobody_founded_is_told_of_with_what_founds_it(tmp_path: Path) -> None:
    Repository.init(tmp_path / "bare.git")
    report = examine(tmp_path / "bare.git")
    assert not report.healthy
    assert finding(report, "head").state == "warning"
    assert finding(report, "hook").state == "problem"


@pytest.mark.parametrize(
    ("do", "name", "state", "said"),
    [
        (lambda path: (path / "hooks/pre-receive").unlink(), "hook", "problem", "not installed"),
        (lambda path: (path / "hooks/pre-receive").chmod(0o644), "hook", "problem", "not executable"),
        (lambda path: (path / "hooks/pre-receive").write_text("#!/bin/sh\n"), "hook", "warning", "not gitmem's"),
        (lambda path: git(path, "config", "gc.auto", "100"), "settings", "warning", "gc.auto is 100, not 0"),
        (lambda path: git(path, "config", "--unset", "receive.fsckObjects"), "settings", "warning", "not set"),
    ],
)
def test_what_is_not_as_it_should_be_is_told_with_what_helps(team: Team, do, name: str, state: str, said: str) -> None:
    do(team.memory.path)
    found = finding(examine(team.memory.path), name)
    assert (found.state, said in found.what) == (state, True)
    assert found.help
    assert examine(team.memory.path).healthy == (state != "problem")


def test_a_lock_that_a_dead_process_left_is_a_problem_and_a_fresh_one_is_not(team: Team) -> None:
    lock = team.memory.path / "refs" / "heads" / "main.lock"
    lock.touch()
    assert examine(team.memory.path).healthy
    os.utime(lock, (0, 0))
    found = finding(examine(team.memory.path), "lock")
    assert found.state == "problem"
    assert "refs/heads/main.lock" in found.what


def test_the_index_is_reported_missing_behind_and_damaged(team: Team) -> None:
    team.call("query", query="anything")
    team.index.fold()
    assert "reflects the head" in finding(examine(team.memory.path), "index").what
    team.call("record_learning", topic="Newer", content="than the index")
    assert "the next search follows" in finding(examine(team.memory.path), "index").what
    folder = next(team.memory.repository.private.glob("index-v*/"))
    (folder / "meta.json").write_text("{")
    damaged = finding(examine(team.memory.path), "index")
    assert (damaged.state, damaged.help != "") == ("warning", True)


def test_an_index_of_a_commit_that_is_not_there_is_told_and_built_anew(team: Team) -> None:
    before = team.memory.head()
    team.call("record_learning", topic="Lost", content="With what the copy does not have.")
    team.call("query", query="lost")
    team.index.fold()
    lost = team.memory.head()
    team.close()
    (team.memory.path / "refs/heads/main").write_text(f"{before}\n")  # as an older copy of the files would have it
    git(team.memory.path, "gc", "-q", "--prune=now")
    assert lost[:10] in finding(examine(team.memory.path), "index").what
    _, report = mend(team.memory.path)
    assert finding(report, "index").state == "ok"


def test_live_sessions_are_counted(team: Team) -> None:
    team.call("start_session")
    assert finding(examine(team.memory.path), "sessions").what == "1 is live"


def test_a_memory_of_a_newer_format_is_a_problem(team: Team, tmp_path: Path) -> None:
    commit_past_the_gate(team.memory.path, tmp_path, "gitmem.yaml", "format: 99\n")
    report = examine(team.memory.path)
    assert not report.healthy
    assert any("99" in each.what for each in report.findings)


def test_records_that_cannot_be_read_are_listed_if_asked_for(team: Team, tmp_path: Path) -> None:
    bad = "projects/web/knowledge/learning/3f/bad-3fa2b81c.md"
    commit_past_the_gate(team.memory.path, tmp_path, bad, "---\ntitle: [\n---\n")
    assert "record" not in [each.name for each in examine(team.memory.path).findings]
    report = examine(team.memory.path, records=True)
    assert report.healthy
    assert bad in finding(report, "record").what


# --- mending ----------------------------------------------------------------------------------------


def mended(team: Team, name: str) -> Mended:
    """What was done about a finding; the memory must be healthy afterwards, and no ref moved but a lost mark's."""
    done, report = mend(team.memory.path, records=True)
    assert [each.name for each in done] == [name]
    assert [each for each in report.findings if each.state != "ok"] == []
    return done[0]


@pytest.mark.parametrize(
    ("do", "name", "said"),
    [
        (lambda path: (path / "hooks/pre-receive").unlink(), "hooks", "gitmem's hooks were installed"),
        (lambda path: (path / "hooks/pre-receive").chmod(0o644), "hooks", "gitmem's hooks were installed"),
        (lambda path: (path / "hooks/pre-receive").write_text("# gitmem: an old one\n"), "hooks", "gitmem's hooks were installed"),
        (lambda path: git(path, "config", "receive.denyNonFastForwards", "false"), "settings", "git's settings were set"),
        (lambda path: os.utime(touched(path / "refs/heads/main.lock"), (0, 0)), "locks", "moved away: refs/heads/main.lock"),
        (lambda path: os.utime(touched(path / "config.lock"), (0, 0)), "locks", "moved away: config.lock"),
    ],
)  # fmt: skip
def test_what_loses_nothing_is_mended(team: Team, do, name: str, said: str) -> None:
    before = git(team.memory.path, "for-each-ref")
    do(team.memory.path)
    found = [each for each in examine(team.memory.path).findings if each.state != "ok"]
    assert [each.fix for each in found] == [name]
    assert mended(team, name) == Mended(name, said, done=True)
    assert git(team.memory.path, "for-each-ref") == before
    assert mend(team.memory.path)[0] == ()


def touched(path: Path) -> Path:
    path.touch()
    return path


def test_a_hook_of_somebody_else_is_told_of_and_left_alone(team: Team) -> None:
    hook = team.memory.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 0\n")
    done, report = mend(team.memory.path)
    assert done == ()
    assert finding(report, "hook").state == "warning"
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbage"])
def test_a_damaged_index_is_built_anew(team: Team, damage: str) -> None:
    team.call("record_learning", topic="Findable", content="Again.")
    team.call("query", query="findable")
    team.index.fold()
    team.close()
    folder = next((team.memory.path / "gitmem").glob("index-v*/"))
    for file in folder.iterdir():
        if damage == "truncated" and file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        elif damage == "emptied" and file.is_file():
            file.write_bytes(b"")
        elif file.name == "meta.json":
            file.write_text("{")
    done, report = mend(team.memory.path)
    assert [each.done for each in done] == [True]
    assert finding(report, "index").state == "ok"
    again = Team(team.memory.path)
    assert [each["title"] for each in again.call("query", query="findable")["results"]] == ["Findable"]
    again.close()


def loose(path: Path, oid: str) -> Path:
    return path / "objects" / oid[:2] / oid[2:]


def corrupt(file: Path) -> None:
    file.chmod(0o644)
    file.write_bytes(b"no longer zlib")


def test_a_damaged_object_that_a_pack_has_as_well_is_moved_aside(team: Team) -> None:
    path, oid = team.memory.path, team.memory.head()
    file = loose(path, oid)
    assert not file.exists()  # it is in a pack
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"no longer zlib")
    assert f"objects/{oid[:2]}/{oid[2:]} is damaged" in finding(examine(path, records=True), "objects").what
    assert mended(team, "objects").what == f"{oid[:10]} is read from a pack now"
    assert [each.read_bytes() for each in (path / "gitmem" / "damaged").iterdir()] == [b"no longer zlib"]


def test_a_damaged_object_that_nothing_else_has_stays_and_what_to_do_is_told(team: Team) -> None:
    path = team.memory.path
    commit = git(path, "commit-tree", "-m", "odd", "main^{tree}").strip()
    git(path, "update-ref", "refs/heads/odd", commit)
    corrupt(loose(path, commit))
    done, report = mend(path, records=True)
    assert f"nothing else here has {commit[:10]}" in [each.what for each in done]
    assert loose(path, commit).read_bytes() == b"no longer zlib"
    assert "restore a backup" in finding(report, "objects").help


def test_a_mark_that_was_lost_is_let_go_of(team: Team) -> None:
    for agent in ("ann", "bob"):
        team.memory.marks.change(Presence, "web", agent, lambda _, name=agent: Presence(scope="projects/web", agent=name, seen=now()))
    ref = "refs/gitmem/presence/web/ann"
    loose(team.memory.path, team.memory.repository.refs.read(ref) or "").unlink()
    found = finding(examine(team.memory.path), "refs")
    assert (found.state, f"{ref} leads to" in found.what) == ("warning", True)
    assert mended(team, "marks").what == f"let go of {ref}"
    assert team.memory.marks.read(Presence, "web", "ann") is None
    assert team.memory.marks.read(Presence, "web", "bob")


def test_a_mark_whose_file_a_power_cut_left_empty_is_let_go_of(team: Team) -> None:
    ref = team.memory.path / "refs" / "gitmem" / "presence" / "web" / "ann"
    ref.parent.mkdir(parents=True)
    ref.write_text("")
    assert mended(team, "marks").what == "let go of refs/gitmem/presence/web/ann"


@pytest.mark.parametrize("content", ["", "\0" * 41, "f" * 40 + "\n"], ids=["empty", "zeros", "nowhere"])
def test_a_ref_that_leads_nowhere_is_a_problem_that_is_not_guessed_at(team: Team, content: str) -> None:
    (team.memory.path / "refs" / "heads" / "proposals").mkdir()
    (team.memory.path / "refs" / "heads" / "proposals" / "one").write_text(content)
    done, report = mend(team.memory.path)
    assert done == ()
    found = finding(report, "refs")
    assert (found.state, "refs/heads/proposals/one" in found.what, "restore a backup" in found.help) == ("problem", True, True)


def test_main_that_leads_nowhere_is_told_with_what_git_logged_last(team: Team, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(team.memory.path), "clone")
    (tmp_path / "clone" / "AGENTS.md").write_text("Be kind.\n")
    git(tmp_path / "clone", "commit", "-qam", "by hand")
    git(tmp_path / "clone", "push", "-q")
    pushed = git(team.memory.path, "rev-parse", "main").strip()
    (team.memory.path / "refs" / "heads" / "main").write_text("")
    report = examine(team.memory.path)
    assert not report.healthy
    assert pushed in finding(report, "refs").help


def test_damaged_packed_refs_are_told_with_the_line_and_left_alone(team: Team) -> None:
    path = team.memory.path
    git(path, "pack-refs", "--all")
    packed = path / "packed-refs"
    damaged = packed.read_text().replace(" refs/heads/main", "\0efs/heads/main")
    packed.write_text(damaged)
    done, report = mend(path)
    assert (done, report.healthy) == ((), False)
    found = finding(report, "refs")
    assert "packed-refs has in line 2" in found.what
    assert packed.read_text() == damaged
    assert "packed-refs cannot be read" in finding(report, "repository").what


def test_a_ref_that_gitmem_does_not_keep_is_told_of(team: Team) -> None:
    git(team.memory.path, "update-ref", "refs/gitmem/strange/web", team.memory.head())
    found = finding(examine(team.memory.path), "refs")
    assert (found.state, found.what) == ("warning", "'refs/gitmem/strange/web' is no ref that gitmem keeps")
    assert mend(team.memory.path)[0] == ()


def test_the_ref_of_proposals_about_several_projects_is_one_that_gitmem_keeps(team: Team) -> None:
    team.call("store", title="t", content="c", scope="shared", as_proposal=True)
    assert "refs/gitmem/reviews/shared" in team.memory.repository.refs.list("refs/")
    assert not [each for each in examine(team.memory.path).findings if each.state != "ok"]


def test_the_command_says_what_it_would_mend_and_mends_it_when_told(team: Team) -> None:
    path = str(team.memory.path)
    (team.memory.path / "hooks/pre-receive").unlink()
    looked = CliRunner().invoke(commands, ["doctor", "--repo", path])
    assert (looked.exit_code, looked.stderr) == (1, "'gitmem doctor --fix' would mend: hooks\n")
    assert not (team.memory.path / "hooks/pre-receive").exists()
    fixed = CliRunner().invoke(commands, ["doctor", "--fix", "--repo", path])
    assert (fixed.exit_code, fixed.stderr) == (0, "mended: hooks: gitmem's hooks were installed\n")
    assert "ok: hook: pre-receive is installed and executable" in fixed.stdout


def test_every_mending_is_named_by_a_finding() -> None:
    text = "".join((Path(__file__).parents[2] / "gitmem" / "domains" / name).read_text() for name in ("examining.py", "health.py"))
    assert [name for name in MENDINGS if f'"{name}"' not in text] == []


def commit_past_the_gate(memory: Path, tmp_path: Path, path: str, text: str) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(memory), str(clone))
    file = clone / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "by hand")
    git(memory, "fetch", "-q", str(clone), "main:main")


def test_the_verb_tells_the_same_and_changes_nothing(team: Team) -> None:
    refs = git(team.memory.path, "for-each-ref")
    told = team.call("doctor", records=True)
    assert told["healthy"]
    assert [each["name"] for each in told["findings"]] == [each.name for each in examine(team.memory.path, records=True).findings]
    assert git(team.memory.path, "for-each-ref") == refs


def test_a_proposal_without_its_branch_and_a_branch_beside_main_are_told(team: Team) -> None:
    made = team.call("record_learning", topic="x", content="y", as_proposal="look")["proposal"]
    assert finding(examine(team.memory.path), "proposals").what == "1 waits for a review"
    tip = git(team.memory.path, "rev-parse", f"refs/heads/proposals/{made}").strip()
    git(team.memory.path, "update-ref", "-d", f"refs/heads/proposals/{made}")
    found = finding(examine(team.memory.path), "proposals")
    assert (found.state, found.what) == ("warning", f"{made} counts as withdrawn, since its branch was removed")
    git(team.memory.path, "update-ref", f"refs/heads/proposals/{made}", tip)
    assert finding(examine(team.memory.path), "proposals").state == "ok"


def test_hooks_that_git_does_not_run_are_a_problem(team: Team) -> None:
    git(team.memory.path, "config", "core.hooksPath", "/nowhere")
    found = next(each for each in examine(team.memory.path).findings if each.state == "problem")
    assert found.what.startswith("git looks for hooks in '/nowhere', as 'config' says")
    assert found.help == f"Run: gitmem hooks install {team.memory.path}"


def test_hubs_are_asked_only_if_that_is_wanted(team: Team, tmp_path: Path) -> None:
    hubs.add(team.memory.repository, str(tmp_path / "nothing.git"))
    assert examine(team.memory.path).healthy
    found = finding(examine(team.memory.path, hubs=True), "hub")
    assert (found.state, found.what.partition(":")[0]) == ("problem", "hub")
