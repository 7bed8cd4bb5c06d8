"""densMAP's term against its definition, and against the moves of umap-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

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
def test_pulls_equal_the_reference(n: int, k: int, dim: int, device: torch.device) -> None:
    edges, radii, positions = random_case(n, k, dim, device)
    term = ops.DensityTerm(edges, radii, A, B, strength=0.5, variance_shift=0.2)
    pulls, gain = term.pulls(positions)
    place, heads, tails, wanted = arrays(positions, edges.heads, edges.tails, radii)
    expected, deviation = reference.density_pulls(place, heads, tails, wanted, A, B, 0.2)
    assert pulls.dtype == torch.float32
    # Radii are float32, and what they explain of a pull is taken from it.
    atol = 1e-5 * np.abs(expected).max(axis=0)
    assert (np.abs(pulls.cpu().numpy() - expected) <= atol).all()
    assert gain == pytest.approx(float(edges.weights.sum()) / (deviation * n), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("n", "k", "dim"), [(3, 1, 2), (40, 4, 1), (40, 4, 2), (50, 5, 7)])
def test_a_layout_equals_the_reference(
    n: int, k: int, dim: int, steps: int, device: torch.device
) -> None:
    edges, radii, positions = random_case(n, k, dim, device)
    term = ops.DensityTerm(edges, radii, A, B, strength=0.5)
    before = positions.clone()
    options = {"learning_rate": 0.01, "seed": 7, "density_epochs": 3, "steps_per_epoch": steps}
    found = ops.sgd_layout(positions, edges, A, B, 4, density=term, **options)
    assert torch.equal(positions, before)
    place, indptr, tails, weights, wanted = arrays(
        positions, edges.indptr, edges.tails, edges.weights, radii
    )
    given = place, indptr, tails, weights, A, B, 4
    expected = reference.sgd_layout(*given, density=(wanted, 0.5), **options)
    plain = reference.sgd_layout(*given, learning_rate=0.01, seed=7, steps_per_epoch=steps)
    assert float(np.abs(expected - plain).max()) > 2e-4
    np.testing.assert_allclose(found.cpu(), expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_moves_are_those_of_umap_learn(scale: float) -> None:
    """Up to the limit of a point's sum."""
    layouts = pytest.importorskip("umap.layouts", reason="umap-learn is not installed")
    n = 60
    edges, radii, positions = random_case(n, 2, 2, seed=1)
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

    expected = moves(0.5)
    assert float(np.abs(expected - moves(0.0)).max()) > 1
    term = ops.DensityTerm(edges, radii, A, B, strength=0.5)
    found = ops.sgd_layout(
        points, edges, A, B, 1, steps_per_epoch=1, negative_sample_rate=0, learning_rate=0.01,
        density=term, density_epochs=1,
    )  # fmt: skip
    found_moves = (found.double().numpy() - points) / 0.01
    assert (np.abs(expected) < 5).mean() > 0.5
    np.testing.assert_allclose(found_moves, expected.clip(-5, 5), rtol=0.01, atol=0.03)


def test_the_term_raises_the_correlation() -> None:
    edges, radii, positions = random_case(400, 8, 2)
    term = ops.DensityTerm(edges, radii, A, B)

    def correlation(epochs: int) -> float:
        options = {"density": term, "density_epochs": epochs, "learning_rate": 0.1}
        found = ops.sgd_layout(positions, edges, A, B, 50, **options)
        own = term.radii(found)[0].log()
        return float(torch.corrcoef(torch.stack([own, radii]))[0, 1])

    assert correlation(50) > correlation(0) + 0.3


def test_epochs_before_the_term_are_those_without_it() -> None:
    edges, radii, positions = random_case(100, 5, 2)
    kept: list[torch.Tensor] = []
    options: dict[str, Any] = {
        "stops": [7],
        "at_stop": lambda _, places: kept.append(places.clone()),
    }
    term = ops.DensityTerm(edges, radii, A, B)
    plain = ops.sgd_layout(positions, edges, A, B, 10, **options)
    dense = ops.sgd_layout(positions, edges, A, B, 10, density=term, density_epochs=3, **options)
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(plain, dense)
    unused = ops.sgd_layout(positions, edges, A, B, 10, density=term, **options)
    assert torch.equal(unused, plain)


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
    assert moved(positions, edges, term).equal(positions)
    far = torch.tensor([[0.0, 0.0], [1e8, 0.0], [5.0, 5.0]], device=device)
    found = moved(far, edges, term)
    assert bool(torch.isfinite(found).all())
    assert torch.equal(found[2], far[2])
    unshifted = ops.DensityTerm(
        edges, torch.tensor([0.0, 1.0, 2.0], device=device), A, B, variance_shift=0.0
    )
    assert moved(positions, edges, unshifted).equal(positions)


def moved(positions: torch.Tensor, edges: ops.Edges, term: ops.DensityTerm) -> torch.Tensor:
    options = {"density": term, "density_epochs": 3, "negative_sample_rate": 0}
    return ops.sgd_layout(positions, edges, A, B, 3, **options)


@pytest.mark.parametrize("n", [0, 2])
def test_no_edges(n: int, device: torch.device) -> None:
    none = torch.empty(0, dtype=torch.int32, device=device)
    edges = ops.Edges(
        torch.zeros(n + 1, dtype=torch.int64, device=device),
        none,
        none,
        torch.empty(0, device=device),
    )
    positions = torch.ones((n, 2), device=device)
    term = ops.DensityTerm(edges, torch.arange(n, device=device).float(), A, B)
    assert torch.equal(moved(positions, edges, term), positions)


# A piece of work is 512 points.
def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    n = 3001
    rng = np.random.default_rng(0)
    ring = (np.arange(n)[:, None] + [1, 7, 50]) % n
    edges = ops.symmetrize(ring, rng.uniform(0.1, 1, ring.shape).astype(np.float32))
    positions, radii = rng.normal(size=(n, 2)), rng.normal(size=n)
    term = ops.DensityTerm(edges, radii, A, B)
    assert_same_bits(
        lambda: ops.sgd_layout(positions, edges, A, B, 5, density=term, density_epochs=4)
    )


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
    message = "positions must have a row for each of 5 points, not 4"
    with pytest.raises(ValueError, match=message):
        term.pulls(positions[:4])
    others, _, fewer = random_case(4, 2, 2)
    with pytest.raises(ValueError, match=message):
        ops.sgd_layout(fewer, others, A, B, 5, density=term, density_epochs=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": None}, "density_epochs must be 0 without density, not 2"),
        ({"density_epochs": 6}, r"density_epochs must be an integer in \[0, 5\], not 6"),
        ({"anchors": np.zeros((5, 2))}, "density cannot be combined with anchors"),
    ],
)
def test_bad_options_of_a_layout(changes: dict[str, Any], message: str) -> None:
    edges, radii, positions = random_case(5, 2, 2)
    term = ops.DensityTerm(edges, radii, A, B)
    options = {"density": term, "density_epochs": 2, **changes}
    with pytest.raises(ValueError, match=message):
        ops.sgd_layout(positions, edges, A, B, 5, **options)
