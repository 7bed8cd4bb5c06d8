"""Where a layout starts: spectral positions, principal components, random or given ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.layout.groups import GroupsOf
from fastparadime.layout.signs import signs_of
from fastparadime.layout.spectral import spectral_positions
from fastparadime.types import Array, TensorLike
from fastparadime.utils.convert import is_sparse, to_numpy, to_torch
from fastparadime.utils.seed import derive

SPECTRAL = ("spectral", "tswspectral")  # the same, by two names
_SPAN = 10.0  # of each coordinate at the start, as in umap-learn
_NOISE = 1e-4  # standard deviation: keeps coinciding points apart


def check_init(init: str | Array, rows: Any, n_components: int) -> None:
    """Raises ValueError if the initial positions do not suit the data."""
    n, columns = rows.shape
    if isinstance(init, str):
        if init == "pca" and not _all_finite(rows):
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
    X: Any,
    edges: ops.Edges,
    init: str | Array,
    n_components: int,
    seed: int,
    groups: GroupsOf | None = None,
) -> torch.Tensor:
    """UMAP's start, float32 (n, n_components), each column in [0, 10] up to noise.

    It lies where the edges do; noise is drawn on the host, so that it is the same on any device.

    Parameters
    ----------
    X : (n, d) tensor, array or CSR
        The rows, for principal components.
    edges : Edges
        The graph of the n points.
    init : {"spectral", "tswspectral", "pca", "random"} or array (n, n_components)
    n_components : int
    seed : int
    groups : GroupsOf, optional
        Of the points: spectral positions are those of their groups, and have no noise within one.
    """
    if groups is not None and (of := groups.get()) is not None:
        none = torch.empty((len(of.firsts), 0))  # of their rows
        return of.spread(initial_positions(none, of.edges, init, n_components, seed))
    seed = derive(seed, "init")
    rng = np.random.default_rng(seed)
    shape, device = (X.shape[0], n_components), edges.weights.device

    def noise() -> torch.Tensor:
        return torch.from_numpy(rng.normal(scale=_NOISE, size=shape)).to(device)

    if isinstance(init, str):
        if init in SPECTRAL:
            found = spectral_positions(edges, n_components, seed=seed % 2**32)
        elif init == "pca":
            found = _start_by_components(X, n_components, seed % 2**32)
        else:
            return torch.from_numpy(rng.uniform(0, _SPAN, shape)).float().to(device)
        start = _spanned(found) + noise()
    else:
        start = _spanned(torch.from_numpy(init.astype(np.float64)).to(device))
        if len(start.unique(dim=0)) < len(start):
            start += noise()
    return start.float()


def _start_by_components(X: Any, n_components: int, seed: int) -> torch.Tensor:
    if isinstance(X, torch.Tensor) and X.is_cuda:
        return _pca_by_covariance(X, n_components)
    table = X.numpy() if isinstance(X, torch.Tensor) else X
    return torch.from_numpy(principal_components(table, n_components, seed=seed))


def _all_finite(rows: Any) -> bool:
    values = rows.data if is_sparse(rows) else rows
    finite = values.isfinite() if isinstance(values, torch.Tensor) else np.isfinite(values)
    return bool(finite.all())


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
    from sklearn import config_context
    from sklearn.decomposition import PCA, TruncatedSVD

    kind = TruncatedSVD if is_sparse(X) else PCA  # centred, sparse rows would be dense
    # Whatever the caller has set: by dispatch, it solves in another way.
    plain = config_context(array_api_dispatch=False, transform_output="default")
    solver = kind(n_components, random_state=seed)
    with plain, np.errstate(invalid="ignore"):  # shares of the variance, where there is none
        found: Array = solver.fit_transform(X)
    # The largest entry of each axis is positive; before scikit-learn 1.5 that of its positions was.
    return np.where(signs_of(solver.components_, 1)[:, 0] < 0, -found, found)


def pca_positions(X: TensorLike, n_components: int = 2) -> torch.Tensor:
    """The first principal components of the rows of `X` (n, ...), float32 (n, n_components).

    By scikit-learn on the CPU; of a tensor on a device by the eigenvectors of its covariance, there.
    """
    X = X.reshape((len(X), -1))
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
    signs = torch.from_numpy(signs_of(axes.cpu().numpy(), 0)).to(axes.device)
    positions: torch.Tensor = centred @ (axes * signs)
    return positions.float()


def _spanned(positions: torch.Tensor) -> torch.Tensor:
    low, high = positions.aminmax(dim=0)
    return _SPAN * (positions - low) / torch.where(high > low, high - low, 1.0)
