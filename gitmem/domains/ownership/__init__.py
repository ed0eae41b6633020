"""Who owns what in the memory, and what follows from it for those who change it."""
