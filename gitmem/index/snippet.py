"""Snippets: the words around a match."""

import unicodedata
from collections.abc import Collection

SNIPPET_MAX = 280
_LEAD = 60
_NEARBY = 40
_LONG = 4  # letters


def beginnings(terms: Collection[str]) -> list[str]:
    """What words of these terms begin with; what goes on from a long one is found with it."""
    # a stem differs from its words at the end (happy, happi): without its last letter it begins them all
    found: list[str] = []
    for each in sorted(term[:-1] if len(term) > 3 else term for term in terms):
        if not found or len(found[-1]) < _LONG or not each.startswith(found[-1]):
            found.append(each)
    return found


def snippet(text: str, wanted: Collection[str]) -> str:
    """The stretch of a text that has the most different of the wanted beginnings of words, on one line."""
    if len(text) <= SNIPPET_MAX:
        return _one_line(text)
    start = _best_start(_matches(_folded(text), wanted))
    start = (text.find(" ", start - _LEAD, start) + 1 or start) if start > _LEAD else 0
    end = start + SNIPPET_MAX
    if end < len(text):
        end = max(text.rfind(" ", start, end), start + SNIPPET_MAX // 2)
    return ("… " if start else "") + _one_line(text[start:end]) + (" …" if end < len(text) else "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _folded(text: str) -> str:
    """Lower case without accents, letter for letter."""
    if not text.isascii():
        text = "".join(unicodedata.normalize("NFKD", letter)[0] for letter in text)
    # a few capitals become two letters in lower case, which would shift all that follow
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text


def _matches(text: str, wanted: Collection[str]) -> list[tuple[int, str]]:
    """Where the wanted beginnings are, in order, also inside words: what capitals set apart is as good a place to show."""
    found = []
    for beginning in wanted:
        at, left = text.find(beginning), _NEARBY
        while at >= 0 and left:
            found.append((at, beginning))
            at, left = text.find(beginning, at + 1), left - 1
    return sorted(found)


def _best_start(matches: list[tuple[int, str]]) -> int:
    """Where the stretch begins that holds the most different terms."""
    best, most, end = 0, 0, 0
    all_terms = len({term for _, term in matches})
    within: dict[str, int] = {}
    for start, term in matches:
        while end < len(matches) and matches[end][0] < start + SNIPPET_MAX - _LEAD:
            within[matches[end][1]] = within.get(matches[end][1], 0) + 1
            end += 1
        if len(within) > most:
            best, most = start, len(within)
            if most == all_terms:
                break
        within[term] -= 1
        if not within[term]:
            del within[term]
    return best
