"""Answers for people at a terminal: tables for lists, Markdown for documents.

Everything recorded comes in as plain text: rich's markup is never read in it, and it is cleaned of what a
terminal would obey. Links are shown with their address, because a link's text may say anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gitmem.facade.terminal import clean
from gitmem.facade.text import RECORDED, SHORT
from gitmem.records.shape import Json

if TYPE_CHECKING:
    from gitmem.domains.doctor import Health

SHORT_HASH = 8
GAP = 2  # between columns
_HASHES = ("version", "commit")
_TITLES = ("title", "subject", "topic", "name", "path", "id")
_STATES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def console() -> Console:
    """Standard output, with nothing read into what is printed."""
    return Console(markup=False, highlight=False, emoji=False)


def show(answer: Mapping[str, Json], *, on: Console | None = None) -> None:
    """Print what a verb answered."""
    out = on or console()
    for part in _parts(answer, out.width):
        out.print(part)


def _parts(answer: Mapping[str, Json], width: int) -> Iterator[RenderableType]:
    facts = {name: value for name, value in answer.items() if _is_fact(value) and not _is_document(name, value)}
    documents = {name: value for name, value in answer.items() if _is_document(name, value)}
    if facts:
        yield _facts(facts)
    for name, value in documents.items():
        yield Rule(_text(name, "dim"), style="dim")
        yield Markdown(clean(value), hyperlinks=False)
    for name, value in answer.items():
        if isinstance(value, Mapping) and value:
            yield _text(f"{name}:", "bold")
            yield from (Padding(part, (0, 0, 0, 2)) for part in _parts(value, width - 2))
        elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
            yield from _list(name, [each for each in value if isinstance(each, Mapping)], width)
    if not any(answer.values()):
        yield _text("Nothing.", "dim")


def _facts(facts: Mapping[str, Json]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value not in (None, "", []):
            table.add_row(_text(name, "dim"), _text(_shown(name, value)))
    return table


def _list(name: str, items: Sequence[Mapping[str, Json]], width: int) -> Iterator[RenderableType]:
    if all("lines" in item for item in items):
        yield from _sections(items)
        return
    rows = _rows(items)
    if rows and sum(max(map(len, column)) + GAP for column in zip(*rows, strict=True)) <= width:
        yield _table(name, rows)
    else:  # nothing is left out, and ids stay whole, to be copied
        yield _text(name, "bold")
        for number, item in enumerate(items, start=1):
            yield from _block(number, item)


def _sections(sections: Sequence[Mapping[str, Json]]) -> Iterator[RenderableType]:
    """What a briefing tells: each section under its name, in lines as they were written."""
    for each in sections:
        left_out = each.get("left_out")
        more = [f"{left_out} more: {each.get('more') or 'left out'}"] if left_out else []
        yield Text()
        yield _text(str(each.get("name", "")), "bold")
        for line in [*each["lines"], *more]:
            is_quoted = line.startswith("> ")
            yield Padding(_text(line if is_quoted else f"- {line}"), (0, 0, 0, GAP if is_quoted else 0))


def _rows(items: Sequence[Mapping[str, Json]]) -> list[list[str]]:
    """The rows of a table, its head first; none if something in it takes more than a line."""
    columns = [key for key in dict.fromkeys(key for item in items for key in item) if any(item.get(key) for item in items)]
    if any(_is_document(key, item.get(key)) or _is_nested(item.get(key)) for item in items for key in columns):
        return []
    return [columns, *([_shown(key, item.get(key)) for key in columns] for item in items)]


def _block(number: int, item: Mapping[str, Json]) -> Iterator[RenderableType]:
    """One of a list that has too much to say for a row."""
    key = next((each for each in _TITLES if item.get(each)), "")
    title = _text(f"{item.get('index', number)}. ", "dim").append_text(_text(str(item.get(key, "")), "bold"))
    if item.get("id") and key != "id":
        title.append_text(_text(f"  {item['id']}", "cyan"))
    told = {name: value for name, value in item.items() if name not in (key, "id", "index") and value not in (None, "", [])}
    facts = [f"{name} {_shown(name, value)}" for name, value in told.items() if _is_fact(value) and not _is_document(name, value)]
    if key:
        yield title
    if facts:
        line = _text(", ".join(facts), "dim")
        yield Padding(line, (0, 0, 0, 3)) if key else title.append_text(line)
    for name, value in told.items():
        if _is_document(name, value):
            yield Padding(_text(str(value).strip()), (0, 0, 0, 3))
        elif _is_nested(value):
            yield Padding(_text(f"{name}: {_shown(name, value)}"), (0, 0, 0, 3))
    yield Text()


def _table(name: str, rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=_text(name), title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for key in rows[0]:
        table.add_column(_text(key), overflow="fold")
    for row in rows[1:]:
        table.add_row(*map(_text, row))
    return table


def show_log(commits: Sequence[Mapping[str, str]]) -> None:
    """Print commits, one a line."""
    table = Table.grid(padding=(0, 2))
    for each in commits:
        verb = _text(each["verb"] or "-", "dim")
        commit = _text(each["commit"][:SHORT_HASH], "yellow")
        table.add_row(commit, _text(each["age"], "dim"), _text(each["author"], "cyan"), verb, _text(each["subject"]))
    console().print(table)


def show_health(report: "Health") -> None:
    """Print a health report, one finding a line, with what helps below it."""
    table = Table.grid(padding=(0, 2))
    for finding in report.findings:
        what = _text(finding.what)
        if finding.help:
            what.append_text(_text(f"\n{finding.help}", "italic"))
        table.add_row(_text(finding.state, _STATES[finding.state]), _text(finding.name, "dim"), what)
    console().print(table)


def _text(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style)


def _is_fact(value: Json) -> bool:
    if isinstance(value, list):
        return all(not isinstance(each, (Mapping, list)) for each in value)
    return not isinstance(value, Mapping)


def _is_document(name: str, value: Json) -> bool:
    if not isinstance(value, str):
        return False
    return "\n" in value or name in ("content", "snippet") or (name in RECORDED and len(value) > SHORT)


def _is_nested(value: Json) -> bool:
    return bool(value) and not _is_fact(value)


def _shown(name: str, value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}"
        case str() if name in _HASHES and len(value) == 40:
            return value[:SHORT_HASH]
        case list():
            return ", ".join(_shown("", each) for each in value)
        case Mapping():
            return ", ".join(f"{key} {_shown(key, each)}" for key, each in value.items() if each not in (None, "", []))
        case _:
            return str(value)
