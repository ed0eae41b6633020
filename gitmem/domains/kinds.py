"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

from gitmem.domains import projects, sessions
from gitmem.domains.knowledge import record

__all__ = ["projects", "record", "sessions"]
