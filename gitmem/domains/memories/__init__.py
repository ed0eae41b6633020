"""Memories: what a word, a person, a client or a preference means here, kept under a key and recalled by it."""
