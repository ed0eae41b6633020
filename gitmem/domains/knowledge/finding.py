"""Finding knowledge by its id."""

from gitmem.desk import Desk
from gitmem.domains.knowledge.record import Knowledge
from gitmem.errors import NotFound
from gitmem.memory.view import View
from gitmem.names import shown
from gitmem.records.kind import Record, kind_of

# What to call for records of other kinds that have ids of the same sort.
_OTHERS = {
    "backlogitem": "get_backlog_item reads it, update_backlog_item changes it, delete removes it.",
}


class NotKnowledge(NotFound):
    """The id is that of a record of another kind."""

    def __init__(self, record_id: str, record: Record) -> None:
        name = kind_of(type(record)).name
        fix = _OTHERS.get(name, "query finds knowledge by its words.")
        super().__init__(f"{shown(record_id)} is a record of the kind {name}, and no knowledge.", fix=fix)


def find_knowledge(desk: Desk, record_id: str, view: View | None = None) -> Knowledge:
    """The record that a verb's `id` means. Raises NotKnowledge, NotFound, Ambiguous."""
    at = view or desk.view()
    record = at.get(Record, desk.find(record_id, at))
    if not isinstance(record, Knowledge):
        raise NotKnowledge(record_id, record)
    return record
