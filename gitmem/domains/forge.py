"""Forges: the files by which a forge's own review holds pull requests against the gate."""

from typing import Literal, get_args

from msgspec import Struct

from gitmem import assets
from gitmem.errors import BadArgument
from gitmem.memory.caller import Caller
from gitmem.memory.memory import Memory
from gitmem.memory.pending import Stale
from gitmem.names import shown

Forge = Literal["github"]
FORGES: tuple[Forge, ...] = get_args(Forge)
# Where a forge looks for what is shipped under the name.
_PLACES: dict[Forge, dict[str, str]] = {
    "github": {
        "gitmem-check.yml": ".github/workflows/gitmem-check.yml",
        "pull_request_template.md": ".github/pull_request_template.md",
    },
}
_TRIES = 10


class Added(Struct, frozen=True):
    """What was written into the memory, and what is there already and was left as it is."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    commit: str


def files_of(forge: str) -> dict[str, bytes]:
    """The files that are shipped for a forge, by where they belong. Raises BadArgument."""
    if forge not in FORGES:
        raise BadArgument(f"There are no templates for {shown(forge)}.", fix=f"There are some for {', '.join(FORGES)}.")
    folder = assets.folder("templates") / "forge" / forge
    return {path: (folder / name).read_bytes() for name, path in _PLACES[forge].items()}


def add(memory: Memory, caller: Caller, forge: str, *, overwrite: bool = False) -> Added:
    """Write a forge's files into the memory, as one commit; those that a team has made its own stay unless overwritten."""
    for _ in range(_TRIES):
        try:
            return _add(memory, caller, forge, overwrite=overwrite)
        except Stale as stale:
            lost = stale
    raise lost


def _add(memory: Memory, caller: Caller, forge: str, *, overwrite: bool) -> Added:
    view, wanted = memory.view(), files_of(forge)
    there = {path: entry for path in wanted if (entry := view.entry(path))}
    kept = {path for path in there if not overwrite or view.objects.blob(there[path].oid) == wanted[path]}
    with memory.transaction(view, caller, f"forge: templates for {forge}") as change:
        for path, data in wanted.items():
            if path not in kept:
                change.put_file(path, data)
    return Added(tuple(sorted(wanted.keys() - kept)), tuple(sorted(kept)), change.commit)
