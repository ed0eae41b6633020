"""Answering a question from a snapshot: tantivy's hits and the overlay's, on one scale, one hit a record."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import tantivy

from gitmem.index.follower import Snapshot
from gitmem.index.overlay import Overlaid
from gitmem.index.passages import facet_term, key_of
from gitmem.index.question import TIE, Clause, Leaf, clauses_of, idf
from gitmem.index.schema import schema
from gitmem.index.store import OWN_KEY, reading

_COUNTED = 100  # hits that are looked at one by one to count records exactly
_MASKS_IN_QUERY = 500
_COUNTS_MAX = 200
_PATHS_AT_FIRST = 50
_NEAR_MAX = 5
_ALIKE_MAX = 5000

Occur = Any  # tantivy's enumeration, which has no type
Where = Mapping[str, Collection[str]]


@dataclass
class Candidate:
    """A record that matches, by its best passage: one of the index (`address`) or of the overlay."""

    score: float
    updated: int
    address: Any = None
    overlaid: Overlaid | None = None


@dataclass(frozen=True)
class Ranked:
    """The best candidates, best first, and how many records match in all."""

    candidates: list[Candidate]
    total: int
    clauses: list[Clause] = field(default_factory=list)


class Terms:
    """What a snapshot knows of a term, the index and the overlay taken together."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._searcher = snapshot.base.searcher
        self._overlay = snapshot.overlay
        self._known: dict[tuple[str, str], int] = {}

    @property
    def passages(self) -> int:
        """The number of passages."""
        return int(self._searcher.num_docs) + self._overlay.passages

    def frequency(self, field_name: str, term: str) -> int:
        """How many passages have the term in the field."""
        known = self._known.get((field_name, term))
        if known is None:
            known = self._searcher.doc_freq(field_name, term) + self._overlay.frequency(field_name, term)
            self._known[field_name, term] = known
        return known

    def beginning(self, field_name: str, prefix: str, limit: int) -> list[str]:
        """Terms of a field that begin with `prefix`."""
        here = [term for term, _ in self._searcher.terms_with_prefix(field_name, prefix, limit=limit)]
        return list(dict.fromkeys([*here, *self._overlay.beginning(field_name, prefix, limit)]))[:limit]

    def near(self, term: str) -> list[str]:
        """Terms of texts that differ by one slip of the pen."""
        if len(term) < 5:
            return []
        # one slip leaves one half as it is; the first two letters are taken to be right
        middle = len(term) // 2
        first, second = term[:middle], term[middle:]
        others = self.beginning("text", first, _ALIKE_MAX)
        others += [other for other in self.beginning("text", term[:2], _ALIKE_MAX) if other.endswith(second)]
        found = [other for other in others if abs(len(other) - len(term)) <= 1 and is_one_slip(term, other)]
        return sorted(dict.fromkeys(found), key=lambda other: -self.frequency("text", other))[:_NEAR_MAX]


def is_one_slip(one: str, other: str) -> bool:
    """Whether two words differ by one letter too many, missing, wrong, or swapped with its neighbour."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    return one[1:] == other[1:] or one[1:] == other or one == other[1:] or (one[1::-1] == other[:2] and one[2:] == other[2:])


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
        queries = [tantivy.Query.term_set_query(schema(), "facet", sorted(allowed)) for allowed in self._where]
        if self._after is not None:
            kind = tantivy.FieldType.Integer
            queries.append(tantivy.Query.range_query(schema(), "updated", kind, lower_bound=self._after, include_lower=False))
        return [(tantivy.Occur.Must, tantivy.Query.const_score_query(query, 0.0)) for query in queries]

    def _first_parts(self, masked: Occur | None = None) -> Any:
        """All records of the index that the filters let through, by their first passages.

        Those that the overlay masks may be left out (`MustNot`) or be the only ones (`Must`).
        """
        query = [(tantivy.Occur.Must, tantivy.Query.term_query(schema(), "part", 0)), *self._filters]
        paths = self.snapshot.overlay.masked(self.snapshot.step) if masked else []
        if paths:
            query.append((masked, tantivy.Query.term_set_query(schema(), "path", paths)))
        return tantivy.Query.boolean_query(query)

    # --- hits ------------------------------------------------------------------------------------

    def best(self, text: str, wanted: int) -> Ranked:
        """The best `wanted` records for a question."""
        vocabulary = Terms(self.snapshot)
        clauses = clauses_of(text, vocabulary)
        if not clauses:
            return Ranked([], 0)
        query = self._scored(clauses, vocabulary.passages)

        def search(limit: int) -> Any:
            return self.snapshot.base.searcher.search(query, limit)

        averages = self.snapshot.base.averages
        scores = self.snapshot.overlay.scores(clauses, averages, self.snapshot.step, self._accepts)
        new = [Candidate(score, int(each.change.time.timestamp()), overlaid=each) for each, score in scores.values()]
        candidates, total = self._merged(search, new, wanted)
        candidates.sort(key=lambda candidate: (-candidate.score, -candidate.updated))
        return Ranked(candidates, total, clauses)

    def newest(self, wanted: int) -> Ranked:
        """The records that changed last."""
        query = self._first_parts()

        def search(limit: int) -> Any:
            return self.snapshot.base.searcher.search(query, limit, order_by_field="updated")

        standing = self.snapshot.overlay.standing(self.snapshot.step, self._accepts)
        times = ((each, int(each.change.time.timestamp())) for each in standing if each.passage.part == 0)
        candidates, total = self._merged(search, [Candidate(0.0, time, overlaid=each) for each, time in times], wanted)
        candidates.sort(key=lambda candidate: -candidate.updated)
        return Ranked(candidates, total)

    def _scored(self, clauses: list[Clause], passages: int) -> Any:
        matching = tantivy.Query.boolean_query([(tantivy.Occur.Should, self._dismax(clause, passages)) for clause in clauses])
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, matching), *self._filters]) if self._filters else matching

    def _dismax(self, clause: Clause, passages: int) -> Any:
        here = int(self.snapshot.base.searcher.num_docs)
        leaves = [_leaf(leaf, self._correction(leaf, here, passages)) for leaf in clause.leaves]
        return tantivy.Query.disjunction_max_query(leaves, TIE)

    def _correction(self, leaf: Leaf, here: int, passages: int) -> float:
        """Tantivy weighs a term by what it holds itself; a small index under a large overlay knows too little."""
        if here > 50 * (passages - here):
            return 1.0
        frequency = self.snapshot.base.searcher.doc_freq(leaf.field, leaf.term)
        return leaf.idf / idf(here, frequency) if frequency else 1.0

    def _merged(self, search: Callable[[int], Any], new: list[Candidate], wanted: int) -> tuple[list[Candidate], int]:
        """One candidate a record: the index's that are not masked, and the overlay's."""
        limit = max(_COUNTED, 3 * wanted)
        size = int(self.snapshot.base.searcher.num_docs)
        while True:
            with reading():
                result = search(limit)
                kept = self._unmasked(result.hits)
            everything = len(result.hits) < limit
            if everything or len(kept) >= wanted or limit >= size:
                break
            limit *= 4
        by_key = self._with_overlaid(kept, new)
        total = len(by_key)
        if not everything and kept:
            # records that lie beyond what was looked at, estimated from those that were
            total += max(0, round((result.count - len(result.hits)) * len(kept) / len(result.hits)))
        return list(by_key.values()), total

    def _unmasked(self, hits: list[tuple[Any, Any]]) -> dict[int, Candidate]:
        searcher, snapshot = self.snapshot.base.searcher, self.snapshot
        addresses = [address for _, address in hits]
        keys = searcher.fast_field_values("key", addresses)
        times = searcher.fast_field_values("updated", addresses)
        kept: dict[int, Candidate] = {}
        for (score, address), key, time in zip(hits, keys, times, strict=True):
            if key not in kept and key != OWN_KEY and not snapshot.overlay.masks(key, snapshot.step):
                kept[key] = Candidate(float(score), int(time), address=address)
        return kept

    @staticmethod
    def _with_overlaid(kept: dict[int, Candidate], new: list[Candidate]) -> dict[int, Candidate]:
        merged = dict(kept)
        for candidate in new:
            assert candidate.overlaid is not None
            key = key_of(candidate.overlaid.passage.path)
            known = merged.get(key)
            if known is None or known.score < candidate.score:
                merged[key] = candidate
        return merged

    # --- counts ----------------------------------------------------------------------------------

    def searched(self) -> int:
        """How many records the filters let through; all, where that would cost as much as the search."""
        snapshot = self.snapshot
        new = sum(1 for each in snapshot.overlay.standing(snapshot.step, self._accepts) if each.passage.part == 0)
        masked = len(snapshot.overlay.masked(snapshot.step))
        if not self._filters or masked > _MASKS_IN_QUERY:
            return snapshot.base.records - snapshot.overlay.gone(snapshot.step) + new
        with reading():
            gone = int(snapshot.base.searcher.search(self._first_parts(tantivy.Occur.Must), 1).count) if masked else 0
            return self._in_base() - gone + new

    def _in_base(self) -> int:
        # counting is more work than finding, and between two folds the index and most filters stay the same
        base, key = self.snapshot.base, tuple(self._where)
        if self._after is not None:
            return int(base.searcher.search(self._first_parts(), 1).count)
        if key not in base.counts:
            if len(base.counts) >= _COUNTS_MAX:
                base.counts.clear()
            base.counts[key] = int(base.searcher.search(self._first_parts(), 1).count)
        return base.counts[key]

    def count_by(self, name: str) -> dict[str, int]:
        """Number of records for each value of a facet."""
        start = f"{name}="
        unmasked = self._first_parts(tantivy.Occur.MustNot)
        with reading():
            found = self.snapshot.base.searcher.terms_with_prefix("facet", start, filter_query=unmasked)
        counts = {term.removeprefix(start): count for term, count in found if count}
        for each in self.snapshot.overlay.standing(self.snapshot.step, self._accepts):
            if each.passage.part == 0:
                for facet in each.passage.facets:
                    if facet.startswith(start):
                        value = facet.removeprefix(start)
                        counts[value] = counts.get(value, 0) + 1
        return counts

    def paths(self) -> list[str]:
        """The paths of all records that the filters let through."""
        snapshot = self.snapshot
        searcher = snapshot.base.searcher
        with reading():
            # room is made for as many hits as are asked for, and mostly there are few
            result = searcher.search(self._first_parts(), _PATHS_AT_FIRST)
            if result.count > _PATHS_AT_FIRST:
                result = searcher.search(self._first_parts(), result.count)
            found = [str(searcher.doc(address).get_first("path")) for _, address in result.hits]
        paths = [path for path in found if not snapshot.overlay.masks(key_of(path), snapshot.step)]
        standing = snapshot.overlay.standing(snapshot.step, self._accepts)
        return sorted({*paths, *(each.passage.path for each in standing)})


@dataclass(frozen=True)
class Card:
    """What the index keeps of a passage to show it."""

    path: str
    author: str
    heading: str
    text: str
    updated: datetime


def card_at(snapshot: Snapshot, path: str) -> Card | None:
    """What to show of the record at a path; None if the index has none there."""
    overlaid = snapshot.overlay.at(path, snapshot.step)
    if overlaid is not None:
        return card_of(snapshot, Candidate(0.0, 0, overlaid=overlaid))
    if snapshot.overlay.masks(key_of(path), snapshot.step):
        return None
    here = (tantivy.Query.term_query(schema(), "path", path), tantivy.Query.term_query(schema(), "part", 0))
    with reading():
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, each) for each in here])
        addresses = [address for _, address in snapshot.base.searcher.search(query, 1).hits]
        times = snapshot.base.searcher.fast_field_values("updated", addresses)
    found = (Candidate(0.0, int(time), address=address) for address, time in zip(addresses, times, strict=True))
    return next((card_of(snapshot, each) for each in found), None)


def card_of(snapshot: Snapshot, candidate: Candidate) -> Card:
    """What to show of a candidate."""
    if candidate.overlaid is not None:
        passage, change = candidate.overlaid.passage, candidate.overlaid.change
        return Card(passage.path, change.author, passage.heading, passage.shown, change.time)
    with reading():
        document = snapshot.base.searcher.doc(candidate.address)
    author, heading, text = bytes(document.get_first("shown")).decode("utf-8", "replace").split("\x00", 2)
    return Card(str(document.get_first("path")), author, heading, text, datetime.fromtimestamp(candidate.updated, UTC))


def explained(snapshot: Snapshot, candidate: Candidate, clauses: list[Clause]) -> Iterator[tuple[float, str]]:
    """How much each clause gives a candidate, and by which field and term."""
    for clause in clauses:
        scores = sorted(((_leaf_score(snapshot, candidate, leaf), leaf) for leaf in clause.leaves), key=lambda pair: -pair[0])
        most, leaf = scores[0]
        if most > 0:
            score = most + TIE * sum(each for each, _ in scores[1:])
            yield score, f"{leaf.field}: {leaf.term} {score:.2f}"


def _leaf_score(snapshot: Snapshot, candidate: Candidate, leaf: Leaf) -> float:
    if candidate.overlaid is not None:
        clause = Clause(leaf.term, (leaf,))
        found = snapshot.overlay.scores([clause], snapshot.base.averages, snapshot.step, lambda each: each is candidate.overlaid)
        return next((score for _, score in found.values()), 0.0)
    try:
        explanation = _leaf(leaf, 1.0).explain(snapshot.base.searcher, candidate.address).to_json()
    except ValueError:
        return 0.0  # the passage does not have the term
    return float(json.loads(explanation)["value"])


def _leaf(leaf: Leaf, correction: float) -> Any:
    query = tantivy.Query.term_query(schema(), leaf.field, leaf.term, "freq")
    weight = leaf.weight * correction
    return query if math.isclose(weight, 1.0) else tantivy.Query.boost_query(query, weight)
