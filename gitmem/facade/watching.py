"""Inboxes that clients watch: which of them got something new since they were last looked at."""

import threading

from msgspec import Struct

from gitmem.domains.messages.mailbox import Listing, mailbox_of
from gitmem.domains.messages.record import place_of
from gitmem.facade.resources import inbox_named
from gitmem.memory.memory import Memory


class _Watched(Struct):
    """One inbox, by whom many it is watched, and what was in it at the last look."""

    project: str
    agent: str
    watchers: int
    head: str
    listing: Listing


class Watch:
    """The watched inboxes of one memory. Looking costs the reading of one small file for each project and inbox."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether nobody watches anything."""
        return not self._watched

    def add(self, uri: str) -> None:
        """Watch an inbox from now on. Raises NotFound."""
        project, agent = inbox_named(self._memory, uri)
        head, listing = self._present(project, agent)
        with self._lock:
            watched = self._watched.setdefault(uri, _Watched(project, agent, 0, head, listing))
            watched.watchers += 1

    def drop(self, uri: str) -> None:
        """One watcher less."""
        with self._lock:
            watched = self._watched.get(uri)
            if watched is not None:
                watched.watchers -= 1
                if watched.watchers == 0:
                    del self._watched[uri]

    def arrived(self) -> list[str]:
        """The inboxes that got a message since the last look."""
        with self._lock:
            watched = list(self._watched.items())
        return [uri for uri, each in watched if self._has_new(each)]

    def _has_new(self, watched: _Watched) -> bool:
        if self._memory.head(place_of(watched.project)) == watched.head:
            return False
        before = watched.listing
        watched.head, watched.listing = self._present(watched.project, watched.agent)
        return before is not watched.listing and not set(watched.listing.slots) <= set(before.slots)

    def _present(self, project: str, agent: str) -> tuple[str, Listing]:
        view = self._memory.view(place_of(project))
        return view.commit, mailbox_of(view, agent).at(view)
