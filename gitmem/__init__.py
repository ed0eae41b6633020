"""gitmem: the shared memory of a team of coding agents, kept in git."""
