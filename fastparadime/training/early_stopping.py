"""Stopping a phase of edges early, by the loss of edges that it never draws."""

from __future__ import annotations

import copy
from typing import Any

import torch

from fastparadime import models, ops
from fastparadime.loss import Loss
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.sampling import Batch, Entries, NegativeEdgeBatches
from fastparadime.utils.seed import derive

_SHARE, _FEWEST, _MOST = 50, 200, 1000  # one in so many edges, and limits of their number
_DRAWS = 1000  # of held-out edges, with the negative ones of each
_FALL = 1e-3  # of the lowest loss so far: less counts as flat


def held_out(edges: ops.Edges, seed: int) -> torch.Tensor:
    """Which edges are held out: one in 50, at least 200 and at most 1,000, both directions.

    Parameters
    ----------
    edges : Edges
        A graph; an edge and its reverse are one.
    seed : int

    Returns
    -------
    bool tensor (edges,)

    Raises
    ------
    ValueError
        If fewer than 1,000 edges are there.
    """
    n = len(edges.indptr) - 1
    heads, tails = edges.heads.long().cpu(), edges.tails.long().cpu()
    pairs = torch.minimum(heads, tails) * n + torch.maximum(heads, tails)
    distinct = pairs.unique()
    if len(distinct) < 5 * _FEWEST:
        raise ValueError(
            f"patience holds {_FEWEST} edges out and needs {5 * _FEWEST} or more, but the graph "
            f"has {len(distinct)}"
        )
    count = min(_MOST, max(_FEWEST, len(distinct) // _SHARE))
    order = torch.randperm(
        len(distinct), generator=torch.Generator().manual_seed(derive(seed, "held-out edges"))
    )
    return torch.isin(pairs, distinct[order[:count]]).to(edges.heads.device)


def held_out_batch(
    edges: ops.Edges, entries: Entries, phase: TrainingPhase, data_key: str, seed: int
) -> Batch:
    """A batch of the edges held out, drawn by weight, with negative ones."""
    chosen = held_out(edges, seed)
    sampler = ops.EdgeSampler(
        edges.heads[chosen],
        edges.tails[chosen],
        edges.weights[chosen],
        len(edges.indptr) - 1,
        seed=derive(seed, "held-out draws"),
    )
    batches = NegativeEdgeBatches(entries, sampler, _DRAWS, phase.neg_sampling_rate, data_key)
    return batches.batch(0)


class Plateau:
    """Tells when a value that should fall has not for some time.

    Parameters
    ----------
    patience : int
        How often in a row the value may be no more than 0.1 % below its lowest before.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._lowest = float("inf")
        self._flat = 0

    @property
    def state(self) -> tuple[float, int]:
        """The lowest value so far, and how often in a row it was not undercut."""
        return self._lowest, self._flat

    @state.setter
    def state(self, state: tuple[float, int]) -> None:
        self._lowest, self._flat = state

    def reached(self, value: float) -> bool:
        """Takes the next value."""
        falls = value < self._lowest * (1 - _FALL)
        self._flat = 0 if falls else self._flat + 1
        self._lowest = min(self._lowest, value)
        return self._flat >= self._patience


@torch.no_grad()
def evaluate(model: torch.nn.Module, loss: Loss, *arguments: Any) -> float:
    """The loss of a batch that is not trained on.

    A copy of the loss takes it, since the phase's own would count it among those of the epoch, and
    the model is for once not in training, since batch norms would learn from it.
    """
    with models.evaluating(model):
        return float(copy.deepcopy(loss)(model, *arguments))
