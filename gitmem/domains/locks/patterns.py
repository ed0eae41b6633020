"""Path patterns: what is accepted, and whether two of them could mean the same file.

A path (`src/a.py`) and a folder (`src/`) stand at the project's root. Globs follow the rules of gitignore: one
without a slash (`*.py`) matches at any depth (`./*.py` only at the root), `**` stands for any number of folders, and
what matches a folder matches all in it.

Where gitignore could not tell more without looking at the files, this assumes: a name with an extension is a
file, unless a pattern goes on below it (`Web.Server/**`). Otherwise `*.py` and `*.ts` would have `x.py/y.ts` in
common. And `[id].tsx` is both the file of that name and a class of characters, since frameworks name files so.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, TypeVar

from gitmem.errors import BadArgument
from gitmem.names import shown

PATTERN_MAX = 400
WILDCARDS_MAX = 10
EVERYTHING = "**"
ACCEPTED = (
    "Paths are relative to the project's root, with / between folders: src/a.py, src/ (a folder with all in it), src/**/*.py, "
    "*.py (at any depth), ./*.py (only at the root). In a name, [*] and [?] stand for the character itself; ./ before a path "
    "makes its first character an ordinary one."
)

_GLOB = re.compile(r"[*?\[]")
_FILE_NAME = re.compile(r".+\.(?!\d)(?:[\w*?+-]|\[[^\]]+\])+")
_TOLD_MOST = 10  # problems
# What is wrong with a pattern, and how to see it; the first that applies is told.
_WRONG: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda text: not text, "is empty"),
    (lambda text: len(text) > PATTERN_MAX, f"is longer than {PATTERN_MAX} characters"),
    (lambda text: not text.isprintable(), "holds a control character or one that nobody sees"),
    (lambda text: "\\" in text, "has a backslash"),
    (lambda text: text.startswith("/"), "is absolute"),
    (re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://").match, "starts with a drive letter or is a URL"),
    (lambda text: text.startswith("~"), "starts with ~, a home folder"),
    (lambda text: text.startswith("!"), "starts with !, a negation; name what you mean instead"),
    (lambda text: text.startswith("#"), "starts with #, a comment"),
    (lambda text: ".." in text.split("/"), "climbs out of its folder with '..'"),
    (lambda text: len(re.findall(r"\*+", text)) > WILDCARDS_MAX, f"has more than {WILDCARDS_MAX} wildcards"),
)


class BadPaths(BadArgument):
    """Paths that are no patterns of the project's files, with what else is wrong with the call."""

    def __init__(self, problems: Sequence[str], others: Sequence[str]) -> None:
        told = [*others, *problems]
        more = f"; and {len(told) - _TOLD_MOST} more" if len(told) > _TOLD_MOST else ""
        fix = ACCEPTED if problems else "Mend what is listed and call it again."
        super().__init__(f"{'; '.join(told[:_TOLD_MOST])}{more}. Nothing was done.", fix=fix)


def problem_of(text: str) -> str | None:
    """What is wrong with a pattern, or None."""
    clean = _clean(text)
    return next((what for is_wrong, what in _WRONG if is_wrong(clean)), None)


def a_pattern(value: str) -> str | None:
    """Check of a record's field: a pattern in its one spelling."""
    if what := problem_of(value):
        return f"is {shown(value)}, which {what}"
    return None if canonical(value) == value else f"is {shown(value)}; it is spelled {shown(canonical(value))}"


def checked(texts: Collection[str], *, most: int, others: Sequence[str] = ()) -> tuple[str, ...]:
    """The patterns of a call in their one spelling, each once. Raises BadPaths, with all `others` that is wrong."""
    problems = [f"{shown(text)} {what}" for text in texts if (what := problem_of(text))]
    if len(texts) > most:
        problems = [f"{len(texts):,} paths were given; at most {most:,} are accepted, and a folder or a glob says many"]
    if problems or others:
        raise BadPaths(problems, others)
    return tuple(dict.fromkeys(canonical(text) for text in texts))


def canonical(text: str) -> str:
    """The one spelling of a pattern that has no problem: no `.` and no empty segments, `./` only where it matters."""
    clean = _clean(text)
    names = [name for name in clean.split("/") if name not in ("", ".")]
    names = [name for position, name in enumerate(names) if name != EVERYTHING or names[position - 1 : position] != [EVERYTHING]]
    if names in ([], [EVERYTHING]):
        return EVERYTHING
    plain = "/".join(names) + ("/" if clean.endswith(("/", "/.")) else "")
    return f"./{plain}" if clean.startswith("./") and (_floats(plain) or problem_of(plain)) else plain


def _clean(text: str) -> str:
    # file systems differ in how they compose accents; agents mean the same file
    return unicodedata.normalize("NFC", text.strip())


def _floats(pattern: str) -> bool:
    """Whether a pattern matches at any depth."""
    return "/" not in pattern.rstrip("/") and bool(_GLOB.search(pattern)) and pattern != EVERYTHING


# --- whether two patterns meet ----------------------------------------------------------------------

# One character of a name: the ranges of code points that it may be.
_Ranges = tuple[tuple[int, int], ...]
_LAST = 0x10FFFF
_ANY: _Ranges = ((0, _LAST),)
_PIECE = re.compile(r"(?P<star>\*+)|(?P<any>\?)|(?P<class>\[[!^]?\]?[^\]]*\])|(?P<one>.)", re.DOTALL)
T = TypeVar("T")


class _End:
    """Where a sequence has nothing more."""


_END = _End()


class _Name(NamedTuple):
    """One segment of a path; None among its characters is `*`, any number of any."""

    characters: tuple[_Ranges | None, ...]
    is_file: bool


# None is `**`, any number of any names.
_Path = tuple[_Name | None, ...]
_INSIDE: _Path = (_Name((_ANY, None), is_file=False), None)


def overlap(one: str, other: str) -> bool:
    """Whether there could be a file that two patterns, in their one spelling, both mean."""
    if (a := _literal(one)) and (b := _literal(other)):
        return a.startswith(b) or b.startswith(a)
    return _globs_overlap(one, other)


@lru_cache(maxsize=50_000)
def _literal(pattern: str) -> str:
    """The path of a pattern, ending in a slash, or "" if it is a glob."""
    return "" if _GLOB.search(pattern) else f"{pattern.removeprefix('./').rstrip('/')}/"


@lru_cache(maxsize=50_000)
def _globs_overlap(one: str, other: str) -> bool:
    return any(_meet(a, b, _names_meet, goes_on=_is_file) for a in _readings(one) for b in _readings(other))


@lru_cache(maxsize=10_000)
def _readings(pattern: str) -> tuple[_Path, ...]:
    classes = _path(pattern, literally=False)
    return (classes, _path(pattern, literally=True)) if "[" in pattern else (classes,)


def _path(pattern: str, *, literally: bool) -> _Path:
    texts = pattern.removeprefix("./").rstrip("/").split("/")
    path = tuple(None if text == EVERYTHING else _name(text, literally=literally) for text in texts)
    if _floats(pattern):
        path = (None, *path)
    if path[-1] is None:
        return path[:-1] + _INSIDE
    if pattern.endswith("/"):
        return path + _INSIDE
    return path if path[-1].is_file else (*path, None)


def _name(text: str, *, literally: bool) -> _Name:
    characters: list[_Ranges | None] = []
    for found in _PIECE.finditer(text):
        match found.lastgroup:
            case "star":
                characters.append(None)
            case "any":
                characters.append(_ANY)
            case "class" if not literally:
                characters.append(_class(found[0]))
            case _:
                characters += [((ord(each), ord(each)),) for each in found[0]]
    return _Name(tuple(characters), bool(_FILE_NAME.fullmatch(text)))


def _class(text: str) -> _Ranges:
    negated = text[1] in "!^"
    pairs = re.findall(r"(.)(?:-(.))?", text[2 if negated else 1 : -1], re.DOTALL)
    ranges = sorted((ord(low), ord(high or low)) for low, high in pairs)
    if negated:
        starts = accumulate((high + 1 for _, high in ranges), max, initial=0)
        ends = [low - 1 for low, _ in ranges] + [_LAST]
        ranges = list(zip(starts, ends, strict=True))
    return tuple((low, high) for low, high in ranges if low <= high)


def _names_meet(one: _Name, other: _Name) -> bool:
    return one.characters == other.characters or _meet(one.characters, other.characters, _characters_meet)


def _characters_meet(one: _Ranges, other: _Ranges) -> bool:
    return any(max(a, c) <= min(b, d) for a, b in one for c, d in other)


def _is_file(name: _Name) -> bool:
    return name.is_file


def _never(_: object) -> bool:
    return False


def _meet(
    one: Sequence[T | None], other: Sequence[T | None], alike: Callable[[T, T], bool], *, goes_on: Callable[[T], bool] = _never
) -> bool:
    """Whether two sequences, in which None is any number of anything, can be the same.

    One that has ended has met the other as well if that `goes_on` from what both had last.
    """
    seen: set[tuple[int, int]] = set()
    ahead = [(0, 0)]
    while ahead:
        i, j = here = ahead.pop()
        if here in seen or i > len(one) or j > len(other):
            continue
        seen.add(here)
        if here == (len(one), len(other)):
            return True
        a = one[i] if i < len(one) else _END
        b = other[j] if j < len(other) else _END
        if a is None or b is None:
            ahead += [(i + 1, j), (i, j + 1)]  # it ends here, or takes what the other has next
        elif not isinstance(a, _End) and not isinstance(b, _End) and alike(a, b):
            if (i + 1 == len(one) and goes_on(b)) or (j + 1 == len(other) and goes_on(a)):
                return True
            ahead.append((i + 1, j + 1))
    return False
