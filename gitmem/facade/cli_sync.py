"""The commands for clones and hubs: clone, sync, hub add, hub list, hub remove."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitmem.facade.cli import DONE, REFUSED, SPECIAL
from gitmem.facade.cli_commands import _common, _given
from gitmem.facade.given import Given, logged_to_file
from gitmem.facade.terminal import put, put_json, say

if TYPE_CHECKING:
    from gitmem.memory.sync import Report

Progress = Callable[[str, int, int], None]


@_common
@click.command(help=f"{SPECIAL['clone'][1]} The clone works offline; 'gitmem sync' brings both together.")
@click.argument("url")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@_given
def clone(given: Given, url: str, directory: Path | None) -> None:
    """Make a clone of a memory."""
    from gitmem import cloning

    with logged_to_file(), _progress() as progress:
        memory = cloning.clone(url, directory or cloning.folder_for(url), asks=_may_ask(), progress=progress)
        memory.close()
    if given.json:
        put_json({"path": str(memory.path)})
    else:
        put(str(memory.path))


@_common
@click.command(help=f"{SPECIAL['sync'][1]} Without a name: all hubs, one after the other.")
@click.argument("names", metavar="[HUB]...", nargs=-1)
@_given
def sync(given: Given, names: tuple[str, ...]) -> int:
    """Sync with hubs."""
    from gitmem.answers import plain
    from gitmem.memory import hubs
    from gitmem.memory.sync import sync_with

    import gitmem.domains.kinds  # noqa: F401  isort: skip  declares what is checked of what comes in

    with given.memory() as memory, _progress() as progress:
        chosen = [hubs.hub_named(memory.repository, name) for name in names] or hubs.hubs(memory.repository)
        if not chosen:
            raise hubs.NoHub
        reports = sync_with(memory, chosen, asks=_may_ask(), progress=progress)
    if given.json:
        put_json(plain(reports))
    else:
        for line in (line for report in reports for line in _lines(report)):
            put(line)
    return REFUSED if any(report.refused for report in reports) else DONE


def _lines(report: "Report") -> Iterator[str]:
    for each in report.refs:
        how = " (merged)" if each.merged else ""
        yield f"{report.hub}: {each.ref.removeprefix('refs/')}: {each.came} came, {each.went} went{how}"
    for name in report.proposals:
        yield f"{report.hub}: kept as a proposal: {name}"
    for refusal in report.refused:
        yield f"{report.hub}: {refusal.ref.removeprefix('refs/')} was refused: {refusal.why}"
        if refusal.fix:
            yield f"fix: {refusal.fix}"
    if not (report.refs or report.refused):
        yield f"{report.hub}: nothing new on either side"


@_common
@click.group("hub", help=SPECIAL["hub"][1])
def hub() -> None:
    """Which repositories the memory is kept in step with."""


@_common
@click.command("add", help="Keep the memory in step with the repository at URL, and sync with it.")
@click.argument("url")
@click.option("--name", default="hub", show_default=True, help="What to call it here.")
@_given
def add(given: Given, url: str, name: str) -> None:
    """Add a hub."""
    from gitmem.memory import hubs

    with given.memory() as memory:
        added = hubs.add(memory.repository, url, name)
    _put_hubs(given, [added])
    say("bring both together with: gitmem sync")


@_common
@click.command("list", help="List the hubs.")
@_given
def list_(given: Given) -> None:
    """List the hubs."""
    from gitmem.memory import hubs

    with given.memory() as memory:
        _put_hubs(given, hubs.hubs(memory.repository))


@_common
@click.command("remove", help="Forget a hub. What came from it stays.")
@click.argument("name")
@_given
def remove(given: Given, name: str) -> None:
    """Forget a hub."""
    from gitmem.memory import hubs

    with given.memory() as memory:
        hubs.remove(memory.repository, name)
    say(f"{name} is no hub any more")


for command in (add, list_, remove):
    hub.add_command(command)


def _put_hubs(given: Given, listed: list[Any]) -> None:
    told = [{"name": each.name, "url": each.shown_url, "decides": each.decides} for each in listed]
    if given.json:
        put_json(told)
        return
    for each in listed:
        put(f"{each.name}  {each.shown_url}{'  decides on locks and claims' if each.decides else ''}")


def _may_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """What git says of its progress, in a bar for people."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("connecting", total=None)
        yield lambda what, done, total: bar.update(task, description=what.lower(), completed=done, total=total)
