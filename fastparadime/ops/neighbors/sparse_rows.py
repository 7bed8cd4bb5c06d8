"""Neighbours among sparse rows, on the CPU."""

from __future__ import annotations

import math

import numpy as np
import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_floats,
    as_indices,
    as_positive,
    as_row_starts,
    target_of,
)
from fastparadime.ops.neighbors.rerank import METRICS
from fastparadime.types import TensorLike
from fastparadime.utils.convert import row_sums
from fastparadime.utils.lazy import lazy_property
from fastparadime.utils.validate import check_integer, check_option

# Of finite values; what is not stored is zero.
SPARSE_METRICS = tuple(name for name in METRICS if name != "nan_euclidean")
# Their sums add over coordinates, so what two rows share can be found column by column.
SHARED_METRICS = ("euclidean", "sqeuclidean", "inner_product", "manhattan", "hamming", "canberra")


class SparseTable:
    """Rows of a sparse matrix in compressed form, and its columns once they are needed.

    Parameters
    ----------
    indptr : int64 array or tensor (n + 1,)
        Where each row begins and ends.
    columns : integer array or tensor (nnz,)
        Ascending within a row, none twice.
    values : array or tensor (nnz,)
        Finite numbers.
    dim : int
        Columns of the matrix.

    Raises
    ------
    TypeError, ValueError
        For parts that are not as described.
    """

    def __init__(
        self, indptr: TensorLike, columns: TensorLike, values: TensorLike, dim: int
    ) -> None:
        self.dim = check_integer(dim, "dim", minimum=1, maximum=MAX_POINTS)
        self._columns = as_indices(columns, "columns", 1, self.dim)
        self._values = as_floats(values, "values", 1)
        self._indptr = as_row_starts(indptr, "indptr", len(self._values))
        self._check()

    def _check(self) -> None:
        indptr, nnz = self._indptr.numpy(), len(self._values)
        if len(self._columns) != nnz:
            raise ValueError(
                f"columns and values must have one length, not {len(self._columns)}, {nnz}"
            )
        if not 2 <= len(indptr) <= MAX_POINTS:
            raise ValueError(f"indptr must have from 1 to 2^31 - 2 rows, not {len(indptr) - 1}")
        steps = np.diff(self._columns.numpy())
        starts = indptr[(indptr > 0) & (indptr < nnz)] - 1
        steps[starts] = 1  # from one row to the next
        if (steps <= 0).any():
            raise ValueError("columns must ascend within each row, none twice")
        if not np.isfinite(self._values.numpy()).all():
            raise ValueError("values must be finite")

    def __len__(self) -> int:
        return len(self._indptr) - 1

    @property
    def nnz(self) -> int:
        """How many values are stored."""
        return len(self._values)

    def pairs(self) -> float:
        """Products that `nearest` of all rows takes: the columns' lengths squared, summed."""
        lengths = np.bincount(self._columns.numpy(), minlength=self.dim).astype(np.float64)
        return float((lengths**2).sum())

    def _rows(self) -> _core.SparseRows:
        parts = (self._indptr, self._columns, self._values)
        return _core.SparseRows(*(part.data_ptr() for part in parts))

    @lazy_property
    def _by_column(self) -> tuple[torch.Tensor, ...]:
        import scipy.sparse

        parts = (self._values.numpy(), self._columns.numpy(), self._indptr.numpy())
        rows = scipy.sparse.csr_matrix(parts, shape=(len(self), self.dim)).tocsc()
        return (
            torch.from_numpy(rows.indptr.astype(np.int64)),
            torch.from_numpy(rows.indices.astype(np.int32)),
            torch.from_numpy(rows.data),
        )

    def _transposed(self) -> _core.SparseRows:
        return _core.SparseRows(*(part.data_ptr() for part in self._by_column))

    def _alone(self, metric: str) -> torch.Tensor:
        if metric == "inner_product":
            return torch.zeros(len(self))
        values = self._values.numpy().astype(np.float64)
        if metric in ("hamming", "canberra"):
            terms = (values != 0).astype(np.float64)
        else:
            terms = np.abs(values) if metric == "manhattan" else np.square(values)
        return torch.from_numpy(row_sums(terms, self._indptr.numpy())).float()

    def _asked(self, queries: SparseTable | None) -> SparseTable:
        if queries is not None and queries.dim != self.dim:
            raise ValueError(f"queries must have {self.dim} columns, not {queries.dim}")
        return self if queries is None else queries

    def project(self, columns: int, *, folded: int, seed: int) -> torch.Tensor:
        """The rows times a Gaussian matrix, float32 (n, columns).

        Parameters
        ----------
        columns : int
        folded : int
            Beyond so many columns of the matrix, several share a row of it with random signs, so
            that its size does not grow.
        seed : int
            In [0, 2^63).
        """
        import scipy.sparse

        generator = np.random.default_rng(seed)
        dim = min(self.dim, folded)
        matrix = generator.standard_normal((dim, columns), dtype=np.float32)
        values, places = self._values.numpy(), self._columns.numpy()
        if dim < self.dim:
            signs = generator.integers(0, 2, self.dim, dtype=np.int8) * 2 - 1
            values, places = values * signs[places], places % dim
        parts = (values, places, self._indptr.numpy())
        rows = scipy.sparse.csr_matrix(parts, shape=(len(self), dim))
        return torch.from_numpy(rows @ matrix)

    def nearest(
        self,
        points: TensorLike,
        count: int,
        metric: str = "euclidean",
        *,
        queries: SparseTable | None = None,
    ) -> torch.Tensor:
        """The rows that score best for some, by float32 sums over the columns that they share.

        Parameters
        ----------
        points : integer tensor (m,)
            Rows of the table, or of `queries`.
        count : int
            In [1, n].
        metric : str
            One of `SHARED_METRICS`.
        queries : SparseTable, optional
            Of the same columns.

        Returns
        -------
        int32 tensor (m, count)
            Nearest first, the point itself among them. `rerank` gives true distances.
        """
        metric = check_option(metric, SHARED_METRICS, "metric")
        asked = self._asked(queries)
        points = as_indices(points, "points", 1, len(asked))
        count = check_integer(count, "count", minimum=1, maximum=len(self))
        indices = torch.empty((len(points), count), dtype=torch.int32)
        alone = self._alone(metric)
        _core.sparse_nearest(
            indices.data_ptr(),
            asked._rows(),
            self._transposed(),
            alone.data_ptr(),
            points.data_ptr(),
            len(points),
            len(self),
            self.dim,
            count,
            METRICS.index(metric),
            target_of(indices),
        )
        return indices

    def rerank(
        self,
        candidates: TensorLike,
        k: int,
        metric: str = "euclidean",
        *,
        p: float = 2.0,
        points: TensorLike | None = None,
        queries: SparseTable | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """True distances of rows to their candidate neighbours, and the k nearest in order.

        Parameters
        ----------
        candidates : integer tensor (m, count)
            Of `points`, or of all rows; negative entries are empty. The row itself and repeated
            candidates are dropped.
        k : int
        metric : str
            One of `SPARSE_METRICS`.
        p : float
            Exponent of ``"minkowski"``.
        points : integer tensor (m,), optional
            Rows of the table, or of `queries`.
        queries : SparseTable, optional
            Of the same columns; none of its rows is one of the table's.

        Returns
        -------
        indices, distances : int32 and float32 tensors (m, k)
            Ascending, ties by index; -1 and infinity where the candidates ran out.
        """
        metric = check_option(metric, SPARSE_METRICS, "metric")
        k = check_integer(k, "k", minimum=1)
        p = as_positive(p, "p")
        asked = self._asked(queries)
        candidates = as_indices(candidates, "candidates", 2, len(self), negative_ok=True)
        whose = torch.arange(len(asked)) if points is None else points
        whose = as_indices(whose, "points", 1, len(asked))
        if len(whose) != len(candidates):
            raise ValueError(
                f"points must name the {len(candidates)} rows of candidates, not {len(whose)}"
            )
        indices = torch.empty((len(candidates), k), dtype=torch.int32)
        distances = torch.full(indices.shape, math.inf)
        _core.sparse_rerank(
            indices.data_ptr(),
            distances.data_ptr(),
            self._rows(),
            asked._rows(),
            candidates.data_ptr(),
            whose.data_ptr(),
            whose.data_ptr() if queries is None else 0,
            len(candidates),
            self.dim,
            candidates.shape[1],
            k,
            METRICS.index(metric),
            p,
            target_of(indices),
        )
        return indices, distances
