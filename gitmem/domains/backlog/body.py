"""The text of an item's file: the description, then the sections `## Plan` and `## Result` for those who read it."""

import re

from msgspec import Struct

# The headings of the sections, in the order in which they are written.
HEADINGS = {"plan": "## Plan", "result": "## Result"}

_HEADING = re.compile(r" {0,3}##[ \t]+(plan|result)(?:[ \t]+#+)?[ \t]*", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(?:(?P<ticks>`{3,})[^`]*|(?P<waves>~{3,}).*)")


class Parts(Struct, frozen=True):
    """What an item's text says; "" where it says nothing."""

    description: str = ""
    plan: str = ""
    result: str = ""


def tidy(text: str) -> str:
    """A part as it is kept: line feeds alone, no empty lines around it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return lines if lines.strip() else ""


def split(text: str) -> Parts:
    """The parts of a text. A section's second heading is a line of whatever part it stands in."""
    lines = text.split("\n")
    found: dict[str, list[str]] = {"description": []}
    part, headings = "description", dict(_scan(lines).headings)
    for number, line in enumerate(lines):
        name = headings.get(number, "")
        if name and name not in found:
            part, found[name] = name, []
        else:
            found[part].append(line)
    return Parts(**{name: tidy("\n".join(each)) for name, each in found.items()})


def join(parts: Parts) -> str:
    """The text that splits into these parts, if each of them is free of `part_problem`."""
    sections = [f"{heading}\n\n{text}" for name, heading in HEADINGS.items() if (text := getattr(parts, name))]
    return "\n\n".join([*([parts.description] if parts.description else []), *sections])


def part_problem(text: str) -> str | None:
    """Why a text cannot be one part, or None."""
    scanned = _scan(text.split("\n"))
    if scanned.headings:
        line = text.split("\n")[scanned.headings[0][0]].strip()
        return f"has a line {line!r}, which begins a section of the item's file; use another heading or a ``` block"
    if scanned.open_fence:
        return f"opens a block of code with {scanned.open_fence} and never closes it; close it"
    return None


def text_problem(text: str) -> str | None:
    """Why a whole text is not clear about its parts, or None."""
    names = [name for _, name in _scan(text.split("\n")).headings]
    twice = [heading for name, heading in HEADINGS.items() if names.count(name) > 1]
    return f"has the section {twice[0]} twice; one is accepted, with the text of both" if twice else None


class _Scanned(Struct, frozen=True):
    headings: tuple[tuple[int, str], ...]
    open_fence: str


def _scan(lines: list[str]) -> _Scanned:
    headings, fence = [], ""
    for number, line in enumerate(lines):
        if fence:
            fence = "" if _closes(line, fence) else fence
        elif opened := _FENCE.fullmatch(line):
            fence = opened["ticks"] or opened["waves"]
        elif found := _HEADING.fullmatch(line):
            headings.append((number, found[1].lower()))
    return _Scanned(tuple(headings), fence)


def _closes(line: str, fence: str) -> bool:
    mark = line.strip(" \t")
    indent = len(line) - len(line.lstrip(" "))
    return indent <= 3 and len(mark) >= len(fence) and set(mark) == {fence[0]}
