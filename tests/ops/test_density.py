"""densMAP's term against its definition, and against the moves of umap-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops, reference

A, B = 1.577, 0.8951
MOVES = True


def random_case(
    n: int, k: int, dim: int, device: torch.device | str = "cpu", seed: int = 0
) -> tuple[ops.Edges, torch.Tensor, torch.Tensor]:
    """A graph, log radii and positions."""
    rng = np.random.default_rng([n, k, dim, seed])
    indices = (np.arange(n)[:, None] + 1 + np.argsort(rng.random((n, n - 1)))[:, :k]) % n
    weights = rng.uniform(0.05, 1, (n, k)).astype(np.float32)
    edges = ops.symmetrize(
        torch.from_numpy(indices).to(device), torch.from_numpy(weights).to(device)
    )
    radii = torch.from_numpy(rng.normal(size=n).astype(np.float32)).to(device)
    positions = torch.from_numpy(rng.normal(scale=3, size=(n, dim)).astype(np.float32)).to(device)
    return edges, radii, positions


def arrays(*tensors: torch.Tensor) -> list[Any]:
    return [t.cpu().double().numpy() if t.is_floating_point() else t.cpu().numpy() for t in tensors]


@pytest.mark.parametrize("dim", [1, 2, 3, 40])
@pytest.mark.parametrize(("n", "k"), [(2, 1), (30, 5), (700, 20)])
def test_radii_equal_the_reference(n: int, k: int, dim: int, device: torch.device) -> None:
    edges, radii, positions = random_case(n, k, dim, device)
    found = ops.DensityTerm(edges, radii, A, B).radii(positions)
    place, heads, tails = arrays(positions, edges.heads, edges.tails)
    expected = reference.density_radii(place, heads, tails, A, B)
    for part, wanted in zip(found, expected, strict=True):
        assert part.dtype == torch.float32
        np.testing.assert_allclose(part.cpu(), wanted, rtol=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 3, 40])
@pytest.mark.parametrize(("n", "k"), [(3, 1), (30, 5), (700, 20)])
def test_a_step_equals_the_reference(n: int, k: int, dim: int, device: torch.device) -> None:
    edges, radii, positions = random_case(n, k, dim, device)
    term = ops.DensityTerm(edges, radii, A, B, strength=0.5, variance_shift=0.2)
    before = positions.clone()
    found = term.step(positions, 0.25)
    assert torch.equal(positions, before)
    place, heads, tails, weights, wanted = arrays(
        positions, edges.heads, edges.tails, edges.weights, radii
    )
    expected = reference.density_step(
        place, heads, tails, weights, wanted, A, B, 0.25, strength=0.5, variance_shift=0.2
    )
    moves = np.abs(expected - place)
    assert float(moves.max()) > 1e-3
    # Pulls of points cancel in an edge's slope.
    np.testing.assert_allclose(found.cpu(), expected, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_moves_are_those_of_umap_learn(scale: float) -> None:
    layouts = pytest.importorskip("umap.layouts", reason="umap-learn is not installed")
    n = 60
    edges, radii, positions = random_case(n, 6, 2, seed=1)
    edges = edges._replace(weights=torch.full_like(edges.weights, 0.7))  # all are due
    heads, tails = edges.heads.numpy(), edges.tails.numpy()
    points, size = positions.numpy() * np.float32(scale), 1e-4 * scale
    own, strengths, mu = np.zeros(n), np.zeros(n), np.full(len(heads), 0.7)
    layouts._optimize_layout_euclidean_densmap_epoch_init(
        points, points, heads, tails, A, B, own, strengths
    )
    wanted = (radii.double() - radii.double().mean()).numpy() / radii.double().numpy().std()
    deviation, covariance = np.sqrt(own.var() + 0.1), own @ wanted / (n - 1)

    def moves(strength: float) -> Any:
        """At a step so small that the order of the edges does not matter."""
        moved, once = points.copy(), np.ones(len(heads))
        layouts._optimize_layout_euclidean_single_epoch(
            moved, moved, heads, tails, n, once, A, B, np.zeros((n, 3), np.int64), 1.0, 2, MOVES,
            size, once, once.copy() + 2, once.copy() - 1, 1, MOVES, strengths, own, covariance,
            deviation, own.mean(), strength, wanted, mu, mu.sum(),
        )  # fmt: skip
        return (moved.astype(np.float64) - points) / size

    expected = moves(0.5) - moves(0.0)
    term = ops.DensityTerm(edges, radii, A, B, strength=0.5)
    found = term.step(points, 1.0).double().numpy() - points
    assert float(np.abs(expected).max()) > 1
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.03)


def test_steps_raise_the_correlation() -> None:
    edges, radii, positions = random_case(400, 8, 2)
    term = ops.DensityTerm(edges, radii, A, B)

    def correlation(points: torch.Tensor) -> float:
        own = term.radii(points)[0].log()
        return float(torch.corrcoef(torch.stack([own, radii]))[0, 1])

    before = correlation(positions)
    for _ in range(50):
        positions = term.step(positions, 0.05)
    assert correlation(positions) > before + 0.3


def test_coinciding_points_and_points_without_edges(device: torch.device) -> None:
    edges = ops.Edges(
        torch.tensor([0, 1, 2, 2], device=device),
        torch.tensor([0, 1], dtype=torch.int32, device=device),
        torch.tensor([1, 0], dtype=torch.int32, device=device),
        torch.tensor([0.5, 0.5], device=device),
    )
    term = ops.DensityTerm(edges, torch.tensor([0.0, 1.0, 2.0], device=device), A, B)
    positions = torch.ones((3, 2), device=device)
    assert term.radii(positions)[0].tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(term.step(positions, 1.0), positions)
    far = torch.tensor([[0.0, 0.0], [1e8, 0.0], [5.0, 5.0]], device=device)
    moved = term.step(far, 1.0)
    assert bool(torch.isfinite(moved).all())
    assert torch.equal(moved[2], far[2])


def test_no_edges(device: torch.device) -> None:
    none = torch.empty(0, dtype=torch.int32, device=device)
    edges = ops.Edges(
        torch.zeros(3, dtype=torch.int64, device=device), none, none, torch.empty(0, device=device)
    )
    positions = torch.ones((2, 2), device=device)
    term = ops.DensityTerm(edges, torch.tensor([0.0, 1.0], device=device), A, B)
    assert torch.equal(term.step(positions, 1.0), positions)


# A piece of work is 512 points.
def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    n = 3001
    rng = np.random.default_rng(0)
    ring = (np.arange(n)[:, None] + [1, 7, 50]) % n
    edges = ops.symmetrize(ring, rng.uniform(0.1, 1, ring.shape).astype(np.float32))
    positions, radii = rng.normal(size=(n, 2)), rng.normal(size=n)
    assert_same_bits(lambda: ops.DensityTerm(edges, radii, A, B).step(positions, 0.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radii": np.zeros(4)}, "radii must have an entry for each of 5 points, not 4"),
        ({"radii": np.ones(5)}, "radii must differ"),
        ({"radii": np.array([0, 1, 2, 3, np.nan])}, "radii must be finite"),
        ({"a": 0.0}, "a must be a finite number > 0"),
        ({"strength": -1.0}, "strength must be a finite number >= 0"),
        ({"variance_shift": -1.0}, "variance_shift must be a finite number >= 0"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    edges, radii, _ = random_case(5, 2, 2)
    with pytest.raises(ValueError, match=message):
        ops.DensityTerm(**{"edges": edges, "radii": radii, "a": A, "b": B, **changes})


def test_bad_positions() -> None:
    edges, radii, positions = random_case(5, 2, 2)
    term = ops.DensityTerm(edges, radii, A, B)
    with pytest.raises(ValueError, match="positions must have a row for each of 5 points, not 4"):
        term.step(positions[:4], 0.5)
    with pytest.raises(ValueError, match="size must be a finite number >= 0"):
        term.step(positions, -0.5)
