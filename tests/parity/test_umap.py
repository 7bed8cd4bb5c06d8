"""The same numbers as umap-learn 0.5.12 on stored input. Its k counts the point itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops

Arrays = dict[str, npt.NDArray[Any]]

NEIGHBORS = [5, 15, 30]
CONNECTIVITIES = [1.0, 1.5, 2.0]


@pytest.fixture(scope="module")
def knn(reference_folder: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Indices and distances of 31 neighbours, the point itself first."""
    with np.load(reference_folder / "paradime.npz") as stored:
        return stored["knn_indices"], stored["knn_distances"]


@pytest.fixture(scope="module")
def umap(reference_folder: Path) -> Arrays:
    with np.load(reference_folder / "umap.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("k", NEIGHBORS)
def test_smooth_knn_dist(
    k: int, connectivity: float, knn: Any, umap: Arrays, device: torch.device
) -> None:
    distances = torch.from_numpy(knn[1][:, 1:k]).to(device)
    _, rho, sigma = ops.smooth_knn(distances, "umap", local_connectivity=connectivity)
    name = f"smooth_k{k}_lc{connectivity}"
    np.testing.assert_allclose(rho.cpu(), umap[f"{name}_rhos"], rtol=1e-6)
    np.testing.assert_allclose(sigma.cpu(), umap[f"{name}_sigmas"], rtol=1e-4)


@pytest.mark.parametrize("mix_ratio", [1.0, 0.5])
@pytest.mark.parametrize("k", NEIGHBORS)
def test_fuzzy_simplicial_set(
    k: int, mix_ratio: float, knn: Any, umap: Arrays, device: torch.device
) -> None:
    indices, distances = (torch.from_numpy(part[:, 1:k]).to(device) for part in knn)
    weights = ops.smooth_knn(distances, "umap").weights
    edges = ops.symmetrize(indices, weights, "mix", mix_ratio=mix_ratio)
    name = f"fuzzy_k{k}_mix{mix_ratio}"
    np.testing.assert_array_equal(edges.indptr.cpu(), umap[f"{name}_indptr"])
    np.testing.assert_array_equal(edges.tails.cpu(), umap[f"{name}_indices"])
    # umap-learn stops its bisection at 1e-5 of the sum of a row's strengths.
    np.testing.assert_allclose(edges.weights.cpu(), umap[f"{name}_data"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("mix_ratio", [1.0, 0.5])
@pytest.mark.parametrize("k", NEIGHBORS)
def test_symmetrize_alone(
    k: int, mix_ratio: float, knn: Any, umap: Arrays, device: torch.device
) -> None:
    name = f"smooth_k{k}_lc1.0"
    distances = knn[1][:, 1:k].astype(np.float32)  # as umap-learn holds them
    offsets = np.maximum(distances - umap[f"{name}_rhos"][:, None], 0)
    weights = np.exp(-offsets / umap[f"{name}_sigmas"][:, None])
    arrays = (torch.from_numpy(part).to(device) for part in (knn[0][:, 1:k], weights))
    edges = ops.symmetrize(*arrays, "mix", mix_ratio=mix_ratio)
    name = f"fuzzy_k{k}_mix{mix_ratio}"
    np.testing.assert_array_equal(edges.tails.cpu(), umap[f"{name}_indices"])
    np.testing.assert_allclose(edges.weights.cpu(), umap[f"{name}_data"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", NEIGHBORS)
def test_union_is_a_mix_of_one(k: int, knn: Any, umap: Arrays, device: torch.device) -> None:
    indices, distances = (torch.from_numpy(part[:, 1:k]).to(device) for part in knn)
    weights = ops.smooth_knn(distances, "umap", n_neighbors=k).weights
    edges = ops.symmetrize(indices, weights, "union")
    np.testing.assert_allclose(
        edges.weights.cpu(), umap[f"fuzzy_k{k}_mix1.0_data"], rtol=0, atol=1e-5
    )
