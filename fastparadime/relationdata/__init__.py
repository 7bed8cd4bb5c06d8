"""Containers of relations between data points, and the factory that chooses one."""

from fastparadime.relationdata.containers import (
    FlatRelationArray,
    FlatRelationTensor,
    NeighborRelationTuple,
    RelationData,
    SparseRelationArray,
    SquareRelationArray,
    SquareRelationTensor,
    TriangularRelationArray,
    TriangularRelationTensor,
)
from fastparadime.relationdata.factory import relation_factory

__all__ = [
    "FlatRelationArray",
    "FlatRelationTensor",
    "NeighborRelationTuple",
    "RelationData",
    "SparseRelationArray",
    "SquareRelationArray",
    "SquareRelationTensor",
    "TriangularRelationArray",
    "TriangularRelationTensor",
    "relation_factory",
]
