"""Pushes and who owns what: another's spec, what OWNERS.yaml says, what is under review, what was proposed."""

import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.presence import Presence, seen
from gitmem.memory.caller import Caller
from gitmem.memory.pushers import Note, note_of
from gitmem.records.codec import encode
from tests.conftest import git
from tests.facade.test_push import GOOD, GOOD_TEXT, ME, Person, learning, record_ref, report
from tests.hubs import git_daemon
from tests.proofs.workers import Agent, make

SPEC = "projects/web/specs/orders-api.md"
ANN = Caller("ann", "declared")


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Agent]:
    make(tmp_path / "memory.git")
    one = Agent(tmp_path / "memory.git")
    one.call("define_spec", name="orders-api", content="Orders are numbered.", version="1.2.0")
    yield one
    one.close()


@pytest.fixture
def memory(ann: Agent) -> Path:
    return ann.memory.path


@pytest.fixture
def pat(memory: Path, tmp_path: Path) -> Person:
    return Person(memory, tmp_path / "clone")


def put(ann: Agent, path: str, text: str) -> None:
    with ann.memory.transaction(ann.memory.view(), ANN, f"set {path}") as change:
        change.put_file(path, text.encode())


def rewrite(pat: Person, path: str, *changes: tuple[str, str]) -> None:
    git(pat.clone, "pull", "-q", "--rebase")
    text = (pat.clone / path).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    pat.write(path, text)
    pat.commit()


def refusal(*problems: str) -> str:
    return report(*problems).partition("fix:")[0] + "fix: propose it with 'git push origin HEAD:refs/heads/proposals/NAME'.\n"


# --- what somebody owns -----------------------------------------------------------------------------


def test_anothers_spec_is_refused_and_can_be_proposed(pat: Person, ann: Agent):
    rewrite(pat, SPEC, ("release: 1.2.0", "release: 1.3.0"), ("numbered", "counted"))
    assert pat.refused() == refusal(f"{SPEC}: belongs to ann; {ME} may not change or remove it, but ann may")
    assert pat.push("origin", "HEAD:refs/heads/proposals/counted") == "accepted"
    git(pat.clone, "rm", "-q", SPEC)
    pat.commit()
    assert pat.refused() == refusal(f"{SPEC}: belongs to ann; {ME} may not change or remove it, but ann may")


def test_what_is_wrong_with_anothers_spec_is_told_beside_whose_it_is(pat: Person):
    rewrite(pat, SPEC, ("release: 1.2.0", "release: 1.1.0"), ("numbered", "counted"))
    pat.write("notes.txt", "no place")
    pat.commit()
    homes = "files live at {scope}/knowledge/{memory_type}/{shard}/{id}.md, {scope}/backlog/{shard}/{id}.md, {scope}/memories/{category}/{key}.md"
    homes += "; an id ends in a dash and eight hex digits, and the shard is the first two of them"
    assert pat.refused() == report(
        f"notes.txt: is no place for a file: {homes}",
        f"{SPEC}: belongs to ann; {ME} may not change or remove it, but ann may",
        f"{SPEC}: release is 1.1.0, and 1.2.0 is out already; to go back, release the old text as 1.2.1, 1.3.0 or 2.0.0",
    )


OWNERS = f"""teams:
- name: core
  members: [bob, {ME}]
entries:
- paths: [projects/web/knowledge/]
  owners: [bob]
- paths: [projects/web/knowledge/learning/cd/]
  owners: [core]
- paths: [projects/web/knowledge/learning/ef/]
"""


def test_the_last_entry_of_owners_that_selects_a_file_says_whose_it_is(pat: Person, ann: Agent):
    put(ann, "OWNERS.yaml", OWNERS)
    git(pat.clone, "pull", "-q")
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.refused() == refusal(f"{GOOD.path}: belongs to bob; {ME} may not change or remove it, but bob or ann may")
    git(pat.clone, "reset", "-q", "--hard", "HEAD~")
    git(pat.clone, "pull", "-q")
    for number in (0xCD << 24, 0xEF << 24):
        pat.write(learning(number).path, encode(learning(number)))
    pat.commit()
    assert pat.push() == "accepted"


def test_every_file_outside_is_listed_and_those_inside_do_not_come_in(pat: Person, ann: Agent):
    put(ann, "OWNERS.yaml", "entries:\n- paths: ['/projects/web/**', '!/projects/web/context/**']\n  owners: [bob]\n")
    git(pat.clone, "pull", "-q")
    paths = sorted(learning(number << 24).path for number in (1, 2))
    for path in paths:
        pat.write(path, GOOD_TEXT)
    pat.write("projects/web/context/branch.yaml", "value: main\n")
    pat.commit()
    assert pat.refused() == refusal(*(f"{path}: belongs to bob; {ME} may not change or remove it, but bob or ann may" for path in paths))
    assert git(pat.memory, "ls-tree", "-r", "--name-only", "main", "projects/web/context") == ""


def test_admins_act_for_owners_unless_the_team_says_otherwise(pat: Person, ann: Agent):
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    rewrite(pat, SPEC, ("release: 1.2.0", "release: 1.3.0"), ("numbered", "counted"))
    assert pat.push() == "accepted"
    put(ann, "gitmem.yaml", "format: 1\nadmins_act_for_owners: false\n")
    rewrite(pat, SPEC, ("release: 1.3.0", "release: 1.4.0"), ("counted", "listed"))
    assert pat.refused() == refusal(f"{SPEC}: belongs to ann; {ME} may not change or remove it, but ann may")


@pytest.mark.parametrize("path", ["gitmem.yaml", "OWNERS.yaml", "CODEOWNERS", "allowed_signers"])
def test_what_says_who_may_do_what_is_for_admins(pat: Person, ann: Agent, path: str):
    what = "is made from OWNERS.yaml" if path == "CODEOWNERS" else "says who may do what"
    pat.write(path, "format: 1\nidle_days: 7\n" if path == "gitmem.yaml" else "# nothing\n")
    pat.commit()
    assert pat.refused() == refusal(f"{path}: {what}; {ME} may not change it, but ann may")
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    git(pat.clone, "pull", "-q", "--rebase")
    assert pat.push() == "accepted"


def test_admins_of_the_memory_are_those_of_its_settings(pat: Person, ann: Agent):
    put(ann, "gitmem.yaml", "format: 1\nadmins: [ann, bob]\n")
    Agent(ann.memory.path, "eve").call("project", action="create", name="own")
    rewrite(pat, "gitmem.yaml", ("bob", ME))
    assert pat.refused() == refusal(f"gitmem.yaml: says who may do what; {ME} may not change it, but ann or bob may")


def test_settings_that_lock_out_who_sets_them_are_refused(pat: Person, ann: Agent):
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    rewrite(pat, "gitmem.yaml", ("format: 1", "format: 1\nadmins: [ann]"))
    what = f"admins would leave out {ME}, who sets it; name {ME} too, and let another admin take them out"
    assert pat.refused() == report(f"gitmem.yaml: {what}").replace("mend the files, commit (or amend), and push again", "propose it with 'git push origin HEAD:refs/heads/proposals/NAME'")


def test_members_are_for_admins_but_anybody_may_come_as_pending(pat: Person, ann: Agent):
    project = "projects/web/project.yaml"
    rewrite(pat, project, ("members:\n", f"members:\n- name: {ME}\n  tier: admin\n"))
    what = f"{project}: is for its admins to change; {ME} may add others as pending, but only ann may do more"
    assert pat.refused() == refusal(what)
    rewrite(pat, project, (f"- name: {ME}\n  tier: admin", f"- name: {ME}\n  tier: pending"))
    assert pat.push() == "accepted"
    rewrite(pat, project, (f"- name: {ME}\n  tier: pending\n", f"- name: {ME}\n"))
    assert pat.refused() == refusal(what)
    rewrite(pat, project, (f"- name: {ME}\n", f"- name: {ME}\n  tier: pending\n"), ("  tier: admin\n", ""))
    assert pat.refused() == refusal(what)


def test_a_bad_file_of_owners_is_refused_with_every_problem(pat: Person, ann: Agent):
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    git(pat.clone, "pull", "-q")
    pat.write("OWNERS.yaml", "teams:\n- name: Core\nentries:\n- owners: [ann]\nhandles:\n- {name: ann, forge: ann}\n")
    pat.commit()
    assert pat.refused() == report(
        "OWNERS.yaml:1: teams has a name that is 'Core', which is no name: it has characters that no name has; 1 to 80 of a-z 0-9 . _ - are accepted",
        "OWNERS.yaml:3: entries has entry 1 without paths and kinds, which selects nothing",
        "OWNERS.yaml:5: handles has for ann 'ann'; @name, @org/team or an email address is accepted",
    )
    pat.write("OWNERS.yaml", "entries:\n- kinds: [specs]\n  owners: [ann]\n")
    pat.commit()
    assert pat.refused() == report("OWNERS.yaml: kinds has 'specs', which is no kind of record: spec would be")


# --- review -----------------------------------------------------------------------------------------

REVIEWED = "is under review: somebody else than its author has to let it in"
POLICIES = "format: 1\npolicies:\n- review: review\n  paths: [projects/web/knowledge/]\n"


def test_what_is_under_review_comes_in_when_somebody_else_has_proposed_just_that(pat: Person, ann: Agent, tmp_path: Path):
    put(ann, "gitmem.yaml", POLICIES)
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    git(pat.clone, "pull", "-q", "--rebase")
    assert pat.refused() == refusal(f"{GOOD.path}: {REVIEWED}")
    assert pat.push("origin", "HEAD:refs/heads/proposals/good") == "accepted"
    assert pat.refused() == refusal(f"{GOOD.path}: {REVIEWED}")
    # an agent's proposal, as one that was made in another clone
    git(pat.memory, "branch", "proposals/other", "main")
    other = Person(pat.memory, tmp_path / "other")
    git(other.clone, "checkout", "-q", "proposals/other")
    record = learning(7)
    other.write(record.path, encode(record))
    git(other.clone, "add", "-A")
    git(other.clone, "-c", "user.name=ann", "commit", "-qm", "by ann")
    git(pat.memory, "fetch", "-q", str(other.clone), "+HEAD:refs/heads/proposals/other")
    git(pat.clone, "reset", "-q", "--hard", "origin/main")
    git(pat.clone, "fetch", "-q")
    git(pat.clone, "merge", "-q", "--no-ff", "--no-edit", "origin/proposals/other")
    tip = git(pat.memory, "rev-parse", "proposals/other").strip()
    assert pat.push() == "accepted\ngitmem: proposal other is merged"
    assert note_of(ann.memory.repository, tip) is None
    # with something slipped in beside it
    extra = learning(8)
    pat.write(extra.path, encode(extra))
    pat.commit()
    assert pat.refused() == refusal(f"{extra.path}: {REVIEWED}")


def test_what_nobody_known_has_proposed_is_not_reviewed_by_one(pat: Person, ann: Agent):
    put(ann, "gitmem.yaml", POLICIES)
    git(pat.clone, "pull", "-q")
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    with git_daemon(pat.memory.parent) as hub:
        assert pat.push(hub.url("memory.git"), "HEAD:refs/heads/proposals/good") == "accepted"
    assert pat.refused() == refusal(f"{GOOD.path}: {REVIEWED}")


def test_who_takes_a_proposal_into_main_as_it_is_is_noted(pat: Person, ann: Agent):
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.push("origin", "HEAD:refs/heads/proposals/good") == "accepted"
    assert pat.push() == "accepted\ngitmem: proposal good is merged"
    commit = git(pat.clone, "rev-parse", "HEAD").strip()
    assert note_of(ann.memory.repository, commit) == Note(ME, "OS user", let_in_by=ME)


def test_a_proposal_passes_the_rules_about_what_may_be_said(pat: Person):
    pat.write("notes.txt", "no place")
    pat.write(GOOD.path, "---\ntitle: ''\n---\n")
    pat.commit()
    said = pat.refused("origin", "HEAD:refs/heads/proposals/bad")
    assert f"  {GOOD.path}:2: title is empty; one line of text is accepted\n" in said
    assert "  notes.txt: is no place for a file" in said
    assert pat.refused("origin", "HEAD:refs/heads/proposals/Bad") == (
        "gitmem: 'Bad' cannot be the name of a proposal: it has characters that no name has. Nothing was changed.\n"
    )
    git(pat.clone, "checkout", "-q", "--orphan", "other")
    git(pat.clone, "rm", "-qrf", ".")
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.refused("origin", "HEAD:refs/heads/proposals/orphan") == (
        "gitmem: proposals/orphan has no history in common with main. Nothing was changed.\nfix: begin from main.\n"
    )


def test_a_proposal_is_changed_and_taken_back_by_its_author_or_an_admin(pat: Person, ann: Agent, tmp_path: Path):
    git(pat.memory, "branch", "proposals/anns", "main")
    git(pat.memory, "branch", "proposals/spare", "main")
    put(ann, "README.md", "Ours.\n")
    git(pat.memory, "branch", "-f", "proposals/anns", "main")
    git(pat.memory, "-c", "core.hooksPath=/dev/null", "update-ref", "refs/heads/main", "main~")
    git(pat.clone, "fetch", "-q")
    assert pat.refused("origin", ":proposals/anns") == (
        f"gitmem: proposals/anns is by ann, and {ME} may not change it. Nothing was changed.\n"
        "fix: make a proposal of your own: 'git push origin HEAD:refs/heads/proposals/NAME'.\n"
    )
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.push("origin", "HEAD:refs/heads/proposals/mine") == "accepted"
    pat.write(GOOD.path, GOOD_TEXT.replace("Text.", "Other text."))
    pat.commit()
    assert pat.push("origin", "HEAD:refs/heads/proposals/mine") == "accepted"
    assert pat.push("origin", ":proposals/mine") == "accepted"
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    assert pat.push("origin", ":proposals/anns") == "accepted"


def test_the_policy_owner_sends_others_to_review(pat: Person, ann: Agent):
    put(ann, "gitmem.yaml", "format: 1\npolicies:\n- review: owner\n  kinds: [spec, knowledge]\n")
    pat.write(GOOD.path, GOOD_TEXT)
    rewrite_problem = f"{SPEC}: belongs to ann; {ME} may not change or remove it, but ann may"
    pat.commit()
    rewrite(pat, SPEC, ("release: 1.2.0", "release: 1.3.0"))
    assert pat.refused() == refusal(f"{GOOD.path}: is for ann to let in", rewrite_problem)


def test_a_guideline_is_for_admins(pat: Person):
    path = "projects/web/guidelines/small-commits.md"
    pat.write(path, "One thing a commit.\n")
    pat.commit()
    assert pat.refused() == refusal(f"{path}: is a guideline; {ME} may not change it, only an admin may: ann")


def test_an_autopilot_is_for_admins(pat: Person):
    path = "projects/web/autopilot/ann.yaml"
    pat.write(path, "enabled: true\n")
    pat.commit()
    assert pat.refused() == refusal(f"{path}: is an autopilot; {ME} may not set it, only an admin may: ann")


# --- other refs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["refs/replace/0123456789012345678901234567890123456789", "refs/stash", "refs/remotes/origin/main", "refs/keep/x"])
def test_what_is_no_branch_tag_or_note_is_refused(pat: Person, ref: str):
    assert pat.refused("origin", f"HEAD:{ref}") == (
        f"gitmem: {ref!r} is no branch, tag or note; a memory keeps nothing else. Nothing was changed.\n"
    )


def test_the_notes_of_who_pushed_what_are_kept_by_the_memory(pat: Person):
    assert pat.refused("origin", "HEAD:refs/notes/pushers") == (
        "gitmem: refs/notes/pushers is kept by the memory itself: it says who pushed what. Nothing was changed.\n"
    )
    assert pat.push("origin", "HEAD:refs/notes/review") == "accepted"


def test_a_tag_of_a_version_stands_for_what_main_has_had(pat: Person, ann: Agent):
    put(ann, "projects/web/specs/naming.md", "---\nrelease: 0.1.0\nowner: ann\n---\n\nShort names.\n")
    git(pat.clone, "pull", "-q")
    git(pat.clone, "tag", "-f", "specs/web/naming/v0.1.0")
    git(pat.clone, "tag", "specs/web/naming/v0.2.0")
    assert pat.push("origin", "specs/web/naming/v0.1.0") == "accepted"
    assert pat.refused("origin", "specs/web/naming/v0.2.0") == (
        "gitmem: specs/web/naming/v0.2.0 is no version that main has had in that commit. Nothing was changed.\n"
        "fix: push the new version to main; gitmem sets its tag.\n"
    )
    assert pat.refused("origin", ":specs/web/naming/v0.1.0") == (
        "gitmem: the tag specs/web/naming/v0.1.0 is there already: versions stay what they are. Nothing was changed.\n"
    )
    pat.write(GOOD.path, GOOD_TEXT)
    pat.commit()
    assert pat.refused("-f", "origin", "HEAD:refs/tags/specs/web/naming/v0.1.0").startswith("gitmem: the tag specs/web/naming/v0.1.0 is there")
    assert pat.push("origin", "HEAD:refs/tags/weekly") == "accepted"
    assert pat.refused("origin", ":weekly") == (
        "gitmem: the tag weekly is there already: only an admin of the memory may move or remove it. Nothing was changed.\n"
    )


LOCK = "agent: {agent}\npattern: src/\nreason: moving\nfence: 1\nuntil: 2126-01-31T09:00:00Z\n"


def test_nobody_pushes_what_another_agent_is_to_have_said(pat: Person, ann: Agent):
    session = record_ref(pat, "web_ann_12345678.yaml", "agent: ann\ntask: by hand\n", "refs/gitmem/sessions/web")
    assert pat.refused(*session) == (
        "gitmem: the push has 1 problem. Nothing was changed.\n"
        f"  web_ann_12345678.yaml: is of ann, and {ME}, who pushes, may not speak for ann\n"
        "fix: push what is yours, and mend what else is listed; an admin may let somebody speak for others, by speaks_for in people of gitmem.yaml.\n"
    )
    put(ann, "gitmem.yaml", f"format: 1\npeople:\n- name: {ME}\n  speaks_for: ['*']\n")
    assert pat.push(*session) == "accepted"


def test_a_live_session_of_another_is_not_taken_away(pat: Person, ann: Agent):
    ann.call("start_session", task_description="x")
    git(pat.clone, "fetch", "-q", "origin", "refs/gitmem/sessions/web")
    tip = git(pat.clone, "rev-parse", "FETCH_HEAD").strip()
    tree = subprocess.run(["git", "-C", str(pat.clone), "mktree"], input="", capture_output=True, text=True, check=True).stdout.strip()
    empty = git(pat.clone, "commit-tree", "-p", tip, "-m", "gone", tree).strip()
    assert f"is of ann, and {ME}, who pushes, may not speak for ann" in pat.refused("origin", f"{empty}:refs/gitmem/sessions/web")


def mark(pat: Person, ref: str, text: str) -> str:
    blob = subprocess.run(
        ["git", "-C", str(pat.clone), "hash-object", "-w", "--stdin"], input=text, capture_output=True, text=True, check=True
    )
    return f"{blob.stdout.strip()}:{ref}"


def test_a_mark_comes_in_from_its_agent_and_well_formed(pat: Person, ann: Agent):
    ref = f"refs/gitmem/presence/web/{ME}"
    good = f"# {ref}\nagent: {ME}\nstatus: busy\nseen: 2026-01-31T09:00:00Z\n".replace(f"agent: {ME}\n", "")
    assert pat.push("origin", mark(pat, ref, good)) == "accepted"
    found = ann.memory.marks.read(Presence, "web", ME)
    assert found is not None
    assert (found.status, found.seen) == ("busy", datetime.fromisoformat("2026-01-31T09:00:00Z"))
    assert pat.push("--force", "origin", mark(pat, ref, good.replace("busy", "idle"))) == "accepted"
    assert pat.refused("-f", "origin", mark(pat, ref, good.replace("busy", "asleep"))) == (
        f"gitmem: {ref} status is 'asleep', not one of idle, busy, error, gone. Nothing was changed.\nfix: push what gitmem has written there.\n"
    )
    assert pat.refused("-f", "origin", mark(pat, ref, good.replace("# ", "#"))) == (
        f"gitmem: {ref} does not begin with a line that names it. Nothing was changed.\nfix: push what gitmem has written there.\n"
    )
    assert pat.refused("-f", "origin", f"HEAD:{ref}") == (
        f"gitmem: {ref} is to hold one small file, and no commit. Nothing was changed.\nfix: push what gitmem has written there.\n"
    )
    assert pat.refused("origin", f":{ref}") == f"gitmem: {ref} cannot be deleted: it is the team's memory. Nothing was changed.\n"


def test_a_mark_of_another_agent_is_refused(pat: Person, ann: Agent):
    seen(ann.memory, "web", "ann", status="busy")
    ref = "refs/gitmem/presence/web/ann"
    assert pat.refused("-f", "origin", mark(pat, ref, f"# {ref}\nstatus: gone\n")) == (
        f"gitmem: {ref} is of ann, and {ME}, who pushes, may not speak for ann. Nothing was changed.\n"
        "fix: an admin may let somebody speak for others, by speaks_for in people of gitmem.yaml.\n"
    )
    with git_daemon(pat.memory.parent) as hub:
        git(pat.clone, "remote", "set-url", "origin", hub.url("memory.git"))
        assert "it is not known who pushes this" in pat.refused("-f", "origin", mark(pat, ref, f"# {ref}\nstatus: gone\n"))


# --- many files -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_five_thousand_files_come_in_at_once_and_one_bad_among_them_is_found(pat: Person, ann: Agent):
    for number in range(5000):
        record = learning(number * 0x00DBCA97 % 2**32)
        pat.write(record.path, encode(record))
    bad = learning(0x77777777)
    pat.write(bad.path, "---\ntitle: ''\n---\n\nText.\n")
    pat.commit()
    assert pat.refused() == report(f"{bad.path}:2: title is empty; one line of text is accepted")
    (pat.clone / bad.path).unlink()
    pat.commit()
    assert pat.push() == "accepted"
    assert sum(1 for _ in ann.memory.view().records(Knowledge)) == 5000
