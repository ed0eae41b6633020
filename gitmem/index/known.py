"""What has been worked out before, and is kept to be used again."""

from collections.abc import Callable
from typing import TypeVar

_MOST = 2000

K = TypeVar("K")
V = TypeVar("V")


class Known(dict[K, V]):
    """What is known by key; it begins anew when it has grown large. Threads may share it: some work is then done twice."""

    def of(self, key: K, work: Callable[[], V]) -> V:
        """What is known of a key, worked out now if nothing is."""
        value = self.get(key)
        return self.keep(key, work()) if value is None else value

    def keep(self, key: K, value: V) -> V:
        """Make something known; the value itself."""
        if len(self) >= _MOST:
            self.clear()
        self[key] = value
        return value
