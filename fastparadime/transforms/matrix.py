"""Transforms of relations as a matrix: its transpose, sums and diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime import relationdata as rd
from fastparadime.relationdata import RelationData
from fastparadime.transforms.base import RelationTransform
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.validate import check_option


class Symmetrize(RelationTransform):
    """Joins relations M with their transpose.

    Parameters
    ----------
    subtract_product : bool
        False: (M + M^T) / 2. True: M + M^T - M * M^T, the fuzzy union that UMAP uses.
    """

    def __init__(self, subtract_product: bool = False) -> None:
        super().__init__()
        self.subtract_product = check_option(subtract_product, (True, False), "subtract_product")

    def transform(self, reldata: RelationData) -> RelationData:
        operation = "union" if self.subtract_product else "mean"
        if isinstance(reldata, (rd.TriangularRelationArray, rd.TriangularRelationTensor)):
            return reldata
        if isinstance(reldata, rd.NeighborRelationTuple):
            edges = ops.symmetrize(reldata.indices, reldata.values, operation)
            return rd.SparseRelationArray(edges)
        if isinstance(reldata, rd.SparseRelationArray):
            graph = reldata.edges
            edges = ops.symmetrize(graph.tails, graph.weights, operation, indptr=graph.indptr)
            return rd.SparseRelationArray(edges)
        m = _square_values(reldata)
        joined = m + m.T - m * m.T if self.subtract_product else 0.5 * (m + m.T)
        return reldata.with_values(joined)


def _square_values(reldata: RelationData) -> Any:
    if not isinstance(reldata, (rd.SquareRelationArray, rd.SquareRelationTensor)):
        raise TypeError(f"expected relations between points, not {type(reldata).__name__}")
    return reldata.values


def _present(reldata: RelationData) -> Any:
    """The values, 0 where rows of neighbours are filled up."""
    if isinstance(reldata, rd.NeighborRelationTuple):
        return reldata.values.masked_fill(reldata.indices < 0, 0.0)
    return reldata.values


class NormalizeRows(RelationTransform):
    """Divides the relations of each point by their sum."""

    def transform(self, reldata: RelationData) -> RelationData:
        if isinstance(reldata, rd.TriangularRelationArray):
            reldata = reldata.to_square_array()
        elif isinstance(reldata, rd.TriangularRelationTensor):
            reldata = reldata.to_square_tensor()
        if isinstance(reldata, rd.SparseRelationArray):
            heads, weights = reldata.edges.heads.long(), reldata.values
            # A row at a time: `index_add` adds in any order on a device.
            sums = torch.segment_reduce(weights, "sum", offsets=reldata.edges.indptr, initial=0)
            return reldata.with_values(weights / sums[heads])
        tuples = isinstance(reldata, rd.NeighborRelationTuple)
        values = _present(reldata) if tuples else _square_values(reldata)
        return reldata.with_values(values / values.sum(1)[:, None])


class Normalize(RelationTransform):
    """Divides all relations by their sum, each pair counted in both directions."""

    def transform(self, reldata: RelationData) -> RelationData:
        triangular = isinstance(reldata, (rd.TriangularRelationArray, rd.TriangularRelationTensor))
        values = _present(reldata)
        return reldata.with_values(values / ((2 if triangular else 1) * values.sum()))


class ZeroDiagonal(RelationTransform):
    """Sets all relations of points to themselves to zero."""

    def transform(self, reldata: RelationData) -> RelationData:
        if isinstance(reldata, (rd.TriangularRelationArray, rd.TriangularRelationTensor)):
            return reldata
        if isinstance(reldata, rd.NeighborRelationTuple):
            return reldata.without_self()
        if isinstance(reldata, rd.SparseRelationArray):
            own = reldata.edges.heads == reldata.edges.tails
            return reldata.with_values(reldata.values.masked_fill(own, 0.0))
        values = _square_values(reldata)
        off_diagonal = 1 - torch.eye(len(values), device=to_torch(values).device)
        factor = to_numpy(off_diagonal) if isinstance(values, np.ndarray) else off_diagonal
        return reldata.with_values(values * factor)
