"""Snippets: the words around a match."""

import re
from collections.abc import Collection

from gitmem.index.analysis import for_index, humps, normalised, terms, whole

SNIPPET_MAX = 280
_LEAD = 60
_TOKEN = re.compile(r"\w+")


def snippet(text: str, wanted: Collection[str]) -> str:
    """The stretch of a text that has the most of the wanted terms, on one line."""
    if len(text) <= SNIPPET_MAX:
        return _one_line(text)
    matches = [(found.start(), term) for found in _TOKEN.finditer(text) for term in _terms_of(found[0]) if term in wanted]
    start = _best_start(matches)
    start = (text.find(" ", start - _LEAD, start) + 1 or start) if start > _LEAD else 0
    end = start + SNIPPET_MAX
    if end < len(text):
        end = max(text.rfind(" ", start, end), start + SNIPPET_MAX // 2)
    return ("… " if start else "") + _one_line(text[start:end]) + (" …" if end < len(text) else "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _terms_of(word: str) -> set[str]:
    found = {*terms(for_index(word)), *terms(whole(normalised(word)))}
    if not word.islower():
        found.update(term for part in humps(word) for term in terms(part))
    return found


def _best_start(matches: list[tuple[int, str]]) -> int:
    """Where the stretch begins that holds the most different terms."""
    best, most = 0, 0
    for position, (start, _) in enumerate(matches):
        reach = start + SNIPPET_MAX - _LEAD
        count = len({term for at, term in matches[position : position + 40] if at < reach})
        if count > most:
            best, most = start, count
    return best
