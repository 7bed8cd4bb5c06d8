"""The nearest of a block of rows to some queries, and what many blocks add up to."""

from __future__ import annotations

import torch

from fastparadime import ops
from fastparadime.utils import disk
from fastparadime.utils.convert import to_numpy

SPARE = 8  # candidates beyond k, so that rounding of products cannot drop a true neighbour
# Compared pair by pair on the CPU: faiss and SciPy are slower, and lose close rows and large powers.
PAIRED = (
    "chebyshev", "minkowski", "canberra", "braycurtis", "jensenshannon", "hamming", "nan_euclidean",
)  # fmt: skip
_SOME = 256  # rows of a block that show where it lies
_PAIRED_AT_ONCE = 64  # queries, whose candidates are all rows of a block
EXPONENTS = {"manhattan": 1.0, "chebyshev": float("inf")}


def distance_block(
    queries: torch.Tensor, X: torch.Tensor, norms: torch.Tensor, metric: str, p: float
) -> torch.Tensor:
    """What orders the rows of `X` by their distance to each query.

    Parameters
    ----------
    queries : tensor (m, d)
    X : tensor (n, d)
    norms : tensor (n,)
        Squared norms of the rows of `X`, read for Euclidean metrics alone.
    metric : str
        One of `fastparadime.ops.METRICS`.
    p : float
        Exponent of ``"minkowski"``.

    Returns
    -------
    tensor (m, n)
    """
    if metric in ("euclidean", "sqeuclidean"):
        return torch.addmm(norms, queries, X.T, alpha=-2.0)  # a query's own norm orders nothing
    if metric == "inner_product":
        return -(queries @ X.T)
    if metric in EXPONENTS or metric == "minkowski":
        return torch.cdist(queries, X, p=EXPONENTS.get(metric, p))
    if metric == "nan_euclidean":
        return _nan_squares(queries, X)
    from scipy.spatial.distance import cdist

    return torch.from_numpy(cdist(to_numpy(queries), to_numpy(X), metric=metric)).to(X.device)


def _nan_squares(queries: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
    """Mean squared differences of the coordinates that neither row misses, infinite without any."""
    centre = X.nanmean(dim=0).nan_to_num(0.0)
    here, there = ((~part.isnan()).to(part.dtype) for part in (queries, X))
    x, y = ((part - centre).nan_to_num(0.0) for part in (queries, X))
    squares = x.square() @ there.T + here @ y.square().T - 2.0 * (x @ y.T)
    return (squares.clamp_min(0.0) / (here @ there.T)).nan_to_num(torch.inf, torch.inf)


class Tile:
    """Queries and, below them in one table, a block of rows.

    Parameters
    ----------
    held : float32 tensor (queries + rows, d)
    asked : int64 tensor (queries,)
        Numbers of the queries among all rows.
    start : int
        Number of the first row of the block.
    metric, p
        As of `distance_block`.
    """

    def __init__(
        self,
        held: torch.Tensor,
        asked: torch.Tensor,
        start: int,
        metric: str = "euclidean",
        p: float = 2.0,
    ) -> None:
        self._held, self._asked, self._start = held, asked, start
        self._metric, self._p = metric, p
        self._paired = metric in PAIRED and not held.is_cuda
        rows = held[len(asked) :]
        # Products cancel where the data lies far out. A mean would follow an outlier there.
        some = rows[:: -(-len(rows) // _SOME)]
        near = metric in ("euclidean", "sqeuclidean")
        self._centre = some.median(dim=0).values if near else None
        self._rows = rows if self._centre is None else rows - self._centre
        self.norms = torch.linalg.vector_norm(self._rows, dim=1).square_()

    def nearest(self, first: int, last: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The k nearest rows of the block to queries first ... last - 1.

        Returns
        -------
        indices, distances : int32 and float32 tensors (last - first, k)
            By number, true and ascending; -1 and infinity where the block has fewer.
        """
        if self._paired and last - first > _PAIRED_AT_ONCE:
            starts = range(first, last, _PAIRED_AT_ONCE)
            parts = [self.nearest(at, min(last, at + _PAIRED_AT_ONCE), k) for at in starts]
            indices, distances = (torch.cat(part) for part in zip(*parts, strict=True))
            return indices, distances
        above = len(self._asked)
        candidates = self._candidates(first, last, k)
        itself = (self._asked[first:last] - self._start)[:, None]
        candidates = torch.where(candidates == itself, -1, candidates + above)
        indices, distances = ops.rerank(
            self._held, candidates, k, self._metric, p=self._p, first_row=first
        )
        numbers = (indices.long() + (self._start - above)).to(torch.int32)
        return torch.where(indices < 0, indices, numbers), distances

    def _candidates(self, first: int, last: int, k: int) -> torch.Tensor:
        """Rows of the block among which are the nearest of queries first ... last - 1."""
        if self._paired:
            return torch.arange(len(self._rows), dtype=torch.int32).expand(last - first, -1)
        queries = self._held[first:last]
        centred = queries if self._centre is None else queries - self._centre
        block = distance_block(centred, self._rows, self.norms, self._metric, self._p)
        count = min(len(self._rows), k + 1 + SPARE)
        return block.topk(count, dim=1, largest=False).indices


class Nearest:
    """The k nearest found so far of some queries, ascending, ties by number.

    Parameters
    ----------
    queries, k : int
    device : device
    """

    def __init__(self, queries: int, k: int, device: torch.device) -> None:
        if device.type == "cpu":
            self.indices = disk.full((queries, k), -1, torch.int32)
            self.distances = disk.full((queries, k), torch.inf, torch.float32)
        else:
            self.indices = torch.full((queries, k), -1, dtype=torch.int32, device=device)
            self.distances = torch.full((queries, k), torch.inf, device=device)

    def take(self, first: int, indices: torch.Tensor, distances: torch.Tensor) -> None:
        """Joins what was found for queries from `first` on among rows of larger numbers."""
        mine = slice(first, first + len(indices))
        nearest, order = torch.cat((self.distances[mine], distances), 1).sort(dim=1, stable=True)
        k = self.indices.shape[1]
        self.indices[mine] = torch.cat((self.indices[mine], indices), 1).gather(1, order[:, :k])
        self.distances[mine] = nearest[:, :k]
