"""Spectral positions of long shapes, whose eigenvalues lie close together, and coarser graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch

from fastparadime import neighbors, ops
from fastparadime.layout import spectral
from fastparadime.layout.spectral import _coarsening, _eigenvectors


def curve(n: int, *, closed: bool, order: np.ndarray | None = None) -> ops.Edges:
    """Points on a curve, each joined with the seven before and after it."""
    offsets = np.r_[np.arange(-7, 0), np.arange(1, 8)]
    tails = np.arange(n)[:, None] + offsets
    weights = np.exp(-np.abs(offsets) / 7.0) * np.ones((n, 1))
    if not closed:
        weights[(tails < 0) | (tails >= n)] = 0.0
    tails %= n
    if order is not None:
        tails, weights = order[tails[order.argsort()]], weights[order.argsort()]
    return ops.symmetrize(torch.from_numpy(tails), torch.from_numpy(weights).float())


def degrees_between(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest angle of two spans."""
    bases = [np.linalg.qr(vectors - vectors.mean(0))[0] for vectors in (found, wanted)]
    cosines = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return float(np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n", [129, 500, 5000, 20_000])
def test_a_ring_is_a_circle(n: int, seed: int) -> None:
    order = np.random.default_rng(n).permutation(n)
    positions = spectral.spectral_positions(curve(n, closed=True, order=order), 2, seed=seed)
    angles = np.empty(n)  # point order[i] is the i-th of the ring
    angles[order] = 2 * np.pi * np.arange(n) / n
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    assert degrees_between(positions.double().numpy(), circle) < 1
    radii = positions.norm(dim=1)
    torch.testing.assert_close(radii, torch.full_like(radii, 2**0.5), rtol=0.05, atol=0)


@pytest.mark.parametrize("n", [1000, 20_000])
def test_a_path_is_a_parabola(n: int) -> None:
    positions = spectral.spectral_positions(curve(n, closed=False), 2).double().numpy()
    # Of a path all but its ends: half a wave and a whole one.
    at = np.pi * (np.arange(n) + 0.5) / n
    assert degrees_between(positions, np.column_stack([np.cos(at), np.cos(2 * at)])) < 3


def shape(name: str, n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    t, u = 2 * np.pi * rng.random((2, n))
    if name == "uneven ring":
        return np.column_stack([np.cos(t), np.sin(t)])
    if name == "noisy ring":
        return np.column_stack([np.cos(t), np.sin(t)]) + 0.05 * rng.standard_normal((n, 2))
    if name == "torus":
        ring = 2 + 0.8 * np.cos(u)
        return np.column_stack([ring * np.cos(t), ring * np.sin(t), 0.8 * np.sin(u)])
    t = 1.5 * np.pi * (1 + 2 * rng.random(n))
    return np.column_stack([t * np.cos(t), 21 * rng.random(n), t * np.sin(t)])


def normalised(edges: ops.Edges) -> scipy.sparse.csc_matrix:
    indptr, _, tails, weights = (part.numpy() for part in edges)
    W = scipy.sparse.csr_matrix((weights.astype(float), tails, indptr))
    scale = scipy.sparse.diags(np.asarray(W.sum(axis=1)).ravel() ** -0.5)
    return (scipy.sparse.identity(W.shape[0]) - scale @ W @ scale).tocsc()


@pytest.mark.parametrize("n", [500, 5000])
@pytest.mark.parametrize("name", ["uneven ring", "noisy ring", "torus", "swiss roll"])
def test_shapes_have_the_eigenvectors_of_shift_and_invert(name: str, n: int) -> None:
    indices, distances = neighbors.knn(shape(name, n).astype(np.float32), 15, recall=1.0)
    edges = ops.symmetrize(indices, ops.smooth_knn(distances, "umap").weights)
    laplacian = normalised(edges)
    values, vectors = scipy.sparse.linalg.eigsh(
        laplacian, k=4, sigma=-1e-6, which="LM", tol=1e-12, v0=np.ones(n)
    )
    order = values.argsort()
    assert values[order[1]] > 1e-7  # connected
    positions = spectral.spectral_positions(edges, 2).double().numpy()
    assert degrees_between(positions, vectors[:, order[1:3]]) < 1.5


def test_rings_beside_a_clique() -> None:
    """Components of very different gaps share products, not intervals."""
    # The clique has no smaller one.
    ring = curve(3000, closed=True)
    clique = torch.ones(400, 400).fill_diagonal_(0.0)
    heads, tails = clique.nonzero().T
    parts = [(ring.heads.long(), ring.tails.long(), ring.weights)]
    parts += [(heads + 3000, tails + 3000, torch.ones(len(heads)))]
    heads, tails, weights = (torch.cat(column) for column in zip(*parts, strict=True))
    indptr = torch.cat([torch.zeros(1, dtype=torch.int64), heads.bincount().cumsum(0)])
    edges = ops.symmetrize(tails, weights, "mean", indptr=indptr)
    positions = spectral.spectral_positions(edges, 2)[:3000].double().numpy()
    angles = 2 * np.pi * np.arange(3000) / 3000
    assert degrees_between(positions, np.column_stack([np.cos(angles), np.sin(angles)])) < 1


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The points of each product with a graph, as they are taken."""
    points: list[int] = []
    product = ops.graph_matmul

    def counted(edges: ops.Edges, scale: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        points.append(len(scale))
        return product(edges, scale, *args, **options)

    monkeypatch.setattr(ops, "graph_matmul", counted)
    return points


def groups(count: int, size: int, link: float) -> ops.Edges:
    """A row of groups, of which a single edge of a small weight connects two."""
    rng = np.random.default_rng(0)
    n = count * size
    points, firsts = np.arange(n), size * np.arange(count - 1)
    others = (points[:, None] + rng.integers(1, size, (n, 10))) % size
    others += (points // size * size)[:, None]
    heads = np.concatenate([points.repeat(10), firsts])
    tails = np.concatenate([others.ravel(), firsts + size + 1])
    weights = np.concatenate([rng.random(10 * n), np.full(count - 1, link)])
    W = scipy.sparse.coo_matrix((weights, (heads, tails)), (n, n)).tocsr()
    W = W.maximum(W.T).tocsr()
    indptr, tails = (torch.from_numpy(part.astype(np.int64)) for part in (W.indptr, W.indices))
    return ops.symmetrize(tails, torch.from_numpy(W.data).float(), "mean", indptr=indptr)


def test_groups_that_hardly_anything_connects_take_few_products(products: list[int]) -> None:
    """Their eigenvalues are close to each other, those of the coarser graph are as good as theirs."""
    edges = groups(10, 1000, 1e-3)
    values, vectors = scipy.sparse.linalg.eigsh(
        normalised(edges), k=3, sigma=-1e-9, which="LM", tol=0, v0=np.ones(10_000)
    )
    order = values.argsort()
    assert 1e-9 < values[order[1]] < values[order[2]] < 1e-7
    positions = spectral.spectral_positions(edges, 2).double().numpy()
    assert degrees_between(positions, vectors[:, order[1:]]) < 0.1
    assert products.count(10_000) < 60  # of the 200 that are allowed


def test_components_that_are_settled_are_left_out(products: list[int]) -> None:
    ring, group = curve(2000, closed=True), groups(4, 1000, 1e-3)
    heads, tails, weights = (
        torch.cat([ring_part, group_part])
        for ring_part, group_part in (
            (ring.heads.long(), group.heads.long() + 2000),
            (ring.tails.long(), group.tails.long() + 2000),
            (ring.weights, group.weights),
        )
    )
    indptr = torch.cat([torch.zeros(1, dtype=torch.int64), heads.bincount().cumsum(0)])
    edges = ops.symmetrize(tails, weights, "mean", indptr=indptr)
    positions = spectral.spectral_positions(edges, 2)[:2000].double().numpy()
    angles = 2 * np.pi * np.arange(2000) / 2000
    assert degrees_between(positions, np.column_stack([np.cos(angles), np.sin(angles)])) < 1
    assert products.count(6000) < 20 < products.count(2000)


def test_many_points_take_few_products_with_a_coarser_graph(
    products: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ring of 20,000 points asks for 200 of all, and for 400 of the next coarser graph."""
    monkeypatch.setattr(_eigenvectors, "_MANY_POINTS", 1000)
    positions = spectral.spectral_positions(curve(20_000, closed=True), 2)
    assert torch.isfinite(positions).all()
    assert products.count(20_000) < 10
    coarser = max(points for points in products if points < 20_000)
    assert products.count(coarser) <= 50 + 2  # for its degrees


def blobs() -> tuple[ops.Edges, ops.Segments]:
    """Components of 700 and 300 consecutive points."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((1000, 3)) + 1000.0 * (np.arange(1000) >= 700)[:, None]
    indices, distances = neighbors.knn(X.astype(np.float32), 8)
    return ops.symmetrize(indices, ops.smooth_knn(distances).weights), ops.Segments([700, 300])


def test_points_join_roots_next_to_them(device: torch.device) -> None:
    edges, _ = blobs()
    edges = ops.Edges(*(part.to(device) for part in edges))
    coarse = _coarsening.coarsened(edges, ops.Segments([700, 300], device), 300, seed=0)
    assert coarse is not None
    # The smaller component stays as it is.
    assert coarse.sizes[1] == 300
    assert 30 < coarse.sizes[0] < 200
    assert torch.equal(coarse.owners[700:].cpu(), torch.arange(300) + int(coarse.sizes[0]))
    # An aggregate is a point and some that an edge joins with it.
    owners = coarse.owners.cpu().numpy()
    indptr, tails = edges.indptr.cpu().numpy(), edges.tails.cpu().numpy()
    for aggregate in range(int(coarse.sizes[0])):
        members = set(np.flatnonzero(owners == aggregate).tolist())
        assert any(
            members <= {root, *tails[indptr[root] : indptr[root + 1]].tolist()} for root in members
        )


def test_weights_between_aggregates_are_sums(device: torch.device) -> None:
    edges, segments = blobs()
    coarse = _coarsening.coarsened(edges, segments, 128, seed=0)
    assert coarse is not None
    count = int(coarse.sizes.sum())
    owners, heads = coarse.owners, edges.heads.long()
    wanted = torch.zeros(count, count, dtype=torch.float64)
    wanted.index_put_((owners[heads], owners[edges.tails]), edges.weights.double(), accumulate=True)
    moved = ops.Edges(*(part.to(device) for part in edges))
    for found in (
        coarse.edges,
        _coarsening.merged_by_sorting(moved, owners.to(device), count),
    ):
        rows = torch.arange(count).repeat_interleave(found.indptr.cpu().diff())
        merged = torch.zeros_like(wanted)
        merged[rows, found.tails.cpu().long()] = found.weights.cpu().double()
        torch.testing.assert_close(merged, wanted, rtol=1e-6, atol=1e-8)
        assert len(found.tails) == int((wanted > 0).sum())


def test_a_graph_that_does_not_shrink_is_left() -> None:
    leaves = 500
    indptr = torch.cat([torch.tensor([0]), leaves + torch.arange(leaves + 1)])
    tails = torch.cat([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.int64)])
    star = ops.symmetrize(tails, torch.ones(2 * leaves), "mean", indptr=indptr)
    found = _coarsening.coarsened(star, ops.Segments([leaves + 1]), 128, seed=0)
    positions = spectral.spectral_positions(star, 2)
    assert found is None  # by the order of points all leaves are left, or the hub alone
    assert torch.isfinite(positions).all()


def test_same_bits_for_any_threads(assert_same_bits: Callable[..., None]) -> None:
    edges = curve(3000, closed=True)
    assert_same_bits(lambda: spectral.spectral_positions(edges, 2))
