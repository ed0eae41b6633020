"""Search: tantivy as a cache keyed by commit id."""
