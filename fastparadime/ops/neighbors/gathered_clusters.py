"""The search among clusters whose rows are read a few clusters at a time."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_floats
from fastparadime.ops.neighbors.nearest_in_clusters import ClusterSearch
from fastparadime.utils import disk


class GatheredClusters(ClusterSearch):
    """As `ClusterSearch`, of rows that are given with each comparison.

    Rows have a place, where their lists stand, and a name, which lists hold and by which ties are
    ordered. Named by the rows of a table, the lists have the bits that `ClusterSearch` gives them,
    whatever the places are.

    Parameters
    ----------
    n, columns : int
        Of all rows.
    width : int
        Neighbours listed a row, at least 1.
    scale : float
        As of `ClusterSearch`.
    """

    def __init__(self, n: int, columns: int, width: int, scale: float = 1.0) -> None:
        self._columns, self._scale = columns, scale
        self._keys = disk.full((n, width), _core.kNoNeighbor, torch.int64)

    def compare_rows(
        self,
        rows: torch.Tensor,
        places: torch.Tensor,
        names: torch.Tensor,
        sizes: torch.Tensor,
        centers: torch.Tensor,
        known: torch.Tensor,
    ) -> None:
        """Compares the rows of each of some clusters all with all.

        Parameters
        ----------
        rows : float32 tensor (m, columns)
            Those of the clusters one after the other.
        places, names : int32 tensors (m,)
        sizes, centers, known
            As of `ClusterSearch.compare`.

        Raises
        ------
        TypeError, ValueError
            For shapes that disagree.
        """
        rows = as_floats(rows, "rows", 2)
        if rows.shape != (len(places), self._columns) or names.shape != places.shape:
            raise ValueError(
                f"rows must have shape {(len(places), self._columns)} and names {len(places)} "
                f"entries, not {tuple(rows.shape)} and {len(names)}"
            )
        self._compare(rows, places, names.contiguous(), sizes, centers, known)

    def refine_rows(
        self, max_candidates: int, order: torch.Tensor, place: torch.Tensor, rows: torch.Tensor
    ) -> float:
        """As `ClusterSearch.refine`, of padded and scaled rows in the order of their places.

        Parameters
        ----------
        max_candidates : int
        order : integer tensor (n,)
            The names by place.
        place : int32 tensor (n,)
            The places by name.
        rows : float32 tensor (n, stride)
        """
        return self._refine(max_candidates, order, place, rows, torch.arange(len(order)))
