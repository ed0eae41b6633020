"""Answering a question from a snapshot: tantivy's hits and the overlay's, on one scale, one hit a record."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import tantivy
from msgspec import Struct, field

from gitmem.index.follower import Snapshot
from gitmem.index.overlay import Overlaid
from gitmem.index.passages import facet_term, key_of
from gitmem.index.question import TIE, Clause, Leaf, clauses_of, idf
from gitmem.index.schema import schema
from gitmem.index.store import OWN_KEY, Hits, reading

_COUNTED = 100  # hits that are looked at one by one to count records exactly
_MASKS_IN_QUERY = 500
_MASKS_IN_KEY = 50
_VALUES_AS_SET = 200
_COUNTS_MAX = 200
_REMEMBERED_MAX = 2000
_PATHS_AT_FIRST = 50
_NEAR_MAX = 5
_ALIKE_MAX = 5000

K = TypeVar("K")
V = TypeVar("V")
Occur = Any  # tantivy's enumeration, which has no type
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


def _remember(known: dict[K, V], key: K, value: V) -> None:
    # what one index was asked holds as long as that index: until the next fold
    if len(known) >= _REMEMBERED_MAX:
        known.clear()
    known[key] = value


class Terms:
    """What a snapshot knows of a term, the index and the overlay taken together."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._base = snapshot.base
        self._overlay = snapshot.overlay
        self.passages = int(snapshot.base.searcher.num_docs) + self._overlay.passages

    def frequency(self, field_name: str, term: str) -> int:
        """How many passages have the term in the field."""
        return self.indexed(field_name, term) + self._overlay.frequency(field_name, term)

    def indexed(self, field_name: str, term: str) -> int:
        """How many passages of the index itself have it."""
        known = self._base.frequencies.get((field_name, term))
        if known is None:
            known = int(self._base.searcher.doc_freq(field_name, term))
            _remember(self._base.frequencies, (field_name, term), known)
        return known

    def beginning(self, field_name: str, prefix: str, limit: int) -> list[str]:
        """Terms of a field that begin with `prefix`."""
        here = self._base.beginnings.get((field_name, prefix, limit))
        if here is None:
            here = [term for term, _ in self._base.searcher.terms_with_prefix(field_name, prefix, limit=limit)]
            _remember(self._base.beginnings, (field_name, prefix, limit), here)
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


def any_of(field_name: str, values: Collection[str | int]) -> Any:
    """A query for passages that have any of these values in a field."""
    if len(values) > _VALUES_AS_SET:
        return tantivy.Query.term_set_query(schema(), field_name, list(values))
    # tantivy runs a set along the field's whole dictionary, which takes five times as long as all the rest of a search
    queries = [tantivy.Query.term_query(schema(), field_name, value, "basic") for value in values]
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(tantivy.Occur.Should, each) for each in queries])


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
        queries = [any_of("facet", sorted(allowed)) for allowed in self._where]
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
        found, total = self._merged(search, new, wanted, max(_COUNTED, 3 * wanted))
        self._find_openings(query, found)
        best = sorted(found.values(), key=lambda candidate: (-candidate.rank, -candidate.updated))
        return Ranked(best, total, clauses)

    def _find_openings(self, query: Any, found: dict[int, Candidate]) -> None:
        """Look up the openings of records that were found by a later passage: most lie beyond what was looked at."""
        later = [key for key, each in found.items() if each.address is not None and each.part and each.opening is None]
        if later:
            with reading():
                where = [tantivy.Query.term_query(schema(), "part", 0), any_of("key", later)]
                fixed = [(tantivy.Occur.Must, tantivy.Query.const_score_query(each, 0.0)) for each in where]
                openings = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *fixed])
                for key, opening in self._unmasked(self._hits(openings, len(later))).items():
                    found[key].opening = opening

    def newest(self, wanted: int) -> Ranked:
        """The records that changed last."""
        standing = self.snapshot.overlay.standing(self.snapshot.step, self._accepts)
        new = [_overlaid(each) for each in standing if each.passage.part == 0]
        # where nothing is masked, the index's own count is exact and few hits need to be looked at
        is_masked = bool(self.snapshot.overlay.masked(self.snapshot.step))
        found, total = self._merged(self._listed, new, wanted, max(_COUNTED, 3 * wanted) if is_masked else wanted)
        return Ranked(sorted(found.values(), key=lambda candidate: -candidate.updated), total)

    def _listed(self, limit: int) -> Hits:
        # without a question, an index has the same answer to a filter as long as it is the index
        known, key = self.snapshot.base.listings, (tuple(self._where), self._after, limit)
        if key not in known:
            _remember(known, key, self._hits(self._first_parts(), limit, order_by_field="updated"))
        return known[key]

    def _hits(self, query: Any, limit: int, **order: str) -> Hits:
        searcher = self.snapshot.base.searcher
        result = searcher.search(query, limit, **order)
        addresses = [address for _, address in result.hits]
        columns = (searcher.fast_field_values(name, addresses) for name in ("key", "updated", "part"))
        return Hits(int(result.count), list(zip((score for score, _ in result.hits), *columns, addresses, strict=True)))

    def _scored(self, clauses: list[Clause], vocabulary: Terms) -> Any:
        correct = self._corrections(vocabulary)
        matching = tantivy.Query.boolean_query([(tantivy.Occur.Should, self._dismax(clause, correct)) for clause in clauses])
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, matching), *self._filters]) if self._filters else matching

    def _dismax(self, clause: Clause, correction: Callable[[Leaf], float]) -> Any:
        known, leaves = self.snapshot.base.queries, []
        for leaf in clause.leaves:
            key = (leaf.field, leaf.term, leaf.weight * correction(leaf))
            if key not in known:
                _remember(known, key, _leaf(*key))
            leaves.append(known[key])
        return tantivy.Query.disjunction_max_query(leaves, TIE)

    def _corrections(self, vocabulary: Terms) -> Callable[[Leaf], float]:
        """Tantivy weighs a term by what it holds itself; a small index under a large overlay knows too little."""
        here = int(self.snapshot.base.searcher.num_docs)
        if here > 50 * (vocabulary.passages - here):
            return lambda _: 1.0

        def correction(leaf: Leaf) -> float:
            frequency = vocabulary.indexed(leaf.field, leaf.term)
            return leaf.idf / idf(here, frequency) if frequency else 1.0

        return correction

    def _merged(
        self, search: Callable[[int], Hits], new: list[Candidate], wanted: int, limit: int
    ) -> tuple[dict[int, Candidate], int]:
        """One candidate a record, by the key of its path: of the first `limit` hits what is not masked, and the overlay's."""
        size = int(self.snapshot.base.searcher.num_docs)
        while True:
            with reading():
                hits = search(limit)
            kept = self._unmasked(hits)
            everything = len(hits.rows) < limit
            if everything or len(kept) >= wanted or limit >= size:
                break
            limit *= 4
        by_key = self._with_overlaid(kept, new)
        total = len(by_key)
        if not everything and kept:
            # records that lie beyond what was looked at, estimated from those that were
            total += max(0, round((hits.count - len(hits.rows)) * len(kept) / len(hits.rows)))
        return by_key, total

    def _unmasked(self, hits: Hits) -> dict[int, Candidate]:
        gone = self.snapshot.overlay.masking(self.snapshot.step) | {OWN_KEY}
        kept: dict[int, Candidate] = {}
        for score, key, time, part, address in hits.rows:
            if key not in gone:
                _keep(kept, key, Candidate(score, time, part, address))
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
        counts = dict(self._counted_by(start))
        for each in self.snapshot.overlay.standing(self.snapshot.step, self._accepts):
            if each.passage.part == 0:
                for facet in each.passage.facets:
                    if facet.startswith(start):
                        value = facet.removeprefix(start)
                        counts[value] = counts.get(value, 0) + 1
        return counts

    def _counted_by(self, start: str) -> dict[str, int]:
        masked = self.snapshot.overlay.masked(self.snapshot.step)
        known, key = self.snapshot.base.totals, (start, tuple(self._where), tuple(masked[:_MASKS_IN_KEY]))
        if key not in known or len(masked) > _MASKS_IN_KEY:
            with reading():
                unmasked = self._first_parts(tantivy.Occur.MustNot)
                found = self.snapshot.base.searcher.terms_with_prefix("facet", start, filter_query=unmasked)
            _remember(known, key, {term.removeprefix(start): count for term, count in found if count})
        return known[key]

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


class Card(Struct, frozen=True):
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
        return card_of(snapshot, _overlaid(overlaid))
    if snapshot.overlay.masks(key_of(path), snapshot.step):
        return None
    here = (tantivy.Query.term_query(schema(), "path", path), tantivy.Query.term_query(schema(), "part", 0))
    with reading():
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, each) for each in here])
        addresses = [address for _, address in snapshot.base.searcher.search(query, 1).hits]
        times = snapshot.base.searcher.fast_field_values("updated", addresses)
    found = (Candidate(0.0, time, 0, address=address) for address, time in zip(addresses, times, strict=True))
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
    passages = [candidate] if candidate.opening is None else [candidate, candidate.opening]
    for each in passages:
        share = 1.0 if each.part == 0 and each is candidate else 0.5
        where = "" if each is candidate else "opening "
        for score, reason in _explained(snapshot, each, clauses):
            yield score * share, f"{where}{reason} {score * share:.2f}"


def _explained(snapshot: Snapshot, candidate: Candidate, clauses: list[Clause]) -> Iterator[tuple[float, str]]:
    for clause in clauses:
        scores = sorted(((_leaf_score(snapshot, candidate, leaf), leaf) for leaf in clause.leaves), key=lambda pair: -pair[0])
        most, leaf = scores[0]
        if most > 0:
            score = most + TIE * sum(each for each, _ in scores[1:])
            yield score, f"{leaf.field}: {leaf.term}"


def _leaf_score(snapshot: Snapshot, candidate: Candidate, leaf: Leaf) -> float:
    if candidate.overlaid is not None:
        clause = Clause(leaf.term, (leaf,))
        found = snapshot.overlay.scores([clause], snapshot.base.averages, snapshot.step, lambda each: each is candidate.overlaid)
        return next((score for _, score in found.values()), 0.0)
    try:
        explanation = _leaf(leaf.field, leaf.term, leaf.weight).explain(snapshot.base.searcher, candidate.address).to_json()
    except ValueError:
        return 0.0  # the passage does not have the term
    return float(json.loads(explanation)["value"])


def _leaf(field_name: str, term: str, weight: float) -> Any:
    query = tantivy.Query.term_query(schema(), field_name, term, "freq")
    return query if math.isclose(weight, 1.0) else tantivy.Query.boost_query(query, weight)
