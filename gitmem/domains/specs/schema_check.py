"""Checks what JSON Schema says, in a process of its own: `python schema_check.py < job`.

A schema comes from others. One can be written that takes hours, or all memory, to check or to hold a
document against. So the library runs where it can be ended, and where no other caller waits for it.
"""

import json
import sys
from contextlib import suppress
from itertools import islice
from typing import Any

from jsonschema import SchemaError, validators
from jsonschema.exceptions import ValidationError
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it has no stubs
from referencing.exceptions import Unresolvable

MEMORY_MAX_BYTES = 1024 * 1024 * 1024
SECONDS_MAX = 5  # of computing
ERRORS_MAX = 100
TEXT_MAX = 300


class _Bad(Exception):
    """What is wrong with the schema, and where."""


def main() -> None:
    """Read a job from standard input, and write what came out of it to standard output."""
    job = json.load(sys.stdin)
    answer: dict[str, Any] = {"problem": "", "errors": [], "count": 0}
    try:
        checked = _validator_of(job["schema"])
        if "document" in job:
            answer |= _errors(checked(job["schema"], registry=REGISTRY), job["document"])
    except _Bad as bad:
        answer["problem"] = str(bad)
    except RecursionError:
        answer["problem"] = "leads back to itself without end"
    except MemoryError:
        answer["problem"] = "takes too much memory"
    json.dump(answer, sys.stdout)


def _validator_of(schema: Any) -> Any:
    named = schema.get("$schema", "https://json-schema.org/draft/2020-12/schema")
    # the default says that the named one is not known; the stubs do not know that it may be None
    found = validators.validator_for({"$schema": named}, default=None) if isinstance(named, str) else None  # type: ignore[arg-type]
    if found is None:
        raise _Bad(f"$.$schema: {_cut(repr(named))} is no version of JSON Schema that is known; 2020-12 is assumed without it")
    try:
        found.check_schema(schema)
    except SchemaError as error:
        raise _Bad(f"{error.json_path}: {_cut(error.message)}") from None
    except OverflowError as error:  # a pattern that repeats more often than can be counted
        raise _Bad(f"has a pattern that cannot be used: {error}") from None
    return found


def _errors(validator: Any, document: Any) -> dict[str, Any]:
    try:
        found = list(islice(validator.iter_errors(document), 10_000))
    except Unresolvable as error:
        # the registry holds the published versions of JSON Schema and fetches nothing
        raise _Bad(f"refers to {_cut(repr(error.ref))}, which is not in it; nothing is fetched from elsewhere") from None
    found.sort(key=lambda error: [str(step) for step in error.absolute_path])
    return {"errors": [_told(error) for error in found[:ERRORS_MAX]], "count": len(found)}


def _told(error: ValidationError) -> dict[str, str]:
    rule = "/".join(str(step) for step in error.absolute_schema_path)
    return {"path": _cut(error.json_path), "problem": _cut(error.message), "schema_path": _cut(f"#/{rule}")}


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


if __name__ == "__main__":
    with suppress(ImportError, ValueError):  # not every system can limit a process
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    main()
