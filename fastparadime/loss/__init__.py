"""Losses of training phases, and the functions that compare relations."""

from fastparadime.loss.functions import cross_entropy_loss, kullback_leibler_div
from fastparadime.loss.losses import (
    Batch,
    ClassificationLoss,
    CompoundLoss,
    Loss,
    ReconstructionLoss,
    RelationLoss,
    Sampling,
    check_weights,
)
from fastparadime.loss.positions import AnchorLoss, PositionLoss

__all__ = [
    "AnchorLoss",
    "Batch",
    "ClassificationLoss",
    "CompoundLoss",
    "Loss",
    "PositionLoss",
    "ReconstructionLoss",
    "RelationLoss",
    "Sampling",
    "check_weights",
    "cross_entropy_loss",
    "kullback_leibler_div",
]
