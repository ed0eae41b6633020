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

    @property
    def person(self) -> Person:
        """The author of their commits."""
        return Person(self.name, f"{self.name}@gitmem")
