"""Specs: documents with an owner and versions that only rise, which others may build on."""
