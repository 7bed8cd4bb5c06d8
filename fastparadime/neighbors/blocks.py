"""The nearest of a block of rows to some queries, and what many blocks add up to."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fastparadime import ops
from fastparadime.utils import disk
from fastparadime.utils.convert import to_numpy

Found = tuple[torch.Tensor, torch.Tensor]

SPARE = 8  # candidates beyond k, so that rounding of products cannot drop a true neighbour
# Compared pair by pair on the CPU: faiss and SciPy are slower, and lose close rows and large powers.
PAIRED = (
    "chebyshev", "minkowski", "canberra", "braycurtis", "jensenshannon", "hamming", "nan_euclidean",
)  # fmt: skip
_SOME = 256  # rows of a block that show where it lies
_PAIRED_AT_ONCE = 64  # queries, whose candidates are all rows of a block
_ROUNDING = 5e-5  # of squares, by which products of rows at one distance may differ
_TIED_PARTS = 64  # of queries, whose ties are looked at one after the other
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


def nearest_by_scores(
    scores: torch.Tensor,
    sizes: torch.Tensor,
    k: int,
    true: Callable[[torch.Tensor, torch.Tensor, int], Found],
) -> Found:
    """The k nearest rows to each query by true distances, of those of the lowest scores.

    Where more rows are as far as the k-th than candidates hold, those of smaller numbers come first,
    of whichever the candidates are.

    Parameters
    ----------
    scores : tensor (m, n)
        As of `distance_block`.
    sizes : tensor (m,)
        Squares that scores are differences of, NaN where that is not known.
    k : int
    true : callable (queries, candidates, k) -> indices, distances
        `fastparadime.ops.rerank` of some of the m queries, int64, by candidates (some, w) among the
        n rows, -1 for none.

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
        Ascending by (distance, index); -1 and infinity where rows run out.
    """
    m, n = scores.shape
    count = min(n, k + 1 + SPARE)
    highest, candidates = scores.topk(count, dim=1, largest=False)
    indices, distances = true(torch.arange(m, device=scores.device), candidates, max(count, k))
    found = indices[:, :k].contiguous(), distances[:, :k].contiguous()
    if count == n:
        return found
    last = (indices >= 0).sum(dim=1, keepdim=True).sub_(1).clamp_min_(0)
    tied = (distances.gather(1, last)[:, 0] == distances[:, k - 1]).nonzero().flatten()
    errors = (sizes + highest[:, -1].abs()).nan_to_num(torch.inf, torch.inf)
    reach = highest[:, -1] + _ROUNDING * errors
    everyone = torch.arange(n, dtype=torch.int32, device=scores.device)
    for some in tied.split(-(-m // _TIED_PARTS)):
        among = torch.where(scores[some] <= reach[some, None], everyone, -1)
        found[0][some], found[1][some] = true(some, among, k)
    return found


def nearest_by_distances(
    distances: torch.Tensor,
    X: torch.Tensor,
    k: int,
    metric: str = "euclidean",
    *,
    queries: torch.Tensor | None = None,
    points: torch.Tensor | None = None,
) -> Found:
    """`nearest_by_scores` to queries, or to points among the rows, by distances that are no products."""

    def true(some: torch.Tensor, candidates: torch.Tensor, k: int) -> Found:
        asked = None if queries is None else queries[some]
        own = None if points is None else points[some]
        return ops.rerank(X, candidates, k, metric, queries=asked, points=own)

    return nearest_by_scores(distances, distances.new_zeros(len(distances)), k, true)


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
        if self._paired:
            every = torch.arange(len(self._rows), dtype=torch.int32).expand(last - first, -1)
            return self._true(torch.arange(first, last), every, k)
        queries = self._held[first:last]
        centred = queries if self._centre is None else queries - self._centre
        scores = distance_block(centred, self._rows, self.norms, self._metric, self._p)
        sizes = torch.linalg.vector_norm(centred, dim=1).square_()
        if self._metric == "inner_product":  # rows at one distance may be of any length
            sizes += self.norms.max()
        return nearest_by_scores(
            scores, sizes, k, lambda some, candidates, k: self._true(some + first, candidates, k)
        )

    def _true(self, places: torch.Tensor, candidates: torch.Tensor, k: int) -> Found:
        """The k nearest of candidates, numbers in the block, to the queries at some places."""
        above = len(self._asked)
        itself = (self._asked[places] - self._start)[:, None]
        there = (candidates >= 0) & (candidates != itself)
        indices, distances = ops.rerank(
            self._held,
            torch.where(there, candidates + above, -1),
            k,
            self._metric,
            p=self._p,
            points=places,
        )
        numbers = (indices.long() + (self._start - above)).to(torch.int32)
        return torch.where(indices < 0, indices, numbers), distances


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
