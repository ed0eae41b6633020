"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

import gitmem.domains.autopilot.record
import gitmem.domains.backlog.dependencies
import gitmem.domains.backlog.record
import gitmem.domains.checklists
import gitmem.domains.context
import gitmem.domains.guidelines
import gitmem.domains.knowledge.record
import gitmem.domains.locks.record
import gitmem.domains.memories.record
import gitmem.domains.messages.record
import gitmem.domains.messages.shown
import gitmem.domains.presence
import gitmem.domains.projects
import gitmem.domains.sessions
import gitmem.domains.specs.rules
import gitmem.domains.work.record
