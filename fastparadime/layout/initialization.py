"""Where a layout starts: spectral positions, principal components, random or given ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.layout.spectral import spectral_positions
from fastparadime.types import Array, TensorLike
from fastparadime.utils.convert import is_sparse, to_numpy, to_torch
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


def initial_positions(
    X: Any, edges: ops.Edges, init: str | Array, n_components: int, seed: int
) -> Array:
    """UMAP's start, float32 (n, n_components), each column in [0, 10] up to noise.

    Parameters
    ----------
    X : (n, d) array or CSR
        The rows, for principal components.
    edges : Edges
        The graph of the n points.
    init : {"spectral", "tswspectral", "pca", "random"} or array (n, n_components)
    n_components : int
    seed : int
    """
    seed = derive(seed, "init")
    rng = np.random.default_rng(seed)
    shape = (X.shape[0], n_components)
    if isinstance(init, str):
        if init in ("spectral", "tswspectral"):
            found = spectral_positions(edges, n_components, seed=seed % 2**32).numpy()
        elif init == "pca":
            found = principal_components(X, n_components, seed=seed % 2**32)
        else:
            return rng.uniform(0, _SPAN, shape).astype(np.float32)
        start = _spanned(found) + rng.normal(scale=_NOISE, size=shape)
    else:
        start = _spanned(init.astype(np.float64))
        if len(np.unique(start, axis=0)) < len(start):
            start += rng.normal(scale=_NOISE, size=shape)
    return start.astype(np.float32)


def noisy_spectral_positions(edges: ops.Edges, n_components: int, seed: int) -> torch.Tensor:
    """Spectral positions in one scale, the largest coordinate 10, and noise, on the edges' device.

    Columns keep their proportions, unlike those of `initial_positions`.
    """
    start = spectral_positions(edges, n_components)
    start = start * (_SPAN / start.abs().max().clamp_min(1e-12))
    generator = torch.Generator().manual_seed(derive(seed, "start"))
    noise = _NOISE * torch.randn(start.shape, generator=generator)
    return start + noise.to(start.device)


def principal_components(X: Any, n_components: int, *, seed: int = 0) -> Array:
    """The rows' first principal components (n, n_components), of CSR without centring, by scikit-learn."""
    from sklearn.decomposition import PCA, TruncatedSVD

    kind = TruncatedSVD if is_sparse(X) else PCA  # centred, sparse rows would be dense
    with np.errstate(invalid="ignore"):  # shares of the variance, where there is none
        found: Array = kind(n_components, random_state=seed).fit_transform(X)
    return found


def pca_positions(X: TensorLike, n_components: int = 2) -> torch.Tensor:
    """The first principal components of the rows of `X`, float32 (n, n_components).

    By scikit-learn on the CPU; of a tensor on a device by the eigenvectors of its covariance, there.
    """
    if isinstance(X, torch.Tensor) and X.is_cuda:
        return _pca_by_covariance(X, n_components)
    # A fixed state: the randomised solver would draw from numpy's global generator.
    return to_torch(principal_components(to_numpy(X), n_components))


def _pca_by_covariance(X: torch.Tensor, n_components: int) -> torch.Tensor:
    centred = X.double() - X.mean(dim=0, dtype=torch.float64)
    if n_components > min(centred.shape):
        raise ValueError(f"n_components={n_components} must be at most {min(centred.shape)}")
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -n_components:].flip(1)
    # As scikit-learn does: the largest entry of each axis is positive.
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    positions: torch.Tensor = centred @ (axes * largest.sign())
    return positions.float()


def _spanned(positions: Array) -> Array:
    low, high = positions.min(axis=0), positions.max(axis=0)
    spanned: Array = _SPAN * (positions - low) / np.where(high > low, high - low, 1.0)
    return spanned
