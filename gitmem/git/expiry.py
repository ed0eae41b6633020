"""When an object that no ref holds may go.

Git takes the age of an object from the file that it is in, which tells when it was packed, not when the last ref let
go of it. And while git looks at one ref after the other, an object may move from a ref that is still to come to one
that it has passed. So an object goes only if it was unreferenced at the thorough repack before, too: what was
referenced then was written anew by that repack, and is younger.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

NEVER = "never"
KEPT = timedelta(days=14)  # as `git gc` does: for whoever builds on what they have just read
APART = timedelta(days=1)  # between two repacks that count
EVERY = timedelta(days=7)
_SKEW = timedelta(hours=1)  # between this clock and that of the disk


class Expiry:
    """The times of thorough repacks, noted in a file that may get lost: then nothing goes until the next but one."""

    def __init__(self, note: Path) -> None:
        self._note = note

    @property
    def latest(self) -> float:
        """When the last thorough repack began; 0 if that is not known."""
        return self._times()[1]

    def is_due(self) -> bool:
        """Whether there was none for a week."""
        return not 0 <= time.time() - self.latest < EVERY.total_seconds()

    @contextmanager
    def round(self) -> Iterator[str]:
        """Around a thorough repack: from what age on unreferenced objects may go, in git's words."""
        began, (counted, _) = time.time(), self._times()
        counts = not 0 <= began - counted < APART.total_seconds()
        until = min(counted - _SKEW.total_seconds(), began - KEPT.total_seconds())
        yield _in_words(until) if counted and counts else NEVER
        self._note.write_text(f"{began if counts else counted} {began}")

    def _times(self) -> tuple[float, float]:
        """The last repack that counts, because it was long after the one before, and the last of all."""
        try:
            counted, latest = map(float, self._note.read_text().split())
        except (FileNotFoundError, ValueError):
            return 0.0, 0.0
        return counted, latest


def _in_words(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
