"""How text becomes words that can be found: scripts without spaces, identifiers, dates."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from gitmem.index.schema import plain, stemming

# Chinese, Japanese, Korean and Thai put no spaces between words: pairs of characters stand in for words.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+")
# Names in code: joined by dots, slashes, colons, dashes or underscores, or with capitals inside.
_IDENTIFIER = re.compile(r"\w+(?:(?:[.:/\\-]|->)+\w+)+|\w*[a-z0-9][A-Z]\w*|[A-Z]{2,}[a-z]\w*|\w+_\w+", re.ASCII)
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SEPARATORS = re.compile(r"[\W_]+", re.ASCII)
_IDENTIFIER_MAX = 200
_WORD_MAX = 250
_AROUND = ".,;:!?\"'`*()[]{}<>"


def normalised(text: str) -> str:
    """The text with composed characters, so that both spellings of an accent are one."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def for_index(text: str) -> str:
    """The text as it is given to the analyser of the index."""
    if text.isascii():
        return text
    return _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} {run[0][-1]} ", normalised(text))


def for_question(text: str) -> str:
    """A question as it is given to the analyser: a lone character stays one, to be found as a beginning."""
    if text.isascii():
        return text
    return _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", normalised(text))


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def is_unspaced(word: str) -> bool:
    """Whether the word is of a script without spaces."""
    return _UNSPACED.fullmatch(word) is not None


def identifiers(text: str) -> Iterator[str]:
    """The names in a text that look like code or paths."""
    # most words are plain, and telling so is far cheaper than what follows
    for word in [word for word in text.split() if not (word.isalpha() and word.islower())]:
        bare = word.strip(_AROUND)
        if not (bare.isalpha() and (bare.islower() or bare[1:].islower())):
            # the pattern's time grows with the square of the length: base64 is one word of 40,000 characters
            for start in range(0, len(bare), _WORD_MAX):
                for found in _IDENTIFIER.finditer(bare[start : start + _WORD_MAX]):
                    if len(found[0]) <= _IDENTIFIER_MAX:
                        yield found[0]


def whole(identifier: str) -> str:
    """An identifier as one word, however it is written: `retry_with` and `retryWith` are the same."""
    return _SEPARATORS.sub("", identifier).lower()


def humps(identifier: str) -> list[str]:
    """The words of an identifier with capitals inside: `retryWithBackoff`, `HTTPConnection`."""
    return [part.lower() for part in _HUMP.findall(identifier)]


def code_words(text: str) -> str:
    """What the `code` field gets for a text: each identifier as a whole, and what capitals set apart."""
    words: list[str] = []
    for identifier in identifiers(text):
        pieces = _SEPARATORS.split(identifier)
        if len(pieces) > 1:
            words.append("".join(pieces).lower())
            if "/" in identifier and "." in identifier:
                words.append(whole(identifier.rpartition("/")[2]))
        for piece in pieces:
            if not (piece.islower() or piece.isupper()):
                parts = humps(piece)
                if len(parts) > 1:
                    words += parts
    return " ".join(words)


def date_words(moment: datetime) -> str:
    """The ways in which people write a day: 8, May, 2023, 2023-05."""
    return f"{moment.day} {moment:%B %Y %Y%m %Y%m%d}"


def terms(text: str) -> list[str]:
    """The index terms of a text that went through `for_index`, in order."""
    found: list[str] = stemming().analyze(text)
    return found


def words(text: str) -> list[str]:
    """The words of a question, folded but not stemmed, in order."""
    found: list[str] = plain().analyze(for_question(text))
    return found
