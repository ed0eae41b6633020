"""Who pushes, found out by the memory: the whole text for each way to prove it, and for each way to fail."""

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitmem.memory.caller import Caller
from gitmem.memory.claims import PUSHER, claim
from gitmem.memory.pushers import Note, note_of
from gitmem.memory.settings import Settings
from gitmem.records.codec import encode
from tests.conftest import git
from tests.facade.test_push import ME, Person, learning
from tests.hubs import SshHub, git_daemon, http_backend, ssh_hub
from tests.proofs.workers import Agent, make

ANN = Caller("ann", "declared")


def unknown(why: str) -> str:
    return (
        f"gitmem: it is not known who pushes this: {why}. It can only be proposed. Nothing was changed.\n"
        "fix: propose it with 'git push origin HEAD:refs/heads/proposals/NAME', or push in a way that proves who you are: with an ssh key that\n"
        "'gitmem ssh-serve' knows, with commits that are signed with a key of allowed_signers, or by path on the same machine.\n"
    )


def forged(commit: str, name: str, pusher: str) -> str:
    return (
        f"gitmem: commit {commit[:8]} says that it is by {name}, and {pusher} may not speak for {name}. Nothing was changed.\n"
        "fix: commit under your own name and push again; an admin may let somebody speak for others, by speaks_for in people of gitmem.yaml.\n"
    )


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Agent]:
    make(tmp_path / "memory.git")
    one = Agent(tmp_path / "memory.git")
    for member in ("bob", "pat"):
        one.call("project", action="add_agent", name="web", member=member, tier="member")
    yield one
    one.close()


@pytest.fixture
def memory(ann: Agent) -> Path:
    return ann.memory.path


@pytest.fixture
def hub(memory: Path, tmp_path: Path) -> Iterator[SshHub]:
    with ssh_hub(memory.parent, tmp_path / "keys") as found:
        yield found


def person(memory: Path, name: str) -> Person:
    return Person(memory, memory.parent / f"clone-{name}")


def written(who: Person, number: int = 1, *options: str) -> str:
    """A commit with something good in it."""
    record = learning(number)
    who.write(record.path, encode(record))
    git(who.clone, "add", "-A")
    git(who.clone, *options, "commit", "-qm", f"by hand {number}")
    return git(who.clone, "rev-parse", "HEAD").strip()


def noted(memory: Path, commit: str) -> str:
    return git(memory, "notes", "--ref=pushers", "show", commit)


# --- by path ----------------------------------------------------------------------------------------


def test_who_pushes_by_path_is_the_user_of_this_machine_and_any_author_is_kept(memory: Path, ann: Agent):
    who = person(memory, "a")
    commit = written(who)
    assert who.push() == "accepted"
    assert git(memory, "log", "-1", "--format=%an", "main") == "Pat Person\n"
    assert noted(memory, commit) == f"Pushed-by: {ME}\nProof: OS user\n"
    assert note_of(ann.memory.repository, commit) == Note(ME, "OS user")
    assert f"Pushed-by: {ME}" in git(memory, "log", "-1", "--notes=pushers", "main")
    [version] = ann.call("history", id=learning(1).id).value.versions
    assert (version.author, version.pushed_by) == ("Pat Person", ME)


def test_a_login_by_ssh_on_the_memorys_machine_is_still_a_push_by_path(memory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")
    who = person(memory, "a")
    written(who)
    assert who.push() == "accepted"


def test_the_settings_say_which_person_a_user_is(memory: Path, ann: Agent):
    people = f"people:\n- name: pat\n  os_users: [{ME}]\n  emails: [pat@example.com]\n  speaks_for: [bob]\n"
    settings(ann, people)
    who = person(memory, "a")
    commit = written(who)
    assert who.push() == "accepted"
    assert noted(memory, commit) == "Pushed-by: pat\nProof: OS user\n"


def settings(ann: Agent, text: str) -> None:
    with ann.memory.transaction(ann.memory.view(), ANN, "settings") as change:
        change.put_file("gitmem.yaml", f"format: 1\n{text}".encode())
    assert isinstance(ann.memory.view().record("gitmem.yaml"), Settings)


@pytest.mark.parametrize("author", ["ann <other@example.com>", "Somebody <ann@gitmem>", "ANN <x@y>"])
def test_a_forged_author_is_refused(memory: Path, author: str):
    who = person(memory, "a")
    commit = written(who)
    git(who.clone, "commit", "-q", "--amend", "--no-edit", "--author", author)
    commit = git(who.clone, "rev-parse", "HEAD").strip()
    assert who.refused() == forged(commit, "ann", f"{ME}, who pushes,")
    assert who.refused("origin", "HEAD:refs/heads/proposals/mine") == forged(commit, "ann", f"{ME}, who pushes,")
    assert who.refused("origin", "HEAD:refs/heads/draft") == forged(commit, "ann", f"{ME}, who pushes,")


def test_many_forged_commits_are_told_in_one_line_for_each_name(memory: Path):
    who = person(memory, "a")
    for number, name in enumerate(("ann", "bob", "ann")):
        written(who, number, "-c", f"user.name={name}")
    said = who.refused()
    assert said.count("gitmem:") == 2
    assert f"gitmem: 2 commits say that they are by ann, and {ME}, who pushes, may not speak for ann. Nothing was changed.\n" in said


def test_a_forged_author_is_found_below_a_merge_and_in_a_tag(memory: Path):
    who = person(memory, "a")
    git(who.clone, "checkout", "-q", "-b", "side")
    commit = written(who, 1, "-c", "user.name=ann")
    git(who.clone, "checkout", "-q", "main")
    written(who, 2)
    git(who.clone, "merge", "-q", "--no-edit", "side")
    assert who.refused() == forged(commit, "ann", f"{ME}, who pushes,")
    git(who.clone, "tag", "-a", "-m", "x", "release", "side")
    assert who.refused("origin", "release") == forged(commit, "ann", f"{ME}, who pushes,")


def test_who_may_speak_for_an_agent_brings_its_commits(memory: Path, ann: Agent):
    settings(ann, f"people:\n- name: {ME}\n  speaks_for: [bo*]\n")
    who = person(memory, "a")
    written(who, 1, "-c", "user.name=bob")
    assert who.push() == "accepted"
    commit = written(who, 2, "-c", "user.name=ann")
    assert who.refused() == forged(commit, "ann", f"{ME}, who pushes,")


def test_an_address_of_a_person_is_theirs(memory: Path, ann: Agent):
    settings(ann, "people:\n- name: pat\n  emails: [pat@example.com]\n")
    who = person(memory, "a")
    commit = written(who)
    assert who.refused() == forged(commit, "pat", f"{ME}, who pushes,")


# --- a front door -----------------------------------------------------------------------------------


def test_a_key_with_ssh_serve_pushes_as_its_agent(memory: Path, hub: SshHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", hub.key("bob", agent="bob")["GIT_SSH_COMMAND"])
    who = person(memory, "b")
    git(who.clone, "remote", "set-url", "origin", hub.url("memory.git"))
    commit = written(who, 1, "-c", "user.name=bob")
    assert who.push() == "accepted"
    assert noted(memory, commit) == "Pushed-by: bob\nProof: front door\n"
    git(who.clone, "fetch", "-q")
    commit = written(who, 2, "-c", "user.name=ann")
    assert who.refused() == forged(commit, "ann", "bob, who pushes,")


def test_what_a_client_sets_in_its_environment_counts_for_nothing(memory: Path, hub: SshHub, monkeypatch: pytest.MonkeyPatch):
    # this sshd takes any variable from its clients, which no real one should
    who = person(memory, "b")
    git(who.clone, "remote", "set-url", "origin", hub.url("memory.git"))
    written(who)
    plain = hub.key("plain")["GIT_SSH_COMMAND"]
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{plain} -o SetEnv=GITMEM_PUSHER=ann -o SendEnv=GITMEM_PUSHER_SEAL")
    monkeypatch.setenv("GITMEM_PUSHER_SEAL", "0" * 64)
    assert who.refused() == unknown("not every commit is signed")
    served = hub.key("bob", agent="bob")["GIT_SSH_COMMAND"]
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{served} -o SetEnv=GITMEM_PUSHER=ann -o SendEnv=GIT_DIR")
    monkeypatch.setenv("GIT_TRACE", "0")
    assert who.push() == "accepted"
    assert noted(memory, git(who.clone, "rev-parse", "HEAD").strip()) == "Pushed-by: bob\nProof: front door\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "This key is for git alone: it opens no shell.\n"),
        ("sh -c id", "'sh -c id' is not served: one of git-receive-pack, git-upload-pack, git-upload-archive with a path is.\n"),
        ("git-upload-pack 'memory.git'; id", "\"git-upload-pack 'memory.git'; id\" is not served: one of "
         "git-receive-pack, git-upload-pack, git-upload-archive with a path is.\n"),
        ("git-upload-pack /etc", "'git-upload-pack /etc' is not served: there is no such memory.\n"),
        ("git-upload-pack ../../etc", "'git-upload-pack ../../etc' is not served: there is no such memory.\n"),
        ("git-upload-pack --exec=id", "'git-upload-pack --exec=id' is not served: there is no such memory.\n"),
        ("git-upload-pack 'x", "\"git-upload-pack 'x\" is not served: it cannot be read (No closing quotation).\n"),
        ("git config x y", "'git config x y' is not served: one of git-receive-pack, git-upload-pack, git-upload-archive with a path is.\n"),
    ],
)
def test_a_key_with_ssh_serve_runs_nothing_but_git_on_memories(memory: Path, hub: SshHub, command: str, said: str):
    hub.key("bob", agent="bob")
    port, user = hub.base.split("@")[1].split(":")[1].split("/")[0], hub.base.split("//")[1].split("@")[0]
    ssh = [*hub.command("bob").split(), "-p", port, f"{user}@127.0.0.1", *([command] if command else [])]
    done = subprocess.run(ssh, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(said)


def test_a_key_may_speak_for_the_agents_of_its_machine(memory: Path, hub: SshHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", hub.key("pat", agent="pat", options="--speaks-for bob,worker_*")["GIT_SSH_COMMAND"])
    who = person(memory, "b")
    git(who.clone, "remote", "set-url", "origin", hub.url("memory.git"))
    written(who, 1, "-c", "user.name=bob")
    assert who.push() == "accepted"
    commit = written(who, 2, "-c", "user.name=ann")
    assert who.refused() == forged(commit, "ann", "pat, who pushes,")


def test_a_claim_that_is_not_sealed_is_none(memory: Path, monkeypatch: pytest.MonkeyPatch):
    who = person(memory, "a")
    commit = written(who)
    monkeypatch.setenv(PUSHER, "ann")
    assert who.push() == "accepted"
    assert noted(memory, commit).startswith(f"Pushed-by: {ME}\n")
    for name, value in claim(memory, "bob", ["ann"]).items():
        monkeypatch.setenv(name, value)
    commit = written(who, 2, "-c", "user.name=ann")
    assert who.push() == "accepted"
    assert noted(memory, commit) == "Pushed-by: bob\nProof: front door\n"
    monkeypatch.setenv(PUSHER, "pat")
    commit = written(who, 3, "-c", "user.name=ann")
    assert who.refused() == forged(commit, "ann", f"{ME}, who pushes,")
    assert (memory / "gitmem" / "pusher-secret").stat().st_mode & 0o777 == 0o600


# --- signatures -------------------------------------------------------------------------------------


def ssh_key(folder: Path, name: str) -> str:
    key = folder / f"signing-{name}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return str(key)


def signed_with(key: str) -> tuple[str, ...]:
    return ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "-c", "commit.gpgSign=true")


def let_sign(ann: Agent, *lines: str) -> None:
    with ann.memory.transaction(ann.memory.view(), ANN, "signers") as change:
        change.put_file("allowed_signers", "".join(f"{line}\n" for line in lines).encode())


def public(key: str) -> str:
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


@pytest.fixture
def far(memory: Path) -> Iterator[Person]:
    """Somebody who pushes through git daemon, which asks nobody who they are."""
    who = person(memory, "far")
    with git_daemon(memory.parent) as daemon:
        git(who.clone, "remote", "set-url", "origin", daemon.url("memory.git"))
        yield who


def test_a_push_over_a_network_that_proves_nothing_may_only_propose(far: Person, memory: Path):
    commit = written(far)
    assert far.refused() == unknown("not every commit is signed")
    assert far.refused("origin", "HEAD:refs/heads/draft") == unknown("not every commit is signed")
    assert far.push("origin", "HEAD:refs/heads/proposals/mine") == "accepted"
    assert noted(memory, commit) == "Pushed-by: unknown\nProof: nothing\n"
    assert far.refused() == unknown("nothing tells who you are")
    written(far, 2)
    assert far.refused("origin", "HEAD:refs/heads/proposals/mine") == unknown("not every commit is signed")
    assert far.refused("origin", ":refs/heads/proposals/mine") == unknown("nothing tells who you are")


def test_a_web_servers_user_proves_nothing(memory: Path):
    who = person(memory, "web")
    with http_backend(memory.parent, user="ann") as hub:
        git(who.clone, "remote", "set-url", "origin", hub.url("memory.git"))
        commit = written(who)
        assert who.refused() == unknown("not every commit is signed")
        git(who.clone, "commit", "-q", "--amend", "--no-edit", "--author", "ann <ann@gitmem>")
        commit = git(who.clone, "rev-parse", "HEAD").strip()
        assert who.refused("origin", "HEAD:refs/heads/proposals/x") == forged(commit, "ann", "it is not known who pushes, and whoever it is")


def test_ssh_signatures_on_all_commits_tell_who_pushes(far: Person, memory: Path, ann: Agent):
    bob, other = ssh_key(memory.parent, "bob"), ssh_key(memory.parent, "other")
    let_sign(ann, "# whose key is whose", f"pat {public(other)}", f'bob namespaces="git",valid-after="20260101" {public(bob)}')
    git(far.clone, "pull", "-q")
    first = written(far, 1, "-c", "user.name=bob", *signed_with(bob))
    second = written(far, 2, *signed_with(bob))
    assert far.push() == "accepted"
    assert noted(memory, first) == noted(memory, second) == "Pushed-by: bob\nProof: signature\n"
    written(far, 3, *signed_with(bob))
    written(far, 4)
    assert far.refused() == unknown("not every commit is signed")
    git(far.clone, "reset", "-q", "--hard", "origin/main")
    written(far, 5, *signed_with(bob))
    written(far, 6, *signed_with(other))
    assert far.refused() == unknown("the commits are signed by bob and pat, and one has to sign them all")


def test_a_wrong_signature_is_refused(far: Person, memory: Path, ann: Agent):
    bob, stranger = ssh_key(memory.parent, "bob"), ssh_key(memory.parent, "stranger")
    let_sign(ann, f"bob {public(bob)}")
    git(far.clone, "pull", "-q")
    commit = written(far, 1, *signed_with(stranger))
    assert far.refused() == unknown(f"commit {commit[:8]} is signed with a key that allowed_signers does not list")
    git(far.clone, "reset", "-q", "--hard", "origin/main")
    signed = written(far, 2, *signed_with(bob))
    raw = subprocess.run(["git", "-C", str(far.clone), "cat-file", "commit", signed], capture_output=True, check=True).stdout
    made = subprocess.run(
        ["git", "-C", str(far.clone), "hash-object", "-t", "commit", "-w", "--stdin"], input=raw.replace(b"by hand 2", b"by hand 9"),
        capture_output=True, check=True, text=False,
    )
    git(far.clone, "reset", "-q", "--hard", made.stdout.decode().strip())
    assert far.refused() == unknown(f"commit {made.stdout.decode()[:8]} is signed, but not as it is now")


def test_a_pushed_file_of_signers_does_not_count_for_its_own_push(far: Person, memory: Path):
    mallory = ssh_key(memory.parent, "mallory")
    far.write("allowed_signers", f"ann {public(mallory)}\n")
    commit = written(far, 1, *signed_with(mallory))
    assert far.refused() == unknown(f"commit {commit[:8]} is signed with a key that allowed_signers does not list")


def test_a_signature_of_somebodys_address_counts_as_theirs(far: Person, memory: Path, ann: Agent):
    key = ssh_key(memory.parent, "pat")
    let_sign(ann, f"pat@example.com {public(key)}")
    settings(ann, "people:\n- name: pat\n  emails: [Pat@Example.com]\n")
    git(far.clone, "pull", "-q")
    commit = written(far, 1, *signed_with(key))
    assert far.push() == "accepted"
    assert noted(memory, commit) == "Pushed-by: pat\nProof: signature\n"


@pytest.fixture
def gnupg(tmp_path: Path) -> Iterator[dict[str, str]]:
    home = Path("/tmp") / f"gitmem-gpg-{os.getpid()}-{tmp_path.name[-3:]}"  # a socket's path must be short
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    yield environment
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False, capture_output=True)
    subprocess.run(["rm", "-r", str(home)], check=True)


def test_openpgp_signatures_tell_who_pushes(far: Person, memory: Path, ann: Agent, gnupg: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name in ("pat", "stranger"):
        arguments = ["--quick-gen-key", f"{name} <{name}@example.com>", "ed25519", "sign", "never"]
        subprocess.run(["gpg", "--batch", "--quiet", "--passphrase", "", *arguments], env=gnupg, check=True, capture_output=True)
    exported = subprocess.run(["gpg", "--export", "pat@example.com"], env=gnupg, check=True, capture_output=True).stdout
    let_sign(ann, f"pat openpgp {base64.b64encode(exported).decode()}")
    git(far.clone, "pull", "-q")
    monkeypatch.setenv("GNUPGHOME", gnupg["GNUPGHOME"])
    commit = written(far, 1, "-c", "user.signingKey=pat@example.com", "-c", "commit.gpgSign=true")
    assert far.push() == "accepted"
    assert noted(memory, commit) == "Pushed-by: pat\nProof: signature\n"
    commit = written(far, 2, "-c", "user.signingKey=stranger@example.com", "-c", "commit.gpgSign=true")
    assert far.refused() == unknown(f"commit {commit[:8]} is signed with a key that allowed_signers does not list")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pat", "is no line such as `pat ssh-ed25519 AAAAC3...` or `pat openpgp mDMEZ...`"),
        ("* ssh-ed25519 AAAA", "is for '*'; one name or one email address is accepted"),
        ("pat,bob ssh-ed25519 AAAA", "is for 'pat,bob'; one name or one email address is accepted"),
        ("pat cert-authority ssh-ed25519 AAAA",
         "has the option 'cert-authority'; namespaces, valid-after and valid-before are accepted, as in namespaces=\"git\""),
        ("pat namespaces=git ssh-ed25519 AAAA",
         "has the option 'namespaces=git'; namespaces, valid-after and valid-before are accepted, as in namespaces=\"git\""),
        ('pat namespaces="git"valid-after="20260101" ssh-ed25519 AAAA',
         "has the option 'namespaces=\"git\"valid-after=\"20260101\"'; namespaces, valid-after and valid-before are accepted, "
         'as in namespaces="git"'),
        ("pat ssh-ed25519 A", "has a key that is not base64"),
    ],
)  # fmt: skip
def test_a_bad_line_of_signers_is_refused(memory: Path, ann: Agent, line: str, problem: str):
    ann.call("project", action="add_human", name="web", member=ME, tier="admin")
    who = person(memory, "a")
    who.write("allowed_signers", f"# ours\n{line}\n")
    who.commit()
    assert f"  allowed_signers:2: {problem}\n" in who.refused()
