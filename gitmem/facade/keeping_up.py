"""Keeping up with hubs: a sync whenever something is written here, and every so often for what others write."""

import time
from collections.abc import Callable, Sequence

from gitmem.facade.terminal import say
from gitmem.git.remote import AccessDenied, NoRepository, TransferFailed, Unreachable
from gitmem.memory.hubs import Hub
from gitmem.memory.memory import Memory
from gitmem.memory.sync import AlreadySyncing, Report, StillRacing, shared_refs, sync_with

LOOK_SECONDS = 1.0
BACK_OFF_MAX_SECONDS = 600.0
# What passes by itself: waited for, longer each time.
_PASSING = (Unreachable, AccessDenied, NoRepository, TransferFailed, AlreadySyncing, StillRacing)


def keep_up(
    memory: Memory, hubs: Sequence[Hub], every: float, tell: Callable[[Sequence[Report]], None], *, rounds: int | None = None
) -> None:
    """Sync for ever, or so many rounds. A hub that is away is tried again less and less often."""
    wait = every
    while rounds is None or rounds > 0:
        rounds = None if rounds is None else rounds - 1
        before = shared_refs(memory)  # what is written while a sync runs is for the next one
        try:
            tell(sync_with(memory, hubs, patience=BACK_OFF_MAX_SECONDS))
            wait = every
        except _PASSING as error:
            wait = min(BACK_OFF_MAX_SECONDS, wait * 2)
            say(f"{error.message} Next try in {wait:g} seconds.")
        if rounds != 0:
            _sleep(memory, wait, before if wait == every else None)


def _sleep(memory: Memory, seconds: float, before: dict[str, str] | None) -> None:
    """Wait, but no longer than until something is not as it was `before`; a hub that is away is not asked sooner for that."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if before is not None and shared_refs(memory) != before:
            return
        time.sleep(min(LOOK_SECONDS, left))
