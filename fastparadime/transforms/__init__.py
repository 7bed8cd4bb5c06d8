"""Transforms of relations: each takes a container and returns a new one, its input untouched."""

from fastparadime.layout.curve import find_ab
from fastparadime.transforms.base import (
    Functional,
    Identity,
    RelationTransform,
    ToFlatArray,
    ToFlatTensor,
    ToNeighborTuple,
    ToSparseArray,
    ToSquareArray,
    ToSquareTensor,
    ToTriangularArray,
    ToTriangularTensor,
)
from fastparadime.transforms.kernels import ModifiedCauchyTransform, StudentTTransform
from fastparadime.transforms.matrix import Normalize, NormalizeRows, Symmetrize, ZeroDiagonal
from fastparadime.transforms.rescale import (
    AdaptiveNeighborhoodRescale,
    ConnectivityBasedRescale,
    PerplexityBasedRescale,
)

__all__ = [
    "AdaptiveNeighborhoodRescale",
    "ConnectivityBasedRescale",
    "Functional",
    "Identity",
    "ModifiedCauchyTransform",
    "Normalize",
    "NormalizeRows",
    "PerplexityBasedRescale",
    "RelationTransform",
    "StudentTTransform",
    "Symmetrize",
    "ToFlatArray",
    "ToFlatTensor",
    "ToNeighborTuple",
    "ToSparseArray",
    "ToSquareArray",
    "ToSquareTensor",
    "ToTriangularArray",
    "ToTriangularTensor",
    "ZeroDiagonal",
    "find_ab",
]
