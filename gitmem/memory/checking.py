"""Checking: the gate's word on files that nobody asks to let in yet, in a clone or on a forge."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from gitmem.git.repository import Repository
from gitmem.memory import gate
from gitmem.memory.caller import Caller
from gitmem.memory.settings import settings_of
from gitmem.memory.view import MAIN_PLACE, ParsedFiles, View
from gitmem.names import counted
from gitmem.records.codec import Problem


class Checked(Struct, frozen=True):
    """How many files differ, and what is wrong with them, in the order of their paths."""

    files: int
    problems: tuple[Problem, ...]


def check(repository: Repository, base: str, tree: str, caller: Caller | None = None, *, several: bool = False) -> Checked:
    """Check what differs between a commit ("" for nothing at all) and a tree. Raises NewerFormat.

    Without a `caller`, nothing is said about who may do it. `several`: it came about in several steps, and what one of
    them named, a later one may have removed; a whole memory did.
    """
    before = View(repository.objects, ParsedFiles(), MAIN_PLACE, base)
    settings_of(before)
    edits = {path: gate.Edit(was, now) for path, was, now in repository.objects.differences(before.tree, tree)}
    asks = caller or Caller("unknown", "push")
    change = gate.Change(before, edits, asks, repository.objects.blob, several=several or not base, proposed=caller is None)
    problems = gate.check(change)
    return Checked(len(edits), _in_order(problems))


def report(problems: Iterable[Problem], what: str, fix: str) -> Iterator[str]:
    """The lines that refuse a push, or what could not be pushed, in the order of the files."""
    listed = _in_order(problems)
    yield f"gitmem: the {what} has {counted(len(listed), 'problem')}. Nothing was changed."
    yield from (f"  {problem}" for problem in listed)
    yield f"fix: {fix}."


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda each: (each.path, each.line, each.field)))
