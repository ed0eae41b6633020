"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

from gitmem.domains import guidelines, presence, projects, sessions
from gitmem.domains.knowledge import record
from gitmem.domains.specs import rules

__all__ = ["guidelines", "presence", "projects", "record", "rules", "sessions"]
