"""What is known of terms: how many passages have them, which begin alike, which are one slip of the pen away."""

from collections.abc import Callable, Mapping
from itertools import chain

from gitmem.index.follower import Snapshot
from gitmem.index.question import PREFIX_FIELDS, PREFIXES_MAX, Clause, Word
from gitmem.index.schema import WEIGHTS

_NEAR_MAX = 5
_ALIKE_MAX = 5000


class Terms:
    """What a snapshot knows of a term, the index and the overlay taken together."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._base = snapshot.base
        self._overlay = snapshot.overlay
        here, new = snapshot.base.documents, self._overlay.passages
        self.passages = here + new
        # what is new is too little to change how telling a term is
        self.settled = here > 50 * new

    def clause(self, word: Word, make: Callable[[], Clause], *, last: bool) -> Clause:
        """The clause of a word. It holds as long as the index, unless what is new has other terms for the word."""
        if not self.settled:
            return make()
        known = self._base.clauses.get((word, last))
        if known is None or self._has_more(word, known):
            known = self._base.clauses.keep((word, last), make())
        return known

    def _has_more(self, word: Word, known: Clause) -> bool:
        if not self._overlay.passages or not known.leaves:
            return bool(self._overlay.passages)
        leaves = {(leaf.field, leaf.term) for leaf in known.leaves}
        longer = ((name, term) for name in PREFIX_FIELDS for term in self._overlay.beginning(name, word.term, PREFIXES_MAX))
        same = ((name, term) for term in known.terms for name in self._overlay.frequencies(term))
        return not leaves.issuperset(chain(same, longer))

    def frequencies(self, term: str) -> Mapping[str, int]:
        """How many passages have the term, by field; only the fields that have it."""
        here, new = self.indexed(term), self._overlay.frequencies(term)
        return {name: here.get(name, 0) + new.get(name, 0) for name in here | new} if new else here

    def indexed(self, term: str) -> dict[str, int]:
        """How many passages of the index itself have it."""
        count = self._base.searcher.doc_freq
        return self._base.frequencies.of(term, lambda: {name: found for name in WEIGHTS if (found := int(count(name, term)))})

    def beginning(self, field_name: str, prefix: str, limit: int) -> dict[str, int]:
        """Terms of a field that begin with `prefix`, and how many passages have each there."""
        asked = self._base.searcher.terms_with_prefix
        here = self._base.beginnings.of((field_name, prefix, limit), lambda: dict(asked(field_name, prefix, limit=limit)))
        new = self._overlay.beginning(field_name, prefix, limit)
        if not new:
            return here
        both = list(dict.fromkeys([*here, *new]))[:limit]
        return {term: self.frequencies(term).get(field_name, 0) for term in both}

    def near(self, term: str) -> list[str]:
        """Terms of texts that differ by one slip of the pen."""
        if len(term) < 5:
            return []
        # one slip leaves one half as it is; the first two letters are taken to be right
        middle = len(term) // 2
        first, second = term[:middle], term[middle:]
        others = list(self.beginning("text", first, _ALIKE_MAX))
        others += [other for other in self.beginning("text", term[:2], _ALIKE_MAX) if other.endswith(second)]
        found = [other for other in others if abs(len(other) - len(term)) <= 1 and is_one_slip(term, other)]
        return sorted(dict.fromkeys(found), key=lambda other: -self.frequencies(other).get("text", 0))[:_NEAR_MAX]


def is_one_slip(one: str, other: str) -> bool:
    """Whether two words differ by one letter too many, missing, wrong, or swapped with its neighbour."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    return one[1:] == other[1:] or one[1:] == other or one == other[1:] or (one[1::-1] == other[:2] and one[2:] == other[2:])
