"""The verb for OWNERS.yaml."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gitmem.answers import NOTHING_NEW
from gitmem.desk import Desk
from gitmem.domains.ownership.codeowners import codeowners
from gitmem.domains.ownership.record import CODEOWNERS_PATH, Entry, Handle, Owners, Team, owners_in
from gitmem.errors import BadArgument
from gitmem.names import check_name
from gitmem.verbs import verb


class OwnersAnswer(Struct, frozen=True):
    """What was done, and who owns what: the last entry that selects a file counts. `owners`: those of the path asked for."""

    done: str
    entries: tuple[Entry, ...]
    teams: tuple[Team, ...]
    handles: tuple[Handle, ...]
    owners: tuple[str, ...] | None = None


@verb(writes=True, destructive=True, idempotent=True, in_project=False)
def owners(
    desk: Desk,
    action: Literal["list", "of", "set", "remove", "team", "handle"],
    paths: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    team: str = "",
    forge: str = "",
) -> OwnersAnswer:
    """Look at who owns what in the memory, or say so as an admin. What somebody owns, others may only propose to change.

    Args:
        action: list; of (who owns a path); set or remove an entry; team (name a team's members); handle (name on the forge).
        paths: gitignore patterns of files of the memory, such as projects/web/specs/; for of, one path.
        kinds: kinds of record, such as spec or guideline.
        names: agents, people and teams who own it; for team, its members; left out for set: nobody does.
        team: the team; for team, and for its handle.
        forge: what names[0] or the team is called on the forge, such as @pat or @org/team; empty takes it away.
    """
    current = owners_in(desk.view())
    match action:
        case "list":
            return _answer("listed", current)
        case "of":
            if len(paths) != 1:
                raise BadArgument("of needs one path.", fix="Pass paths=['projects/web/specs/orders.md'].")
            return replace(_answer("found", current), owners=current.of(paths[0]))
        case "set" | "remove":
            changed = _with_entry(current, Entry(paths=paths, kinds=kinds, owners=names), remove=action == "remove")
        case "team":
            made = (Team(name=check_name(team, "team"), members=names),) if names else ()
            changed = replace(current, teams=(*_without(current.teams, team), *made))
        case "handle":
            name = check_name(team or "".join(names[:1]), "owner")
            known = tuple(each for each in current.handles if each.name != name)
            changed = replace(current, handles=(*known, *([Handle(name=name, forge=forge)] if forge else [])))
    if changed == current:
        return _answer(NOTHING_NEW, current)
    with desk.transaction(f"owners: {action} {' '.join([*paths, *kinds, team])}") as change:
        done = change.put(changed)
        change.put_file(CODEOWNERS_PATH, codeowners(done).encode())
    return _answer("set" if action != "remove" else "removed; reverting the commit brings it back", done)


def _with_entry(current: Owners, entry: Entry, *, remove: bool) -> Owners:
    if not entry.paths and not entry.kinds:
        fix = "Say which files it is about, such as paths=['projects/web/specs/']."
        raise BadArgument("Neither paths nor kinds are given.", fix=fix)
    place = next((i for i, each in enumerate(current.entries) if (each.paths, each.kinds) == (entry.paths, entry.kinds)), None)
    entries = list(current.entries)
    if remove and place is None:
        raise BadArgument("There is no entry with exactly these paths and kinds.", fix="owners(action='list') shows them.")
    if place is None:
        entries.append(entry)
    else:
        entries[place : place + 1] = [] if remove else [entry]
    return replace(current, entries=tuple(entries))


def _without(teams: Sequence[Team], name: str) -> tuple[Team, ...]:
    return tuple(each for each in teams if each.name != name)


def _answer(done: str, found: Owners) -> OwnersAnswer:
    return OwnersAnswer(done, found.entries, found.teams, found.handles)
