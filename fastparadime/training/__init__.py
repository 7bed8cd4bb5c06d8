"""Training phases: their settings, and running them."""

from fastparadime.training.batches import TrainingData
from fastparadime.training.fused_steps import fused_curve
from fastparadime.training.history import History
from fastparadime.training.phases import TrainingPhase, check_phase
from fastparadime.training.run import run_phase

__all__ = [
    "History",
    "TrainingData",
    "TrainingPhase",
    "check_phase",
    "fused_curve",
    "run_phase",
]
