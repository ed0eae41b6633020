"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

from gitmem.domains import autopilot, presence, projects, sessions
from gitmem.domains.knowledge import record
from gitmem.domains.locks import record as lock_record
from gitmem.domains.messages import record as message_record
from gitmem.domains.messages import shown
from gitmem.domains.work import record as work_record

__all__ = [
    "autopilot", "lock_record", "message_record", "presence", "projects", "record", "sessions", "shown", "work_record",
]
