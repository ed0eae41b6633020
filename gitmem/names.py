"""Ids, slugs, checked names, and the only clock."""

import re
import secrets
import unicodedata
from datetime import UTC, date, datetime, time, timedelta

from gitmem.errors import BadArgument

NAME_MAX = 80
SLUG_MAX = 48
HEX_DIGITS = 8
LONG_AGO = datetime.min.replace(tzinfo=UTC)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_ID = re.compile(r"(?:[a-z0-9][a-z0-9-]*-)?([0-9a-f]{6,40})")
_AGE = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Names that Windows, git or gitmem itself gives a meaning: a clone must work everywhere.
RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "shared", "me", "all", "head", "git"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in range(1, 10)]
)


class BadName(BadArgument):
    """A name that cannot be a file name or part of a ref everywhere."""

    def __init__(self, name: str, what: str, why: str) -> None:
        super().__init__(
            f"{shown(name)} cannot be the name of {'an' if what[0] in 'aeiou' else 'a'} {what}: {why}.",
            fix=f"Use 1 to {NAME_MAX} of a-z 0-9 . _ - that start and end with a letter or digit"
            f"{_suggestion(name)}.",
        )


def shown(text: str, width: int = 60) -> str:
    """Untrusted text made safe for one line of an error: escaped, quoted and cut."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    return repr(cut)


def in_a_line(text: str, width: int) -> str:
    """The text on one line, cut to `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def folded(text: str) -> str:
    """A text as those that say the same have it: without regard to case and white space."""
    return " ".join(text.split()).casefold()


def _suggestion(name: str) -> str:
    slug = slugify(name)
    return f", for example {slug!r}" if slug != "untitled" and not name_problem(slug) else ""


def instant() -> datetime:
    """The time, in UTC and microseconds, for what has an order within a second."""
    return datetime.now(UTC)


def now() -> datetime:
    """The time, in UTC and whole seconds, as records and commits keep it."""
    return instant().replace(microsecond=0)


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with a `Z`, in whole seconds."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


def parse_time(text: str) -> datetime:
    """An ISO 8601 time or date; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_when(text: str, *, clock: datetime | None = None) -> datetime | None:
    """A moment from a date, a time or an age such as `7d`; None if it is neither.

    A bare date means the end of that day, so that `as_of` a day includes its changes.
    """
    try:
        if age := _AGE.fullmatch(text.strip()):
            return (clock or now()) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            return datetime.combine(date.fromisoformat(text.strip()), time(23, 59, 59), UTC)
        return parse_time(text.strip())
    except (ValueError, OverflowError):  # 999999w ago there was no calendar
        return None


def counted(count: int, what: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def age_in_words(moment: datetime, *, clock: datetime | None = None) -> str:
    """How long ago, in the largest unit that fits: `5 minutes`, `3 days`."""
    seconds = max(0, int(((clock or now()) - moment).total_seconds()))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return counted(seconds // size, unit)
    return "less than a minute"


def slugify(title: str) -> str:
    """The title in lower-case ASCII words joined by `-`, at most 48 characters."""
    ascii_text = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")
    if len(slug) > SLUG_MAX:
        slug = slug[: SLUG_MAX + 1].rpartition("-")[0] or slug[:SLUG_MAX]
    return slug or "untitled"


def new_id(title: str, *, shard: str = "") -> str:
    """`<slug>-<hex>`: random hex, so that two offline clones never make the same id; its first two digits may be given."""
    return f"{slugify(title)}-{(shard[:2] + secrets.token_hex(HEX_DIGITS // 2))[:HEX_DIGITS]}"


def hex_of(record_id: str) -> str | None:
    """The hex part of an id or of a shortened one; None if there is none."""
    match = _ID.fullmatch(record_id)
    return match[1] if match else None


def shard_of(record_id: str) -> str:
    """The folder of a generated id: the first two digits of its hex part."""
    hex_part = hex_of(record_id)
    if hex_part is None:
        raise BadArgument(
            f"{shown(record_id)} is not an id.",
            fix="An id is a slug, a dash and at least six hex digits, for example 'retry-policy-3fa2b81c'.",
        )
    return hex_part[:2]


def name_problem(name: str) -> str | None:
    """What is wrong with a name, or None: the rule that verbs and the gate share."""
    if not name:
        return "it is empty"
    if len(name) > NAME_MAX:
        return f"it has {len(name)} characters"
    if not _NAME.fullmatch(name):
        return "it has characters that no name has"
    if ".." in name:
        return "it contains '..'"
    if name.split(".")[0] in RESERVED:
        return "it is a reserved word"
    if name.endswith((".lock", ".git")):
        return "git gives its ending a meaning"
    return None


def check_name(name: str, what: str = "record") -> str:
    """The name itself, if it can be a file name everywhere; BadName otherwise."""
    if problem := name_problem(name):
        raise BadName(name, what, problem)
    return name
