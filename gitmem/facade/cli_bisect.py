"""The command that finds the commit with which something went wrong."""

import click

from gitmem.facade.cli import SPECIAL
from gitmem.facade.given import Given
from gitmem.facade.options import SHORT_ID, pass_given, with_common_options
from gitmem.facade.terminal import put, put_json, say


@with_common_options
@click.command(help=f"{SPECIAL['bisect'][1]} The memory itself is not touched.")
@click.option(
    "--run", "script", required=True, metavar="SCRIPT",
    help="Run in a folder with the files of a commit, with GITMEM_REPO a memory of it: 0 is good, 125 skips, 1 to 127 is bad.",
)  # fmt: skip
@click.option("--good", default="", help="A commit, date or age at which it says good; left out: the first commit.")
@click.option("--bad", default="", help="A later one at which it says bad; left out: the last.")
@pass_given
def bisect(given: Given, *, script: str, good: str, bad: str) -> None:
    """Find the first commit at which a script says bad."""
    from gitmem.domains import bisecting
    from gitmem.names import age_in_words, format_time

    with given.memory() as memory:
        found = bisecting.bisect(memory, script, say, good=good, bad=bad)
    commit, trailers = found.commit, found.commit.trailers
    told = {
        "commit": commit.oid, "age": age_in_words(commit.time), "time": format_time(commit.time), "author": commit.author.name,
        "verb": trailers.get("Gitmem-Verb", ""), "session": trailers.get("Gitmem-Session", ""), "subject": commit.subject,
    }  # fmt: skip
    if given.json:
        put_json({**told, "asked": found.asked})
        return
    put("  ".join((commit.oid[:SHORT_ID], *(told[name] or "-" for name in ("age", "author", "verb", "session", "subject")))))
    say(f"that is the first bad commit; see what undoing it would do: gitmem revert --commit {commit.oid[:SHORT_ID]} --dry-run")
