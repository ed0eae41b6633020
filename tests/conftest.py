"""Fixtures: real repositories in temporary folders, with identity pinned and the default place poisoned."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import gitmem.domains.all  # noqa: F401  declares kinds and verbs
from gitmem import verbs
from gitmem.answers import structured
from gitmem.desk import Desk
from gitmem.errors import GitmemError
from gitmem.founding import found
from gitmem.git.repository import Repository
from gitmem.index.search import Index
from gitmem.memory.caller import GITMEM, Caller
from gitmem.memory.memory import Memory

settings.register_profile("gitmem", deadline=None)  # how long an example takes tells of the machine, not of the code
settings.load_profile("gitmem")


@pytest.fixture(autouse=True)
def _pinned(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITMEM_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    (home / "gitconfig").write_text("[user]\n\tname = Pat Person\n\temail = pat@example.com\n[init]\n\tdefaultBranch = main\n")
    # a test that forgets to name its repository must fail, not write into somebody's memory
    poisoned = home / "poisoned"
    poisoned.write_text("no test may use the default place")
    monkeypatch.setenv("XDG_DATA_HOME", str(poisoned))


@pytest.fixture
def signing(tmp_path: Path) -> None:
    """The person signs what they commit, and has git tell of signatures whenever it shows commits."""
    key = tmp_path / "signing-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "signers").write_text(f"pat@example.com {key.with_suffix('.pub').read_text()}")
    for name, value in (
        ("gpg.format", "ssh"), ("user.signingKey", str(key)), ("gpg.ssh.allowedSignersFile", str(tmp_path / "signers")),
        ("commit.gpgSign", "true"), ("log.showSignature", "true"),
    ):  # fmt: skip
        git(tmp_path, "config", "--global", name, value)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    Repository.init(tmp_path / "memory.git")
    opened = Memory(tmp_path / "memory.git")
    yield opened
    opened.close()


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    """The output of a git command, stderr included."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout + done.stderr


def lines_of(briefing: Mapping[str, Any], name: str) -> list[str]:
    """The lines of one section of a briefing; none if it has no such section."""
    return next((each["lines"] for each in briefing["sections"] if each["name"] == name), [])


class Team:
    """A memory with an index, and a way to call verbs as anybody."""

    def __init__(self, path: Path) -> None:
        self.memory, _ = found(path)
        self.index = Index(self.memory)

    def call(
        self, called: str, *, agent: str = "ann", project: str = "web", session: str = "",
        arguments: Mapping[str, object] | None = None, **more: object,
    ) -> Any:
        """The answer of a verb as a plain value; `arguments` are for those that are called like ours."""
        desk = Desk(self.memory, self.index, Caller(agent, "declared", session), project=project, verb=called)
        return structured(verbs.call(desk, verbs.find(called), {**(arguments or {}), **more}))

    def refusal(self, called: str, **arguments: Any) -> GitmemError:
        """The error with which a verb refuses; it must have changed nothing and say what helps."""
        before = self.memory.repository.refs.list("refs/")
        with pytest.raises(GitmemError) as refused:
            self.call(called, **arguments)
        assert self.memory.repository.refs.list("refs/") == before
        assert refused.value.fix
        return refused.value

    def write(self, path: str, text: str) -> None:
        """Put a file into main as the memory itself would."""
        with self.memory.transaction(self.memory.view(), GITMEM, f"write {path}") as change:
            change.put_file(path, text.encode())

    def inbox(self, agent: str) -> list[tuple[str, str, str]]:
        """What is new to an agent: who sent it, its subject, its text."""
        messages = self.call("get_messages", agent=agent)["messages"]
        return [(each["from_agent"], each["subject"], each["message"]) for each in messages]

    def commits(self) -> int:
        """How many commits main has."""
        return int(git(self.memory.path, "rev-list", "--count", "main"))

    def close(self) -> None:
        self.index.close()
        self.memory.close()


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path / "team.git")
    made.call("project", action="create", name="web", description="The web shop.")
    yield made
    made.close()
