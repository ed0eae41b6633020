"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import agents, autopilot, briefing, kinds, projects, sessions
from gitmem.domains.knowledge import changing, past, reading, recording
from gitmem.domains.messages import answering, sending, waiting
from gitmem.domains.messages import reading as message_reading

__all__ = [
    "agents", "answering", "autopilot", "briefing", "changing", "kinds", "message_reading", "past", "projects", "reading",
    "recording", "sending", "sessions", "waiting",
]
