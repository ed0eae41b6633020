"""Importing this module declares every kind, verb, section and gate rule."""

import gitmem.domains.agents
import gitmem.domains.autopilot
import gitmem.domains.briefing
import gitmem.domains.guidelines
import gitmem.domains.kinds
import gitmem.domains.knowledge.changing
import gitmem.domains.knowledge.past
import gitmem.domains.knowledge.reading
import gitmem.domains.knowledge.recording
import gitmem.domains.locks.breaking
import gitmem.domains.locks.holding
import gitmem.domains.locks.looking
import gitmem.domains.messages.answering
import gitmem.domains.messages.reading
import gitmem.domains.messages.sending
import gitmem.domains.messages.waiting
import gitmem.domains.projects
import gitmem.domains.resuming
import gitmem.domains.sessions
import gitmem.domains.specs.defining
import gitmem.domains.specs.reading
import gitmem.domains.work.looking
import gitmem.domains.work.updating
