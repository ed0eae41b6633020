"""Upkeep while a server runs: some time after its start, then every hour, in a thread that is in nobody's way."""

import logging
import threading
from typing import TYPE_CHECKING

from gitmem.domains import upkeep

if TYPE_CHECKING:
    from gitmem.facade.calls import Office

log = logging.getLogger(__name__)

# Many servers over stdio live for seconds: those are never bothered.
FIRST_AFTER_SECONDS = 60.0
# How long a server that stops waits for a run that is at it. Cut off anywhere, the next one goes on.
GRACE_SECONDS = 2.0


class Tending:
    """Tends the memory of an office until it is stopped."""

    def __init__(self, office: "Office", first_after_seconds: float | None = None) -> None:
        self._office = office
        self._seconds = FIRST_AFTER_SECONDS if first_after_seconds is None else first_after_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gitmem-tending", daemon=True)

    def start(self) -> None:
        """Begin to wait for the first run, if that was not begun before."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Have no further run begin, and the present one end soon."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(GRACE_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._seconds = upkeep.EVERY.total_seconds()
            try:
                upkeep.take_turn(self._office.memory, self._office.index, self._stopped.is_set)
            except Exception as error:  # the outermost layer of this thread; the server goes on
                if not self._stopped.is_set():
                    log.warning("upkeep: %s", error, exc_info=error)
