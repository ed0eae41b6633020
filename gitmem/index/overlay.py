"""The overlay: records that are newer than the index, searched in memory.

One overlay follows a line of commits from the index's commit onwards. Passages are never taken out: each
knows from which step of the line to which it stood, so that searches at different commits of the line
share one overlay, and a search that runs while the line grows is not disturbed.
"""

import threading
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from gitmem.index.analysis import terms
from gitmem.index.passages import Change, Passage, key_of
from gitmem.index.question import K1, TIE, B, Clause
from gitmem.index.schema import TEXT_FIELDS

_FOREVER = 1 << 60


class Analysed(Struct, frozen=True):
    """A passage with its terms counted."""

    passage: Passage
    counts: Mapping[str, Mapping[str, int]]
    lengths: Mapping[str, int]


class Edit(Struct, frozen=True):
    """What became of a path at one step: its passages now (none: it is gone) and who changed it."""

    path: str
    passages: Sequence[Analysed]
    change: Change
    was_there: bool


class Overlaid(Struct):
    """One passage in the overlay. It stands from step `born` on, before step `died`."""

    passage: Passage
    change: Change
    lengths: Mapping[str, int]
    born: int
    died: int = _FOREVER

    def stands_at(self, step: int) -> bool:
        """Whether the passage is part of the memory at a step."""
        return self.born <= step < self.died


def analyse(passage: Passage) -> Analysed:
    """Count a passage's terms, as the index would."""
    counts: dict[str, Mapping[str, int]] = {}
    lengths: dict[str, int] = {}
    for name, text in passage.texts.items():
        if text:
            found = terms(text)
            counts[name] = Counter(found)
            lengths[name] = rounded_length(len(found))
    return Analysed(passage, counts, lengths)


def rounded_length(length: int) -> int:
    """A field's length as tantivy keeps it: exact up to 40, then in four significant bits."""
    if length < 40:
        return length
    above = length - 24
    shift = above.bit_length() - 4
    return ((above >> shift) << shift) + 24


class _Line(Struct):
    steps: dict[str, int] = field(default_factory=dict)
    edits: list[tuple[str, list[Edit]]] = field(default_factory=list)


class Overlay:
    """The changes along a line of commits that starts at the index's commit."""

    def __init__(self, base: str) -> None:
        self._growing = threading.Lock()
        self._line = _Line({base: 0})
        self._all: list[Overlaid] = []
        self._standing: dict[str, list[Overlaid]] = {}
        self._changed: set[str] = set()
        self._masked: dict[str, int] = {}
        self._masked_keys: dict[int, int] = {}
        self._postings: dict[str, defaultdict[str, list[tuple[Overlaid, int]]]] = {
            f.name: defaultdict(list) for f in TEXT_FIELDS
        }
        self._sorted: dict[str, list[str]] = {f.name: [] for f in TEXT_FIELDS}

    def step_of(self, commit: str) -> int | None:
        """The step of the line that a commit is, if it is on it."""
        return self._line.steps.get(commit)

    @property
    def tip(self) -> str:
        """The newest commit of the line."""
        return self._line.edits[-1][0] if self._line.edits else next(iter(self._line.steps))

    @property
    def size(self) -> int:
        """How much there is to fold: passages added, and paths replaced."""
        return len(self._all) + len(self._masked)

    @property
    def passages(self) -> int:
        """How many passages were ever added."""
        return len(self._all)

    def grow(self, commit: str, edits: list[Edit]) -> None:
        """Add the next commit of the line."""
        with self._growing:
            if commit in self._line.steps:
                return
            step = len(self._line.edits) + 1
            for edit in edits:
                self._apply(edit, step)
            self._line.edits.append((commit, edits))
            self._line.steps[commit] = step

    def after(self, commit: str) -> list[tuple[str, list[Edit]]]:
        """The steps of the line that come after a commit."""
        step = self._line.steps.get(commit)
        return [] if step is None else self._line.edits[step:]

    def _apply(self, edit: Edit, step: int) -> None:
        for old in self._standing.pop(edit.path, ()):
            old.died = step
        # what was not there when a path was first changed is not in the index either
        if edit.path not in self._changed and edit.was_there:
            self._masked_keys[key_of(edit.path)] = step
            self._masked[edit.path] = step
        self._changed.add(edit.path)
        new = [self._add(each, edit.change, step) for each in edit.passages]
        if new:
            self._standing[edit.path] = new

    def _add(self, analysed: Analysed, change: Change, step: int) -> Overlaid:
        overlaid = Overlaid(analysed.passage, change, analysed.lengths, step)
        for name, counts in analysed.counts.items():
            postings, ordered = self._postings[name], self._sorted[name]
            for term, count in counts.items():
                if term not in postings:
                    insort(ordered, term)
                postings[term].append((overlaid, count))
        self._all.append(overlaid)
        return overlaid

    def masking(self, step: int) -> set[int]:
        """The keys of the paths whose passages in the index no longer hold."""
        return {key for key, since in list(self._masked_keys.items()) if since <= step}

    def masks(self, key: int, step: int) -> bool:
        """Whether the index's own passages of a path no longer hold at a step."""
        return self._masked_keys.get(key, _FOREVER) <= step

    def masked(self, step: int) -> list[str]:
        """The paths whose passages in the index no longer hold."""
        return [path for path, since in list(self._masked.items()) if since <= step]

    def standing(self, step: int, accepts: Callable[[Overlaid], bool]) -> Iterator[Overlaid]:
        """The passages that stand at a step and that `accepts` takes."""
        return (each for each in list(self._all) if each.stands_at(step) and accepts(each))

    def at(self, path: str, step: int) -> Overlaid | None:
        """The first passage of a path, if the path is overlaid and stands."""
        return next((each for each in list(self._all) if each.passage.path == path and each.stands_at(step)), None)

    def frequencies(self, term: str) -> dict[str, int]:
        """How many overlaid passages have a term, by field; only the fields that have it."""
        if not self._all:
            return {}
        return {name: len(found) for name, postings in self._postings.items() if (found := postings.get(term))}

    def beginning(self, field_name: str, prefix: str, limit: int) -> list[str]:
        """Overlaid terms of a field that begin with `prefix`."""
        ordered = self._sorted[field_name]
        start = bisect_left(ordered, prefix)
        return [term for term in ordered[start : start + limit] if term.startswith(prefix)]

    def scores(
        self, clauses: list[Clause], averages: Mapping[str, float], step: int, accepts: Callable[[Overlaid], bool]
    ) -> dict[int, tuple[Overlaid, float]]:
        """The standing passages that match, with BM25 on the scale of the index, by identity."""
        totals: dict[int, tuple[Overlaid, float]] = {}
        for clause in clauses if self._all else ():
            for overlaid, score in self._clause_scores(clause, averages, step):
                known = totals.get(id(overlaid))
                if known is not None:
                    totals[id(overlaid)] = (overlaid, known[1] + score)
                elif accepts(overlaid):
                    totals[id(overlaid)] = (overlaid, score)
        return totals

    def _clause_scores(self, clause: Clause, averages: Mapping[str, float], step: int) -> Iterator[tuple[Overlaid, float]]:
        best: dict[int, tuple[Overlaid, float, float]] = {}
        for leaf in clause.leaves:
            for overlaid, count in self._postings[leaf.field].get(leaf.term, ()):
                if overlaid.born <= step < overlaid.died:
                    length = overlaid.lengths[leaf.field] / averages[leaf.field]
                    score = leaf.weight * leaf.idf * (K1 + 1) * count / (count + K1 * (1 - B + B * length))
                    _, most, total = best.get(id(overlaid), (overlaid, 0.0, 0.0))
                    best[id(overlaid)] = (overlaid, max(most, score), total + score)
        return ((overlaid, most + TIE * (total - most)) for overlaid, most, total in best.values())
