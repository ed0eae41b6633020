"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import briefing, kinds, projects, sessions
from gitmem.domains.knowledge import changing, past, reading, recording
from gitmem.domains.messages import sending

__all__ = ["briefing", "changing", "kinds", "past", "projects", "reading", "recording", "sending", "sessions"]
