"""The only package that knows git."""
