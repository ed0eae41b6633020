"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import briefing, context, kinds, projects, sessions, upkeep
from gitmem.domains.knowledge import changing, past, reading, recording
from gitmem.domains.memories import keeping, recalling

__all__ = [
    "briefing", "changing", "context", "keeping", "kinds", "past", "projects", "reading", "recalling", "recording", "sessions",
    "upkeep",
]
