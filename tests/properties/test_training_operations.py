"""Losses, networks and layouts of random arrays, against the reference."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastparadime import ops
from fastparadime.ops import reference

from .arrays import FEW, SEEDS, SOME, content, table

CURVES = st.sampled_from([(1.577, 0.8951), (1.0, 1.0), (0.1, 2.5), (5.0, 0.3)])
WIDTHS = st.lists(st.sampled_from([1, 2, 15, 16, 17, 31, 33]), min_size=2, max_size=4)


def layers(seed: int, widths: list[int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    shapes = [(high, wide) for wide, high in itertools.pairwise(widths)]
    weights = [(rng.normal(size=shape) / shape[1] ** 0.5).astype(np.float32) for shape in shapes]
    return weights, [rng.normal(size=shape[0]).astype(np.float32) for shape in shapes]


def graph(seed: int, n: int, k: int) -> ops.Edges:
    rng = np.random.default_rng([seed, n, k])
    steps = np.argsort(rng.random((n, n - 1)), axis=1)[:, :k]
    indices = (np.arange(n)[:, None] + 1 + steps) % n
    return ops.symmetrize(indices, rng.uniform(0.05, 1, indices.shape).astype(np.float32))


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    scale = float(np.linalg.norm(expected))
    return float(np.linalg.norm(content(found) - expected)) / (scale or 1.0)


@given(SEEDS, SOME, FEW, FEW, CURVES, st.sampled_from([0.0, 1e-30, 0.25, 3.0]))
def test_edge_loss(
    seed: int, batch: int, slots: int, dim: int, curve: tuple[float, float], strength: float
) -> None:
    heads = torch.from_numpy(table(seed, batch, dim)).requires_grad_()
    tails = torch.from_numpy(3 * table(seed, batch * slots, dim)).view(batch, slots, dim)
    tails.requires_grad_()
    loss = ops.negative_edge_cross_entropy(heads, tails, *curve, repulsion_strength=strength)
    gradients = torch.autograd.grad(loss, (heads, tails))
    arrays = (content(part).astype(float) for part in (heads, tails))
    expected = reference.negative_edge_cross_entropy(*arrays, *curve, repulsion_strength=strength)
    np.testing.assert_allclose(loss.item(), expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradients[1], expected[2], rtol=2e-5, atol=1e-7)
    bound = 2e-5 * np.abs(expected[2]).sum(axis=1) + 1e-7
    assert (np.abs(content(gradients[0]) - expected[1]) <= bound).all()
    ends = torch.cat((heads, tails.flatten(0, 1))).detach()
    together = ops.negative_edge_gradients(ends, batch, *curve, repulsion_strength=strength)
    assert torch.equal(together[0], loss.detach())
    assert torch.equal(together[1], torch.cat((gradients[0], gradients[1].flatten(0, 1))))


@given(SEEDS, WIDTHS, SOME, st.sampled_from(ops.MLP_ACTIVATIONS))
def test_mlp(seed: int, widths: list[int], rows: int, activation: str) -> None:
    weights, biases = layers(seed, widths)
    X, out_grad = table(seed, 20, widths[0]), table(seed, rows, widths[-1])
    ids = np.random.default_rng(seed).integers(20, size=rows)
    tensors = [[torch.from_numpy(part) for part in parts] for parts in (weights, biases)]
    network = ops.Mlp(*tensors, activation, rows)
    values = network.forward(torch.from_numpy(X), ids).clone()
    network.backward(torch.from_numpy(out_grad))
    plain = (np.zeros(widths[0]), 1.0, np.zeros(widths[-1]), 1.0)
    expected = reference.mlp(X[ids], weights, biases, activation, out_grad, plain)
    assert relative_error(values, expected[0]) < 1e-5
    for found, gradient in zip(network.gradients, expected[1], strict=True):
        assert relative_error(found, gradient) < 1e-5


@given(SEEDS, WIDTHS, SOME, st.sampled_from(["softplus", "silu"]))
def test_hidden_layers(seed: int, widths: list[int], rows: int, activation: str) -> None:
    weights, biases = layers(seed, widths)
    sums, out_grad = table(seed, rows, widths[0]), table(seed, rows, widths[-1])
    pairs = [torch.from_numpy(x) for pair in zip(weights, biases, strict=True) for x in pair]
    leaves = [x.requires_grad_() for x in (torch.from_numpy(sums), *pairs)]
    out = ops.hidden_layers(leaves[0], leaves[1::2], leaves[2::2], activation)
    found = torch.autograd.grad(out, leaves, torch.from_numpy(out_grad))
    expected = reference.hidden_layers(sums, weights, biases, activation, out_grad)
    # A factor whose float32 rounding crosses a tie of tf32 is off by 2^-11 of itself.
    assert relative_error(out.detach(), expected[0]) < 2e-3
    for part, gradient in zip(found, expected[1], strict=True):
        assert relative_error(part, gradient) < 2e-3


@given(SEEDS, SOME, FEW, st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=5))
def test_adam(seed: int, n: int, d: int, rates: list[float]) -> None:
    start = table(seed, n, d)
    gradients = [table(seed + step + 1, n, d) for step in range(len(rates))]
    parameter, gradient = torch.from_numpy(start.copy()), torch.zeros(n, d)
    optimizer = ops.Adam([parameter], [gradient])
    for value, rate in zip(gradients, rates, strict=True):
        gradient.copy_(torch.from_numpy(value))
        optimizer.step(rate)
    expected = reference.adam(start, gradients, rates)
    np.testing.assert_allclose(parameter, expected, rtol=1e-6, atol=1e-5 * sum(rates))


@given(SEEDS, st.sampled_from([3, 15, 17, 33]), FEW, st.sampled_from([1, 2, 3, 17]), CURVES)
def test_density_term(seed: int, n: int, k: int, dim: int, curve: tuple[float, float]) -> None:
    edges, positions, wanted = graph(seed, n, k), table(seed, n, dim), table(seed, n, 1)[:, 0]
    term = ops.DensityTerm(edges, wanted, *curve)
    ends = (content(edges.heads), content(edges.tails))
    radii = reference.density_radii(positions.astype(float), *ends, *curve)
    for found, expected in zip(term.radii(positions), radii, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5)
    pulls, _ = reference.density_pulls(positions.astype(float), *ends, wanted.astype(float), *curve)
    bound = 2e-5 * np.abs(pulls).max(axis=0)
    assert (np.abs(content(term.pulls(positions)[0]) - pulls) <= bound).all()


@given(
    SEEDS, st.sampled_from([3, 15, 17, 33]), FEW, st.sampled_from([1, 2, 3, 17]), CURVES,
    st.integers(1, 3), st.integers(0, 6),
)  # fmt: skip
def test_layout(
    seed: int,
    n: int,
    k: int,
    dim: int,
    curve: tuple[float, float],
    steps: int,
    negatives: int,
) -> None:
    edges, start = graph(seed, n, k), 3 * table(seed, n, dim)
    options = {"seed": seed, "learning_rate": 0.02}  # larger steps multiply float32's rounding
    found = ops.sgd_layout(
        start, edges, *curve, 2, steps_per_epoch=steps, negative_sample_rate=negatives, **options
    )
    indptr, _, tails, weights = (content(part) for part in edges)
    expected = reference.sgd_layout(
        start,
        indptr,
        tails,
        weights.astype(float),
        *curve,
        2,
        steps,
        negatives=negatives,
        **options,
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)
