"""Settlers: what domains do to make a merged tree whole. Light, since the push hook loads the domains but merges nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitmem.memory.merge import Draft

Settler = Callable[["Draft"], None]
SETTLERS: list[Settler] = []


def settler(function: Settler) -> Settler:
    """Decorator: something of a domain that makes a merged tree whole, where files by themselves are fine."""
    SETTLERS.append(function)
    return function
