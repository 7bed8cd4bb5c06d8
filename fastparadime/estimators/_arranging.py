"""The layout of a fit: its epochs, the positions kept on the way, and densMAP's term."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from fastparadime import ops
from fastparadime.estimators._parameters import Density, Settings
from fastparadime.types import Array
from fastparadime.utils.seed import derive

_MANY_POINTS = 10_000  # beyond which fewer epochs are the default
_EPOCHS = (500, 200)
_DENSITY_EPOCHS = 200  # more of them for densMAP


def epochs_of(settings: Settings, n: int) -> int:
    """Epochs of the layout of n points."""
    if settings.n_epochs is not None:
        return settings.n_epochs
    more = 0 if settings.density is None else _DENSITY_EPOCHS
    return _EPOCHS[n > _MANY_POINTS] + more


class Layout:
    """A layout of n points with what the settings ask of it.

    Parameters
    ----------
    settings : Settings
    n_epochs : int
    learning_rate : float
        Step size at the start.
    density : (edges, log radii (n,)), optional
        densMAP's graph and radii; needed where `settings.density` is there.
    """

    def __init__(
        self,
        settings: Settings,
        n_epochs: int,
        learning_rate: float,
        density: tuple[ops.Edges, Array] | None = None,
    ) -> None:
        self.settings, self.n_epochs, self.learning_rate = settings, n_epochs, learning_rate
        self.term: ops.DensityTerm | None = None
        self.density_epochs = 0
        if settings.density is not None and density is not None:
            self.term = _term(settings, settings.density, *density)
            if self.term is not None:
                plain = int(np.floor(n_epochs * (1 - settings.density.share)))
                self.density_epochs = n_epochs - plain
        self.kept: dict[int, Array] = {}

    def run(
        self, start: Array, edges: ops.Edges, progress: Callable[[int], object] | None = None
    ) -> Array:
        """Positions after the layout, float32 (n, dim); those of kept epochs are in `kept`."""
        settings = self.settings
        wanted = set(settings.kept_epochs or ())
        if 0 in wanted:
            self.kept[0] = start.copy()
        positions = ops.sgd_layout(
            start,
            edges,
            settings.a,
            settings.b,
            self.n_epochs,
            learning_rate=self.learning_rate,
            repulsion_strength=settings.repulsion_strength,
            negative_sample_rate=settings.negative_sample_rate,
            seed=derive(settings.seed, "layout"),
            progress=progress,
            stops=wanted - {0},
            at_stop=self._keep,
            density=self.term,
            density_epochs=self.density_epochs,
        )
        moved: Array = positions.numpy()
        return moved

    def _keep(self, done: int, positions: torch.Tensor) -> None:
        self.kept[done] = positions.numpy().copy()


def _term(
    settings: Settings, density: Density, edges: ops.Edges, radii: Array
) -> ops.DensityTerm | None:
    # A point without edges is not moved; its radius is to leave the others' mean as it is.
    known = np.isfinite(radii)
    filled = np.where(known, radii, radii[known].mean() if known.any() else 0.0)
    if density.strength == 0 or np.ptp(filled) == 0:
        return None
    return ops.DensityTerm(
        edges,
        filled,
        settings.a,
        settings.b,
        strength=density.strength,
        variance_shift=density.variance_shift,
    )
