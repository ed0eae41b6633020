"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

from gitmem.domains import presence, projects, sessions
from gitmem.domains.knowledge import record
from gitmem.domains.locks import record as locks
from gitmem.domains.work import record as work

__all__ = ["locks", "presence", "projects", "record", "sessions", "work"]
