"""Who has pushed what: beside each commit that came by a push, a note of who brought it.

The notes are on `refs/notes/pushers`, where `git log --notes=pushers` shows them to people. A note is there before the
push is let in, so that none is ever missing.
"""

from collections.abc import Mapping

from msgspec import Struct

from gitmem.errors import GitmemError
from gitmem.git.objects import NO_TREE, Commit, NewObject, new_object
from gitmem.git.refs import RefLocked
from gitmem.git.repository import Repository
from gitmem.memory.caller import GITMEM_PERSON
from gitmem.memory.pending import StorageFailed
from gitmem.names import counted, now

UNKNOWN = "unknown"  # whoever pushes and proves nothing
PUSHERS_REF = "refs/notes/pushers"
UNPROVEN = "nothing"  # the proof of somebody who has none
_TRIES = 100


class Note(Struct, frozen=True):
    """Who brought a commit to the memory, and how they proved who they are; `let_in_by`: who then took it into main."""

    pusher: str = ""
    proof: str = ""
    let_in_by: str = ""

    def text(self) -> bytes:
        """As git keeps and shows it."""
        said = {"Pushed-by": self.pusher, "Proof": self.proof, "Let-in-by": self.let_in_by}
        return "".join(f"{name}: {value}\n" for name, value in said.items() if value).encode()

    @classmethod
    def parse(cls, text: bytes) -> "Note":
        """The note that git has kept."""
        lines = dict(line.split(": ", 1) for line in text.decode("utf-8", "replace").splitlines() if ": " in line)
        return cls(lines.get("Pushed-by", ""), lines.get("Proof", ""), lines.get("Let-in-by", ""))


class NotNoted(GitmemError):
    """The notes kept changing under their writer."""

    def __init__(self) -> None:
        super().__init__("Others push all the time, and it could not be noted who brought this.", fix="Push again in a moment.")


class Notes:
    """The notes as they are now."""

    def __init__(self, repository: Repository) -> None:
        tip = repository.refs.read(PUSHERS_REF)
        self._objects = repository.objects
        self._tree = repository.objects.commit(tip).tree if tip else ""

    def of(self, commit: str) -> Note | None:
        """Who brought a commit; None if it came by no push, as what agents write on the spot."""
        if not self._tree or len(commit) != 40:
            return None
        # git spreads notes over folders as it likes when it writes them itself
        for path in (f"{commit[:2]}/{commit[2:]}", commit, f"{commit[:2]}/{commit[2:4]}/{commit[4:]}"):
            if blob := self._objects.file(self._tree, path):
                return Note.parse(self._objects.blob(blob))
        return None


def note_of(repository: Repository, commit: str) -> Note | None:
    """Who brought one commit."""
    return Notes(repository).of(commit)


def note_push(repository: Repository, notes: Mapping[str, Note]) -> None:
    """Note who brings some commits, by their ids, durably. Raises NotNoted, StorageFailed."""
    edits: dict[str, NewObject | None] = {
        f"{commit[:2]}/{commit[2:]}": new_object("blob", note.text()) for commit, note in notes.items()
    }
    if edits and not _written(repository, edits):
        raise NotNoted


def _written(repository: Repository, edits: Mapping[str, NewObject | None]) -> bool:
    from filelock import FileLock  # imported late: looking a note up writes nothing, and a refused push makes none

    from gitmem.git.maintenance import WRITE_LOCK

    for _ in range(_TRIES):
        try:
            # whoever writes without this lock may lose a pack that no ref holds yet to upkeep
            with FileLock(repository.private / WRITE_LOCK).acquire(poll_interval=0.002):
                if _swapped(repository, edits):
                    return True
        except RefLocked:
            continue
        except OSError as error:
            raise StorageFailed(error) from error
    return False


def _swapped(repository: Repository, edits: Mapping[str, NewObject | None]) -> bool:
    from gitmem.memory.chain import graft

    tip = repository.refs.read(PUSHERS_REF)
    before = repository.objects.commit(tip).tree if tip else NO_TREE
    tree, new = graft(repository.objects, before, edits)
    if tree == before:
        return True
    message = f"pushed: {counted(len(edits), 'commit')}\n"
    commit = Commit(tree, (tip,) if tip else (), GITMEM_PERSON, GITMEM_PERSON, now(), message)
    made = new_object("commit", commit.encode())
    with repository.objects.written([*new, made]):
        return repository.refs.swap(PUSHERS_REF, tip, made.oid)
