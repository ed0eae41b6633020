"""The command that git calls to merge a file of a memory."""

import click

from gitmem.facade.cli import SPECIAL
from gitmem.facade.options import with_common_options


@with_common_options
@click.command("merge-driver", help=f"{SPECIAL['merge-driver'][1]} Set up by 'gitmem clone'; see docs/merging.md.")
@click.argument("base")
@click.argument("ours")
@click.argument("theirs")
@click.argument("path")
def merge_driver(base: str, ours: str, theirs: str, path: str) -> int:
    """Merge two versions of a file for git: 0 if nothing is lost, 1 if git has to ask."""
    from gitmem.facade.merge_driver import main

    return main([base, ours, theirs, path])
