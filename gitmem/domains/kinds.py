"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

from gitmem.domains import context, presence, projects, sessions
from gitmem.domains.knowledge import record
from gitmem.domains.memories import record as remembered

__all__ = ["context", "presence", "projects", "record", "remembered", "sessions"]
