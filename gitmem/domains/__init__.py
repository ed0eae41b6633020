"""What agents talk about: each domain declares its record kinds and its verbs."""
