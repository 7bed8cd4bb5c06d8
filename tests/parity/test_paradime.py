"""The same numbers as paraDime 1.1.0 on stored input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import loss, ops, transforms
from fastparadime.relationdata import (
    FlatRelationTensor,
    NeighborRelationTuple,
    SparseRelationArray,
)
from fastparadime.relations import DistsFromTo

Arrays = dict[str, npt.NDArray[Any]]

NEIGHBORS = [5, 15, 30]
# Of a and b: the least-squares fit stops at a step of 1.5e-8 of the parameters.
FIT_TOLERANCE = 1e-7


@pytest.fixture(scope="module")
def arrays(reference_folder: Path) -> Arrays:
    with np.load(reference_folder / "paradime.npz") as stored:
        return dict(stored)


def neighbors_of(arrays: Arrays, k: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Indices and distances of the k nearest others."""
    return arrays["knn_indices"][:, 1 : k + 1], arrays["knn_distances"][:, 1 : k + 1]


def with_self(arrays: Arrays, k: int) -> NeighborRelationTuple:
    """What a neighbour relation of paraDime gives: k others, the point itself in front."""
    return NeighborRelationTuple(
        (arrays["knn_indices"][:, : k + 1], arrays["knn_distances"][:, : k + 1])
    )


def assert_csr_equals(
    edges: ops.Edges, arrays: Arrays, name: str, *, rtol: float, atol: float = 0.0
) -> None:
    indptr, _, tails, weights = (part.cpu() for part in edges)
    np.testing.assert_array_equal(indptr, arrays[f"{name}_indptr"])
    np.testing.assert_array_equal(tails, arrays[f"{name}_indices"])
    np.testing.assert_allclose(weights, arrays[f"{name}_data"], rtol=rtol, atol=atol)


@pytest.mark.parametrize("k", NEIGHBORS)
def test_smooth_knn(k: int, arrays: Arrays, device: torch.device) -> None:
    distances = torch.from_numpy(neighbors_of(arrays, k)[1]).to(device)
    weights, rho, sigma = ops.smooth_knn(distances)
    np.testing.assert_allclose(sigma.cpu(), arrays[f"connectivity_k{k}_sigmas"], rtol=1e-4)
    np.testing.assert_allclose(weights.cpu(), arrays[f"connectivity_k{k}_weights"], atol=1e-5)
    assert torch.equal(rho, distances.float().amin(1))


@pytest.mark.parametrize("k", NEIGHBORS)
def test_connectivity_based_rescale(k: int, arrays: Arrays) -> None:
    transform = transforms.ConnectivityBasedRescale(n_neighbors=k)
    indices, weights = transform(with_self(arrays, k)).data
    np.testing.assert_array_equal(indices, arrays[f"connectivity_k{k}_indices"])
    np.testing.assert_allclose(weights, arrays[f"connectivity_k{k}_weights"], atol=1e-5)
    np.testing.assert_allclose(transform.sigmas, arrays[f"connectivity_k{k}_sigmas"], rtol=1e-4)


@pytest.mark.parametrize("perplexity", [5, 10])
def test_perplexity(perplexity: int, arrays: Arrays, device: torch.device) -> None:
    distances = torch.from_numpy(neighbors_of(arrays, 30)[1]).to(device)
    weights, beta = ops.perplexity(distances, perplexity)
    np.testing.assert_allclose(beta.cpu(), arrays[f"perplexity_{perplexity}_betas"], rtol=1e-4)
    np.testing.assert_allclose(weights.cpu(), arrays[f"perplexity_{perplexity}_weights"], atol=1e-5)


@pytest.mark.parametrize("perplexity", [5, 10])
def test_perplexity_based_rescale(perplexity: int, arrays: Arrays) -> None:
    transform = transforms.PerplexityBasedRescale(perplexity=perplexity)
    indices, weights = transform(with_self(arrays, 30)).data
    np.testing.assert_array_equal(indices, arrays[f"perplexity_{perplexity}_indices"])
    np.testing.assert_allclose(weights, arrays[f"perplexity_{perplexity}_weights"], atol=1e-5)
    np.testing.assert_allclose(transform.betas, arrays[f"perplexity_{perplexity}_betas"], rtol=1e-4)


@pytest.mark.parametrize("operation", ["union", "mean"])
@pytest.mark.parametrize("k", NEIGHBORS)
def test_symmetrize(k: int, operation: str, arrays: Arrays, device: torch.device) -> None:
    indices = torch.from_numpy(arrays[f"connectivity_k{k}_indices"]).to(device)
    weights = torch.from_numpy(arrays[f"connectivity_k{k}_weights"]).to(device)
    edges = ops.symmetrize(indices, weights, operation)
    assert_csr_equals(edges, arrays, f"symmetrize_{operation}_k{k}", rtol=1e-6)


@pytest.mark.parametrize("operation", ["union", "mean"])
@pytest.mark.parametrize("k", NEIGHBORS)
def test_from_neighbors_to_graph(k: int, operation: str, arrays: Arrays) -> None:
    rescaled = transforms.ConnectivityBasedRescale(n_neighbors=k)(with_self(arrays, k))
    symmetrize = transforms.Symmetrize(subtract_product=operation == "union")
    graph = symmetrize(rescaled)
    assert isinstance(graph, SparseRelationArray)
    name = f"symmetrize_{operation}_k{k}"
    assert_csr_equals(graph.edges, arrays, name, rtol=0, atol=1e-5)
    matrix = graph.data
    np.testing.assert_array_equal(matrix.indices, arrays[f"{name}_indices"])
    np.testing.assert_allclose(matrix.data, arrays[f"{name}_data"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("spread", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("min_dist", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_find_ab(min_dist: float, spread: float, arrays: Arrays) -> None:
    expected = arrays[f"cauchy_ab_min{min_dist}_spread{spread}"]
    np.testing.assert_allclose(transforms.find_ab(min_dist, spread), expected, rtol=FIT_TOLERANCE)
    transform = transforms.ModifiedCauchyTransform(min_dist, spread)
    np.testing.assert_allclose((transform.a, transform.b), expected, rtol=FIT_TOLERANCE)


def test_modified_cauchy(arrays: Arrays) -> None:
    transform = transforms.ModifiedCauchyTransform(min_dist=0.1, spread=1.0)
    result = transform(FlatRelationTensor(torch.from_numpy(arrays["cauchy_in"])))
    np.testing.assert_allclose(result.data, arrays["cauchy_out"], rtol=1e-6)


@pytest.mark.parametrize("alpha", [1, 3])
def test_student_t(alpha: int, arrays: Arrays) -> None:
    transform = transforms.StudentTTransform(alpha=float(alpha))
    result = transform(FlatRelationTensor(torch.from_numpy(arrays["cauchy_in"])))
    np.testing.assert_allclose(result.data, arrays[f"student_t_{alpha}_out"], rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "prefix"),
    [(loss.cross_entropy_loss, "ce"), (loss.kullback_leibler_div, "kl")],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses(function: Any, prefix: str, dtype: torch.dtype, arrays: Arrays) -> None:
    p, q = (torch.from_numpy(arrays[f"{prefix}_{which}"]).to(dtype) for which in "pq")
    value = function(p, q)
    np.testing.assert_allclose(value.item(), arrays[f"{prefix}_loss"], rtol=1e-6)


def test_fused_edge_loss(arrays: Arrays, device: torch.device) -> None:
    labels = arrays["edge_labels"].reshape(-1, 4)
    np.testing.assert_array_equal(labels, np.tile([1, 0, 0, 0], (60, 1)))
    heads, tails = (arrays[f"edge_{end}"].reshape(-1, 4) for end in ("heads", "tails"))
    np.testing.assert_array_equal(heads, heads[:, :1].repeat(4, axis=1))
    embedding = torch.from_numpy(arrays["edge_embedding"]).to(device).requires_grad_()
    a, b = arrays["cauchy_ab_min0.1_spread1.0"]
    value = ops.negative_edge_cross_entropy(embedding[heads[:, 0]], embedding[tails], a, b)
    (gradient,) = torch.autograd.grad(value, embedding)
    assert_edge_loss(value, gradient, arrays)


def test_plain_edge_loss(arrays: Arrays) -> None:
    embedding = torch.from_numpy(arrays["edge_embedding"]).requires_grad_()
    relation = DistsFromTo(transform=transforms.ModifiedCauchyTransform(0.1, 1.0))
    ends = torch.stack((embedding[arrays["edge_heads"]], embedding[arrays["edge_tails"]]))
    q = relation.compute_relations(ends).data
    value = loss.cross_entropy_loss(torch.from_numpy(arrays["edge_labels"]), q)
    (gradient,) = torch.autograd.grad(value, embedding)
    assert_edge_loss(value, gradient, arrays)


def assert_edge_loss(value: torch.Tensor, gradient: torch.Tensor, arrays: Arrays) -> None:
    np.testing.assert_allclose(value.item(), arrays["edge_loss"], rtol=1e-5)
    # A point's gradient sums the pulls of its 6 to 20 edges, which cancel in part: the bound goes
    # with the largest gradient.
    expected = arrays["edge_grad"]
    largest = np.abs(expected).max()
    np.testing.assert_allclose(gradient.cpu(), expected, rtol=1e-5, atol=1e-5 * largest)
