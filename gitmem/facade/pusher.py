"""Who is pushing: never what the commits say. A front door's claim, signatures, or the user of this machine."""

import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitmem.domains.ownership.signers import keyring, person_of
from gitmem.git.repository import Repository
from gitmem.git.signatures import is_signed, verified
from gitmem.memory.caller import Caller
from gitmem.memory.claims import claimed
from gitmem.memory.pushers import UNKNOWN
from gitmem.memory.settings import Settings, settings_of
from gitmem.memory.view import View
from gitmem.names import name_problem

SIGNATURE = "signature"  # how somebody has proven who they are
# What a network's front door leaves in the environment of those it starts.
_FROM_NETWORK = ("REMOTE_ADDR", "REMOTE_HOST", "REQUEST_METHOD", "GATEWAY_INTERFACE")
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "env"})
_DEPTH_MAX = 20


class Pusher(Struct, frozen=True):
    """Who pushes, how that was proven, and for whom else they may speak; without a name, why nothing is proven."""

    name: str = ""
    proof: str = ""
    speaks_for: frozenset[str] = frozenset()
    why: str = "nothing tells who you are"

    @property
    def is_known(self) -> bool:
        """Whether anything proves who it is."""
        return bool(self.name)

    def caller(self, brings: frozenset[str] = frozenset()) -> Caller:
        """Them as the gate knows those who ask; `brings` are those whose commits they push."""
        caller = Caller(self.name or UNKNOWN, "push" if self.name else "unknown", speaks_for=self.speaks_for)
        return replace(caller, brings=frozenset(each for each in brings if caller.may_speak_for(each)))


def identify(repository: Repository, view: View, commits: Sequence[str]) -> Pusher:
    """Who pushes these new commits to the memory, whose main is at `view`. The first proof that there is counts."""
    settings = settings_of(view)
    if found := claimed(repository.path, os.environ):
        return _known(settings, found[0], "front door", found[1])
    signed = _by_signatures(repository, view, commits, settings)
    if signed.is_known:
        return signed
    if user := _user_of_this_machine(os.environ):
        person = settings.person_of_user(user)
        return Pusher(why=f"the user {user} has no name that gitmem takes") if name_problem(person) else _known(
            settings, person, "OS user"
        )
    return signed


def _known(settings: Settings, name: str, proof: str, speaks_for: frozenset[str] = frozenset()) -> Pusher:
    person = next((each for each in settings.people if each.name == name), None)
    return Pusher(name, proof, speaks_for | frozenset(person.speaks_for if person else ()), why="")


# --- signatures -------------------------------------------------------------------------------------


def _by_signatures(repository: Repository, view: View, commits: Sequence[str], settings: Settings) -> Pusher:
    if not commits:
        return Pusher()
    if not all(is_signed(repository.objects, commit) for commit in commits):
        return Pusher(why="not every commit is signed")
    people: set[str] = set()
    for signature in verified(repository.path, commits, *keyring(view)):
        if signature.wrong:
            return Pusher(why=f"commit {signature.commit[:8]} {signature.wrong}")
        people.add(person_of(signature.who, settings))
    if len(people) != 1:
        return Pusher(why=f"the commits are signed by {' and '.join(sorted(people))}, and one has to sign them all")
    return _known(settings, people.pop(), SIGNATURE)


# --- the user of this machine -----------------------------------------------------------------------


def _user_of_this_machine(environment: Mapping[str, str]) -> str:
    """The user who pushes by path on this machine; "" if the push comes from elsewhere, or cannot be told from one that does."""
    if any(name in environment for name in _FROM_NETWORK) or not _started_by_git():
        return ""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without a name, as containers have them
        return ""


def _started_by_git() -> bool:
    """Whether it was a git program of the same user, such as `git push`, that started the `git receive-pack` above us.

    SSH_CONNECTION would not tell: who has logged in by ssh pushes by path, too. Over a network it is sshd, git-daemon,
    git-http-backend or some other server that starts it.
    """
    above = [each for each in _ancestors(os.getppid()) if each.name not in _SHELLS]
    receiving = next((place for place, each in enumerate(above) if "receive-pack" in each.command), None)
    if receiving is None or receiving + 1 >= len(above):
        return False
    started_by = above[receiving + 1]
    return started_by.name == "git" and started_by.user == os.getuid()


class _Process(Struct, frozen=True):
    parent: int
    user: int
    name: str
    command: str


def _ancestors(number: int) -> Iterator[_Process]:
    for _ in range(_DEPTH_MAX):
        found = _process(number) if number > 1 else None
        if found is None:
            return
        yield found
        number = found.parent


def _process(number: int) -> _Process | None:
    place = Path("/proc") / str(number)
    try:
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        return _Process(int(status["PPid"]), int(status["Uid"].split()[0]), status["Name"], command)
    except (OSError, KeyError, ValueError):
        return _process_by_ps(number)


def _process_by_ps(number: int) -> _Process | None:
    """The same where there is no /proc, such as on macOS."""
    command = ["ps", "-o", "ppid=", "-o", "uid=", "-o", "comm=", "-o", "args=", "-p", str(number)]
    try:
        line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(None, 3)
        return _Process(int(line[0]), int(line[1]), Path(line[2]).name, line[3] if len(line) > 3 else "")
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return None
