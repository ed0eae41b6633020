"""The commands for clones and hubs: clone, sync, hub add, hub list, hub remove."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict

from gitmem.errors import GitmemError
from gitmem.facade.cli import DONE, REFUSED, SPECIAL
from gitmem.facade.given import Given, logged_to_file
from gitmem.facade.options import pass_given, talking, with_common_options
from gitmem.facade.terminal import put, put_json, say

if TYPE_CHECKING:
    from gitmem.memory.sync import Report


@with_common_options
@click.command(help=f"{SPECIAL['clone'][1]} The clone works offline; 'gitmem sync' brings both together.")
@click.argument("url")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--work", is_flag=True, help="A person's clone: plain files to edit, commit and push with git.")
@click.option("--depth", type=click.IntRange(1), help="Only so many of the newest commits, for small machines.")
@click.option("--filter", "only", type=click.Choice(["blob:none"]), help="Leave the old versions of files where they are.")
@pass_given
def clone(given: Given, url: str, directory: Path | None, *, work: bool, depth: int | None, only: str | None) -> None:
    """Make a clone of a memory."""
    import gitmem.domains.all  # noqa: F401  declares what is kept
    from gitmem import cloning

    if work and (depth or only):
        raise click.UsageError("--work makes a plain clone; --depth and --filter are for whole memories.")
    place = directory or cloning.folder_for(url, work=work)
    options = [*([f"--depth={depth}"] if depth else []), *([f"--filter={only}"] if only else [])]
    with logged_to_file(), talking("connecting") as progress:
        if work:
            path = cloning.clone_to_work(url, place, asks=_may_ask(), progress=progress)
        else:
            memory = cloning.clone(url, place, options=options, asks=_may_ask(), progress=progress)
            path = memory.path
            memory.close()
    if given.json:
        put_json({"path": str(path.absolute())})
        return
    put(str(path.absolute()))
    say("edit, commit and push with git" if work else f"use it with: gitmem --repo {path} ..., or GITMEM_REPO={path}")


@with_common_options
@click.command(help=f"{SPECIAL['sync'][1]} Without a name: all hubs, in turn.")
@click.argument("names", metavar="[HUB]...", nargs=-1)
@click.option("--watch", is_flag=True, help="Go on: sync when something is written here, and every so often.")
@click.option("--every", default=30.0, show_default=True, type=click.FloatRange(1), help="With --watch: seconds between looks.")
@pass_given
def sync(given: Given, names: tuple[str, ...], *, watch: bool, every: float) -> int:
    """Sync with hubs."""
    import gitmem.domains.all  # noqa: F401  declares what is checked of what comes in, and who is told
    from gitmem.memory import hubs
    from gitmem.memory.sync import sync_with

    with given.memory() as memory:
        chosen = [hubs.hub_named(memory.repository, name) for name in names] or hubs.hubs(memory.repository)
        if not chosen:
            raise hubs.NoHub
        if watch:
            from gitmem.facade.keeping_up import keep_up

            keep_up(memory, chosen, every, lambda reports: _put_reports(given, reports, quiet=True))
            return DONE
        with talking("connecting") as progress:
            reports = sync_with(memory, chosen, asks=_may_ask(), progress=progress)
    _put_reports(given, reports)
    return REFUSED if any(report.refused for report in reports) else DONE


def _put_reports(given: Given, reports: "Sequence[Report]", *, quiet: bool = False) -> None:
    if given.json:
        put_json([_told(report) for report in reports])
        return
    for line in (line for report in reports for line in _lines(report, quiet=quiet)):
        put(line)


def _told(report: "Report") -> dict[str, Any]:
    return {
        "hub": report.hub,
        "refs": [asdict(each) for each in report.refs],
        "lost": [
            {"ref": each.ref, "path": each.loss.path, "whose": each.loss.side, "why": each.loss.why} for each in report.lost
        ],
        "proposals": list(report.proposals),
        "refused": [asdict(each) for each in report.refused],
    }


def _lines(report: "Report", *, quiet: bool = False) -> Iterator[str]:
    for each in report.refs:
        how = " (merged)" if each.merged else ""
        yield f"{report.hub}: {each.ref.removeprefix('refs/')}: {each.came} came, {each.went} went{how}"
    for lost in report.lost:
        if lost.loss.side == "ours":
            yield f"{report.hub}: lost here: {lost.loss.path}: {lost.loss.why}"
    for name in report.proposals:
        wanted = name.rpartition("/")[2]
        yield f"{report.hub}: kept as a proposal: {wanted}; 'gitmem get-proposal {wanted}' shows it"
    for refusal in report.refused:
        yield f"{report.hub}: {refusal.ref.removeprefix('refs/')} was refused: {refusal.why}"
        if refusal.fix:
            yield f"fix: {refusal.fix}"
    if not (report.refs or report.refused or quiet):
        yield f"{report.hub}: nothing new on either side"


@with_common_options
@click.group("hub", help=SPECIAL["hub"][1])
def hub() -> None:
    """Which repositories the memory is kept in step with."""


@with_common_options
@click.command("add", help="Keep the memory in step with the repository at URL, and sync with it.")
@click.argument("url")
@click.option("--name", default="hub", show_default=True, help="What to call it here.")
@pass_given
def add(given: Given, url: str, name: str) -> int:
    """Add a hub."""
    import gitmem.domains.all  # noqa: F401  declares what is checked of what comes in, and who is told
    from gitmem.memory import hubs
    from gitmem.memory.sync import sync_with

    with given.memory() as memory, talking("connecting") as progress:
        known = {each.name for each in hubs.hubs(memory.repository)}
        added = hubs.add(memory.repository, url, name)
        try:
            reports = sync_with(memory, [added], asks=_may_ask(), progress=progress)
        except GitmemError:
            if name not in known:
                hubs.remove(memory.repository, name)
            raise
    _put_reports(given, reports)
    return REFUSED if any(report.refused for report in reports) else DONE


@with_common_options
@click.command("list", help="List the hubs.")
@pass_given
def list_(given: Given) -> None:
    """List the hubs."""
    from gitmem.memory import hubs

    with given.memory() as memory:
        _put_hubs(given, hubs.hubs(memory.repository))


@with_common_options
@click.command("remove", help="Forget a hub. What came from it stays.")
@click.argument("name")
@pass_given
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
    if not listed:
        say("there is no hub yet; add one with: gitmem hub add URL")


def _may_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
