"""Locks between the processes that use one repository."""

from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock


class PrivateLock(FileLock):
    """A lock file in the private folder of a repository, and none where the repository was moved away.

    A plain one would make all folders above it anew, and a repository that is moved back would land inside of them.
    """

    def acquire(self, *arguments: Any, **options: Any) -> "AcquireReturnProxy[Any]":
        """Take the lock. Raises FileNotFoundError if there is no repository."""
        Path(self.lock_file).parent.mkdir(exist_ok=True)
        return super().acquire(*arguments, **options)
