"""Locks: who holds which paths of a project's code, for how long and why."""
