"""What the command prints: data on standard output, talk on standard error, neither able to steer a terminal."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gitmem.records.shape import Json

if TYPE_CHECKING:
    from gitmem.verbs import Verb

# Everything that a terminal might take for a command: C0 without tab and line feed, DEL, and C1, whose
# 0x9b alone begins an escape sequence. Marks that turn the reading direction can disguise text as well.
_STEERING = (
    [code for code in range(0x20) if code not in (0x09, 0x0A)]
    + list(range(0x7F, 0xA0))
    + [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_REMOVED = dict.fromkeys(_STEERING)
_ESCAPED = {code: f"\\u{code:04x}" for code in _STEERING if code >= 0x7F}


def clean(text: str) -> str:
    """The text without characters that a terminal would obey instead of showing them."""
    return text.translate(_REMOVED)


def put(text: str) -> None:
    """Print data."""
    _write(sys.stdout, clean(text) + "\n")


def put_as_is(data: bytes) -> None:
    """Print a file: every byte of it, unless it goes to a terminal."""
    if sys.stdout.isatty():
        put(data.decode("utf-8", "replace").removesuffix("\n"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def put_json(value: Json) -> None:
    """Print one JSON document. Control characters are escaped in it, so nothing of it is lost."""
    _write(sys.stdout, json.dumps(value, indent=2, ensure_ascii=False).translate(_ESCAPED) + "\n")


def say(text: str) -> None:
    """Talk to the person at the terminal."""
    sys.stdout.flush()
    _write(sys.stderr, clean(text) + "\n")


def _write(stream: "object", text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # a terminal that is set to ASCII still gets the rest of the text
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))  # type: ignore[attr-defined]


def put_answer(answer: Mapping[str, Json], verb: "Verb", arguments: Mapping[str, Json], *, as_json: bool) -> None:
    """Print what a verb answered: JSON, tables for a terminal, or compact text for a program."""
    if as_json:
        put_json(answer)
    elif sys.stdout.isatty():
        from gitmem.facade import tables

        tables.show(answer)
    else:
        from gitmem.facade import text

        put(text.render(answer, verb, arguments))
