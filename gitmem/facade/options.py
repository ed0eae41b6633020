"""What every command is given: the common options and what they say; and how long work shows its progress."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from gitmem.facade.cli import common_options
from gitmem.facade.given import Given

C = TypeVar("C", bound=click.Command)
Counting = Callable[[int, int], None]
Talking = Callable[[str, int, int], None]

SHORT_ID = 8

pass_given = click.make_pass_decorator(Given, ensure=True)


def with_common_options(command: C) -> C:
    """Decorator: the options that every command takes, without those whose names it uses itself."""
    command.params += common_options(but=[each.name for each in command.params if each.name])
    return command


@contextmanager
def counting(what: str) -> Iterator[Counting]:
    """A bar for people that fills as work gets done; nothing where standard error is no terminal."""
    with talking(what) as talk:
        yield (lambda done, total: talk(what, done, total)) if talk else lambda *_: None


@contextmanager
def talking(what: str) -> Iterator[Talking | None]:
    """The same for work that also says what it is doing; None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda doing, done, total: bar.update(task, description=doing.lower(), completed=done, total=total)
