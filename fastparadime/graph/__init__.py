"""Graphs of points: the fuzzy simplicial set of neighbours, set operations, and labels in them."""

from fastparadime.graph.fuzzy_simplicial_set import (
    FuzzySimplicialSet,
    fuzzy_simplicial_set,
    query_strengths,
)

__all__ = ["FuzzySimplicialSet", "fuzzy_simplicial_set", "query_strengths"]
