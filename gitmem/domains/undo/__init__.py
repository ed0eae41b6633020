"""Undoing what was written, in a new commit."""
