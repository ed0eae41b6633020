"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import agents, autopilot, briefing, kinds, projects, sessions
from gitmem.domains.knowledge import changing, past, reading, recording
from gitmem.domains.locks import breaking, holding
from gitmem.domains.locks import looking as lock_looking
from gitmem.domains.messages import answering, sending, waiting
from gitmem.domains.messages import reading as message_reading
from gitmem.domains.work import looking as work_looking
from gitmem.domains.work import updating

__all__ = [
    "agents", "answering", "autopilot", "breaking", "briefing", "changing", "holding", "kinds", "lock_looking", "message_reading",
    "past", "projects", "reading", "recording", "sending", "sessions", "updating", "waiting", "work_looking",
]
