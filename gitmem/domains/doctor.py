"""The doctor: the verb, and what it answers. What is looked at is loaded when somebody asks."""

from typing import Literal

from msgspec import Struct

from gitmem.desk import Desk
from gitmem.verbs import verb

State = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True):
    """One thing that was looked at; `help` says what to do, "" where nothing is wrong; `fix` names the mending that does it."""

    name: str
    state: State
    what: str
    help: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.state}: {self.name}: {self.what}" + (f"\n  {self.help}" if self.help else "")


class Health(Struct, frozen=True):
    """All findings about one memory."""

    path: str
    healthy: bool
    findings: tuple[Finding, ...]


@verb()
def doctor(desk: Desk, records: bool = False, hubs: bool = False) -> Health:
    """Check the memory's health: hooks, refs, settings, proposals, index, locks, space; each finding says what helps.

    Nothing is changed.

    Args:
        records: look at every record and every object, too; it takes longer.
        hubs: ask the hubs whether they answer, too.
    """
    from gitmem.domains.examining import examine  # imported late: it loads what few who serve or call ever need

    return examine(desk.memory.path, records=records, hubs=hubs)
