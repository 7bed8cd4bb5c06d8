"""Neighbour descent that goes on until rows solved exactly show the recall that was promised."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from fastparadime import ops
from fastparadime.exceptions import RecallWarning
from fastparadime.neighbors.exact import exact_rows
from fastparadime.neighbors.graph import Metric, NeighborGraph
from fastparadime.utils.seed import derive
from fastparadime.utils.warning import warn

METRICS = ("euclidean", "sqeuclidean", "cosine", "correlation", "hellinger")
_EXACT_COST = 1e11  # n^2 d up to which exact search takes about a second on two cores
EXACT_RECALL = 0.999  # above it the rows to solve exactly become too many
_COLUMNS = 64  # compared on the way
SMALL = 16  # times a leaf, below which so many points are compared anyway
_TREES = 8
_MOST_ROUNDS = 8
_GAIN = 0.002  # of recall that a further round must bring
_ROWS = 256  # solved exactly, or as many as make the bound reach the recall when all is found
_ROWS_FOR_BOUND = 8.0  # over 1 - recall
_Z = 1.645  # one-sided 95 %


@dataclass(frozen=True)
class Effort:
    """How hard one attempt tries: candidates kept, coordinates compared, lists looked through."""

    width: int
    columns: int
    reach: int


def is_wanted(n: int, d: int, k: int, metric: Metric, recall: float) -> bool:
    """Whether `knn` on the CPU goes by neighbour descent."""
    return (
        metric in METRICS
        and recall <= EXACT_RECALL
        and float(n) * n * d > _EXACT_COST
        and n > SMALL * ops.leaf_size(efforts(n, d, k, recall)[0].width)
    )


def efforts(n: int, d: int, k: int, recall: float) -> list[Effort]:
    """What is tried in turn until an attempt reaches the recall, from where that is likely."""
    if d <= _COLUMNS:
        ladder = [
            (0.985, Effort(ops.list_width(n, d, k), _COLUMNS, 16)),
            (1.0, Effort(min(n - 1, 2 * k + 5), _COLUMNS, 24)),
            (1.0, Effort(min(n - 1, 4 * k + 5), _COLUMNS, 48)),
        ]
    else:
        ladder = [
            (0.96, Effort(ops.list_width(n, d, k), _COLUMNS, 20)),
            (0.985, Effort(min(n - 1, 4 * k + 5), _COLUMNS, 24)),
            (1.0, Effort(min(n - 1, 4 * k + 5), 2 * _COLUMNS, 32)),
            (1.0, Effort(min(n - 1, 6 * k + 5), d, 48)),
        ]
    return [effort for likely, effort in ladder if recall <= likely]


def sample_size(n: int, recall: float) -> int:
    """Rows that are solved exactly."""
    return min(n, max(_ROWS, math.ceil(_ROWS_FOR_BOUND / (1 - recall))))


def recall_of(hits: torch.Tensor, k: int) -> tuple[float, float]:
    """The estimate of the recall and its lower bound with 95 % confidence.

    Parameters
    ----------
    hits : tensor (rows,)
        Neighbours found of each sampled row.
    k : int

    Notes
    -----
    Wilson's bound. Hits of one row go together, so it counts as many independent trials as explain
    the variance between rows: between one and k a row.
    """
    shares = hits.double() / k
    rows, estimate = len(shares), float(shares.mean())
    spread = float(shares.var(correction=0))
    independent = min(float(k), estimate * (1 - estimate) / spread) if spread > 0 else 1.0
    trials = rows * max(1.0, independent)
    centre = estimate + _Z**2 / (2 * trials)
    margin = _Z * math.sqrt(estimate * (1 - estimate) / trials + (_Z / (2 * trials)) ** 2)
    return estimate, max(0.0, (centre - margin) / (1 + _Z**2 / trials))


def warn_of_recall(recall: float, found: tuple[float, float], engine: str, advice: str) -> None:
    """Says that an engine found less than the recall that was asked for, and what to do."""
    warn(
        f"recall={recall:g} was not reached: {engine} found {found[0]:.3f} of the neighbors, at "
        f"least {found[1]:.3f} with 95 % confidence, and these are returned. {advice}",
        RecallWarning,
    )


def sample_rows(n: int, recall: float, seed: int) -> torch.Tensor:
    """The rows to solve exactly, int64."""
    generator = torch.Generator().manual_seed(derive(seed, "recall"))
    return torch.randperm(n, generator=generator)[: sample_size(n, recall)]


class Sample:
    """Rows that were solved exactly, to measure a recall by.

    Parameters
    ----------
    rows : int64 tensor (m,)
        On the CPU.
    distances : float32 tensor (m, k)
        To their nearest others, ascending.
    """

    def __init__(self, rows: torch.Tensor, distances: torch.Tensor) -> None:
        self.rows = rows
        self.k = distances.shape[1]
        self._radius = distances[:, -1:]

    @classmethod
    def of(cls, X: torch.Tensor, k: int, recall: float, seed: int) -> Sample:
        """Rows of a table by Euclidean distance, enough to show the recall."""
        rows = sample_rows(len(X), recall, seed)
        return cls(rows, exact_rows(X, rows.to(X.device), k))

    def recall(self, distances: torch.Tensor) -> tuple[float, float]:
        """Estimate and bound by the distances (m, k) that a search found for these rows."""
        return recall_of((distances <= self._radius).sum(dim=1), self.k)


def descent_knn(X: torch.Tensor, k: int, metric: str, recall: float, seed: int) -> NeighborGraph:
    """Neighbours of all rows of `X` by Euclidean distance, at least the share `recall` of them.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU; unit rows for ``"cosine"``, ``"correlation"`` and ``"hellinger"``.
    k : int
    metric : str
        One of `METRICS`.
    recall : float
    seed : int

    Warns
    -----
    RecallWarning
        If all attempts together fell short.
    """
    sample = Sample.of(X, k, recall, seed)
    n, d = X.shape
    for effort in efforts(n, d, k, recall):
        descent, found = _attempt(X, sample, effort, recall, seed)
        if found[1] >= recall:
            break
    else:
        advice = "recall=1.0 searches exactly; fewer columns, as of a PCA, are easier to search"
        warn_of_recall(recall, found, "neighbor descent", advice)
    indices, distances = descent.nearest(
        k, "sqeuclidean" if metric == "sqeuclidean" else "euclidean"
    )
    engine = (
        f"neighbour descent, {descent.trees} trees, {descent.rounds} rounds, "
        f"recall {found[0]:.3f} >= {found[1]:.3f}"
    )
    return NeighborGraph(indices, distances, engine, *found)


def _attempt(
    X: torch.Tensor, sample: Sample, effort: Effort, recall: float, seed: int
) -> tuple[ops.NeighborDescent, tuple[float, float]]:
    descent = ops.NeighborDescent(X, effort.width, columns=effort.columns, seed=seed)
    descent.grow(_TREES)
    found = sample.recall(descent.nearest(sample.k, rows=sample.rows)[1])
    while found[1] < recall and descent.rounds < _MOST_ROUNDS:
        before = found[0]
        descent.refine(effort.reach)
        found = sample.recall(descent.nearest(sample.k, rows=sample.rows)[1])
        if found[0] - before < _GAIN:
            break
    return descent, found
