"""Answering a question from a snapshot: tantivy's hits and the overlay's, on one scale, one hit a record."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import cached_property, partial
from typing import Any

import tantivy
from msgspec import Struct, field

from gitmem.index.follower import Snapshot
from gitmem.index.known import Known
from gitmem.index.overlay import Overlaid
from gitmem.index.passages import facet_term, key_of
from gitmem.index.queries import Occur, any_facet, any_of, clause_query, must
from gitmem.index.question import Clause, Leaf, clauses_of, idf
from gitmem.index.schema import schema
from gitmem.index.store import OWN_KEY, READING, Hits
from gitmem.index.terms import Terms

_COUNTED = 50  # hits that are looked at one by one to count records exactly
_MASKS_IN_QUERY = 500
_MASKS_IN_KEY = 50
_PATHS_AT_FIRST = 50

Where = Mapping[str, Collection[str]]


class Candidate(Struct):
    """A passage that matches, of the index (`address`) or of the overlay; then its record, by its best passage."""

    score: float
    updated: int
    part: int
    address: Any = None
    overlaid: Overlaid | None = None
    opening: "Candidate | None" = None  # the record's first passage, if that is another one that matches

    @property
    def rank(self) -> float:
        """What the record is worth: its best passage, and how well its opening, which tells what it is about, matches."""
        opening = self.score if self.part == 0 else self.opening.score if self.opening else 0.0
        return (self.score + opening) / 2


class Ranked(Struct, frozen=True):
    """The best candidates, best first, and how many records match in all."""

    candidates: list[Candidate]
    total: int
    clauses: list[Clause] = field(default_factory=list)


class Answer:
    """One question (or none) with its filters, put to one snapshot."""

    def __init__(
        self, snapshot: Snapshot, where: Where, updated_after: datetime | None, every: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.snapshot = snapshot
        self._where = [frozenset(facet_term(name, value) for value in values) for name, values in where.items()]
        self._where += [frozenset((facet_term(name, value),)) for name, value in every]
        self._after = None if updated_after is None else int(updated_after.timestamp())

    def _accepts(self, overlaid: Overlaid) -> bool:
        facets = overlaid.passage.facets
        if any(allowed.isdisjoint(facets) for allowed in self._where):
            return False
        return self._after is None or overlaid.change.time.timestamp() > self._after

    @cached_property
    def _filters(self) -> list[Any]:
        known = self.snapshot.base.filters
        filters = [known.of(allowed, partial(any_facet, allowed)) for allowed in self._where]
        if self._after is not None:
            kind = tantivy.FieldType.Integer
            later = tantivy.Query.range_query(schema(), "updated", kind, lower_bound=self._after, include_lower=False)
            filters.append(must(later))
        return filters

    def _first_parts(self, masked: Occur | None = None) -> Any:
        """All records of the index that the filters let through, by their first passages.

        Those that the overlay masks may be left out (`MustNot`) or be the only ones (`Must`).
        """
        query = [(tantivy.Occur.Must, tantivy.Query.term_query(schema(), "part", 0)), *self._filters]
        paths = self.snapshot.overlay.masked(self.snapshot.step) if masked else []
        if paths:
            query.append((masked, any_of("path", paths)))
        return tantivy.Query.boolean_query(query)

    # --- hits ------------------------------------------------------------------------------------

    def best(self, text: str, wanted: int) -> Ranked:
        """The best `wanted` records for a question."""
        vocabulary = Terms(self.snapshot)
        clauses = clauses_of(text, vocabulary)
        if not clauses:
            return Ranked([], 0)
        query = self._scored(clauses, vocabulary)

        def search(limit: int) -> Hits:
            return self._hits(query, limit)

        averages = self.snapshot.base.averages
        scores = self.snapshot.overlay.scores(clauses, averages, self.snapshot.step, self._accepts)
        new = [_overlaid(each, score) for each, score in scores.values()]
        found, total, least = self._merged(search, new, wanted, max(_COUNTED, 3 * wanted))
        close = self._with_openings(query, found, wanted, least)
        return Ranked(sorted(close, key=lambda candidate: (-candidate.rank, -candidate.updated))[:wanted], total, clauses)

    def _with_openings(self, query: Any, found: dict[int, Candidate], wanted: int, least: float) -> list[Candidate]:
        """Those that can be one of the best `wanted`, with the openings of records that were found by a later passage.

        An opening that was not among the hits that were looked at scores at most the `least` of these.
        """
        ranks = [each.rank for each in found.values()]
        bar = sorted(ranks)[-wanted] if len(ranks) > wanted else 0.0
        close = {key: found[key] for key, rank in zip(found, ranks, strict=True) if rank + least / 2 >= bar}
        later = [key for key, each in close.items() if least and each.part and each.address is not None and each.opening is None]
        if later:
            with READING:
                fixed = (must(tantivy.Query.term_query(schema(), "part", 0)), must(any_of("key", later)))
                openings = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *fixed])
                for key, opening in self._unmasked(self._hits(openings, len(later))).items():
                    close[key].opening = opening
        return list(close.values())

    def newest(self, wanted: int) -> Ranked:
        """The records that changed last."""
        standing = self.snapshot.overlay.standing(self.snapshot.step, self._accepts)
        new = [_overlaid(each) for each in standing if each.passage.part == 0]
        # where nothing is masked, the index's own count is exact and few hits need to be looked at
        is_masked = bool(self.snapshot.overlay.masked(self.snapshot.step))
        found, total, _ = self._merged(self._listed, new, wanted, max(_COUNTED, 3 * wanted) if is_masked else wanted)
        return Ranked(sorted(found.values(), key=lambda candidate: -candidate.updated), total)

    def _listed(self, limit: int) -> Hits:
        # without a question, an index has the same answer to a filter as long as it is the index
        key = (tuple(self._where), self._after, limit)
        return self.snapshot.base.listings.of(key, lambda: self._hits(self._first_parts(), limit, order_by_field="updated"))

    def _hits(self, query: Any, limit: int, **order: str) -> Hits:
        searcher = self.snapshot.base.searcher
        result = searcher.search(query, limit, **order)
        found = result.hits  # made anew at every look
        addresses = [address for _, address in found]
        columns = (searcher.fast_field_values(name, addresses) for name in ("key", "updated", "part"))
        return Hits(int(result.count), list(zip([score for score, _ in found], *columns, addresses, strict=True)))

    def _scored(self, clauses: list[Clause], vocabulary: Terms) -> Any:
        correct = self._corrections(vocabulary)
        known = self.snapshot.base.queries if vocabulary.settled else Known()
        asked = [known.of(clause, partial(clause_query, clause, correct)) for clause in clauses]
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, each) for each in asked])
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *self._filters]) if self._filters else query

    def _corrections(self, vocabulary: Terms) -> Callable[[Leaf], float]:
        """Tantivy weighs a term by what it holds itself; a small index under a large overlay knows too little."""
        if vocabulary.settled:
            return lambda _: 1.0
        here = self.snapshot.base.documents

        def correction(leaf: Leaf) -> float:
            frequency = vocabulary.indexed(leaf.term).get(leaf.field)
            return leaf.idf / idf(here, frequency) if frequency else 1.0

        return correction

    def _merged(
        self, search: Callable[[int], Hits], new: list[Candidate], wanted: int, limit: int
    ) -> tuple[dict[int, Candidate], int, float]:
        """One candidate a record, by the key of its path: of the first `limit` hits what is not masked, and the overlay's.

        Also how many records match in all, and the least score of what was looked at, 0 if that is all there is.
        """
        size = int(self.snapshot.base.searcher.num_docs)
        while True:
            with READING:
                hits = search(limit)
            kept = self._unmasked(hits)
            everything = len(hits.rows) < limit
            if everything or len(kept) >= wanted or limit >= size:
                break
            limit *= 4
        by_key = self._with_overlaid(kept, new)
        total = len(by_key)
        if not everything and kept:
            # records that lie beyond what was looked at, estimated from those that were; at least one, for who turns pages
            total += max(0, math.ceil((hits.count - len(hits.rows)) * len(kept) / len(hits.rows)))
        return by_key, total, 0.0 if everything else hits.rows[-1][0]

    def _unmasked(self, hits: Hits) -> dict[int, Candidate]:
        gone = self.snapshot.overlay.masking(self.snapshot.step) | {OWN_KEY}
        kept: dict[int, Candidate] = {}
        for score, key, time, part, address in hits.rows:
            best = kept.get(key)
            if best is None:
                if key not in gone:
                    kept[key] = Candidate(score, time, part, address)
            elif part == 0:  # the hits come best first
                best.opening = Candidate(score, time, part, address)
        return kept

    @staticmethod
    def _with_overlaid(kept: dict[int, Candidate], new: list[Candidate]) -> dict[int, Candidate]:
        merged = dict(kept)
        for candidate in new:
            assert candidate.overlaid is not None
            _keep(merged, key_of(candidate.overlaid.passage.path), candidate)
        return merged

    # --- counts ----------------------------------------------------------------------------------

    def searched(self) -> int:
        """How many records the filters let through; all, where that would cost as much as the search."""
        snapshot = self.snapshot
        new = sum(1 for each in snapshot.overlay.standing(snapshot.step, self._accepts) if each.passage.part == 0)
        masked = len(snapshot.overlay.masked(snapshot.step))
        if not self._filters or masked > _MASKS_IN_QUERY:
            return snapshot.base.records - masked + new
        with READING:
            gone = int(snapshot.base.searcher.search(self._first_parts(tantivy.Occur.Must), 1).count) if masked else 0
            return self._in_base() - gone + new

    def _in_base(self) -> int:
        # counting is more work than finding, and between two folds the index and most filters stay the same
        base = self.snapshot.base

        def count() -> int:
            return int(base.searcher.search(self._first_parts(), 1).count)

        return base.counts.of(tuple(self._where), count) if self._after is None else count()

    def count_by(self, name: str) -> dict[str, int]:
        """Number of records for each value of a facet."""
        start = f"{name}="
        counts = dict(self._counted_by(start))
        for each in self.snapshot.overlay.standing(self.snapshot.step, self._accepts):
            if each.passage.part == 0:
                for facet in each.passage.facets:
                    if facet.startswith(start):
                        value = facet.removeprefix(start)
                        counts[value] = counts.get(value, 0) + 1
        return counts

    def _counted_by(self, start: str) -> dict[str, int]:
        base, masked = self.snapshot.base, self.snapshot.overlay.masked(self.snapshot.step)

        def count() -> dict[str, int]:
            with READING:
                unmasked = self._first_parts(tantivy.Occur.MustNot)
                found = base.searcher.terms_with_prefix("facet", start, filter_query=unmasked)
            return {term.removeprefix(start): count for term, count in found if count}

        key = (start, tuple(self._where), tuple(masked))
        return base.totals.of(key, count) if len(masked) <= _MASKS_IN_KEY else count()

    def paths(self) -> list[str]:
        """The paths of all records that the filters let through."""
        snapshot = self.snapshot
        paths = [path for path in self._paths_in_base() if not snapshot.overlay.masks(key_of(path), snapshot.step)]
        standing = snapshot.overlay.standing(snapshot.step, self._accepts)
        return sorted({*paths, *(each.passage.path for each in standing)})

    def _paths_in_base(self) -> list[str]:
        searcher = self.snapshot.base.searcher

        def find() -> list[str]:
            with READING:
                # room is made for as many hits as are asked for, and mostly there are few
                result = searcher.search(self._first_parts(), _PATHS_AT_FIRST)
                if result.count > _PATHS_AT_FIRST:
                    result = searcher.search(self._first_parts(), result.count)
                return [str(searcher.doc(address).get_first("path")) for _, address in result.hits]

        return self.snapshot.base.paths.of((tuple(self._where), self._after), find)


def _overlaid(each: Overlaid, score: float = 0.0) -> Candidate:
    return Candidate(score, int(each.change.time.timestamp()), each.passage.part, overlaid=each)


def _keep(kept: dict[int, Candidate], key: int, found: Candidate) -> None:
    """Make a passage its record's candidate if it is the best one, and let it know the record's opening."""
    best = kept.get(key)
    if best is None or best.score < found.score:
        kept[key], other = found, best
    else:
        other, found = found, best
    if other is not None:
        found.opening = other if other.part == 0 else other.opening or found.opening
