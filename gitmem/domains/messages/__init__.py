"""Messages between agents: sent into a project, read from an inbox, answered by each recipient for themselves."""

# Replies by agents alone, after which a thread waits for a person.
DEPTH_MAX = 5
