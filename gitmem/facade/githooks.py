"""What git's hooks call: the gate for pushes. Starts fast: no MCP, no index, no pydantic."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import gitmem.domains.files  # noqa: F401  declares the record kinds of `main` and the gate's rules
from gitmem.errors import GitmemError
from gitmem.git.repository import MAIN, Repository
from gitmem.memory import gate
from gitmem.memory.caller import Caller
from gitmem.memory.view import MAIN_PLACE, NO_TREE, ParsedFiles, Place, View
from gitmem.names import name_problem, shown
from gitmem.records.codec import Problem
from gitmem.records.kind import KINDS

NOTHING = "0" * 40
_LOOKED_AT_MOST = 5000  # commits
_RECORD_REFS = "refs/gitmem/"


def main(arguments: list[str] | None = None) -> int:
    """Run one hook: 0 lets the push in, 1 refuses it with the reasons on stderr."""
    name = (sys.argv[1:] if arguments is None else arguments)[0]
    if name == "post-receive":
        from gitmem.facade.received import received  # imported late: it comes after the push is in

        return received(line.split() for line in sys.stdin)
    if name != "pre-receive":
        sys.stderr.write(f"gitmem: there is no hook {shown(name)}\n")
        return 1
    try:
        updates = [line.split() for line in sys.stdin]
        if any(ref.startswith(_RECORD_REFS) for _, _, ref in updates):
            import gitmem.domains.kinds  # noqa: F401  imported late: few pushes touch the refs that the team coordinates on
        repository = Repository(Path(os.environ.get("GIT_DIR", ".")), alternates=_quarantine())
        reasons = [reason for update in updates for reason in refused(repository, *update)]
    except GitmemError as error:
        reasons = [str(error)]
    for reason in reasons:
        sys.stderr.write(reason + "\n")
    return 1 if reasons else 0


def _quarantine() -> tuple[Path, ...]:
    # git keeps pushed objects in quarantine until pre-receive succeeds
    path = os.environ.get("GIT_QUARANTINE_PATH")
    return (Path(path),) if path else ()


def refused(repository: Repository, old: str, new: str, ref: str) -> Iterator[str]:
    """The reasons to refuse one ref update, in lines for the pusher; none if it may come in."""
    place = _place(ref)
    if place is None:
        if ref.startswith(_RECORD_REFS) and new != NOTHING:
            yield f"gitmem: {shown(ref, 100)} is no ref that gitmem keeps. Nothing was changed."
        return
    if new == NOTHING:
        yield f"gitmem: {ref} cannot be deleted: it is the team's memory. Nothing was changed."
        return
    if old != NOTHING and not _is_ancestor(repository, old, new):
        yield (
            f"gitmem: the push to {ref} would rewrite history. Nothing was changed.\n"
            "fix: fetch, then merge or rebase your commits on top, and push again."
        )
        return
    yield from _problems(repository, place, "" if old == NOTHING else old, new)


def _place(ref: str) -> Place | None:
    if ref == MAIN:
        return MAIN_PLACE
    family, _, project = ref.removeprefix(_RECORD_REFS).partition("/")
    known = ref.startswith(_RECORD_REFS) and any(kind.record.ref == family for kind in KINDS.values())
    return Place(family, project) if known and not name_problem(project) else None


def _is_ancestor(repository: Repository, old: str, new: str) -> bool:
    looked_at = 0
    for commit in repository.log(new, limit=_LOOKED_AT_MOST):
        if commit.oid == old:
            return True
        looked_at += 1
    # git itself refuses the rest (receive.denyNonFastForwards); here it is about saying so in good words
    return looked_at == _LOOKED_AT_MOST


def _problems(repository: Repository, place: Place, old: str, new: str) -> Iterator[str]:
    before = View(repository.objects, ParsedFiles(), place, old)
    tree = repository.objects.commit(new).tree
    base = before.tree if before.tree != NO_TREE else None
    edits = {path: gate.Edit(was, now) for path, was, now in repository.objects.differences(base, tree)}
    problems = gate.check(gate.Change(before, edits, Caller("unknown", "push"), repository.objects.blob))
    if problems:
        yield from _listing(problems)


def _listing(problems: list[Problem]) -> Iterator[str]:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    yield f"gitmem: the push has {count}. Nothing was changed."
    for problem in sorted(problems, key=lambda each: (each.path, each.line, each.field)):
        yield f"  {problem}"
    yield "fix: mend the files, commit (or amend), and push again."


if __name__ == "__main__":
    raise SystemExit(main())
