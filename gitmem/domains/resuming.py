"""What a briefing says of the rules to follow, and of where the project is."""

from gitmem.desk import Desk
from gitmem.domains.guidelines import guidelines_of
from gitmem.domains.specs.record import State
from gitmem.names import age_in_words
from gitmem.verbs import section

_DOCUMENTS = 10
_LINES = 12
_WIDTH = 240


@section(order=10, share=0.2, more="guidelines(action='list') reads them all: follow those, too", followed=True)
def guidelines(desk: Desk) -> list[str]:
    """The rules of the team, which are meant to be followed: shared ones first, each part from priority 1 on."""
    found = [each for scope in ("shared", desk.scope) for each in guidelines_of(desk.view(), scope)]
    return [f"{each.name} [{each.project}, priority {each.priority}]: {each.rule}" for each in found]


@section(order=40, share=0.15, more="get_spec(name='state:NAME') reads one whole; list_specs(spec_type='state') lists them")
def state(desk: Desk) -> list[str]:
    """Where the project is: the beginnings of its state documents, the newest first."""
    view = desk.view()
    if view.peek(f"{desk.scope}/state") is None:
        return []
    found = desk.index.search("", view=view, where={"kind": ["state"], "scope": [desk.scope]}, limit=_DOCUMENTS)
    lines: list[str] = []
    for hit in found.hits:
        record = view.record(hit.path)
        if isinstance(record, State):
            lines.append(f"{record.known_as} {record.release} by {hit.updated_by}, {age_in_words(hit.updated)} ago:")
            lines += _beginning(record)
    return lines


def _beginning(record: State) -> list[str]:
    # quoted, as everything that was recorded and is no guideline
    lines = [line for line in record.content.splitlines() if line.strip()]
    told = [f"> {line if len(line) <= _WIDTH else line[: _WIDTH - 1] + '…'}" for line in lines[:_LINES]]
    left = len(lines) - len(told)
    return [*told, f"> … {left} more lines: get_spec(name='{record.known_as}')"] if left else told
