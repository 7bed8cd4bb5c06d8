"""Spectral positions against dense eigenvectors, and for graphs in several components."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fastparadime import neighbors, ops
from fastparadime.layout import spectral
from fastparadime.layout.signs import signs_of
from fastparadime.layout.spectral import _components, _eigenvectors


def graph_of(X: np.ndarray, k: int = 10) -> ops.Edges:
    indices, distances = neighbors.knn(X.astype(np.float32), k)
    return ops.symmetrize(indices, ops.smooth_knn(distances).weights)


def dense(edges: ops.Edges) -> np.ndarray:
    n = len(edges.indptr) - 1
    W = np.zeros((n, n))
    W[edges.heads.numpy(), edges.tails.numpy()] = edges.weights.numpy()
    return W


def connected(n: int) -> ops.Edges:
    """A graph with well separated low eigenvalues: a long, noisy strip."""
    rng = np.random.default_rng(n)
    return graph_of(np.column_stack([9 * rng.random(n), 3 * rng.random(n), rng.random(n)]), 12)


def laplacian_vectors(edges: ops.Edges, count: int) -> np.ndarray:
    W = dense(edges)
    scale = 1 / np.sqrt(W.sum(1))
    values, vectors = np.linalg.eigh(np.eye(len(W)) - scale[:, None] * W * scale)
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values[1] > 1e-5  # connected
    return vectors[:, 1 : count + 1]


@pytest.mark.parametrize("n", [100, 600])
@pytest.mark.parametrize("out_dim", [1, 2, 3])
def test_positions_are_the_lowest_eigenvectors(n: int, out_dim: int) -> None:
    edges = connected(n)
    positions = spectral.spectral_positions(edges, out_dim)
    assert positions.shape == (n, out_dim)
    assert positions.dtype == torch.float32
    exact = laplacian_vectors(edges, out_dim)
    exact = (exact - exact.mean(0)) / exact.std(0)
    for found, wanted in zip(positions.numpy().T, exact.T, strict=True):
        # Within 1.2 degrees of the eigenvector: the solver's tolerance is that of a start.
        assert abs(np.corrcoef(found, wanted)[0, 1]) > 0.9998
    np.testing.assert_allclose(positions.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(positions.std(0, correction=0), 1, rtol=1e-5)


@pytest.mark.parametrize("n", [100, 600])
def test_subspace_of_many_eigenvectors(n: int) -> None:
    edges = connected(n)
    found = np.linalg.qr(spectral.spectral_positions(edges, 4).double().numpy())[0]
    exact = laplacian_vectors(edges, 4)
    exact = np.linalg.qr(exact - exact.mean(0))[0]
    cosines = np.linalg.svd(found.T @ exact, compute_uv=False)
    assert np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))) < 2


def separate(sizes: list[int]) -> tuple[ops.Edges, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.standard_normal((sum(sizes), 3)) + 1000.0 * labels[:, None]
    order = rng.permutation(len(X))  # components are not in blocks
    edges = graph_of(X[order], k=min(5, min(sizes) - 1))
    return edges, labels[order]


@pytest.mark.parametrize("out_dim", [1, 2, 3])
@pytest.mark.parametrize(
    "sizes", [[60, 60], [400, 60, 20], [300, 8, 7, 6, 6], [2, 2, 2], [3, 2, 200], [10] * 12]
)
def test_components_are_placed_apart(sizes: list[int], out_dim: int) -> None:
    edges, labels = separate(sizes)
    positions = spectral.spectral_positions(edges, out_dim).numpy()
    assert np.isfinite(positions).all()
    np.testing.assert_allclose(positions.mean(0), 0, atol=1e-4)
    spread = positions.std(0)
    np.testing.assert_allclose(spread[spread > 0], 1, rtol=1e-4)
    assert spread[0] > 0
    parts = [positions[labels == c] for c in range(len(sizes))]
    centroids = np.array([part.mean(0) for part in parts])
    for a in range(len(sizes)):
        for b in range(a):
            gap = np.linalg.norm(centroids[a] - centroids[b])
            width = max(part.std(0).max() for part in (parts[a], parts[b]))
            assert gap > 1e-3
            assert gap > 0.5 * width, f"{a} of {sizes[a]} and {b} of {sizes[b]} coincide"
    for part in parts:
        assert len(np.unique(part.round(6), axis=0)) > 1  # not on one spot


@pytest.mark.parametrize("sizes", [[60, 60], [2, 2, 2], [300, 8, 7], [10] * 12, [900]])
def test_labels_by_propagation(sizes: list[int], device: torch.device) -> None:
    edges, labels = separate(sizes)
    found = _components.propagated_labels(ops.Edges(*(part.to(device) for part in edges)))
    assert torch.equal(found.cpu(), _components.labels_of(edges))
    pairs = set(zip(found.tolist(), labels.tolist(), strict=True))
    assert len(pairs) == len(sizes)


def test_labels_of_a_long_path(device: torch.device) -> None:
    n = 5000
    ring = torch.stack([(torch.arange(n) + 1) % n, (torch.arange(n) - 1) % n], 1)
    weights = torch.ones(n, 2)
    weights[[0, 0, 2000, 2000]] = 0.0  # two cuts
    weights[1999, 0] = weights[2001, 1] = weights[1, 1] = weights[n - 1, 0] = 0.0
    order = torch.from_numpy(np.random.default_rng(0).permutation(n))
    place = order.argsort()
    edges = ops.symmetrize(place[ring[order]].to(device), weights[order].to(device))
    found = _components.propagated_labels(edges)
    assert torch.equal(found.cpu(), _components.labels_of(ops.Edges(*(e.cpu() for e in edges))))
    assert int(found.max()) == 3  # two arcs and the two points cut off


def test_eigenvalues_are_those_of_a_dense_solver() -> None:
    edges = connected(900)
    W = dense(edges)
    scale = 1 / np.sqrt(W.sum(1))
    wanted = np.linalg.eigvalsh(np.eye(900) - scale[:, None] * W * scale)[1:4]
    vectors = _eigenvectors.leading_vectors(edges, np.array([900]), 3, 0, products=200)[:, 1:4]
    image = ops.graph_matmul(edges, torch.from_numpy(scale), vectors)
    found = 1 - (vectors * image).sum(0) / vectors.square().sum(0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_components_are_solved_as_if_alone() -> None:
    edges, labels = separate([700, 400, 300])
    positions = spectral.spectral_positions(edges, 2)
    for c in range(3):
        rows = np.flatnonzero(labels == c)
        block = dense(edges)[np.ix_(rows, rows)]
        heads, tails = np.nonzero(block)
        indptr = np.r_[0, np.cumsum(np.bincount(heads, minlength=len(rows)))]
        alone = ops.symmetrize(tails, block[heads, tails], "mean", indptr=indptr)
        exact = laplacian_vectors(alone, 2)
        part = positions[torch.from_numpy(rows)].double().numpy()
        span = np.linalg.qr(part - part.mean(0))[0]
        wanted = np.linalg.qr(exact - exact.mean(0))[0]
        cosines = np.linalg.svd(span.T @ wanted, compute_uv=False)
        assert np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))) < 2


def test_points_without_edges() -> None:
    edges = ops.symmetrize(
        torch.tensor([[1], [0], [3], [2], [0]]), torch.tensor([[1.0], [1.0], [1.0], [1.0], [0.0]])
    )
    positions = spectral.spectral_positions(edges, 2)
    assert positions.shape == (5, 2)
    assert torch.isfinite(positions).all()
    assert len(np.unique(positions.numpy().round(5), axis=0)) == 5


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("out_dim", [1, 2, 3, 5])
def test_tiny_graphs(n: int, out_dim: int) -> None:
    indices = torch.tensor([[j for j in range(n) if j != i] for i in range(n)])
    edges = ops.symmetrize(indices, torch.ones(n, n - 1))
    positions = spectral.spectral_positions(edges, out_dim)
    assert positions.shape == (n, out_dim)
    assert torch.isfinite(positions).all()


@pytest.mark.parametrize("sizes", [[600], [100], [300, 40]])
def test_same_bits_for_any_threads(sizes: list[int], assert_same_bits: Callable[..., None]) -> None:
    edges = connected(sizes[0]) if len(sizes) == 1 else separate(sizes)[0]
    assert_same_bits(lambda: spectral.spectral_positions(edges, 2))
    assert torch.equal(
        spectral.spectral_positions(edges, 2, seed=1), spectral.spectral_positions(edges, 2, seed=1)
    )


def test_devices_agree(device: torch.device) -> None:
    edges = connected(100)
    moved = ops.Edges(*(part.to(device) for part in edges))
    positions = spectral.spectral_positions(moved, 2)
    assert positions.device.type == device.type
    torch.testing.assert_close(positions.cpu(), spectral.spectral_positions(edges, 2))


def test_the_graph_is_untouched_and_out_dim_is_checked() -> None:
    edges = connected(100)
    kept = [part.clone() for part in edges]
    spectral.spectral_positions(edges, 2)
    assert all(torch.equal(a, b) for a, b in zip(edges, kept, strict=True))
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match="out_dim"):
            spectral.spectral_positions(edges, wrong)


def test_signs_of_axes_do_not_depend_on_last_digits() -> None:
    half = np.float32(0.5**0.5)
    below = np.nextafter(half, np.float32(0))
    axes = np.array([[0, -half, below], [0, -below, half], [0.1, 0.2, -0.9]], np.float32)
    assert signs_of(axes, 1).tolist() == [[-1], [-1], [-1]]
    assert signs_of(axes.T, 0).tolist() == [[-1, -1, -1]]
    assert signs_of(np.zeros((2, 3)), 1).tolist() == [[1], [1]]
