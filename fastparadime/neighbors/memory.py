"""How much memory a search takes, by formula, before it begins."""

from __future__ import annotations

import torch

from fastparadime.neighbors import (
    approximate,
    cluster_plan,
    device_clusters,
    sparse,
    streamed,
    tiled,
    tree,
)
from fastparadime.neighbors.binary import binary_bytes
from fastparadime.neighbors.exact import block_bytes, product_memory, takes_products
from fastparadime.neighbors.metrics import (
    BINARY_METRICS,
    WHOLE_METRICS,
    Metric,
    check_metric,
)
from fastparadime.neighbors.neighbor_graph import DEFAULT_RECALL
from fastparadime.neighbors.recall_sample import EXACT_RECALL
from fastparadime.neighbors.sphere import sphere_bytes
from fastparadime.neighbors.table import PREPARED_METRICS, UNIT_METRICS, Table, compared_columns
from fastparadime.utils.validate import check_integer

_FREE_SHARE = 0.9  # of a GPU's free memory that a search may take


def estimate_memory(
    n: int,
    d: int,
    k: int,
    metric: Metric = "euclidean",
    *,
    recall: float = DEFAULT_RECALL,
    on_gpu: bool = False,
    ready: bool = False,
    stream: bool = False,
    nnz: int | None = None,
) -> int:
    """Bytes that `knn` takes at its peak beside `X`, the result included.

    Parameters
    ----------
    n, d : int
        Rows and columns of the data.
    k : int
        In [1, n).
    metric : str or callable
        As of `knn`.
    recall : float
        As of `knn`.
    on_gpu : bool
        Whether the search is on a GPU.
    ready : bool
        Whether `X` is a float32 array or tensor in the order of its rows, possibly memory-mapped,
        where the search is: it is then searched where it is, unless the metric prepares rows of
        its own.
    nnz : int, optional
        Stored values, if `X` is a sparse matrix.
    stream : bool
        Whether to give the least that `max_memory` may be, for a search that streams `X`.

    Returns
    -------
    int
        8 n k of the result; and

        - 4 n d of the rows in float32, as the metric prepares them;
        - exact: 8 n d of the centred copy and the index, 16 n (k + 9) of candidates, 64 MiB of
          distances; Euclidean instead, on the CPU 4 n (d + 1) of rows laid out for products and
          24 n (k + 9) of candidates, on a GPU what ``tiled.make_plan`` counts, less where
          `max_memory` asks for it, and beyond three million rows what ``device_clusters.needed_bytes``
          counts;
        - a k-d tree: 5 d + 12 bytes a row, 16 MiB of candidates. Up to 64 columns what the data lets
          a search take is not known beforehand, and the most counts;
        - by overlapping clusters, c of them and 24 a point, with lists of w candidates: 4 n p of a
          projection to p columns, twice where it is widened, (8 w + 32 x 24 + 40) n of lists and
          clusters, 512 c d of the rows that centroids are moved by, 256 MiB of rows solved exactly,
          n (4 p + 9 w + 52) where neighbours of neighbours are looked through, p or else d in whole
          vectors of 16;
        - binary: 8 n (d / 64) of bits, 4 n of sizes, 16 n a thread of counts, 48 MiB of a block;
        - haversine: 128 n of a tree, 12 n k of candidates;
        - by SciPy and by functions: 4 n d more, since it compares float64, and 128 MiB of distances;
        - sparse: 32 nnz of the rows, the columns and a copy between, 40 (n + d), 4 (n + d) a thread
          of scores, 64 MiB; through a projection 1024 n + 512 min(d, 2^16) of it and
          (30 (2 k + 10) + 40 k + 400) n of lists;
        - by clusters on the disk, which `knn` takes in less memory than the above: 48 n, 512 c d of
          the rows that centroids are moved by (d + 1 columns of unit rows) and 64 MiB, lists and
          result in files beside;
        - streamed: blocks instead of all that, see ``streamed.Tiles.bytes``.

    Raises
    ------
    TypeError, ValueError
        For sizes outside their ranges, an unknown metric, or one that cannot be streamed.
    """
    n = check_integer(n, "n", minimum=2)
    d = check_integer(d, "d", minimum=1)
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    metric = check_metric(metric)
    if nnz is not None:
        approximately = metric != "inner_product" and recall <= EXACT_RECALL
        return sparse.estimate_memory(n, d, k, nnz, approximate=approximately)
    result, table = 8 * n * k, 4 * n * d
    if stream:
        if callable(metric) or metric in WHOLE_METRICS:
            raise ValueError(f"metric {metric!r} compares all rows at once and cannot be streamed")
        return streamed.least_tiles(n, k).bytes(n, compared_columns(d, metric), k)
    if callable(metric) or metric in WHOLE_METRICS:
        return _whole_bytes(n, d, k, metric)
    if ready and metric not in PREPARED_METRICS:
        table = 0
    if on_gpu and tiled.takes(k, compared(metric)):
        return result + table + _products_bytes(n, d, k, recall, itemsize=2)
    if on_gpu:
        return result + table + _compared_bytes(n, d, k)
    columns, own = compared_columns(d, metric), compared(metric)
    usual = 0 if tree.is_certain(columns, own) else _usual_bytes(n, d, k, metric, recall)
    if tree.may_serve(columns, own):
        usual = max(usual, tree.needed_bytes(n, columns, k))
    return result + table + usual


def _compared_bytes(n: int, d: int, k: int) -> int:
    """What is taken where all rows are compared by FAISS, by torch or in pairs."""
    return 8 * n * d + 16 * n * (k + 9) + block_bytes(n, 4)


def _usual_bytes(n: int, d: int, k: int, metric: str, recall: float) -> int:
    """What a search on the CPU takes beside rows and result where no tree serves it."""
    if approximate.is_wanted(n, d, metric, recall):
        return cluster_plan.needed_bytes(n, d, k) + 4 * block_bytes(n, 4)
    if takes_products(compared(metric)):
        return product_memory(n, d, k)
    return _compared_bytes(n, d, k)


def _whole_bytes(n: int, d: int, k: int, metric: Metric) -> int:
    """What a search by a function or one of `WHOLE_METRICS` takes, the result included."""
    if metric in BINARY_METRICS:
        return binary_bytes(n, d, k)
    if metric == "haversine":
        return sphere_bytes(n, k)
    return 8 * n * k + 8 * n * d + 2 * block_bytes(n, 8)


def _products_bytes(
    n: int, d: int, k: int, recall: float, *, itemsize: int, least: bool = False
) -> int:
    """What a search by products takes, by the way that `knn` takes it, beside rows and result."""
    if device_clusters.is_wanted(n, recall):
        return device_clusters.needed_bytes(n, d, k, itemsize=itemsize, least=least)
    if least:
        return tiled.least_bytes(n, d, k, itemsize=itemsize)
    return tiled.make_plan(n, d, k, itemsize=itemsize).bytes


def choose_tiles(
    max_memory: float,
    n: int,
    d: int,
    k: int,
    metric: Metric,
    *,
    recall: float = 1.0,
    on_gpu: bool = False,
    ready: bool = False,
    on_disk: bool = False,
) -> streamed.Tiles | None:
    """The tiles of a streamed search, where `knn` would else take more than `max_memory` bytes.

    With `on_disk` its result lies on the disk, and does not count.

    Raises
    ------
    ValueError
        If a streamed search would take more as well, or there is none for the metric.
    """
    needed = estimate_memory(n, d, k, metric, recall=recall, on_gpu=on_gpu, ready=ready)
    if needed <= max_memory:
        return None
    too_little = (
        f"max_memory={max_memory:.4g} bytes is too little: {k} neighbors of {n} rows with {d} "
        f"columns take about {needed:.4g}"
    )
    if callable(metric) or metric in WHOLE_METRICS:
        raise ValueError(f"{too_little}, and metric {metric!r} cannot be streamed in less")
    room = max_memory + (8 * n * k if on_disk else 0)
    tiles = streamed.tiles_within(room, n, compared_columns(d, metric), k)
    if tiles is None:
        least = estimate_memory(n, d, k, metric, stream=True)
        raise ValueError(
            f"{too_little}, and {least:.4g} streamed in blocks. Fewer columns or neighbors take less"
        )
    return tiles


def check_sparse_memory(
    max_memory: float, n: int, d: int, k: int, nnz: int, metric: Metric, recall: float
) -> None:
    """Raises if a search among sparse rows would take more than `max_memory` bytes."""
    needed = estimate_memory(n, d, k, metric, recall=recall, nnz=nnz)
    if needed > max_memory:
        raise ValueError(
            f"max_memory={max_memory:.4g} bytes is too little: {k} neighbors of {n} sparse rows "
            f"with {nnz} values take about {needed:.4g}"
        )


def holds_tiles(max_memory: float, table: Table, k: int, metric: str, recall: float) -> bool:
    """Whether products in small tiles on a GPU take no more than `max_memory` bytes."""
    n, d = table.shape
    if not table.on_gpu or not tiled.takes(k, metric):
        return False
    held = 8 * n * k + (0 if table.in_place else 4 * n * d)
    least = _products_bytes(n, d, k, recall, itemsize=_itemsize(table), least=True)
    return held + least <= max_memory


def placed(
    table: Table, k: int, recall: float, max_memory: float | None
) -> tuple[torch.Tensor, float]:
    """The rows on their GPU if they fit there beside a search by products, and the bytes left to it.

    Without `max_memory` the search has nine tenths of what the GPU has free.
    """
    n, d = table.shape
    budget = max_memory
    if budget is None:
        budget = _FREE_SHARE * torch.cuda.mem_get_info(table.device)[0]
    left = budget - 8 * n * k
    if table.ready:
        return table.whole(), left
    usual = _products_bytes(n, d, k, recall, itemsize=_itemsize(table))
    if table.home == table.device or 4 * n * d + usual <= left:
        return table.whole(), left - 4 * n * d
    # A copy on the host counts as memory that the search takes, but not of the GPU's.
    copied = 0 if table.in_place or max_memory is None else 4 * n * d
    return table.whole(table.home), left - copied


def _itemsize(table: Table) -> int:
    return tiled.default_precision(table.device).itemsize


def compared(metric: str) -> str:
    """The metric that orders the rows which are prepared for a metric."""
    return "euclidean" if metric in UNIT_METRICS else metric
