"""What the search index is made of: its fields, how much each counts, and how words become terms."""

from functools import cache
from typing import Any

import tantivy
from msgspec import Struct

# Part of the index folder's name: another number means that old folders are not looked at.
SCHEMA_VERSION = 3


class TextField(Struct, frozen=True):
    """A field that words are looked for in, and how much a match in it counts."""

    name: str
    weight: float


TEXT_FIELDS = (
    # Titles and headings are short, so a match in one scores high as it is; more weight would put any
    # section that is called like one word of the question before the section that answers it.
    TextField("title", 1.0),
    TextField("heading", 0.5),
    TextField("text", 1.0),
    TextField("around", 0.4),
    TextField("tags", 1.0),
    TextField("place", 0.6),
    TextField("code", 0.9),
    TextField("moment", 0.5),
)
WEIGHTS = {each.name: each.weight for each in TEXT_FIELDS}
# In every text field of the index's own document: tantivy tells a field's statistics only with a match.
SENTINEL = "gitmemsentinelword"


@cache
def schema() -> Any:
    """The tantivy schema. One document is one passage of a record; all passages carry the record's facets."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("path", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("facet", tokenizer_name="raw", index_option="basic")
    for field in TEXT_FIELDS:
        builder.add_text_field(field.name, tokenizer_name="words", index_option="freq")
    builder.add_unsigned_field("key", indexed=True, fast=True)
    builder.add_unsigned_field("part", indexed=True, fast=True)
    builder.add_integer_field("updated", indexed=True, fast=True)
    builder.add_bytes_field("shown", stored=True)
    builder.add_bytes_field("gist", stored=True)
    return builder.build()


@cache
def stemming() -> Any:
    """The analyser of all text fields: words, lower case, no accents, English stems."""
    return _folding().filter(tantivy.Filter.stemmer("english")).build()


@cache
def plain() -> Any:
    """The same words without stemming: what stop words and synonyms are compared with."""
    return _folding().build()


def _folding() -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    filters = (tantivy.Filter.remove_long(100), tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold())
    for each in filters:
        builder = builder.filter(each)
    return builder
