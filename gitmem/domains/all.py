"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import briefing, guidelines, kinds, projects, resuming, sessions
from gitmem.domains.knowledge import changing, past, reading, recording
from gitmem.domains.specs import defining
from gitmem.domains.specs import reading as specs_reading

__all__ = [
    "briefing", "changing", "defining", "guidelines", "kinds", "past", "projects", "reading", "recording", "resuming",
    "sessions", "specs_reading",
]
