"""Who asks for a change, and how they proved it."""

from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from gitmem.git.objects import Person

# "push": whoever pushes, as the front door, a signature or the operating system proved it; "unknown": a push without that.
Proof = Literal["session", "declared", "client", "push", "unknown", "none"]


class Caller(Struct, frozen=True):
    """An agent or a person. `session` is the id that becomes a trailer of their commits.

    `speaks_for`: whose work they may bring beside their own, such as that of the agents on their machine, where `*`
    stands for anything. `brings`: whose work a push really brings of those.
    """

    name: str
    proof: Proof = "none"
    session: str = ""
    speaks_for: frozenset[str] = frozenset()
    brings: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        # a client may send half of a surrogate pair, which no file can hold
        force_setattr(self, "name", self.name.encode(errors="replace").decode())

    @property
    def is_gitmem(self) -> bool:
        """Whether it is the memory itself that writes: founding and upkeep. Nobody who calls or pushes has such a proof."""
        return self.name == "gitmem" and self.proof == "none"

    @property
    def names(self) -> frozenset[str]:
        """Those as whom they act."""
        return self.brings | {self.name}

    def may_speak_for(self, name: str) -> bool:
        """Whether they may bring what somebody of that name has done."""
        return name == self.name or any(fnmatchcase(name, each) for each in self.speaks_for)

    @property
    def person(self) -> Person:
        """The author of their commits."""
        return Person(self.name, f"{self.name}@gitmem")


GITMEM = Caller("gitmem", "none")  # the memory itself
GITMEM_PERSON = GITMEM.person
