"""Where the layout of a fit starts."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastparadime import ops, spectral
from fastparadime.estimators._parameters import Settings
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse
from fastparadime.utils.seed import derive

_SPAN = 10.0  # of each coordinate at the start, as in umap-learn
_NOISE = 1e-4  # standard deviation: keeps coinciding points apart


def check_init(init: str | Array, rows: Any, n_components: int) -> None:
    """Raises ValueError if the initial positions do not suit the data."""
    n, columns = rows.shape
    if isinstance(init, str):
        if init == "pca" and not np.isfinite(rows.data if is_sparse(rows) else rows).all():
            raise ValueError(
                "init='pca' needs rows without missing values and infinite distances: use "
                "init='spectral'"
            )
        if init == "pca" and n_components > min(n, columns):
            raise ValueError(
                f"init='pca' gives at most min(n_samples, n_features) = {min(n, columns)} "
                f"components, but n_components is {n_components}"
            )
        return
    if init.shape != (n, n_components):
        raise ValueError(
            f"init must have shape (n_samples, n_components) = {(n, n_components)}, not "
            f"{init.shape}"
        )
    if not np.isfinite(init).all():
        raise ValueError("init must hold finite numbers")


def start_positions(X: Any, edges: ops.Edges, settings: Settings) -> Array:
    """Start of the layout, float32 (n, n_components), each column in [0, 10] up to noise."""
    seed = derive(settings.seed, "init")
    rng = np.random.default_rng(seed)
    shape = (X.shape[0], settings.n_components)
    if isinstance(settings.init, str):
        if settings.init in ("spectral", "tswspectral"):
            found = spectral.spectral_positions(edges, shape[1], seed=seed % 2**32).numpy()
        elif settings.init == "pca":
            found = _principal_components(X, shape[1], seed)
        else:
            return rng.uniform(0, _SPAN, shape).astype(np.float32)
        start = _spanned(found) + rng.normal(scale=_NOISE, size=shape)
    else:
        start = _spanned(settings.init.astype(np.float64))
        if len(np.unique(start, axis=0)) < len(start):
            start += rng.normal(scale=_NOISE, size=shape)
    return start.astype(np.float32)


def _principal_components(X: Any, count: int, seed: int) -> Array:
    from sklearn.decomposition import PCA, TruncatedSVD

    kind = TruncatedSVD if is_sparse(X) else PCA  # centred, sparse rows would be dense
    with np.errstate(invalid="ignore"):  # shares of the variance, where there is none
        found: Array = kind(count, random_state=seed % 2**32).fit_transform(X)
    return found


def _spanned(positions: Array) -> Array:
    low, high = positions.min(axis=0), positions.max(axis=0)
    spanned: Array = _SPAN * (positions - low) / np.where(high > low, high - low, 1.0)
    return spanned
