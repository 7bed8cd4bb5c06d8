"""Strengths, graphs and what is computed from them, of random arrays, against the reference."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastparadime import ops
from fastparadime.ops import reference

from .arrays import FEW, KINDS, SCALES, SEEDS, SIZES, SOME, content, table


def random_edges(seed: int, n: int, k: int) -> tuple[ops.Edges, np.ndarray, np.ndarray]:
    """A joined graph, and the neighbours (n, k) and weights that made it; some are lacking."""
    rng = np.random.default_rng([seed, n, k])
    indices = np.argsort(rng.random((n, n)), axis=1)[:, :k]
    indices = np.where(rng.random(indices.shape) < 0.1, -1, indices)
    weights = rng.random(indices.shape).astype(np.float32)
    return ops.symmetrize(indices, weights), indices, weights


@given(SEEDS, SIZES, SOME, KINDS, SCALES, st.sampled_from(["paradime", "umap"]), st.booleans())
def test_smooth_knn(
    seed: int, n: int, k: int, kind: str, scale: float, rule: str, lacking: bool
) -> None:
    distances = np.abs(table(seed, n, k, kind, scale))
    if lacking:
        distances[np.random.default_rng(seed).random(distances.shape) < 0.2] = np.inf
    found = ops.smooth_knn(distances, rule)
    weights, rho, sigma = reference.smooth_knn(distances, rule)
    np.testing.assert_allclose(found.rho, rho, rtol=1e-6)
    np.testing.assert_allclose(found.sigma, sigma, rtol=1e-5)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-5, atol=1e-6)


@given(SEEDS, SIZES, st.sampled_from([2, 3, 15, 16, 17, 33]), SCALES, st.floats(0.1, 0.9))
def test_perplexity(seed: int, n: int, k: int, scale: float, share: float) -> None:
    distances = (1 + np.abs(table(seed, n, k))) * np.float32(scale)
    perplexity = 1 + share * (k - 1)
    weights, beta = ops.perplexity(distances, perplexity)
    expected, _ = reference.perplexity(distances, perplexity)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-5)
    assert beta.shape == (n,)
    assert bool((beta >= 0).all())
    np.testing.assert_allclose(weights.sum(dim=1), 1.0, rtol=1e-6)


@given(SEEDS, SIZES, FEW, KINDS)
def test_perplexity_of_ties(seed: int, n: int, k: int, kind: str) -> None:
    weights, beta = ops.perplexity(np.abs(table(seed, n, k + 1, kind)), 1 + 0.5 * k)
    np.testing.assert_allclose(weights.sum(dim=1), 1.0, rtol=1e-6)
    assert bool((weights >= 0).all() and torch.isfinite(beta).all())


@given(
    SEEDS,
    SIZES,
    FEW,
    st.sampled_from(["union", "intersection", "mix", "mean"]),
    st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_symmetrize(seed: int, n: int, k: int, operation: str, ratio: float) -> None:
    _, indices, weights = random_edges(seed, n, k)
    edges = ops.symmetrize(indices, weights, operation, mix_ratio=ratio)
    there = indices >= 0
    heads = np.nonzero(there)[0]
    expected = reference.symmetrize(n, heads, indices[there], weights[there], operation, ratio)
    np.testing.assert_array_equal(edges.heads, expected[0])
    np.testing.assert_array_equal(edges.tails, expected[1])
    np.testing.assert_allclose(edges.weights, expected[2], rtol=1e-5, atol=1e-12)
    counts = np.bincount(expected[0], minlength=n)
    np.testing.assert_array_equal(edges.indptr.diff(), counts)


@given(SEEDS, SIZES, FEW, st.sampled_from([0, 1, 2, 8, 17]))
def test_graph_matmul(seed: int, n: int, k: int, columns: int) -> None:
    edges, *_ = random_edges(seed, n, k)
    rng = np.random.default_rng(seed)
    scale, x = rng.normal(size=n), rng.normal(size=(n, columns))
    graph = [content(part) for part in edges[1:]]
    expected = reference.graph_matmul(n, *graph, scale, x)
    np.testing.assert_allclose(ops.graph_matmul(edges, scale, x), expected, rtol=1e-10, atol=1e-12)
    gain, shift, previous = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(n, columns))
    stepped = ops.graph_matmul(edges, scale, x, step=(gain, shift, previous))
    wanted = gain[:, None] * expected + shift[:, None] * x - previous
    np.testing.assert_allclose(stepped, wanted, rtol=1e-10, atol=1e-12)


@given(SEEDS, SOME, FEW, SIZES)
def test_subgraph(seed: int, n: int, k: int, m: int) -> None:
    edges, *_ = random_edges(seed, n, k)
    points = np.random.default_rng(seed).integers(n, size=m)
    graph = [content(part) for part in edges[1:]]
    np.testing.assert_array_equal(
        ops.subgraph(edges, points), reference.subgraph(n, *graph, points)
    )


@given(SEEDS, st.lists(SOME, max_size=4), st.sampled_from([0, 1, 8, 17]), SOME)
def test_segments(seed: int, sizes: list[int], p: int, q: int) -> None:
    rng, n = np.random.default_rng(seed), sum(sizes)
    x, y = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    matrices = rng.normal(size=(len(sizes), p, q))
    segments, counts = ops.Segments(sizes), np.array(sizes, dtype=np.int64)
    gram = reference.segment_gram(x, y, counts).reshape(len(sizes), p, q)
    np.testing.assert_allclose(segments.gram(x, y), gram, rtol=1e-10, atol=1e-12)
    moved = reference.segment_matmul(x, matrices, counts)
    np.testing.assert_allclose(segments.matmul(x, matrices), moved, rtol=1e-10, atol=1e-12)


@given(SEEDS, SOME, SOME, SIZES, st.sampled_from([0, 1, 5, 6]), st.integers(0, 2**64 - 1))
def test_edge_sampler(seed: int, edges: int, n: int, batch: int, negatives: int, step: int) -> None:
    rng = np.random.default_rng([seed, edges, n])
    heads, tails = rng.integers(n, size=(2, edges))
    weights = rng.random(edges, np.float32) * (rng.random(edges) < 0.8)
    weights[0] = 1.0
    drawn = ops.EdgeSampler(heads, tails, weights, n, seed=seed).draw(batch, negatives, step)
    expected = reference.draw_edges(
        heads, tails, weights.astype(np.float32), n, batch, negatives, seed, step
    )
    np.testing.assert_array_equal(drawn.heads, expected[0])
    np.testing.assert_array_equal(drawn.tails, expected[1])


@given(SEEDS, SOME, SIZES, SIZES, st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8", "f2"]))
def test_gather_rows(seed: int, n: int, d: int, m: int, dtype: str) -> None:
    rows = (10 * table(seed, n, d)).astype(dtype)
    indices = np.random.default_rng(seed).integers(n, size=m)
    np.testing.assert_array_equal(
        ops.gather_rows(rows, indices), reference.gather_rows(rows, indices)
    )


@given(SEEDS, SIZES, SOME, SIZES)
def test_scatter_add_and_unique_nodes(seed: int, m: int, n: int, d: int) -> None:
    rows, indices = table(seed, m, d), np.random.default_rng(seed).integers(n, size=m)
    expected = np.zeros((n, d))
    np.add.at(expected, indices, rows.astype(np.float64))
    np.testing.assert_allclose(ops.scatter_add(rows, indices, n), expected, rtol=1e-5, atol=1e-5)
    nodes, places = ops.unique_nodes(torch.from_numpy(indices))
    assert sorted(nodes.tolist()) == sorted(set(indices.tolist()))
    np.testing.assert_array_equal(content(nodes)[content(places)], indices)
