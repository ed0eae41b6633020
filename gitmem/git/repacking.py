"""Repacking by git: deltas are found, and what no ref has held for long is let go of."""

import time
from contextlib import suppress

from gitmem.git.expiry import NEVER
from gitmem.git.packs import KEEP_TEXT
from gitmem.git.repository import GitFailed, Repository, git_version, run_git

CRUFT_PACKS = (2, 37)  # the git that notes when each object was last wanted
HALF_SECONDS = 600  # what others than gitmem leave half written for so long was left by a killed one
# `-F`, because git takes two whole objects of one pack for tried already, and a fold has put them there.
_REPACK = ("-d", "-F", "-q")
_TRIES = 3
# What git says of a pack without an index, such as one that is just being written, and gives up.
_HALF = "could not find pack"


def repack(repository: Repository, *, thorough: bool = False, expires: str = NEVER) -> None:
    """Let git find deltas. Objects that no ref holds are kept; if `thorough`, those that are not older than `expires`."""
    if not thorough:
        run_git(repository.path, "repack", *_REPACK, "--geometric=2")
    elif git_version() < CRUFT_PACKS or not _repack_expiring(repository, expires):
        run_git(repository.path, "repack", *_REPACK, "-a", "-k")


def _repack_expiring(repository: Repository, expires: str) -> bool:
    for _ in range(_TRIES):
        try:
            run_git(repository.path, "repack", *_REPACK, "--cruft", f"--cruft-expiration={expires}")
        except GitFailed as error:
            if _HALF not in error.message:
                raise
        else:
            return True
    return False


def clear_halves(repository: Repository, *, flushed: bool) -> None:
    """Remove packs without an index, which killed processes left.

    `flushed`: those that gitmem's writer made, for whoever holds its lock; otherwise all others that are old, for
    whoever holds the lock for folds.
    """
    for pack in repository.objects.pack_folder.glob("pack-*.pack"):
        keep = pack.with_suffix(".keep")
        with suppress(FileNotFoundError):
            is_flushed = keep.exists() and keep.read_bytes() == KEEP_TEXT
            is_over = is_flushed if flushed else not is_flushed and time.time() - pack.stat().st_ctime > HALF_SECONDS
            if is_over and not pack.with_suffix(".idx").exists():
                pack.unlink()
                keep.unlink(missing_ok=True)
