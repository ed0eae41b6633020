"""Importing this module declares every kind, verb, section and gate rule."""

from gitmem.domains import projects as projects
from gitmem.domains.knowledge import record as record
