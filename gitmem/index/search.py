"""Searching the memory: by words, by facets, by exact value, at any commit."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct

from gitmem.git.history import last_changes
from gitmem.index.answer import Answer, Candidate, Where
from gitmem.index.cards import card_of, explained, touched
from gitmem.index.follower import Follower, Snapshot
from gitmem.index.passages import facet_term
from gitmem.index.question import Clause
from gitmem.index.snippet import beginnings, snippet
from gitmem.index.store import Damaged
from gitmem.memory.memory import Memory
from gitmem.memory.view import View

_NO_FILTER: Where = MappingProxyType({})


class Hit(Struct, frozen=True):
    """A record that matches. `section` is the heading of its best passage, "" if it is in one piece.

    `snippet` are the words around the match; `updated` and `updated_by` tell the last commit that touched
    the file; `gist` is what the record's kind tells of it in short, packed; `explain`, if asked for, which
    field and term gave how much, most first.
    """

    path: str
    score: float
    section: str
    snippet: str
    updated: datetime
    updated_by: str
    gist: bytes
    explain: tuple[str, ...] = ()


class Found(Struct, frozen=True):
    """The answer to a search.

    `total` is how many records match in all, exact up to about fifty and an estimate above. `commit`
    is the commit that the answer reflects, `searched` how many records the filters let through. While
    `rebuilding`, the index is incomplete and so is the answer.
    """

    hits: tuple[Hit, ...]
    total: int
    commit: str
    searched: int
    rebuilding: bool = False


class Index:
    """The search index of one memory: a cache that is always exactly as new as the view that is asked for."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._follower = Follower(memory)

    def search(
        self,
        text: str,
        *,
        view: View,
        where: Mapping[str, Collection[str]] = _NO_FILTER,
        every: Collection[tuple[str, str]] = (),
        updated_after: datetime | None = None,
        limit: int = 5,
        offset: int = 0,
        explain: bool = False,
    ) -> Found:
        """The records of a view that match best; the newest first if `text` is empty.

        For each facet named in `where`, a record must have any of the values; of `every` it must have all
        (facet, value) pairs. Beside the facets of the record's kind there are `scope` (`projects/x` or
        `shared`) and `kind`.
        """
        if not view.commit:
            return Found((), 0, "", 0)
        for last_try in (False, True):
            snapshot = self._follower.at(view)
            if snapshot.base.searcher is None:
                return Found((), 0, snapshot.commit, 0, rebuilding=True)
            try:
                return self._found(snapshot, Answer(snapshot, where, updated_after, every), text, limit, offset, explain=explain)
            except Damaged:
                if last_try:
                    raise
                self._follower.distrust(snapshot.base, view)
        raise AssertionError("unreachable")

    def _found(self, snapshot: Snapshot, answer: Answer, text: str, limit: int, offset: int, *, explain: bool) -> Found:
        wanted = offset + limit
        ranked = answer.best(text, wanted) if text.strip() else answer.newest(wanted)
        words = beginnings({leaf.term for clause in ranked.clauses for leaf in clause.leaves})
        hits = tuple(
            self._hit(snapshot, candidate, words, ranked.clauses if explain else [])
            for candidate in ranked.candidates[offset:wanted]
        )
        searched = answer.searched() if text.strip() else ranked.total  # without a question, all that is searched is found
        return Found(hits, min(ranked.total, searched), snapshot.commit, searched, snapshot.rebuilding)

    @staticmethod
    def _hit(snapshot: Snapshot, candidate: Candidate, words: Collection[str], clauses: list[Clause]) -> Hit:
        card = card_of(snapshot, candidate)
        reasons = sorted(explained(snapshot, candidate, clauses), reverse=True) if clauses else []
        return Hit(
            path=card.path,
            score=round(candidate.rank, 4),
            section=card.heading,
            snippet=snippet(card.text, words),
            updated=card.updated,
            updated_by=card.author,
            gist=card.gist,
            explain=tuple(reason for _, reason in reasons),
        )

    def paths(self, facet: str, *values: str, view: View) -> list[str]:
        """The paths of all records that have exactly this value of a facet, or one of these, sorted."""
        if not view.commit:
            return []
        answer = Answer(self._follower.whole_at(view), {facet: values}, None)
        return answer.paths()

    def count(self, *, view: View, by: str, where: Mapping[str, Collection[str]] = _NO_FILTER) -> dict[str, int]:
        """Number of records for each value of a facet."""
        if not view.commit:
            return {}
        return Answer(self._follower.whole_at(view), where, None).count_by(by)

    def touched(self, path: str, *, view: View) -> tuple[datetime, str] | None:
        """When a file of the view was last changed, and by whom; None if there is no such file."""
        if view.entry(path) is None:
            return None
        if known := touched(self._follower.whole_at(view), path):
            return known
        change = last_changes(self._memory.repository, view.commit, [path])[path]  # a file of no kind
        return change.time, change.author

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Make the index anew from git; the number of records in it. `progress` gets (done, total) files."""
        return self._follower.rebuild(progress)

    def fold(self) -> bool:
        """Move what is newer than the index into it now; False if nothing is or another process is at it."""
        return self._follower.fold()

    def merge(self) -> bool:
        """Make what many folds have left one piece, quicker to search, as is done when nothing is written for a while.

        False if there is too little of it, or another process is at it.
        """
        return self._follower.merge()

    def close(self) -> None:
        """Stop background work."""
        self._follower.close()

    @property
    def commit(self) -> str:
        """The commit that the index on disk reflects."""
        return self._follower.commit


__all__ = ["Found", "Hit", "Index", "facet_term"]
