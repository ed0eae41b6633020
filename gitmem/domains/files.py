"""Importing this module declares the record kinds of `main` with their gate rules: all that a push to it needs."""

import gitmem.domains.autopilot.record
import gitmem.domains.backlog.claims
import gitmem.domains.backlog.dependencies
import gitmem.domains.backlog.record
import gitmem.domains.checklists
import gitmem.domains.context
import gitmem.domains.guidelines
import gitmem.domains.knowledge.record
import gitmem.domains.memories.record
import gitmem.domains.ownership.deciding
import gitmem.domains.ownership.signers
import gitmem.domains.projects
import gitmem.domains.sessions
import gitmem.domains.specs.rules
import gitmem.memory.settings
