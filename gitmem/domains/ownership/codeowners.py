"""CODEOWNERS: what OWNERS.yaml says, as forges read it."""

import re
from collections.abc import Iterator

from gitmem.domains.ownership.record import CODEOWNERS_PATH, OWNERS_PATH, Entry, Owners, owners_in
from gitmem.memory.caller import GITMEM
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale
from gitmem.records.kind import KINDS

HEAD = f"# Made from {OWNERS_PATH}, which is what counts. Change that.\n"
_SCOPES = ("projects/*", "shared")


def codeowners(owners: Owners) -> str:
    """The file CODEOWNERS. Owners without a handle on the forge are named in comments: a forge would take them for others."""
    return HEAD + "".join(f"{line}\n" for entry in owners.entries for line in _lines(owners, entry))


def _lines(owners: Owners, entry: Entry) -> Iterator[str]:
    handles = {handle.name: handle.forge for handle in owners.handles}
    people = [each for owner in entry.owners for each in ([owner] if owner in handles else owners.members_of((owner,)))]
    known = list(dict.fromkeys(handles[each] for each in people if each in handles))
    if unknown := [each for each in people if each not in handles]:
        yield f"# not on the forge: {' '.join(unknown)}"
    if entry.paths and entry.kinds:
        yield f"# of these files, only: {' '.join(entry.kinds)}"
    for pattern in entry.paths or [home for name in entry.kinds for home in _homes(name)]:
        # a forge knows no negated patterns, and takes a space for the end of one
        if not pattern.startswith("!"):
            escaped = pattern.replace(" ", "\\ ")
            yield " ".join([escaped, *known])


def _homes(kind_name: str) -> list[str]:
    """The patterns of the files of a kind."""
    declared = KINDS.get(kind_name)
    if declared is None:
        return []
    home = declared.record.home
    scopes = _SCOPES if home.startswith("{scope}") else ("",)
    return [re.sub(r"\{\w+\}", "*", "/" + home.replace("{scope}", scope)) for scope in scopes]


def refresh(memory: Memory) -> bool:
    """Make CODEOWNERS say what OWNERS.yaml says, after a push of that; whether it had to be. Safe to repeat."""
    view = memory.view()
    if view.peek(OWNERS_PATH) is None:
        return False
    wanted, there = codeowners(owners_in(view)).encode(), view.entry(CODEOWNERS_PATH)
    if there is not None and view.objects.blob(there.oid) == wanted:
        return False
    try:
        with memory.transaction(view, GITMEM, f"make {CODEOWNERS_PATH} from {OWNERS_PATH}") as change:
            change.put_file(CODEOWNERS_PATH, wanted)
    except Stale:
        return False  # somebody has changed them meanwhile; the next look makes it
    return True
