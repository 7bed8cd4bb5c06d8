"""A sample that holds rows of every cluster, small ones too, of tables of any size."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors.centroids import find_centroids
from fastparadime.neighbors.doubtful_rows import near_origin_centre, scale_of
from fastparadime.neighbors.metrics import Metric, check_metric
from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import is_sparse, share, to_numpy
from fastparadime.utils.frames import NamedRows, is_frame, rows_and_names
from fastparadime.utils.seed import derive, draw_seed
from fastparadime.utils.validate import check_finite, check_integer

_MOST_CLUSTERS, _MOVES = 256, 8
_DRAWN, _LEAST_DRAWN = 64, 4096  # rows a cluster, and in all, that show where clusters are
_ROUNDS = 8  # in which rows far apart are looked for
_SHARE = 4  # of a sample, whose other parts are the least that clusters get
_BLOCK_BYTES = 16 * 2**20  # of float32 rows that are compared at a time
_PROJECTED = 64  # columns of sparse rows where they are compared with clusters
_LENGTHS_APART = ("cosine", "correlation")  # metrics by which lengths of rows do not count


def stratified_sample(
    X: Any,
    sample: float,
    *,
    n_neighbors: int = 15,
    metric: Metric = "euclidean",
    seed: int | None = None,
) -> Array:
    """Numbers of some rows, drawn from each cluster of a coarse pass over all of them.

    k-means of some rows tells up to 256 clusters, and each row is of the nearest one. A cluster
    gets its share of the sample, but `n_neighbors` + 1 rows at least, or all that it has, so that
    small groups are not lost; within it rows are drawn at random.

    Parameters
    ----------
    X : (n, d) array, tensor, data frame, sparse matrix or source of rows
        Numbers, read block by block; NaN for what is missing, by nan_euclidean alone, counts as 0.
    sample : int or float
        How many rows, or their share in (0, 1].
    n_neighbors : int
    metric : str or callable
        As for `knn`. By the cosine and the correlation, lengths of rows do not count in the coarse pass.
    seed : int, optional
        Drawn if None.

    Returns
    -------
    int64 array (m,)
        Ascending.

    Raises
    ------
    TypeError, ValueError
        For a sample that is none, or of more rows than there are, an unknown metric, and rows that
        are not finite numbers.
    """
    metric = check_metric(metric)
    rows = rows_and_names(X)[0] if is_frame(X) or isinstance(X, NamedRows) else X
    if isinstance(rows, (list, tuple)):
        rows = np.asarray(rows)
    if len(getattr(rows, "shape", ())) != 2:
        told = getattr(rows, "shape", type(rows).__name__)
        raise ValueError(f"X must have rows and columns, not {told}")
    rows = rows.tocsr() if is_sparse(rows) else rows
    n = rows.shape[0]
    size = sample_size(sample, n)
    if size == n:
        return np.arange(n)
    number = draw_seed() if seed is None else check_integer(seed, "seed", minimum=0)
    least = check_integer(n_neighbors, "n_neighbors", minimum=1) + 1
    clusters = max(1, min(_MOST_CLUSTERS, size // (_SHARE * least)))
    coarse = _Coarse(rows, str(metric), number)
    labels = coarse.labels(clusters)
    counts = np.bincount(labels, minlength=clusters)
    return _drawn(labels, _sizes(counts, size, least), number)


def sample_size(sample: Any, n: int) -> int:
    """How many of n rows a sample is of.

    Raises
    ------
    TypeError, ValueError
        If it is no number of rows from 2 to n, and no share of them in (0, 1].
    """
    if isinstance(sample, numbers.Real) and not isinstance(sample, (bool, numbers.Integral)):
        share_of_rows = float(sample)
        if not 0 < share_of_rows <= 1:
            raise ValueError(f"sample must be a number of rows or a share in (0, 1], not {sample}")
        return max(2, math.ceil(share_of_rows * n))
    if isinstance(sample, bool) or not isinstance(sample, numbers.Integral):
        raise TypeError(f"sample must be a number of rows or a share in (0, 1], not {sample!r}")
    rows = int(sample)
    if not 2 <= rows <= n:
        raise ValueError(
            f"sample must be from 2 to the {n} rows there are, or a share such as 0.5, not {rows}"
        )
    return rows


def _sizes(counts: Array, size: int, least: int) -> Array:
    """Rows that are drawn of each cluster, `size` in all: its share, or a least number if that is more."""
    floors = np.minimum(counts, min(least, size // len(counts)))
    small = np.zeros(len(counts), dtype=bool)
    while True:
        left = size - floors[small].sum()
        shares = np.where(small, floors, left * (counts / max(1, counts[~small].sum())))
        smaller = ~small & (shares < floors)
        if not smaller.any():
            break
        small |= smaller
    whole = np.floor(shares).astype(np.int64)
    order = np.argsort(whole - shares, kind="stable")  # largest remainders first
    whole[order[: size - whole.sum()]] += 1
    return whole


def _drawn(labels: Array, sizes: Array, seed: int) -> Array:
    keys = np.random.default_rng(derive(seed, "rows of the sample")).random(len(labels))
    order = np.lexsort((keys, labels))
    ends = np.cumsum(np.bincount(labels, minlength=len(sizes)))
    starts = np.concatenate([[0], ends[:-1]])
    chosen = [order[start : start + m] for start, m in zip(starts, sizes, strict=True)]
    return np.sort(np.concatenate(chosen))


class _Coarse:
    """Rows as they are compared with clusters, block by block."""

    def __init__(self, rows: Any, metric: str, seed: int) -> None:
        self.rows, self.metric, self.seed = rows, metric, seed
        self.directions = None
        if is_sparse(rows) and rows.shape[1] > _PROJECTED:
            rng = np.random.default_rng(derive(seed, "projection"))
            self.directions = rng.standard_normal((rows.shape[1], _PROJECTED), np.float32)

    def labels(self, clusters: int) -> Array:
        """The cluster of each row, uint8 (n,)."""
        n = self.rows.shape[0]
        found = np.zeros(n, np.uint8)
        some = self._some(min(n, max(_LEAST_DRAWN, clusters * _DRAWN)))
        if not bool(some.isfinite().all()):
            for _ in self._blocks():  # says which row is not
                pass
        mean, spread = near_origin_centre(some)
        scale = scale_of(spread)

        def nearest(rows: torch.Tensor, centers: torch.Tensor, count: int) -> torch.Tensor:
            return ops.ProductTable(centers, mean, scale).nearest_to(rows, count)[0]

        start = self._apart(some, clusters, mean, scale)
        drawn = -(-len(some) // clusters)
        centers, _ = find_centroids(some, clusters, drawn, _MOVES, self.seed, nearest, start)
        table = ops.ProductTable(centers, mean, scale)
        for first, block in self._blocks():
            part = table.nearest_to(block, 1)[0][:, 0]
            found[first : first + len(block)] = part.numpy()
        return found

    def _apart(
        self, some: torch.Tensor, count: int, mean: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Some rows that are far from one another, so that small groups have one of them.

        After Bahmani et al. 2012 (arXiv 1203.6402): in rounds, by squared distances.
        """
        rng = np.random.default_rng(derive(self.seed, "rows far apart"))
        new = [int(rng.integers(len(some)))]
        chosen, far = list(new), np.full(len(some), np.inf, np.float32)
        while len(chosen) < count:
            table = ops.ProductTable(some[new], mean, scale)
            squares = table.nearest_to(some, 1)[1][:, 0].numpy()
            far = np.minimum(far, np.maximum(squares, 0))
            far[chosen] = 0
            there = int(np.count_nonzero(far))
            if not there:  # all others are equal to one of them
                break
            wanted = min(-(-count // _ROUNDS), count - len(chosen), there)
            shares = far / far.sum(dtype=np.float64)
            new = rng.choice(len(some), wanted, replace=False, p=shares).tolist()
            chosen += new
        return some[chosen]

    def _some(self, count: int) -> torch.Tensor:
        """Rows drawn at random."""
        rng = np.random.default_rng(derive(self.seed, "rows of the coarse pass"))
        n = self.rows.shape[0]
        drawn = np.sort(rng.choice(n, count, replace=False, shuffle=False))
        if not sources.is_source(self.rows):
            taken = drawn if not isinstance(self.rows, torch.Tensor) else torch.from_numpy(drawn)
            return self._compared(self.rows[taken])
        parts = []
        for first, block in sources.row_blocks(self.rows, "X"):
            inside = drawn[
                np.searchsorted(drawn, first) : np.searchsorted(drawn, first + len(block))
            ]
            if len(inside):
                parts.append(self._compared(block[inside - first]))
        return torch.cat(parts)

    def _blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        step = max(1, _BLOCK_BYTES // (4 * max(1, min(self.rows.shape[1], 2**16))))
        for first, block in sources.row_blocks(self.rows, "X", step):
            if not is_sparse(block):
                check_finite(block, "X", first, missing_ok=self.metric == "nan_euclidean")
            yield first, self._compared(block)

    def _compared(self, block: Any) -> torch.Tensor:
        """Rows as float32 (m, columns), of one length where lengths do not count."""
        if is_sparse(block):
            dense = block @ self.directions if self.directions is not None else block.toarray()
        else:
            dense = to_numpy(block)
        rows: Array = np.ascontiguousarray(dense, dtype=np.float32)
        if self.metric == "nan_euclidean":
            rows = np.nan_to_num(rows, nan=0.0)
        if self.metric in _LENGTHS_APART:
            if self.metric == "correlation":
                rows = rows - rows.mean(axis=1, keepdims=True)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows / np.where(lengths > 0, lengths, 1).astype(np.float32)
        return share(rows)
