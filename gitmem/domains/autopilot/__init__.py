"""Autopilot: which agents may act on messages without a person."""
