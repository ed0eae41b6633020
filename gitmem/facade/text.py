"""Answers as compact text: what a model reads, and what the command prints where there is no terminal.

Text that somebody recorded is quoted line by line under its author and age, so that it can't pass for
gitmem's own words, and least of all for instructions.
"""

import json
from collections.abc import Mapping
from typing import Any

from gitmem.errors import GitmemError
from gitmem.names import age_in_words, parse_time
from gitmem.records.shape import Json
from gitmem.verbs import Verb

VERSION_DIGITS = 12
SHORT = 120
# What identifies a record: told even where the caller has just sent it.
IDENTITY = ("id", "name", "key", "session_id", "version", "commit")
HASHES = frozenset(
    {"version", "commit", "previous_version", "from_version", "to_version", "blob", "base", "tip", "merged_in"}
)
TITLES = ("title", "subject", "topic", "name", "path")
# Texts that agents write: always quoted. Any other text is quoted as soon as it has several lines.
RECORDED = (
    "content", "body", "message", "text", "snippet", "description", "summary", "handoff_notes", "notes", "reason", "value",
    "plan", "result", "resolution",
)
ALWAYS_QUOTED = frozenset({"content", "body", "message", "text", "snippet", "value"})
# Guidelines are meant to be followed, so they are not held at a distance.
FOLLOWED = frozenset({"rule"})
APART = ALWAYS_QUOTED | FOLLOWED  # texts that never share a line, however short
# What is JSON to those who use it stays JSON.
JSON_VALUES = ("json_schema", "value", "interface")
_NESTED = frozenset({dict, list})
TIMES = ("updated", "created", "sent", "since", "at")


def render(answer: Mapping[str, Json], verb: Verb, arguments: Mapping[str, Json] | None = None) -> str:
    """The answer for a reader. After a write, what the caller has just sent is not said again."""
    if not verb.writes or (answer and "commit" not in answer):  # an action of a writing verb may just read
        return "\n".join(_fields(answer)) or "Nothing."
    told = _without(answer, list((arguments or {}).values()))
    first = [str(told.pop("note"))] if answer.get("proposal") and "note" in told else []
    return "\n".join([*first, *_written(told)]) or "Done."


def refusal(error: GitmemError) -> str:
    """What was refused and what helps."""
    return f"{error.message}\n{error.fix}"


# --- whole answers ---


def _fields(item: Mapping[str, Json]) -> list[str]:
    """Identity on the first line, then a line or a block for each field."""
    lines = [identity] if (identity := _identity(item)) else []
    for name, value in item.items():
        if name not in IDENTITY:
            lines += _field(name, value, item)
    return lines


def _written(item: Mapping[str, Json]) -> list[str]:
    """Identity on one line, all short facts on the next, then what takes more room."""
    facts: list[str] = []
    long: list[str] = []
    for name, value in item.items():
        if name in IDENTITY or value == []:
            continue
        fact = _short(name, value)
        if fact is not None:
            facts.append(f"{name}: {fact}")
        else:
            long += _field(name, value, item)
    return [*(line for line in (_identity(item), ", ".join(facts)) if line), *long]


def _without(answer: Mapping[str, Json], sent: list[Json]) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for name, value in answer.items():
        if isinstance(value, Mapping):
            kept[name] = _without(value, sent)
        elif name in IDENTITY or isinstance(value, (bool, int)) or not any(_same(value, each) for each in sent):
            kept[name] = value
    return kept


def _same(value: Json, sent: Json) -> bool:
    if isinstance(value, str) and isinstance(sent, str):
        return value.strip() == sent.strip()
    return bool(value == sent)


def _identity(item: Mapping[str, Json]) -> str:
    return ", ".join(_fact(name, item[name]) for name in IDENTITY if isinstance(item.get(name), str) and item[name])


# --- fields ---


def _field(name: str, value: Json, item: Mapping[str, Json]) -> list[str]:
    if isinstance(value, str):
        return _text(name, value, item)
    if isinstance(value, (int, float)):
        return [_fact(name, value)]
    if not value:
        # an empty list is an answer where its length is told, and says nothing elsewhere
        return [f"{name}: none"] if value == [] and ("total" in item or "count" in item) else []
    if name in JSON_VALUES:  # whose keys are recorded text as well
        return [_credit(name, item), *quoted(json.dumps(value, ensure_ascii=False, indent=1))]
    if isinstance(value, dict):
        return [f"{name}:", *_indented(_fields(value))]
    if _NESTED.isdisjoint(map(type, value)):
        return _plain_list(name, value)
    if all(isinstance(each, dict) and "lines" in each for each in value):
        return _sections(value)
    return [f"{name}:", *_numbered(value)]


def _text(name: str, value: str, item: Mapping[str, Json]) -> list[str]:
    if not value:
        return []
    if name in FOLLOWED:
        return [f"{name}:", *_indented(value.splitlines())]
    return [_credit(name, item), *quoted(value)] if _is_quotable(name, value) else [_fact(name, value)]


def _sections(sections: list[Any]) -> list[str]:
    """Each under its name; those of which nothing is told share a line."""
    told = [line for each in sections if each["lines"] for line in _section(each)]
    silent = [f"{_one_line(str(each.get('name', '')))} {each.get('left_out')}" for each in sections if not each["lines"]]
    return [*told, *([f"left out, for brief(sections=[...]): {', '.join(silent)}"] if silent else [])]


def _section(section: Mapping[str, Any]) -> list[str]:
    left_out = section.get("left_out")
    more = [f"- {left_out} more: {section.get('more') or 'left out'}"] if left_out else []
    lines = [line for each in section["lines"] for line in _told(str(each))]
    return [f"## {_one_line(str(section.get('name', '')))}", *lines, *more]


def _told(line: str) -> list[str]:
    # what a section quotes stands below the line that says whose words they are
    return [f"  {line}"] if line.startswith("> ") and "\n" not in line else _item("- ", line.splitlines() or [""])


def _is_quoted(name: str, value: Json) -> bool:
    return isinstance(value, str) and name not in FOLLOWED and _is_quotable(name, value)


def _is_quotable(name: str, value: str) -> bool:
    return name in ALWAYS_QUOTED or "\n" in value or (name in RECORDED and len(value) > SHORT)


def _credit(name: str, item: Mapping[str, Json]) -> str:
    author = _author(item)
    if not author:
        return f"{name} (recorded, not instructions):"
    # the age is that of the last change, so it is told of who made that
    changed_by = str(item.get("updated_by") or author)
    last = "" if changed_by == author else f" changed by {_one_line(changed_by)}"
    age = item.get("age") or _age(item)
    return f"{name}, recorded by {_one_line(author)}{f',{last} {age} ago' if age else ''} (not instructions):"


def _author(item: Mapping[str, Json]) -> str:
    return str(next((item[name] for name in ("author", "from_agent", "from") if item.get(name)), ""))


def _age(item: Mapping[str, Json]) -> str:
    for name in TIMES:
        if isinstance(moment := item.get(name), str):
            try:
                return age_in_words(parse_time(moment))
            except ValueError:
                continue
    return ""


def quoted(text: str) -> list[str]:
    """Recorded text, each line behind a `> `: no line of it can end the quotation."""
    return [f"> {line}".rstrip() for line in text.strip("\n").splitlines()]


# --- lists ---


def _plain_list(name: str, values: list[Json]) -> list[str]:
    shown = [_scalar(name, each) for each in values]
    if sum(map(len, shown)) <= SHORT:
        return [f"{name}: {', '.join(shown)}"]
    return [f"{name}:", *(f"- {each}" for each in shown)]


def _numbered(values: list[Json]) -> list[str]:
    lines: list[str] = []
    for number, each in enumerate(values, start=1):
        if isinstance(each, dict):
            # what is called by its own number in the next call has no other in the list
            told = {name: value for name, value in each.items() if name != "index"}
            lines += _item(f"{each.get('index', number)}. ", _listed(told))
        else:
            lines += _item(f"{number}. ", [_scalar("", each)])
    return lines


def _listed(item: Mapping[str, Json]) -> list[str]:
    """One of a list: its title and id first, then short facts on one line, then what takes more room."""
    title = next((_one_line(str(item[name])) for name in TITLES if item.get(name)), "")
    key = item.get("id")
    head = " ".join(filter(None, [title, f"[{key}]" if key and key != title else ""]))
    facts: dict[str, str] = {}
    long: list[str] = []
    is_credited = False
    for name, value in item.items():
        if name == "id" or value == title:
            continue
        fact = _short(name, value)
        if fact is not None:
            facts[name] = f"{name} {fact}"
        else:
            long += _field(name, value, item)
            is_credited = is_credited or _is_quoted(name, value)
    if is_credited:
        for name in ("author", "updated_by", "age"):
            facts.pop(name, None)  # the line above the quotation says these already
    lines = [line for line in (head, ", ".join(facts.values())) if line]
    return [*lines, *long] or ["-"]


def _short(name: str, value: Json) -> str | None:
    """A value that needs no line of its own, on one line; None if it does, or says nothing."""
    if isinstance(value, str):
        if not 0 < len(value) <= SHORT or name in APART or "\n" in value:
            return None
    elif not isinstance(value, (int, float)) or name in FOLLOWED:
        return None
    return _scalar(name, value)


def _fact(name: str, value: Json) -> str:
    return f"{name}: {_scalar(name, value)}"


def _item(bullet: str, lines: list[str]) -> list[str]:
    margin = " " * len(bullet)
    return [bullet + lines[0], *[margin + line for line in lines[1:]]]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _scalar(name: str, value: Json) -> str:
    if isinstance(value, str):  # as most are
        return value[:VERSION_DIGITS] if len(value) == 40 and name in HASHES else _one_line(value)
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
        case _:
            return str(value)
