"""Telling those concerned what they have lost in a sync. Light, since servers load the domains and seldom sync."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from gitmem.memory.memory import Memory
    from gitmem.memory.versions import Loss


class Lost(Struct, frozen=True):
    """What a merge of a ref could not hold."""

    ref: str
    loss: "Loss"


Teller = Callable[["Memory", Sequence[Lost]], None]
TELLERS: list[Teller] = []


def teller(function: Teller) -> Teller:
    """Decorator: something of a domain that tells those concerned what they have lost in a sync."""
    TELLERS.append(function)
    return function
