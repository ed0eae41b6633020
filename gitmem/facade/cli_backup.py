"""The commands that keep a memory safe: backup, restore, verify."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitmem.facade.cli import DONE, REFUSED, SPECIAL
from gitmem.facade.given import Given, logged_to_file
from gitmem.facade.options import SHORT_ID, counting, pass_given, with_common_options
from gitmem.facade.terminal import put, put_json, say

if TYPE_CHECKING:
    from gitmem.domains.verifying import Verified


@with_common_options
@click.command(help=f"{SPECIAL['backup'][1]} It is checked before it gets its name.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--since", default="", help="Only what came after this: an earlier backup's file, a commit, a date, an age.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@pass_given
def backup(given: Given, file: Path, *, since: str, force: bool) -> None:
    """Write all refs of the memory into one file."""
    from gitmem.answers import plain
    from gitmem.domains.backup import back_up

    with given.memory() as memory, counting("backing up") as progress:
        done = back_up(memory, file, progress, since=since, replace=force)
    if given.json:
        put_json(plain(done))
        return
    put(done.path)
    say(f"{done.refs} refs, {done.objects:,} objects, {_size(done.size_bytes)}; main is at {_commit(done.commit)}")
    if done.since:
        say("it builds upon an earlier backup and cannot be restored without it")


def _commit(oid: str) -> str:
    return oid[:SHORT_ID] or "no commit yet"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.0f} KiB" if size_bytes < 10 * 1024**2 else f"{size_bytes / 1024**2:,.0f} MiB"


@with_common_options
@click.command(help=f"{SPECIAL['restore'][1]} FILEs are a whole backup and those that build upon it, the oldest first.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--as-it-is", is_flag=True, help="Restore it even if git or the gate finds fault with what it holds.")
@pass_given
def restore(given: Given, files: tuple[Path, ...], folder: Path, *, as_it_is: bool) -> None:
    """Bring a memory back from backups."""
    from gitmem.answers import plain
    from gitmem.domains import restoring
    from gitmem.names import age_in_words

    with logged_to_file(), counting("restoring") as progress:
        done = restoring.restore(files, folder, progress, as_it_is=as_it_is)
    if given.json:
        put_json(plain(done))
        return
    put(done.path)
    age = f", as it was {age_in_words(done.written)} ago" if done.written else ""
    say(f"{done.refs} refs, {done.files:,} files; main is at {_commit(done.commit)}{age}")
    for problem in done.problems:
        say(f"warning: {problem}")


@with_common_options
@click.command(help=f"{SPECIAL['verify'][1]} The exit code is 1 if something is wrong.")
@click.option("--since", default="", help="Only what came after this: a commit, a date, or an age such as 7d.")
@click.option("--afresh", is_flag=True, help="Look also at what an earlier run found in order.")
@pass_given
def verify(given: Given, *, since: str, afresh: bool) -> int:
    """Check authorship and ownership in all history."""
    from gitmem.answers import plain
    from gitmem.domains import verifying

    with given.memory() as memory, counting("verifying") as progress:
        found = verifying.verify(memory, progress, since=since, afresh=afresh)
    if given.json:
        put_json(plain(found))
    else:
        for each in (*found.faults, *found.notes):
            put(f"{'problem' if each in found.faults else 'note'}: {each}")
        say(_summary(found))
    return REFUSED if found.faults else DONE


def _summary(found: "Verified") -> str:
    known = f", {found.known:,} more were in order before" if found.known else ""
    signed = f", {found.signed:,} of them signed" if found.signed else ""
    looked = f"{found.checked:,} commits were looked at{signed}{known}"
    if not found.faults:
        return f"{looked}: all in order"
    commits = len({fault.commit for fault in found.faults})
    return (
        f"{looked}: {len(found.faults):,} problems in {commits:,} commits\n"
        "These would not be let in today. Either they came in past the gate, or the rules were others when they were made;\n"
        "'gitmem revert --commit ID' undoes one in a new commit."
    )
