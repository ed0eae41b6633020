"""Queries that tantivy runs: for values, for conditions, and for the clauses of a question."""

import math
from collections.abc import Callable, Collection
from typing import Any

import tantivy

from gitmem.index.question import TIE, Clause, Leaf
from gitmem.index.schema import schema

_VALUES_AS_SET = 200

Occur = Any  # tantivy's enumeration, which has no type


def any_of(field_name: str, values: Collection[str | int]) -> Any:
    """A query for passages that have any of these values in a field."""
    if len(values) > _VALUES_AS_SET:
        return tantivy.Query.term_set_query(schema(), field_name, list(values))
    # tantivy runs a set along the field's whole dictionary, which takes five times as long as all the rest of a search
    queries = [tantivy.Query.term_query(schema(), field_name, value, "basic") for value in values]
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(tantivy.Occur.Should, each) for each in queries])


def any_facet(allowed: frozenset[str]) -> tuple[Occur, Any]:
    """A condition that a passage has one of these facets."""
    return must(any_of("facet", sorted(allowed)))


def must(query: Any) -> tuple[Occur, Any]:
    """A condition that counts for nothing in the score."""
    return tantivy.Occur.Must, tantivy.Query.const_score_query(query, 0.0)


def clause_query(clause: Clause, correction: Callable[[Leaf], float]) -> Any:
    """A query that scores passages by one clause of a question."""
    leaves = [leaf_query(leaf.field, leaf.term, leaf.weight * correction(leaf)) for leaf in clause.leaves]
    return tantivy.Query.disjunction_max_query(leaves, TIE)


def leaf_query(field_name: str, term: str, weight: float) -> Any:
    """A query that scores passages by one term in one field."""
    query = tantivy.Query.term_query(schema(), field_name, term, "freq")
    return query if math.isclose(weight, 1.0) else tantivy.Query.boost_query(query, weight)
