"""Rows that are solved exactly, and the recall that they show."""

from __future__ import annotations

import math

import torch

from fastparadime.exceptions import RecallWarning
from fastparadime.neighbors.exact import exact_rows
from fastparadime.neighbors.read_rows import Rows
from fastparadime.utils.seed import derive
from fastparadime.utils.warning import warn

EXACT_RECALL = 0.999  # above it the rows to solve exactly become too many
_ROWS = 256  # solved exactly, or as many as make the bound reach the recall when all is found
_ROWS_FOR_BOUND = 8.0  # over 1 - recall
_SHARE = (
    800  # rows of a large table for each that is solved: a closer bound saves more than it costs
)
_MOST_ROWS = 1024  # by this share
_Z = 1.645  # one-sided 95 %


def sample_size(n: int, recall: float) -> int:
    """Rows that are solved exactly."""
    share = min(_MOST_ROWS, n // _SHARE)
    return min(n, max(_ROWS, share, math.ceil(_ROWS_FOR_BOUND / (1 - recall))))


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
    indices, distances : int32 and float32 tensors (m, k)
        Of their nearest others, ascending.
    """

    def __init__(self, rows: torch.Tensor, indices: torch.Tensor, distances: torch.Tensor) -> None:
        self.rows, self.indices = rows, indices
        self.k = distances.shape[1]
        self._radius = distances[:, -1:]

    @classmethod
    def of(cls, X: Rows, k: int, recall: float, seed: int) -> Sample:
        """Rows of a table by Euclidean distance, enough to show the recall."""
        rows = sample_rows(len(X), recall, seed)
        return cls(rows, *exact_rows(X, rows.to(X.device), k))

    def recall(self, distances: torch.Tensor) -> tuple[float, float]:
        """Estimate and bound by the distances (m, k) that a search found for these rows."""
        return recall_of((distances <= self._radius).sum(dim=1), self.k)
