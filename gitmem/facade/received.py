"""After a push is in: the proposals that main has by now are closed as merged, and branches that went are noted.

Nothing here can fail the push, which is in already. What is missed is seen by whoever looks at the proposal.
"""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gitmem.desk import Desk
from gitmem.domains.reviews.closing import Ending, close, hold, tidy
from gitmem.domains.reviews.standing import is_on_main, look
from gitmem.errors import GitmemError, NotFound
from gitmem.facade.pusher import identify
from gitmem.git.refs import RefLocked
from gitmem.git.repository import MAIN, NO_COMMIT, PROPOSALS
from gitmem.memory.caller import GITMEM, Caller
from gitmem.memory.memory import Memory
from gitmem.memory.pushers import UNKNOWN, note_of
from gitmem.names import name_problem

if TYPE_CHECKING:
    from gitmem.index.search import Index

log = logging.getLogger(__name__)


def received(updates: Iterable[list[str]]) -> int:
    """What a push did is noted; 0 whatever happens."""
    told = [(old, new, ref) for old, new, ref in updates if ref == MAIN or ref.startswith(PROPOSALS)]
    if not told:
        return 0
    try:
        with closing(Memory(Path(os.environ.get("GIT_DIR", ".")))) as memory:
            for line in _noted(memory, told):
                sys.stderr.write(f"gitmem: {line}\n")
    except Exception as error:  # noqa: BLE001  the push is in: whatever happens here must not look as if it were not
        log.warning("the push is in, but what it means for proposals was not noted: %s", error)
    return 0


def _noted(memory: Memory, updates: list[tuple[str, str, str]]) -> Iterator[str]:
    for old, new, ref in updates:
        try:
            if ref == MAIN and new != NO_COMMIT:
                yield from _merged(memory, "" if old == NO_COMMIT else old, new)
            elif new == NO_COMMIT:
                yield from _withdrawn(memory, ref.removeprefix(PROPOSALS), old)
        except (GitmemError, RefLocked) as error:
            yield f"a proposal could not be closed, and will be later: {error}"


def _merged(memory: Memory, old: str, new: str) -> Iterator[str]:
    pusher = pusher_of(memory, new)
    closed = tidy(_desk(memory, pusher), merged_by=pusher, before=old)
    for each in closed:
        yield f"proposal {each.id} is merged"


def _withdrawn(memory: Memory, proposal_id: str, tip: str) -> Iterator[str]:
    """The branch was removed by hand: what was in it is kept all the same."""
    if is_on_main(memory, tip):
        return
    hold(memory, proposal_id, tip)
    pusher = pusher_of(memory, tip)
    try:
        found = look(memory, proposal_id)
    except NotFound:  # it came as a branch, and goes as one
        return
    if found.record and found.record.status == "open":
        closed = close(_desk(memory, pusher), found, Ending("withdrawn", pusher, why="Its branch was removed."))
        yield f"proposal {closed.id} is withdrawn; its commits are kept as the tag closed/{closed.id}"


def pusher_of(memory: Memory, commit: str) -> str:
    """Who brought a commit to where it is now, as the gate has noted; else who pushes, "unknown" if nothing proves it."""
    note = note_of(memory.repository, commit)
    noted = (note.let_in_by or note.pusher) if note else ""
    return noted or identify(memory.repository, memory.view(), []).name or UNKNOWN


def _desk(memory: Memory, pusher: str) -> Desk:
    # a person's name need not be one that an agent can have; the record names them all the same
    caller = GITMEM if name_problem(pusher) or pusher == UNKNOWN else Caller(pusher, "push")
    # closing looks nothing up in the index, which takes long to load
    return Desk(memory, cast("Index", None), caller, verb="push")
