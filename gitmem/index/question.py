"""Questions: a text in anybody's words becomes weighted clauses that tantivy and the overlay score alike.

A clause stands for one word of the question. Its leaves are the terms that may answer for it (itself, a
longer word that begins with it, a word of the same meaning) in each field. A clause is worth its best leaf
and a little of the others, so that a word in both title and text does not count twice.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from gitmem.index.analysis import humps, identifiers, is_unspaced, terms, whole, words
from gitmem.index.schema import TEXT_FIELDS
from gitmem.index.words import STOP_WORDS, SYNONYMS

TIE = 0.15
K1, B = 1.2, 0.75  # BM25 as tantivy has it
_SYNONYM_WEIGHT = 0.4
_PREFIX_WEIGHT = 0.35
_PREFIX_MIN = 4  # characters of a word that longer words are looked up for
_PREFIXES_MAX = 5
_NEAR_WEIGHT = 0.5
_CLAUSES_MAX = 24
_LARGE = 5000  # passages
_COMMON = 0.5
_PREFIX_FIELDS = ("text", "code")


class Vocabulary(Protocol):
    """What must be known about the indexed terms to weigh a question."""

    @property
    def passages(self) -> int:
        """The number of passages."""

    def frequency(self, field: str, term: str) -> int:
        """How many passages have the term in the field."""

    def beginning(self, field: str, prefix: str, limit: int) -> list[str]:
        """Terms of a field that begin with `prefix`."""

    def near(self, term: str) -> list[str]:
        """Terms that are one slip of the pen away."""


class Leaf(Struct, frozen=True):
    """One term in one field, how many passages have it, and a factor for its score."""

    field: str
    term: str
    weight: float
    frequency: int
    idf: float


class Clause(Struct, frozen=True):
    """All that may answer for one word of the question."""

    word: str
    leaves: tuple[Leaf, ...]


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
    for term in terms(plain)[:1]:
        if term not in found:
            found[term] = Word(plain, term, weight)


def clauses_of(text: str, vocabulary: Vocabulary) -> list[Clause]:
    """The clauses of a question that can match anything; of a very long one, those that tell most."""
    asked = words_of(text)
    clauses = [_clause(word, vocabulary, last=word is asked[-1]) for word in asked[: 8 * _CLAUSES_MAX]]
    matching = _telling([clause for clause in clauses if clause.leaves], vocabulary.passages)
    if len(matching) > _CLAUSES_MAX:
        matching = sorted(matching, key=lambda clause: -worth(clause.leaves))[:_CLAUSES_MAX]
    return matching


def _telling(clauses: list[Clause], passages: int) -> list[Clause]:
    """The clauses without leaves that half of a large memory has: its own stop words, unless nothing is left.

    They tell next to nothing, and to score every passage that has one is most of a search's time.
    """
    if passages < _LARGE:
        return clauses
    limit = passages * _COMMON
    kept = [Clause(each.word, tuple(leaf for leaf in each.leaves if leaf.frequency <= limit)) for each in clauses]
    return [each for each in kept if each.leaves] or clauses


def _clause(word: Word, vocabulary: Vocabulary, *, last: bool) -> Clause:
    leaves = _leaves(word.term, word.weight, vocabulary)
    rare = sum(leaf.frequency for leaf in leaves) <= vocabulary.passages * 0.01
    if (last or rare) and (len(word.term) >= _PREFIX_MIN or is_unspaced(word.term)):
        leaves += _longer(word, vocabulary)
    for same in SYNONYMS.get(word.plain, ()):
        leaves += _leaves(terms(same)[0], word.weight * _SYNONYM_WEIGHT, vocabulary)
    if not leaves:
        # an unfinished word may go on beyond its stem: configurat, configur
        stems = [word.term[:-cut] for cut in (1, 2, 3) if len(word.term) - cut >= _PREFIX_MIN]
        for near in [*stems, *vocabulary.near(word.term)]:
            leaves += _leaves(near, word.weight * _NEAR_WEIGHT, vocabulary)
    return Clause(word.plain, tuple(_best_of_each(leaves)))


def _leaves(term: str, weight: float, vocabulary: Vocabulary) -> list[Leaf]:
    found = []
    for field in TEXT_FIELDS:
        frequency = vocabulary.frequency(field.name, term)
        if frequency:
            found.append(Leaf(field.name, term, weight * field.weight, frequency, idf(vocabulary.passages, frequency)))
    return found


def _longer(word: Word, vocabulary: Vocabulary) -> list[Leaf]:
    found: list[Leaf] = []
    for field in TEXT_FIELDS:
        if field.name in _PREFIX_FIELDS:
            for term in vocabulary.beginning(field.name, word.term, _PREFIXES_MAX):
                if term != word.term:
                    frequency = vocabulary.frequency(field.name, term)
                    weight = word.weight * field.weight * (1.0 if is_unspaced(word.term) else _PREFIX_WEIGHT)
                    found.append(Leaf(field.name, term, weight, frequency, idf(vocabulary.passages, frequency)))
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
