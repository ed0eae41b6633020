"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

from gitmem.domains import autopilot, presence, projects, sessions
from gitmem.domains.knowledge import record
from gitmem.domains.messages import record as message_record
from gitmem.domains.messages import shown

__all__ = ["autopilot", "message_record", "presence", "projects", "record", "sessions", "shown"]
