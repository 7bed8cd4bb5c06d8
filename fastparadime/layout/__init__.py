"""Layouts of graphs: where they start, and gradient descent from there."""

from fastparadime.layout.curve import find_ab
from fastparadime.layout.initialization import (
    initial_positions,
    noisy_spectral_positions,
    pca_positions,
)
from fastparadime.layout.landmarks import Drift, Landmarks
from fastparadime.layout.optimize import (
    LayoutParameters,
    default_epochs,
    groups_for,
    optimize_layout,
)
from fastparadime.layout.output_space import OutputSpace, check_output_metric
from fastparadime.layout.spectral import spectral_positions

__all__ = [
    "Drift",
    "Landmarks",
    "LayoutParameters",
    "OutputSpace",
    "check_output_metric",
    "default_epochs",
    "find_ab",
    "groups_for",
    "initial_positions",
    "noisy_spectral_positions",
    "optimize_layout",
    "pca_positions",
    "spectral_positions",
]
