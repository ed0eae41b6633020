"""Waiting for messages: whoever has nothing to do is woken instead of asking again and again."""

import time

from gitmem.desk import Desk
from gitmem.domains.messages.listing import Messages, unread
from gitmem.domains.messages.record import place_of
from gitmem.errors import BadArgument
from gitmem.verbs import verb

TIMEOUT_MAX = 55.0  # seconds; clients give up on a call after a minute
_LOOK_EVERY = 0.05  # seconds; a look costs the reading of one small file


@verb(waits=True)
def wait_for_messages(desk: Desk, timeout_seconds: float = 30.0) -> Messages:
    """Wait until something is new in your inbox, at most 55 seconds, and return it.

    It stays new until you get, acknowledge or claim it.

    Args:
        timeout_seconds: how long to wait, up to 55.
    """
    # Nothing is marked as delivered here: who waits may have been given up on by their client, and would
    # then have read for nobody.
    if not timeout_seconds >= 0:
        raise BadArgument(f"timeout_seconds is {timeout_seconds}.", fix=f"0 to {TIMEOUT_MAX:.0f} are accepted.")
    patience = min(timeout_seconds, TIMEOUT_MAX)
    deadline = time.monotonic() + patience
    place, looked_at = place_of(desk.project), None
    while True:
        head = desk.memory.head(place)
        if head != looked_at and (found := unread(desk)).messages:
            return found
        looked_at = head
        left = deadline - time.monotonic()
        if left <= 0:
            return Messages((), 0, 0, note=_nothing_came(patience, capped=timeout_seconds > TIMEOUT_MAX))
        time.sleep(min(_LOOK_EVERY, left))


def _nothing_came(seconds: float, *, capped: bool) -> str:
    most = f", the longest that one call waits (you asked for more than {TIMEOUT_MAX:.0f})" if capped else ""
    return f"no message came within {seconds:g} seconds{most}; call again to go on waiting"
