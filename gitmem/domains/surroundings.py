"""The health of what others see of a memory: its proposals, its hooks as git finds them, and its hubs."""

from collections.abc import Iterator

from gitmem.domains.doctor import Finding
from gitmem.domains.reviews.standing import GONE, all_of, views
from gitmem.errors import GitmemError
from gitmem.git.hooking import Site, in_force
from gitmem.git.repository import PROPOSALS
from gitmem.memory import hubs
from gitmem.memory.memory import Memory
from gitmem.names import name_problem, shown

_PATIENCE_SECONDS = 10.0


def proposals(memory: Memory) -> Iterator[Finding]:
    """Proposals whose record and branch do not go together."""
    wrong = [*_unreadable(memory), *_at_odds(memory)]
    count = sum(1 for _ in memory.repository.refs.list(PROPOSALS))
    yield from wrong or [Finding("proposals", "ok", f"{count} {'waits' if count == 1 else 'wait'} for a review")]


def _unreadable(memory: Memory) -> Iterator[Finding]:
    for view in views(memory):
        for path, _ in view.files():
            if (decoded := view.decoded(path)) and decoded.problems:
                help_ = "Its branch can be merged all the same; mend the record in a clone, at the ref, and push it."
                yield Finding("proposals", "warning", f"{view.place.ref}: {decoded.problems[0]}", help_)


def _at_odds(memory: Memory) -> Iterator[Finding]:
    for ref in memory.repository.refs.list(PROPOSALS):
        if problem := name_problem(name := ref.removeprefix(PROPOSALS)):
            help_ = "No verb can name it. Push its commits under another name, and let this branch go."
            what = f"the branch {shown(ref, 100)} is none of a proposal: {shown(name)} {problem}"
            yield Finding("proposals", "warning", what, help_)
    for found in all_of(memory):
        if found.branch and not found.base and found.status == "open":
            help_ = f"It can never be merged. reject_proposal(id='{found.id}') closes it."
            yield Finding("proposals", "warning", f"{found.id} has no history in common with main", help_)
        elif found.record and found.record.status == "open" and found.note == GONE:
            help_ = f"If that was not meant, push its commits to {PROPOSALS}{found.id} from a clone that has them."
            yield Finding("proposals", "warning", f"{found.id} counts as withdrawn, since its branch was removed", help_)


def hooks_in_force(memory: Memory) -> Iterator[Finding]:
    """Whether git looks for hooks where gitmem's are."""
    if not memory.head():  # told already, and so far it is any bare repository
        return
    site = Site.at(memory.path)
    actual, origin = in_force(site)
    if actual and (site.top / actual).resolve() != site.folder.resolve():
        what = f"git looks for hooks in {shown(actual, 200)}, as {shown(origin, 200)} says: nothing checks what is pushed"
        yield Finding("hook", "problem", what, f"Run: gitmem hooks install {memory.path}")


def answering(memory: Memory) -> Iterator[Finding]:
    """Whether the hubs answer. This waits for them."""
    for hub in hubs.hubs(memory.repository):
        try:
            hub.remote(memory.repository, patience=_PATIENCE_SECONDS).refs("refs/heads/main")
        except GitmemError as error:
            yield Finding("hub", "problem", f"{hub.name}: {error.message}", error.fix)
        else:
            yield Finding("hub", "ok", f"{hub.name} answers at {hub.shown_url}")
