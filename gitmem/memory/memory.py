"""An open memory: one bare repository with the gate's settings, views of it, and its writer."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gitmem.errors import BadArgument, NotFound
from gitmem.git.maintenance import Upkeep
from gitmem.git.repository import Repository, ShallowHistory
from gitmem.memory.caller import Caller
from gitmem.memory.draft import PROPOSAL_TRAILER, Draft
from gitmem.memory.marks import MarkBook
from gitmem.memory.settings import settings_of
from gitmem.memory.transaction import Transaction
from gitmem.memory.view import MAIN_PLACE, ParsedFiles, Place, View
from gitmem.memory.writer import Writer
from gitmem.names import parse_when, shown

FOUNDING = "found this memory"  # the subject of the first commit


def default_path() -> Path:
    """Where a memory lives if nobody says otherwise: `gitmem/memory.git` in the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "gitmem" / "memory.git"


class Memory:
    """One memory on this machine. Holds nothing that a restart would lose."""

    def __init__(self, path: Path) -> None:
        self.repository = Repository(path)
        self._parsed = ParsedFiles()
        self.upkeep = Upkeep(self.repository)
        self.writer = Writer(self.repository, self.upkeep)
        self.marks = MarkBook(self.repository, self._parsed, self.upkeep)
        settings_of(self.view())

    @property
    def path(self) -> Path:
        """The bare repository's folder."""
        return self.repository.path

    def head(self, place: Place = MAIN_PLACE) -> str:
        """The commit that a place is at now; "" if it has none yet."""
        return self.repository.refs.read(place.ref) or ""

    def view(self, place: Place = MAIN_PLACE, *, commit: str | None = None) -> View:
        """The memory as it is now, or as it was at a commit."""
        return View(self.repository.objects, self._parsed, place, self.head(place) if commit is None else commit)

    def view_as_of(self, when: str, place: Place = MAIN_PLACE) -> View:
        """The memory as it was at a commit id, a date or an age such as `7d`."""
        return self.view(place, commit=self.commit_as_of(when, place))

    def commit_as_of(self, when: str, place: Place = MAIN_PLACE) -> str:
        """The commit that `when` means. Raises BadArgument, or NotFound if there was none yet."""
        if moment := parse_when(when):
            return self._last_before(moment, when, place)
        return self.commit_named(when, place)

    def _last_before(self, moment: datetime, when: str, place: Place) -> str:
        for oid, arrived in self.states(place):
            if arrived <= moment:
                return oid
        if self.repository.objects.boundary:
            raise ShallowHistory(f"what there was at {when} is not in it")
        raise NotFound(f"There was no memory yet at {when}.", fix="Ask for a later date, or name none.")

    def states(self, place: Place = MAIN_PLACE) -> Iterator[tuple[str, datetime]]:
        """The commits that a place was at, newest first, and since when. Raises MissingObject where a shallow clone ends."""
        # What a push brought is one step. Its commits may have been made long before, elsewhere: it counts from its arrival,
        # and before that the ref was where the push found it. All other commits were made here, one after the other.
        pushes, oid = self.repository.refs.pushes(place.ref), self.head(place)
        while oid.strip("0"):
            commit = self.repository.objects.commit(oid)
            before, arrived = pushes.get(oid) or (commit.parents[0] if commit.parents else "", commit.time)
            yield oid, arrived
            oid = before

    def commit_named(self, name: str, place: Place = MAIN_PLACE) -> str:
        """The full id of a commit of this place from any unambiguous start of it, four digits or more."""
        text = name.strip().lower()
        if 4 <= len(text) <= 40 and all(c in "0123456789abcdef" for c in text):
            head = self.head(place)
            found = {c.oid for c in self.repository.log(head) if c.oid.startswith(text)} if head else set()
            if len(found) == 1:
                return found.pop()
            if found:
                raise BadArgument(f"{shown(name)} could be any of {len(found)} commits.", fix="Give more of its digits.")
        raise BadArgument(
            f"{shown(name)} is no commit, date or age of this memory.",
            fix="Give a commit id such as '3fa2b81', a date such as '2026-01-31', or an age such as '7d'.",
        )

    def transaction(
        self, view: View, caller: Caller, subject: str, *, verb: str = "", body: str = "", draft: Draft | None = None
    ) -> Transaction:
        """Edits over a view that land as one commit: on the view's ref, or as the next one of a draft."""
        made = Transaction(view, draft or self.writer, caller, subject, verb=verb, body=body)
        if draft is not None:
            made.proposed, made.trailers = True, ((PROPOSAL_TRAILER, draft.named(subject)),)
        return made

    def draft(self) -> Draft:
        """Commits on top of main that are to become a branch of their own."""
        return Draft(self.repository, self.head())

    def close(self) -> None:
        """Let background upkeep finish, and the open packs go."""
        self.upkeep.close()
        self.repository.objects.close()
