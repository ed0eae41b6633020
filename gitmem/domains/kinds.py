"""Importing this module declares every record kind and gate rule, and nothing that is slow to import."""

import gitmem.domains.files
import gitmem.domains.locks.record
import gitmem.domains.messages.record
import gitmem.domains.messages.shown
import gitmem.domains.presence
import gitmem.domains.reviews.record
import gitmem.domains.speaking
import gitmem.domains.work.record
