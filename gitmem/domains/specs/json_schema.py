"""What JSON Schema says of a schema and of a document: asked of a process that ends if it takes too long."""

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from gitmem.errors import GitmemError, Refused
from gitmem.names import shown
from gitmem.records.shape import Json

# The front matter of a file may be nested this deep, less the levels above a schema.
DEPTH_MAX = 18
# The process limits its computing by itself; this is for one that hangs.
_PATIENCE_SECONDS = 60.0
_PROGRAM = Path(__file__).with_name("schema_check.py")


class Finding(Struct, frozen=True):
    """One thing in a document that its schema does not allow: where, what, and which part of the schema says so."""

    path: str
    problem: str
    schema_path: str


class TooHardToCheck(Refused):
    """A schema that takes too long, or too much memory."""

    def __init__(self) -> None:
        super().__init__(
            "The JSON Schema was given up: checking with it takes more time or memory than it may.",
            fix="Look for patterns with nested repeats such as (a+)+, and for parts that refer to each other again and again.",
        )


class SchemaCheckFailed(GitmemError):
    """The program that checks schemas could not do its work."""

    def __init__(self, why: str) -> None:
        fix = "See whether this computer has memory and disk space left; if it has, install gitmem anew."
        super().__init__(f"JSON Schemas cannot be checked here: {shown(why, 200)}.", fix=fix)


def schema_problem(schema: dict[str, Json]) -> str:
    """What is wrong with a JSON Schema and where, "" if nothing is. Raises TooHardToCheck."""
    if _depth(schema) > DEPTH_MAX:
        return f"is nested deeper than {DEPTH_MAX} levels; name its parts under $defs and refer to them"
    try:
        return _problem_of(json.dumps(schema, allow_nan=False))
    except ValueError:
        return "holds a number that JSON does not have"


def _depth(value: Json) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


@lru_cache(maxsize=64)  # a verb asks first, then the gate, and both again after a lost race
def _problem_of(schema: str) -> str:
    return str(_ask(f'{{"schema": {schema}}}')["problem"])


def errors_of(schema: dict[str, Json], document: Json) -> tuple[tuple[Finding, ...], int, str]:
    """What a schema finds in a document, how much that is in all, and why the schema could not be used ("" if it could)."""
    answer = _ask(json.dumps({"schema": schema, "document": document}))
    return tuple(Finding(**each) for each in answer["errors"]), answer["count"], answer["problem"]


def _ask(job: str) -> dict[str, Json]:
    try:
        # -P: the names of modules beside the program are no library's
        command = [sys.executable, "-P", str(_PROGRAM)]
        done = subprocess.run(command, input=job, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TooHardToCheck from None
    except OSError as error:
        raise SchemaCheckFailed(str(error)) from error
    if done.returncode < 0:
        raise TooHardToCheck
    if done.returncode:
        raise SchemaCheckFailed(done.stderr.strip().rpartition("\n")[2])
    answer: dict[str, Json] = json.loads(done.stdout)
    return answer
