"""The commands that are no verbs: they look after a memory, or show it as it is."""

import gc
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from gitmem.facade.cli import DONE, REFUSED, SPECIAL
from gitmem.facade.given import Given, logged_to_file
from gitmem.facade.options import SHORT_ID, counting, pass_given, with_common_options
from gitmem.facade.terminal import put, put_as_is, put_json, say

if TYPE_CHECKING:
    from gitmem.facade.calls import Office

PATIENCE_SECONDS = 60.0  # while a server tends the same memory

def _found_if_missing(path: Path) -> None:
    """Create the memory if there is none: an existing one is opened faster without a look at its hooks."""
    from gitmem.git.repository import is_vacant

    if is_vacant(path):
        from gitmem.founding import found

        memory, _ = found(path)
        memory.close()
        say(f"created {memory.path}")


@with_common_options
@click.command(help=f"{SPECIAL['init'][1]} Doing it again changes nothing.")
@click.argument("path", required=False)
@pass_given
def init(given: Given, path: str | None) -> None:
    """Create the bare repository of a memory."""
    from gitmem.founding import found

    memory, created = found(Path(path) if path else given.path)
    memory.close()
    if given.json:
        put_json({"path": str(memory.path), "created": created})
        return
    put(str(memory.path))
    if created:
        say("created; register a project with: gitmem project create --name NAME")
    else:
        say("is there already; nothing was changed")


@with_common_options
@click.command(help="Serve the memory over HTTP, or to one client over standard input and output. Creates it if there is none.")
@click.option("--stdio", is_flag=True, help="Serve one client over standard input and output.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 takes any free one.")
@click.option("--tools", default="core", show_default=True, help="The tools to list: core, all, or names and groups with commas.")
@click.option("--tool-prefix", default="memory_", show_default=True, help="How the tools' names begin.")
@click.option("--allow-host", multiple=True, help="Another name under which clients may address the server; repeatable.")
@pass_given
def serve(
    given: Given, *, stdio: bool, host: str, port: int, tools: str, tool_prefix: str, allow_host: tuple[str, ...]
) -> None:
    """Serve the memory to agents."""
    # Start-up makes many objects and no garbage; without collections it takes a tenth less. `settle` turns them on again.
    gc.disable()
    path = given.path
    _found_if_missing(path)
    who = {"agent": given.stated_agent, "project": given.stated_project}
    if stdio:
        from gitmem.facade.stdio import serve_stdio

        serve_stdio(path, profile=tools, prefix=tool_prefix, **who)
        return
    from gitmem.facade.http import serve_http

    serve_http(path, host=host, port=port, profile=tools, prefix=tool_prefix, allow_hosts=allow_host, **who)


@with_common_options
@click.group("import", help=SPECIAL["import"][1])
def import_() -> None:
    """Bring in documents from elsewhere."""


_IMPORTING = (
    "Bring in every Markdown file below DIR. Doing it again brings in what changed since. "
    "A record that was deleted in the memory stays deleted as long as its file is unchanged."
)


@with_common_options
@click.command("markdown", help=_IMPORTING)
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--as", "name", default="", help="What the folder is called, if its name changes from one import to the next.")
@click.option("--overwrite", is_flag=True, help="Take the files also where their records were edited or deleted in the memory.")
@pass_given
def import_markdown(given: Given, directory: Path, *, name: str, overwrite: bool) -> None:
    """Bring in every Markdown file of a folder."""
    from gitmem.answers import plain
    from gitmem.domains import importing

    if not given.stated_project:
        raise click.UsageError("Say which project the documents belong to, with --project.", click.get_current_context())
    with given.office() as office, counting("importing") as progress:
        report = importing.import_markdown(
            office.memory, given.caller(), directory, given.stated_project, progress, name=name, overwrite=overwrite
        )
        if report.commits:
            _bring_index_up(office)
    if given.json:
        put_json(plain(report))
    else:
        put("\n".join(report.lines()))


def _bring_index_up(office: "Office") -> None:
    # each command is a process of its own: without this, every one of them would read what is new again
    office.index.count(view=office.memory.view(), by="kind")
    office.index.fold()


import_.add_command(import_markdown)


@with_common_options
@click.command(help=f"{SPECIAL['reindex'][1]} The index is only a cache: nothing is lost whatever happens to it.")
@pass_given
def reindex(given: Given) -> None:
    """Build the search index anew."""
    with given.office() as office, counting("indexing") as progress:
        count = office.index.rebuild(progress)
        commit = office.index.commit
    if given.json:
        put_json({"records": count, "commit": commit})
    else:
        put(f"{count} records are indexed at {commit[:SHORT_ID] or 'no commit'}")


@with_common_options
@click.command(help="Print the file of one record as it is. Where it comes from is told on standard error.")
@click.argument("record_id", metavar="ID")
@click.option("--as-of", default="", help="As it was then: a commit, a date, or an age such as 7d.")
@pass_given
def show(given: Given, record_id: str, as_of: str) -> None:
    """Print the file of one record."""
    import gitmem.domains.kinds  # noqa: F401  declares where records live
    from gitmem.git.history import last_changes
    from gitmem.memory.find import find_path
    from gitmem.names import age_in_words, format_time

    with given.memory() as memory:
        view = memory.view_as_of(as_of) if as_of else memory.view()
        project = given.stated_project
        path = find_path(view, record_id, scope=f"projects/{project}" if project else None)
        entry = view.entry(path)
        assert entry is not None
        data = view.objects.blob(entry.oid)
        change = last_changes(memory.repository, view.commit, [path])[path]
    if given.json:
        put_json({
            "path": path, "version": entry.oid, "author": change.author, "updated": format_time(change.time),
            "commit": change.commit, "text": data.decode("utf-8", "replace"),
        })
        return
    say(f"{path}  version {entry.oid[:SHORT_ID]}  by {change.author}, {age_in_words(change.time)} ago")
    put_as_is(data)


@with_common_options
@click.command(help="List commits, newest first: id, age, author, verb, subject. With an ID, those that touched that record.")
@click.argument("record_id", metavar="[ID]", required=False)
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1), help="At most this many.")
@pass_given
def log(given: Given, record_id: str | None, limit: int) -> None:
    """List the commits of the memory or of one record."""
    told = list(_record_log(given, record_id, limit)) if record_id else list(_log(given, limit))
    if given.json:
        put_json(told)
    elif sys.stdout.isatty():
        from gitmem.facade import tables

        tables.show_log(told)
    else:
        for each in told:
            author = f"{each['author']} (pushed by {each['pushed_by']})" if each["pushed_by"] else each["author"]
            put("  ".join((each["commit"][:SHORT_ID], each["age"], author, each["verb"] or "-", each["subject"])))


def _log(given: Given, limit: int) -> Iterator[dict[str, str]]:
    with given.memory() as memory:
        from gitmem.memory.pushers import note_of

        head = memory.head()
        for each in memory.repository.log(head, limit=limit) if head else ():
            note = note_of(memory.repository, each.oid)
            verb = each.trailers.get("Gitmem-Verb", "")
            yield _told(each.oid, each.time, each.author.name, verb, each.subject, note.pusher if note else "")


def _record_log(given: Given, record_id: str, limit: int) -> Iterator[dict[str, str]]:
    from gitmem.facade.cli_verbs import ask

    for each in ask(given, "history", {"id": record_id, "limit": limit}).value.versions:
        yield _told(each.commit, each.time, each.author, each.verb, each.subject, each.pushed_by or "")


def _told(commit: str, time: datetime, author: str, verb: str, subject: str, pushed_by: str) -> dict[str, str]:
    from gitmem.names import age_in_words, format_time

    return {
        "commit": commit, "age": age_in_words(time), "time": format_time(time), "author": author, "verb": verb,
        "subject": subject, "pushed_by": pushed_by,
    }


@with_common_options
@click.command(help=f"{SPECIAL['doctor'][1]} The exit code is 1 if there is a problem.")
@click.option("--records", is_flag=True, help="Look at every record and every object, too.")
@click.option("--hubs", is_flag=True, help="Ask the hubs whether they answer, too.")
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@pass_given
def doctor(given: Given, *, records: bool, hubs: bool, fix: bool) -> int:
    """Check the memory's health."""
    from gitmem.answers import plain
    from gitmem.domains import examining as health
    from gitmem.domains import mending

    with logged_to_file():
        if fix:
            mended, report = mending.mend(given.path, records=records, hubs=hubs)
        else:
            mended, report = (), health.examine(given.path, records=records, hubs=hubs)
    for each in mended:
        say(f"{'mended' if each.done else 'not mended'}: {each.name}: {each.what}")
    if given.json:
        put_json(plain(report))
    elif sys.stdout.isatty():
        from gitmem.facade import tables

        tables.show_health(report)
    else:
        put("\n".join(map(str, report.findings)))
    if not fix and (names := sorted({each.fix for each in report.findings if each.fix})):
        say(f"'gitmem doctor --fix' would mend: {', '.join(names)}")
    return DONE if report.healthy else REFUSED


@with_common_options
@click.command(help=SPECIAL["upkeep"][1])
@pass_given
def upkeep(given: Given) -> None:
    """Tidy the memory and its repository."""
    from gitmem.answers import plain
    from gitmem.domains import upkeep as domain

    with given.office() as office:
        before = office.memory.upkeep.condition()
        done = domain.tend(office.memory, office.index, patience_seconds=PATIENCE_SECONDS)
        after = office.memory.upkeep.run(thorough=True)
    if given.json:
        put_json({"tended": plain(done), "before": asdict(before), "after": asdict(after)})
    else:
        put("\n".join([*done.lines(), f"before: {before}", f"after:  {after}"]))
