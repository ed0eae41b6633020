"""Verifying the history: what verbs, pushes and upkeep write is in order; what came in past the gate is told of."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_contract import CALLS, arguments_of, prepared  # noqa: F401  a fixture

from gitmem.domains import upkeep
from gitmem.domains.verifying import Verified, verify
from gitmem.errors import GitmemError
from gitmem.facade.cli import commands
from gitmem.git.chains import Chains
from gitmem.git.objects import Commit, Person, new_object
from gitmem.git.repository import MAIN
from gitmem.memory.caller import GITMEM_PERSON
from gitmem.memory.memory import Memory
from gitmem.memory.rerooting import begin_anew
from gitmem.memory.view import Place
from gitmem.names import format_time, now, parse_time
from gitmem.verbs import VERBS
from tests.conftest import Team, git

UNGUARDED = ("-c", "core.hooksPath=/dev/null")  # what comes in past every hook


def quiet(*_: int) -> None:
    """No progress."""


def verified(team: Team, **options: object) -> Verified:
    return verify(team.memory, quiet, **options)  # type: ignore[arg-type]


def told(found: Verified) -> list[tuple[str, str]]:
    return [(each.author, each.what) for each in found.faults]


@pytest.fixture
def clone(team: Team, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", str(team.memory.path), "clone")
    return tmp_path / "clone"


def commit(clone: Path, path: str, text: str, *, author: str = "Pat Person", message: str = "by hand") -> str:
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", message, f"--author={author} <{author.split()[0]}@gitmem>")
    return git(clone, "rev-parse", "HEAD").strip()


def past_the_gate(team: Team, clone: Path) -> None:
    """Let the clone's main in as somebody does who writes into the repository itself."""
    git(team.memory.path, "fetch", "-q", str(clone), "main:main")


def a_day_earlier(path: Path, ref: str) -> None:
    """Let all that a ref holds have happened a day earlier."""
    text = git(path, "fast-export", ref)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", lambda found: format_time(parse_time(found[0]) - timedelta(days=1)), text)
    text = re.sub(r"(?m)^((?:author|committer) .*> )(\d+)", lambda found: f"{found[1]}{int(found[2]) - 86400}", text)
    subprocess.run(["git", "-C", str(path), *UNGUARDED, "fast-import", "--force", "--quiet"], input=text, text=True, check=True)


def test_a_lock_that_was_renewed_in_time_is_in_order_when_its_time_is_over(team: Team) -> None:
    team.call("lock_files", files=["src/"], reason="moving", ttl_minutes=60)
    team.call("renew_locks", ttl_minutes=600)
    a_day_earlier(team.memory.path, "refs/gitmem/locks/web")
    assert team.call("get_locks")["your_locks"][0]["expired"]
    assert told(verified(team)) == []


def test_a_worker_that_is_started_in_the_session_of_another_is_not_taken_for_it(team: Team) -> None:
    session = team.call("start_session", task_description="lead")["session_id"]
    worker = team.call("start_session", session=session, spawned_by="ann", task_description="part")
    assert worker["agent"] == "worker_ann"
    assert told(verified(team)) == []


def test_who_got_the_right_after_it_was_proposed_may_have_let_it_in(team: Team) -> None:
    for name in ("bob", "cy"):
        team.call("project", action="add_agent", name="web", member=name)
    asked = team.call("guidelines", agent="cy", arguments={"action": "set", "name": "small", "rule": "One thing a commit."})
    team.call("project", arguments={"action": "update_agent", "name": "web", "member": "bob", "tier": "admin"})
    assert team.call("approve_proposal", agent="bob", id=asked["proposal"])["status"] == "merged"
    assert told(verified(team)) == []


def test_what_verbs_and_upkeep_write_is_in_order(team: Team, prepared: dict[str, str]) -> None:  # noqa: F811
    for name in CALLS:
        given = arguments_of(VERBS[name], prepared)
        try:
            team.call(name, project=given.pop("project", "web"), arguments=given)
        except GitmemError:
            continue  # what a call before it has undone
    upkeep.tend(team.memory, team.index)
    assert begin_anew(team.memory, Chains(team.memory.repository), Place("messages", "web"))
    team.call("send_message", to_instance="bob", message="After the new beginning.")
    found = verified(team)
    assert told(found) == []
    refs = [ref for ref in team.memory.repository.refs.list("refs/gitmem/") if ref.count("/") == 3 and "/archive/" not in ref]
    assert found.checked == int(git(team.memory.path, "rev-list", "--count", MAIN, *refs))


def test_a_second_run_looks_only_at_what_is_new(team: Team) -> None:
    first = verified(team)
    team.call("record_learning", topic="Newer", content="Than the first run.")
    second = verified(Team(team.memory.path))
    assert (second.checked, second.known) == (1, first.checked)
    assert verified(team, afresh=True).checked == first.checked + 1
    (team.memory.repository.private / "verified").write_text("[not json")
    assert verified(team).checked == first.checked + 1


def test_since_a_commit_or_an_age_looks_only_at_what_came_after(team: Team) -> None:
    head = team.memory.head()
    team.call("record_learning", topic="Newer", content="Than the commit.")
    assert verified(team, since=head[:12]).checked == 1
    assert verified(team, since="1h").checked == 3
    with pytest.raises(GitmemError, match="is no commit, date or age"):
        verified(team, since="nonsense")


def test_a_change_of_anothers_spec_that_came_past_the_gate_is_told_also_if_it_was_undone(team: Team, clone: Path) -> None:
    team.call("define_spec", name="orders-api", content="Orders are numbered.", agent="ann")
    git(clone, "pull", "-q")
    path = "projects/web/specs/orders-api.md"
    spec = (clone / path).read_text()
    forged = commit(clone, path, spec.replace("release: 1.0.0", "release: 1.1.0").replace("numbered", "named"), author="eve")
    commit(clone, path, spec, author="eve")
    past_the_gate(team, clone)
    found = verified(team)
    first = found.faults[0]
    assert (first.author, first.commit, first.path, first.ref) == ("eve", forged, path, MAIN)
    assert "belongs to ann" in first.what
    assert any("1.1.0 is out already" in what for _, what in told(found))  # eve went back again
    assert verified(team).faults == found.faults  # not taken for known


def test_a_bad_file_is_told_with_its_commit_although_it_was_removed_later(team: Team, clone: Path) -> None:
    bad = commit(clone, "projects/web/odd.bin", "odd", author="eve")
    (clone / "projects/web/odd.bin").unlink()
    git(clone, "commit", "-qam", "nothing happened")
    past_the_gate(team, clone)
    assert [(each.commit, each.path) for each in verified(team).faults] == [(bad, "projects/web/odd.bin")]


def test_trailers_that_are_doubled_or_of_another_are_told(team: Team, clone: Path) -> None:
    twice = "edit\n\nGitmem-Verb: edit\nGitmem-Verb: delete\n"
    commit(clone, "AGENTS.md", "One.\n", author="eve", message=twice)
    commit(clone, "AGENTS.md", "Two.\n", author="eve", message="edit\n\nGitmem-Session: web_ann_12345678\n")
    past_the_gate(team, clone)
    assert told(verified(team)) == [
        ("eve", "has more than one Gitmem-Verb trailer"),
        ("eve", "says that it was written in the session 'web_ann_12345678', which is not 'eve''s"),
    ]


def test_a_merge_answers_for_its_own_changes_alone(team: Team, clone: Path) -> None:
    git(clone, "checkout", "-qb", "side")
    commit(clone, "AGENTS.md", "From the side.\n", author="ann")
    git(clone, "checkout", "-q", "main")
    team.call("record_learning", topic="Meanwhile", content="On main.")
    git(clone, "pull", "-q")
    git(clone, "merge", "-q", "--no-ff", "-m", "merge side", "side")
    past_the_gate(team, clone)
    assert told(verified(team)) == []
    git(clone, "checkout", "-qb", "other", "HEAD^1")
    commit(clone, "README.md", "From another side.\n", author="ann")
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "--no-ff", "--no-commit", "other")
    hidden = commit(clone, "projects/web/odd.bin", "hidden in a merge", author="eve", message="merge other")
    past_the_gate(team, clone)
    assert [(each.commit, each.path) for each in verified(team).faults] == [(hidden, "projects/web/odd.bin")]


def test_what_a_proposal_says_is_let_in_by_who_merges_it(team: Team, clone: Path) -> None:
    team.call("guidelines", action="set", name="small-commits", rule="One thing a commit.")
    git(clone, "pull", "-q")
    path = "projects/web/guidelines/small-commits.md"
    git(clone, "checkout", "-qb", "proposal")
    commit(clone, path, (clone / path).read_text() + "\nAnd a test.\n", author="eve")
    git(clone, "checkout", "-q", "main")
    for merger, count in (("eve", 1), ("ann", 0)):  # who is no admin, and who is
        git(clone, "reset", "-q", "--hard", "origin/main")
        git(clone, "merge", "-q", "--no-ff", "--no-commit", "proposal")
        git(clone, "commit", "-qm", "merge the proposal", f"--author={merger} <{merger}@gitmem>")
        git(team.memory.path, *UNGUARDED, "fetch", "-q", str(clone), "+main:main")
        assert len(verified(team, afresh=True).faults) == count


def test_chains_are_verified_too(team: Team) -> None:
    team.call("lock_files", files=["src/"], reason="mine")
    memory, ref = team.memory, "refs/gitmem/locks/web"
    tip = memory.repository.refs.read(ref)
    assert tip
    git(memory.path, *UNGUARDED, "update-ref", ref, forged_on(memory, tip))
    assert [(each.ref, each.author, each.path) for each in verified(team).faults] == [(ref, "eve", "odd.bin")]


def forged_on(memory: Memory, tip: str) -> str:
    blob = git(memory.path, "hash-object", "-w", "/dev/null").strip()
    tree = git(memory.path, "rev-parse", f"{tip}^{{tree}}").strip()
    listing = git(memory.path, "ls-tree", tree) + f"100644 blob {blob}\todd.bin\n"
    from gitmem.git.repository import run_git

    made = run_git(memory.path, "mktree", stdin=listing).strip()
    forged = new_object("commit", Commit(made, (tip,), Person("eve", "eve@gitmem"), GITMEM_PERSON, now(), "odd\n").encode())
    memory.repository.objects.write_loose(forged)
    return forged.oid


def test_a_push_whose_pusher_proved_nothing_is_noted(team: Team, clone: Path) -> None:
    oid = commit(clone, "AGENTS.md", "Be kind.\n")
    past_the_gate(team, clone)
    git(team.memory.path, "notes", "--ref=pushers", "add", "-m", "Pushed-by: unknown\nProof: nothing", oid)
    found = verified(team)
    assert found.faults == ()
    assert [(each.commit, each.what) for each in found.notes] == [(oid, "was pushed by somebody who proved nothing (unknown)")]


def test_signatures_are_checked_where_there_are_any(team: Team, clone: Path, tmp_path: Path) -> None:
    import subprocess

    for name in ("pat", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)], check=True)
    (clone / "AGENTS.md").write_text("Be kind.\n")
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={tmp_path / 'pat.pub'}")
    git(clone, *signing, "commit", "-q", "-a", "-S", "-m", "signed")
    good = git(clone, "rev-parse", "HEAD").strip()
    past_the_gate(team, clone)
    assert [each.what for each in verified(team).notes] == ["is signed with a key that allowed_signers does not list"]
    raw = git(clone, "cat-file", "commit", good).replace("signed\n", "forged\n")
    forged = new_object("commit", raw.encode())
    team.memory.repository.objects.write_loose(forged)
    git(team.memory.path, *UNGUARDED, "update-ref", MAIN, forged.oid)
    found = verified(team)
    assert (found.signed, [each.what for each in found.faults]) == (1, ["is signed, but not as it is now"])


def test_the_command_lists_problems_and_exits_with_1(team: Team, clone: Path) -> None:
    where = ["verify", "--repo", str(team.memory.path)]
    fine = CliRunner().invoke(commands, where)
    assert (fine.exit_code, fine.stdout) == (0, "")
    assert fine.stderr == "2 commits were looked at: all in order\n"
    bad = commit(clone, "projects/web/odd.bin", "odd", author="eve")
    past_the_gate(team, clone)
    wrong = CliRunner().invoke(commands, where)
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith(f"problem: {bad[:10]} eve: projects/web/odd.bin")
    assert "These would not be let in today." in wrong.stderr
