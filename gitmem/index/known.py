"""What has been worked out before, and is kept to be used again."""

from typing import TypeVar

_MOST = 2000

K = TypeVar("K")
V = TypeVar("V")


class Known(dict[K, V]):
    """A dictionary that begins anew when it has grown large: for what holds for good, or as long as its owner."""

    def __setitem__(self, key: K, value: V) -> None:
        if len(self) >= _MOST:
            self.clear()
        super().__setitem__(key, value)
