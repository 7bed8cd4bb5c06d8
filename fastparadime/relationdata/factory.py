"""From raw relations to the container that fits them."""

from __future__ import annotations

import numpy as np
import torch

from fastparadime.relationdata._raw import has_form
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
from fastparadime.types import Rels
from fastparadime.utils import frames
from fastparadime.utils.masks import without_mask


def relation_factory(relations: Rels, force_flat: bool = False) -> RelationData:
    """The container that fits an array, tensor, data frame, sparse matrix or neighbour tuple.

    Raises
    ------
    TypeError
        If none fits.
    """
    relations = without_mask(relations, "relations")
    if frames.is_frame(relations):
        relations, _ = frames.rows_and_names(relations, "relations")
    if isinstance(relations, tuple):
        return NeighborRelationTuple(relations)
    if isinstance(relations, (np.ndarray, torch.Tensor)):
        array = isinstance(relations, np.ndarray)
        if has_form(relations, "square"):
            return SquareRelationArray(relations) if array else SquareRelationTensor(relations)
        if has_form(relations, "triangular") and not force_flat:
            return (
                TriangularRelationArray(relations) if array else TriangularRelationTensor(relations)
            )
        if has_form(relations, "flat"):
            return FlatRelationArray(relations) if array else FlatRelationTensor(relations)
    elif hasattr(relations, "tocsr"):
        return SparseRelationArray(relations)
    raise TypeError(
        "relations must be a square or flat array or tensor, a square sparse matrix or a tuple "
        f"(indices, values), not {type(relations).__name__} of shape "
        f"{tuple(getattr(relations, 'shape', ()))}"
    )
