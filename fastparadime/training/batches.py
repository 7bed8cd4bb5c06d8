"""The batches of a phase, by its sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from fastparadime import loss as losses
from fastparadime import ops
from fastparadime.relationdata import RelationData
from fastparadime.relations import Relations
from fastparadime.training import early_stopping, row_weights
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.sampling import (
    Batch,
    Entries,
    NegativeEdgeBatches,
    Noise,
    item_batch_sizes,
    item_batches,
)
from fastparadime.utils.seed import derive


@dataclass(frozen=True)
class TrainingData:
    """What a phase trains on: dataset entries, relations, and where the model is.

    `joins_single` is as of ``training.sampling.item_batch_sizes``; `row_weights`, float64 (n,) on the
    CPU, says how many times each row counts.
    """

    entries: Entries
    global_relations: Mapping[str, RelationData]
    batch_relations: Mapping[str, Relations]
    device: torch.device
    seed: int
    joins_single: bool = False
    row_weights: torch.Tensor | None = None


def edge_batches(phase: TrainingPhase, data: TrainingData, seed: int) -> NegativeEdgeBatches:
    edges = data.global_relations[phase.edge_rel_key].to_sparse_array().edges
    heads, tails, weights = (part.to(data.device) for part in edges[1:])
    if phase.patience is not None:
        weights = weights.masked_fill(early_stopping.held_out(edges, seed).to(data.device), 0.0)
    n, copies = len(edges.indptr) - 1, None
    if data.row_weights is not None:
        weights = row_weights.edge_weights(weights, heads, tails, data.row_weights)
        if not phase.shared_negatives:
            copies = row_weights.copies_of(data.row_weights).to(data.device)
            n = len(copies)
    sampler = ops.EdgeSampler(heads, tails, weights, n, seed=seed)
    data_key = embedded_entry(phase.loss, data.batch_relations)
    return NegativeEdgeBatches(
        data.entries,
        sampler,
        phase.batch_size,
        phase.neg_sampling_rate,
        data_key,
        phase.shared_negatives,
        copies,
    )


def embedded_entry(loss: losses.Loss, relations: Mapping[str, Relations]) -> str:
    """The entry whose rows at the ends of edges are embedded: that of the first relation loss."""
    parts = loss.losses if isinstance(loss, losses.CompoundLoss) else [loss]
    keys = [part.batch_relation_key for part in parts if isinstance(part, losses.RelationLoss)]
    return relations[keys[0]].data_key if keys else "main"


def noise_of(phase: TrainingPhase, data: TrainingData) -> tuple[str, Noise] | None:
    """The entry that a batch of items embeds, and the noise on its rows."""
    if not phase.noise:
        return None
    parts = phase.loss.losses if isinstance(phase.loss, losses.CompoundLoss) else [phase.loss]
    keys = [str(part.data_key) for part in parts if hasattr(part, "data_key")]
    key = keys[0] if keys else embedded_entry(phase.loss, data.batch_relations)
    table = data.entries[key]
    rows = max(item_batch_sizes(len(table), phase.batch_size, joins_single=data.joins_single))
    return key, Noise(table, phase.noise, rows, derive(data.seed, "noise"))


def shuffled_batches(
    phase: TrainingPhase, data: TrainingData, first_epoch: int = 0
) -> Iterator[Batch]:
    """The batches of a phase of standard sampling from an epoch on, without noise."""
    for epoch in range(first_epoch, phase.epochs):
        seed = derive(data.seed, epoch)
        yield from item_batches(
            data.entries,
            phase.batch_size,
            seed,
            joins_single=data.joins_single,
            weights=data.row_weights,
        )


def batches_per_epoch(phase: TrainingPhase, n: int, *, joins_single: bool = False) -> int:
    if phase.sampling == "standard":
        return len(item_batch_sizes(n, phase.batch_size, joins_single=joins_single))
    if phase.batches_per_epoch != -1:
        return phase.batches_per_epoch
    edges = max(phase.batch_size, math.ceil(n / (phase.neg_sampling_rate + 1)))
    return -(-edges // phase.batch_size)
