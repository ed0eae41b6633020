"""Who asks for a change, and how they proved it."""

from dataclasses import dataclass
from typing import Literal

from gitmem.git.objects import Person

Proof = Literal["key", "session", "declared", "client", "push", "none"]


@dataclass(frozen=True)
class Caller:
    """An agent or a person. `session` and `key` are ids that become trailers of their commits."""

    name: str
    proof: Proof = "none"
    session: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        # a client may send half of a surrogate pair, which no file can hold
        object.__setattr__(self, "name", self.name.encode(errors="replace").decode())

    @property
    def person(self) -> Person:
        """The author of their commits."""
        return Person(self.name, f"{self.name}@gitmem")
