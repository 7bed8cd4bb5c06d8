"""How much memory a search takes, by formula, before it begins."""

from __future__ import annotations

import torch

from fastparadime.neighbors import approximate, tiled
from fastparadime.neighbors.exact import block_bytes
from fastparadime.neighbors.graph import SCIPY_METRICS, Metric, check_metric
from fastparadime.utils.validate import check_integer, check_positive

_FREE_SHARE = 0.9  # of a GPU's free memory that a search may take


def estimate_memory(
    n: int,
    d: int,
    k: int,
    metric: Metric = "euclidean",
    *,
    recall: float = 0.95,
    on_gpu: bool = False,
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

    Returns
    -------
    int
        8 n k of the result; and

        - 4 n d of `X` in float32, and as much again if the metric prepares rows of its own;
        - exact: 8 n d of the centred copy and the index, 16 n (k + 9) of candidates, 64 MiB of
          distances; Euclidean on a GPU: what `tiled.make_plan` counts, less where `max_memory` asks
          for it;
        - neighbour descent, with the first attempt's c coordinates rounded up to 16, lists of w and
          reach r: 4 n c of coordinates, twice where they are a projection, (13 w + 4 r + 40) n of
          lists, 256 MiB of rows solved exactly. Attempts after a failed one take more.

    Raises
    ------
    TypeError, ValueError
        For sizes outside their ranges or an unknown metric.
    """
    n = check_integer(n, "n", minimum=2)
    d = check_integer(d, "d", minimum=1)
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    metric = check_metric(metric)
    result, table = 8 * n * k, 4 * n * d
    if callable(metric) or metric in SCIPY_METRICS:
        return result + 2 * table + 2 * block_bytes(n, 8)
    if metric in ("cosine", "correlation", "jensenshannon"):
        table *= 2
    if on_gpu and tiled.takes(k, _prepared(metric)):
        return result + table + tiled.make_plan(n, d, k, itemsize=2).bytes
    if on_gpu or not approximate.is_wanted(n, d, k, metric, recall):
        return result + table + 8 * n * d + 16 * n * (k + 9) + block_bytes(n, 4)
    effort = approximate.efforts(n, d, k, recall)[0]
    coordinates = -(-min(d, effort.columns) // 16) * 64 * n
    tables = 2 if d > effort.columns else 1
    lists = (13 * effort.width + 4 * effort.reach + 40) * n
    return result + table + tables * coordinates + lists + 4 * block_bytes(n, 4)


def check_memory(
    max_memory: float, n: int, d: int, k: int, metric: Metric, *, recall: float, on_gpu: bool
) -> None:
    """Raises if `knn` would take more than `max_memory` bytes."""
    allowed = check_positive(max_memory, "max_memory")
    if on_gpu and isinstance(metric, str) and tiled.takes(k, _prepared(metric)):
        tiled.make_plan(n, d, k, itemsize=2, limit=allowed - 8 * n * k)
        return
    needed = estimate_memory(n, d, k, metric, recall=recall, on_gpu=on_gpu)
    if needed > allowed:
        raise ValueError(
            f"max_memory={allowed:.4g} bytes is too little: {k} neighbors of {n} rows with {d} "
            f"columns take about {needed:.4g}. Fewer columns or neighbors take less"
        )


def placed(
    X: torch.Tensor, k: int, device: torch.device, max_memory: float | None
) -> tuple[torch.Tensor, float | None]:
    """`X` on the device if it fits there beside its search, and the bytes left to the search.

    Without `max_memory` they are nine tenths of what a GPU has free, and no limit on the CPU.
    """
    n, d = X.shape
    budget = max_memory
    if budget is None and device.type == "cuda":
        budget = _FREE_SHARE * torch.cuda.mem_get_info(device)[0]
    if budget is None:
        return X.to(device), None
    left = budget - 8 * n * k
    itemsize = tiled.default_precision(device).itemsize
    fits = 4 * n * d + tiled.make_plan(n, d, k, itemsize=itemsize).bytes <= left
    if X.device != device and fits:
        return X.to(device), left - 4 * n * d
    return X, left


def _prepared(metric: str) -> str:
    return "euclidean" if metric in ("cosine", "correlation") else metric
