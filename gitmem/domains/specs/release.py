"""Versions of specs: semantic versions in one spelling, their order, and what comes next."""

from functools import cache
from typing import TYPE_CHECKING, Literal

from gitmem.names import shown

if TYPE_CHECKING:
    from semver import Version

Bump = Literal["patch", "minor", "major"]
FIRST = "1.0.0"
LENGTH_MAX = 40


def a_release(value: str) -> str | None:
    """A semantic version that can be the last part of a tag's name everywhere."""
    what = f"is {shown(value, LENGTH_MAX)}, which is no version; three numbers such as 1.2.0, or 1.2.0-rc.1, are accepted"
    if len(value) > LENGTH_MAX or value != value.lower() or value.endswith(".lock"):
        return what
    try:
        parsed = order(value)
    except ValueError:
        return what
    # what follows a + does not count in the order, so two versions could be neither the same nor one the higher
    return f"is {shown(value)}; leave out the part after the +" if parsed.build else None


@cache
def order(release: str) -> "Version":
    """The version as something to compare. Raises ValueError if it is none."""
    from semver import Version  # imported late: the hook of a push without specs needs no versions

    return Version.parse(release)


def raised(release: str, part: Bump = "patch") -> str:
    """The next version. That of a pre-release is its release."""
    return str(order(release).next_version(part))


def acceptable_after(release: str) -> str:
    """The versions that would be accepted next, in words."""
    nexts = dict.fromkeys(raised(release, part) for part in ("patch", "minor", "major"))
    *others, last = nexts
    return f"{', '.join(others)} or {last}" if others else last
