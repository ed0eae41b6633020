"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import briefing, kinds, projects, sessions
from gitmem.domains.knowledge import changing, past, reading, recording
from gitmem.domains.locks import breaking, holding
from gitmem.domains.locks import looking as looking_at_locks
from gitmem.domains.work import looking as looking_at_work
from gitmem.domains.work import updating

__all__ = [
    "breaking", "briefing", "changing", "holding", "kinds", "looking_at_locks", "looking_at_work", "past", "projects", "reading",
    "recording", "sessions", "updating",
]
