"""Lock files that a killed program left behind."""

import os
from pathlib import Path

from gitmem.git import refs


def test_of_two_that_watched_a_left_lock_the_second_does_not_take_the_lock_of_the_first(tmp_path: Path):
    lock = tmp_path / "main.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    seen = refs._identity(lock)
    refs._remove(lock, seen)
    assert not lock.exists()
    lock.write_text("of the first")
    refs._remove(lock, seen)
    assert lock.read_text() == "of the first"
