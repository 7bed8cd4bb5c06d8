"""Steps of negative-edge batches whose loss and gradients one operation computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch

from fastparadime import loss as losses
from fastparadime import models, ops
from fastparadime.relations import DistsFromTo, Relations, euclidean_rows
from fastparadime.training.batches import TrainingData, edge_batches
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.sampling import NegativeEdgeBatches, rows_of
from fastparadime.transforms import ModifiedCauchyTransform


@dataclass(frozen=True)
class FusedEdgeStep:
    """The loss of a negative-edge batch through the fused operation."""

    batches: NegativeEdgeBatches
    model: torch.nn.Module
    method: str
    curve: tuple[float, float]

    def _embed(self, rows: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = getattr(self.model, self.method)(models.as_input(self.model, rows))
        return embedded

    def loss(self, step: int | torch.Tensor) -> torch.Tensor:
        ids = self.batches.draw(step)
        entries, key = self.batches.entries, self.batches.data_key
        if entries[key].device.type == "cpu":
            # Shapes may vary here, so a point drawn twice is embedded once.
            nodes, positions = ops.unique_nodes(ids)
            rows = self._embed(rows_of(entries, key, nodes)).index_select(0, positions)
        else:
            rows = self._embed(rows_of(entries, key, ids))
        value, _ = ops.negative_edge_gradients(rows, self.batches.batch_size, *self.curve)
        return value


def fused_curve(
    loss: losses.Loss, relations: Mapping[str, Relations], phase: TrainingPhase
) -> tuple[float, float] | None:
    """The curve (a, b) of a phase that the fused operation computes exactly, else None."""
    if type(loss) is not losses.RelationLoss or phase.sampling != "negative_edge":
        return None
    relation = relations[loss.batch_relation_key]
    if (
        loss.loss_function is not losses.cross_entropy_loss
        or loss.global_relation_key != "rel"
        or type(relation) is not DistsFromTo
        or relation.metric is not euclidean_rows
        or [type(tf) for tf in relation.transform] != [ModifiedCauchyTransform]
    ):
        return None
    curve = cast(ModifiedCauchyTransform, relation.transform[0])
    if isinstance(curve.a, torch.Tensor) or isinstance(curve.b, torch.Tensor):
        return None  # trainable: they need gradients too
    return float(curve.a), float(curve.b)


def fused_step(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData
) -> FusedEdgeStep | None:
    curve = fused_curve(phase.loss, data.batch_relations, phase)
    if curve is None:
        return None
    method = cast(losses.RelationLoss, phase.loss).embedding_method
    return FusedEdgeStep(edge_batches(phase, data, data.seed), model, method, curve)
