"""Checks of field values. Each returns what is wrong, in words that say what is accepted, or None."""

import re
from collections.abc import Callable
from typing import Any

from gitmem.names import name_problem, shown

Check = Callable[[Any], str | None]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def at_most(count: int) -> Check:
    """Text of at most `count` characters, or a list of at most `count` items."""

    def check(value: Any) -> str | None:
        if len(value) <= count:
            return None
        unit = "characters" if isinstance(value, str) else "items"
        return f"has {len(value)} {unit}; at most {count} are accepted"

    return check


def bytes_at_most(count: int) -> Check:
    """Text of at most `count` bytes in UTF-8."""

    def check(value: str) -> str | None:
        if len(value) * 4 <= count:
            return None
        size = len(value.encode("utf-8", "surrogatepass"))
        if size <= count:
            return None
        return f"has {size:,} bytes; at most {count:,} are accepted. Split it, or keep the long part elsewhere and link to it"

    return check


def one_line(value: str) -> str | None:
    """A single line with something on it, without control characters."""
    if not value.strip():
        return "is empty; one line of text is accepted"
    if value.splitlines() != [value] or _CONTROL.search(value):  # some line breaks are no control characters
        return "holds a line break or control character; one line of plain text is accepted"
    return None


def a_tag(value: str) -> str | None:
    """A word or a few to find something by: several tags in one would be found by none of them."""
    if "," in value:
        return "holds a comma; a tag without one is accepted, and each by itself in the list"
    return one_line(value) or at_most(60)(value)


def not_blank(value: str) -> str | None:
    """Text that has something in it."""
    return None if value.strip() else "is empty"


def plain_text(value: str) -> str | None:
    """Text of any length without NUL and other control characters that no editor shows."""
    if found := _CONTROL.search(value):
        return f"holds the control character {shown(found[0])}; plain text is accepted"
    return None


def each(check: Check) -> Check:
    """Every item of a list passes `check`."""

    def check_items(value: tuple[Any, ...]) -> str | None:
        for item in value:
            if problem := check(item):
                return f"item {shown(str(item), 40)} {problem}"
        return None

    return check_items


def if_any(check: Check) -> Check:
    """Nothing, or what passes `check`."""

    def check_text(value: str) -> str | None:
        return check(value) if value else None

    return check_text


def a_name(value: str) -> str | None:
    """A checked name, as for files (`gitmem.names.check_name`)."""
    if problem := name_problem(value):
        return f"is {shown(value)}, which is no name: {problem}; 1 to 80 of a-z 0-9 . _ - are accepted"
    return None


def between(low: int, high: int) -> Check:
    """A number from `low` to `high`."""

    def check(value: int) -> str | None:
        return None if low <= value <= high else f"is {value}; {low} to {high} are accepted"

    return check
