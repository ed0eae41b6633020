"""Work: who does what to which files, what it waits for, and the signals that set it going again."""
