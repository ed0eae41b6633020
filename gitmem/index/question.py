"""Questions: a text in anybody's words becomes weighted clauses that tantivy and the overlay score alike.

A clause stands for one word of the question. Its leaves are the terms that may answer for it (itself, a
longer word that begins with it, a word of the same meaning) in each field. A clause is worth its best leaf
and a little of the others, so that a word in both title and text does not count twice.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Protocol

from msgspec import Struct

from gitmem.index.analysis import humps, identifiers, is_unspaced, terms, whole, words
from gitmem.index.schema import WEIGHTS
from gitmem.index.words import STOP_WORDS, SYNONYMS

TIE = 0.15
K1, B = 1.2, 0.75  # BM25 as tantivy has it
_SYNONYM_WEIGHT = 0.4
_PREFIX_WEIGHT = 0.35
_PREFIX_MIN = 4  # characters of a word that longer words are looked up for
PREFIXES_MAX = 5
_NEAR_WEIGHT = 0.5
_CLAUSES_MAX = 24
_LARGE = 5000  # passages
_COMMON = 0.5
PREFIX_FIELDS = ("text", "code")


class Vocabulary(Protocol):
    """What must be known about the indexed terms to weigh a question."""

    @property
    def passages(self) -> int:
        """The number of passages."""

    def clause(self, word: "Word", make: Callable[[], "Clause"], *, last: bool) -> "Clause":
        """The clause of a word, as it is known or made now. The `last` word of a question may be unfinished."""

    def frequencies(self, term: str) -> Mapping[str, int]:
        """How many passages have the term, by field; only the fields that have it."""

    def beginning(self, field: str, prefix: str, limit: int) -> Mapping[str, int]:
        """Terms of a field that begin with `prefix`, and how many passages have each there."""

    def near(self, term: str) -> list[str]:
        """Terms that are one slip of the pen away."""


class Leaf(Struct, frozen=True):
    """One term in one field, how many passages have it, and a factor for its score."""

    field: str
    term: str
    weight: float
    frequency: int
    idf: float


class Clause(Struct, frozen=True, eq=False):
    """All that may answer for one word of the question, by the terms that were looked up for it.

    `telling` is the same without what half of a large memory has.
    """

    word: str
    leaves: tuple[Leaf, ...]
    terms: tuple[str, ...] = ()
    telling: "Clause | None" = None


def worth(leaves: Iterable[Leaf]) -> float:
    """The most that leaves of a clause give to a passage that has the word three times, which is many."""
    most = sorted((leaf.weight * leaf.idf for leaf in leaves), reverse=True)
    return (K1 + 1) * 3 / (3 + K1) * (most[0] + TIE * sum(most[1:])) if most else 0.0


class Word(Struct, frozen=True):
    """A word of the question as typed (folded), its index term, and how much it counts."""

    plain: str
    term: str
    weight: float


def words_of(text: str) -> list[Word]:
    """The words of a question that say something, each once; all of them if none does."""
    found: dict[str, Word] = {}
    for plain in words(text):
        _add(found, plain, 1.0)
    for identifier in identifiers(text):
        _add(found, whole(identifier), 1.0)
        if not (identifier.islower() or identifier.isupper()):
            for part in humps(identifier):
                _add(found, part, 0.7)
    telling = [word for word in found.values() if word.plain not in STOP_WORDS]
    return telling or list(found.values())


def _add(found: dict[str, Word], plain: str, weight: float) -> None:
    term = _stem(plain)
    if term and term not in found:
        found[term] = Word(plain, term, weight)


@lru_cache(10_000)
def _stem(plain: str) -> str:
    return next(iter(terms(plain)), "")


def clauses_of(text: str, vocabulary: Vocabulary) -> list[Clause]:
    """The clauses of a question that can match anything; of a very long one, those that tell most."""
    asked = words_of(text)
    places = [(word, word is asked[-1]) for word in asked[: 8 * _CLAUSES_MAX]]
    clauses = [vocabulary.clause(word, partial(_clause, word, vocabulary, last=last), last=last) for word, last in places]
    # what half of a large memory has tells next to nothing, and to score every passage that has it is most of a search's time
    matching = [each.telling for each in clauses if each.telling] or [each for each in clauses if each.leaves]
    if len(matching) > _CLAUSES_MAX:
        matching = sorted(matching, key=lambda clause: -worth(clause.leaves))[:_CLAUSES_MAX]
    return matching


def _clause(word: Word, vocabulary: Vocabulary, *, last: bool) -> Clause:
    same = [terms(each)[0] for each in SYNONYMS.get(word.plain, ())]
    leaves = tuple(_best_of_each(_answering(word, same, vocabulary, last=last)))
    limit = vocabulary.passages * _COMMON if vocabulary.passages >= _LARGE else math.inf
    telling = tuple(leaf for leaf in leaves if leaf.frequency <= limit)
    return Clause(word.plain, leaves, (word.term, *same), Clause(word.plain, telling) if telling else None)


def _answering(word: Word, same: list[str], vocabulary: Vocabulary, *, last: bool) -> list[Leaf]:
    leaves = _leaves(word.term, word.weight, vocabulary)
    rare = sum(leaf.frequency for leaf in leaves) <= vocabulary.passages * 0.01
    if (last or rare) and (len(word.term) >= _PREFIX_MIN or is_unspaced(word.term)):
        leaves += _longer(word, vocabulary)
    for term in same:
        leaves += _leaves(term, word.weight * _SYNONYM_WEIGHT, vocabulary)
    if not leaves:
        # an unfinished word may go on beyond its stem: configurat, configur
        stems = [word.term[:-cut] for cut in (1, 2, 3) if len(word.term) - cut >= _PREFIX_MIN]
        for near in [*stems, *vocabulary.near(word.term)]:
            leaves += _leaves(near, word.weight * _NEAR_WEIGHT, vocabulary)
    return leaves


def _leaves(term: str, weight: float, vocabulary: Vocabulary) -> list[Leaf]:
    return [
        Leaf(field, term, weight * WEIGHTS[field], frequency, idf(vocabulary.passages, frequency))
        for field, frequency in vocabulary.frequencies(term).items()
    ]


def _longer(word: Word, vocabulary: Vocabulary) -> list[Leaf]:
    found: list[Leaf] = []
    for field in PREFIX_FIELDS:
        for term, frequency in vocabulary.beginning(field, word.term, PREFIXES_MAX).items():
            if term != word.term and frequency:
                weight = word.weight * WEIGHTS[field] * (1.0 if is_unspaced(word.term) else _PREFIX_WEIGHT)
                found.append(Leaf(field, term, weight, frequency, idf(vocabulary.passages, frequency)))
    return found


def _best_of_each(leaves: list[Leaf]) -> Iterator[Leaf]:
    best: dict[tuple[str, str], Leaf] = {}
    for leaf in leaves:
        known = best.get((leaf.field, leaf.term))
        if known is None or known.weight < leaf.weight:
            best[leaf.field, leaf.term] = leaf
    return iter(best.values())


def idf(passages: int, frequency: int) -> float:
    """How telling a term is: BM25's inverse document frequency, as tantivy reckons it."""
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5)) if frequency <= passages else 0.01
