"""The backlog: what is to be done, by whom, in which order, and what became of it."""
