"""Deleting: a record of one's own leaves the memory, whatever its kind. Its history stays."""

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.domains.backlog.batches import check_deletion
from gitmem.domains.backlog.record import BacklogItem
from gitmem.domains.knowledge.record import Knowledge
from gitmem.domains.projects import may_act_for_others
from gitmem.domains.specs.defining import NotOwner
from gitmem.domains.specs.naming import UnknownSpec, find_spec
from gitmem.domains.specs.record import Versioned
from gitmem.errors import BadArgument, NotFound, Refused
from gitmem.names import shown
from gitmem.records.kind import Record, kind_of
from gitmem.verbs import verb

_OWN_VERBS = (
    "Guidelines, checklists and context go with their own verbs and action='delete', memories with forget(key), "
    "knowledge and backlog items by id."
)


class Deleted(Struct, frozen=True):
    """A record that left the memory; its history stays."""

    id: str
    path: str
    version: str
    note: str


class NotYours(Refused):
    """Only its author or an admin may do this."""

    def __init__(self, record_id: str, owner: str) -> None:
        super().__init__(
            f"{record_id} was recorded by {owner}; only they or an admin of the project may delete it.",
            fix=f"Ask {owner} or an admin, or use change_status to mark it deprecated.",
        )


class NotDeletedByName(NotFound):
    """No spec has the name, and other kinds have verbs of their own."""

    def __init__(self, unknown: UnknownSpec) -> None:
        super().__init__(unknown.message, fix=f"{unknown.fix} {_OWN_VERBS}")


class NotDeletable(Refused):
    """A kind whose records stay."""

    def __init__(self, record: Record, called: str) -> None:
        kind = kind_of(type(record)).name
        super().__init__(f"{shown(called)} is a record of the kind {kind}, and cannot be deleted.", fix=_OWN_VERBS)


@verb(writes=True, destructive=True)
def delete(desk: Desk, id: str = "", *, reason: str, name: str = "") -> Deleted:  # noqa: A002  the argument's public name
    """Take a record of yours out of the memory. It stays in history, and revert brings it back.

    Args:
        id: the record: knowledge, or a backlog item that no unfinished one needs.
        reason: why, for those who read the history.
        name: instead of id: the spec that goes, or state:NAME for a state document.
    """
    if bool(id) == bool(name):
        raise BadArgument("delete needs to know what goes.", fix="Pass id='ID', or name='NAME' for a spec; one of the two.")
    record = _named(desk, name) if name else desk.view().get(Record, desk.find(id))
    called = _check_right(desk, record, id or name)
    with desk.transaction(f"delete {called}", body=reason) as change:
        change.delete(record.path)
    back = f"id='{called}', version='{record.version[:12]}'" if id else f"commit='{desk.commit[:12]}'"
    return Deleted(called, record.path, record.version, f"revert({back}) brings it back")


def _named(desk: Desk, name: str) -> Versioned:
    try:
        return find_spec(desk, name)
    except UnknownSpec as unknown:
        raise NotDeletedByName(unknown) from None


def _check_right(desk: Desk, record: Record, called: str) -> str:
    """What the record is called, if the caller may delete it."""
    match record:
        case BacklogItem():
            check_deletion(desk, record)
            return record.id
        case Versioned():
            if desk.agent != record.owner and not may_act_for_others(desk, record.scope):
                raise NotOwner(record, desk.agent, "delete it")
            return record.known_as
        case Knowledge():
            if record.author != desk.agent and not may_act_for_others(desk, record.scope):
                raise NotYours(record.id, record.author or "somebody unknown")
            return record.id
        case _:
            raise NotDeletable(record, called)
