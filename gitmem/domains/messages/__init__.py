"""Messages between agents: sent into a project, read from an inbox, answered by each recipient for themselves."""
