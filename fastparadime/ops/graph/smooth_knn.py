"""The membership strengths of UMAP."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_distances, on_device, target_of
from fastparadime.types import TensorLike
from fastparadime.utils import disk
from fastparadime.utils.convert import mean_of
from fastparadime.utils.validate import check_option, check_positive


class SmoothKnn(NamedTuple):
    """Membership strengths (n, k), nearest offsets (n,) and widths (n,), all float32."""

    weights: torch.Tensor
    rho: torch.Tensor
    sigma: torch.Tensor


def smooth_knn(
    distances: TensorLike,
    rule: str = "paradime",
    *,
    n_neighbors: float | None = None,
    local_connectivity: float = 1.0,
    mean_distance: float | None = None,
) -> SmoothKnn:
    """Membership strengths exp(-(d - rho) / sigma) of each point's neighbours.

    Parameters
    ----------
    distances : (n, k) array
        Distances to the k other points, not negative; the point itself is not among them. An
        infinite one stands for a neighbour that is lacking.
    rule : {"paradime", "umap"}
        ``"paradime"``: rho is the smallest distance and the strengths sum to log2(k).
        ``"umap"``: neighbours count the point itself, so the target is log2(k + 1), and rho
        follows `local_connectivity` over the non-zero distances.
    n_neighbors : float, optional
        Neighbours as the rule counts them, if the target is to be the log2 of another number.
    local_connectivity : float
        UMAP's rule only: the (fractional) rank among non-zero distances that rho is taken at.
    mean_distance : float, optional
        Mean of the distances that are not infinite, where these are some of the rows of a table.

    Returns
    -------
    SmoothKnn
        Where no sigma solves the equation (duplicates), sigma is 1e-3 of the mean distance; where
        even an infinite one falls short of the target, all strengths are 1. In a row that lacks
        neighbours the strengths of those there are 1, those of others 0, and sigma is infinite:
        the mean distance that bounds it is, as in umap-learn.

    Raises
    ------
    ValueError
        If `distances` is not 2-D, has no columns, or holds negative or NaN values.

    Notes
    -----
    McInnes et al., "UMAP", arXiv 1802.03426, algorithm 3.
    """
    check_option(rule, ("paradime", "umap"), "rule")
    distances, lacking = as_distances(distances, "distances")
    n, k = distances.shape
    if k == 0:
        raise ValueError(f"distances must have at least one column, not shape {(n, k)}")
    umap = rule == "umap"
    counted = k + 1 if umap else k
    size = counted if n_neighbors is None else check_positive(n_neighbors, "n_neighbors")
    connectivity = check_positive(local_connectivity, "local_connectivity") if umap else 0.0
    connectivity = min(connectivity, k)  # the rank of the largest
    if mean_distance is None:
        mean = mean_of(distances if lacking is None else distances[~lacking])
    else:
        mean = torch.tensor(
            check_positive(mean_distance, "mean_distance", zero_ok=True), dtype=torch.float64
        ).to(distances.device)
    mean = (mean * (k / counted)).float()
    if lacking is not None:  # rho is that of the others, with the largest of them in their place
        largest = distances.masked_fill(lacking, 0.0).amax(dim=1, keepdim=True)
        distances = torch.where(lacking, largest, distances)
    with on_device(distances):
        weights = disk.empty_like(distances)
        rho, sigma = distances.new_empty(n), distances.new_empty(n)
        _core.smooth_knn(
            weights.data_ptr(),
            rho.data_ptr(),
            sigma.data_ptr(),
            distances.data_ptr(),
            mean.data_ptr(),
            n,
            k,
            math.log2(size),
            connectivity,
            counted,
            target_of(distances),
        )
    if lacking is not None:
        rows = lacking.any(dim=1)
        sigma.masked_fill_(rows, math.inf)
        weights.masked_fill_(rows[:, None], 1.0).masked_fill_(lacking, 0.0)
    return SmoothKnn(weights, rho, sigma)
