"""Nearest rows by a k-d tree: exact, for rows of few columns or of few dimensions within many."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_floats, as_indices, as_positive, target_of
from fastparadime.ops.neighbors.rerank import METRICS
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer, check_option

# Distances that are a sum or a maximum of what grows with each difference of coordinates.
TREE_METRICS = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski")
_ANY = 2**62  # rows
# Between two looks for Ctrl-C, and what a row costs beside its coordinates, as many of them.
_COORDINATES, _OVERHEAD = 5 * 10**7, 10


class KdTree:
    """The rows of a table, cut in halves until 16 are left, and the boxes that hold them.

    Distances are float32, from differences of coordinates: close rows keep their digits wherever
    they lie, and rows may be equal. `fastparadime.ops.rerank` gives the same distances.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU.

    Attributes
    ----------
    leaves : int
        How many there are, ceil(n / 16).
    rows : int32 tensor (leaves, 16)
        Which rows each leaf holds, ascending; -1 fills up the last.

    Raises
    ------
    TypeError, ValueError
        For a table that is not as described.
    """

    def __init__(self, X: TensorLike) -> None:
        table = as_floats(X, "X", 2)
        if table.device.type != "cpu":
            raise ValueError(f"X must be on the CPU, not on {table.device}")
        n, self._dim = table.shape
        if n >= MAX_POINTS:
            raise ValueError(f"X may have fewer than 2^31 - 1 rows, not {n}")
        self.leaves = -(-n // _core.kLeafRows)
        self.rows = torch.full((self.leaves, _core.kLeafRows), -1, dtype=torch.int32)
        self._values = torch.empty((self.leaves, self._dim, _core.kLeafRows))
        self._boxes = torch.empty((2 * self.leaves, 2, self._dim))
        self._core = _core.KdTree(
            self._values.data_ptr(), self.rows.data_ptr(), self._boxes.data_ptr(), n, self._dim
        )
        torch.arange(n, out=self.rows.view(-1)[:n])
        if n:
            self._build(table)

    def _build(self, table: torch.Tensor) -> None:
        n = len(table)
        keys = torch.empty(n, dtype=torch.int64)
        at_once = max(1, _COORDINATES // (self._dim + _OVERHEAD))  # rows
        level, more = 0, True
        while more:
            nodes, more = 2**level, False
            step = max(1, nodes * at_once // n)
            for first in range(0, nodes, step):
                more |= _core.build_kd_tree(
                    self._core,
                    keys.data_ptr(),
                    table.data_ptr(),
                    level,
                    first,
                    min(nodes, first + step),
                    target_of(table),
                )
            level += 1

    def nearest(
        self,
        leaves: TensorLike,
        width: int,
        metric: str = "euclidean",
        *,
        p: float = 2.0,
        max_compared: int = _ANY,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The `width` nearest other rows of the rows of some leaves, nearest first.

        Parameters
        ----------
        leaves : integer tensor (m,)
        width : int
            At least 1.
        metric : str
            One of `TREE_METRICS`.
        p : float
            Exponent of ``"minkowski"``.
        max_compared : int
            A leaf's search is given up, and what it found is of no use, once it has compared more
            pairs of rows.

        Returns
        -------
        indices : int32 tensor (m, 16, width)
            Of the rows that `rows` names, ascending by (distance, index); -1 where rows run out.
            Of rows equally far it is left open which come last. The same for any number of
            threads.
        compared : int64 tensor (m,)
            Pairs of rows that were compared.
        """
        leaves = as_indices(leaves, "leaves", 1, self.leaves)
        found = torch.empty((len(leaves), _core.kLeafRows, _width(width)), dtype=torch.int32)
        return found, self._search(found, leaves, None, metric, p, max_compared)

    def nearest_to(
        self, queries: TensorLike, width: int, metric: str = "euclidean", *, p: float = 2.0
    ) -> torch.Tensor:
        """The `width` nearest rows to each query, nearest first.

        Parameters
        ----------
        queries : (m, d) array or tensor
        width, metric, p
            As of `nearest`.

        Returns
        -------
        int32 tensor (m, width)
            A query's are the same whatever the other queries are.

        Raises
        ------
        ValueError
            For queries that are not as described.
        """
        queries = as_floats(queries, "queries", 2)
        if queries.shape[1] != self._dim:
            raise ValueError(f"queries must have {self._dim} columns as X, not {queries.shape[1]}")
        found = torch.empty((len(queries), _width(width)), dtype=torch.int32)
        self._search(found, None, queries, metric, p, _ANY)
        return found

    def _search(
        self,
        found: torch.Tensor,
        leaves: torch.Tensor | None,
        queries: torch.Tensor | None,
        metric: str,
        p: float,
        max_compared: int,
    ) -> torch.Tensor:
        check_option(metric, TREE_METRICS, "metric")
        compared = torch.zeros(len(found), dtype=torch.int64)
        if not self.leaves:
            found.fill_(-1)
            return compared
        _core.kd_nearest(
            found.data_ptr(),
            compared.data_ptr(),
            self._core,
            0 if leaves is None else leaves.data_ptr(),
            0 if queries is None else queries.data_ptr(),
            len(found),
            found.shape[-1],
            check_integer(max_compared, "max_compared", minimum=1),
            METRICS.index(metric),
            as_positive(p, "p"),
            target_of(found),
        )
        return compared


def _width(width: int) -> int:
    return check_integer(width, "width", minimum=1)


def tree_bytes(n: int, dim: int) -> int:
    """What a `KdTree` takes, the numbers that its building sorts included."""
    leaves = -(-n // _core.kLeafRows)
    return leaves * (4 * _core.kLeafRows * (dim + 1) + 16 * dim) + 8 * n
