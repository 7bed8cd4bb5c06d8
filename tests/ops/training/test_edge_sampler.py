"""EdgeSampler: the same draws as its definition, their distribution, and its borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
import torch

from fastparadime import ops
from fastparadime.ops import reference

LEAST_P = 1e-4  # of a chi-square test; seeds are fixed, so a test passes always or never


def random_edges(
    edges: int, n: int, seed: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    rng = np.random.default_rng([seed, edges, n])
    return rng.integers(n, size=edges), rng.integers(n, size=edges), rng.random(edges, np.float32)


def numbered_sampler(
    weights: npt.NDArray[np.float32], device: torch.device, seed: int = 0
) -> ops.EdgeSampler:
    """A sampler whose heads are the numbers of the edges."""
    numbers = torch.arange(len(weights), device=device)
    on_device = torch.from_numpy(weights).to(device)
    return ops.EdgeSampler(numbers, numbers, on_device, len(weights), seed=seed)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0), 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1, 2**32 - 1, 2**64 - 1), 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ],
)
def test_philox_known_answers(counter: tuple[int, int, int], key: int, expected: str) -> None:
    lane, block, step = counter  # Random123's kat_vectors, philox4x32-10
    low, high = reference.philox(key, step, lane, block)
    words = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
    assert " ".join(f"{word:08x}" for word in words) == expected


@pytest.mark.parametrize("negatives", [0, 1, 2, 5, 8])
@pytest.mark.parametrize(("edges", "n"), [(1, 1), (2, 5), (7, 3), (100, 1000), (5000, 2**31 - 1)])
def test_equals_reference(edges: int, n: int, negatives: int, device: torch.device) -> None:
    heads, tails, weights = random_edges(edges, n)
    parts = (torch.from_numpy(part).to(device) for part in (heads, tails, weights))
    sampler = ops.EdgeSampler(*parts, n, seed=2**64 - 5)
    assert len(sampler) == edges
    for step in (0, 1, 2**33 + 7):
        drawn = sampler.draw(70, negatives, step)
        expected = reference.draw_edges(
            heads, tails, weights, n, 70, negatives, seed=2**64 - 5, step=step
        )
        assert drawn.heads.dtype == drawn.tails.dtype == torch.int32
        assert drawn.heads.device.type == device.type
        np.testing.assert_array_equal(drawn.heads.cpu(), expected[0])
        np.testing.assert_array_equal(drawn.tails.cpu(), expected[1])
        ends = sampler.draw_ends(70, negatives, step)
        assert torch.equal(ends, torch.cat((drawn.heads, drawn.tails.flatten())))


@pytest.mark.parametrize("negatives", [0, 1, 4])
def test_step_on_the_device_is_the_step(negatives: int, device: torch.device) -> None:
    parts = (torch.from_numpy(part).to(device) for part in random_edges(300, 40))
    sampler = ops.EdgeSampler(*parts, 40, seed=9)
    counter = torch.zeros(1, dtype=torch.int64, device=device)
    for step in range(3):
        drawn, expected = (sampler.draw(60, negatives, s) for s in (counter, step))
        assert all(torch.equal(a, b) for a, b in zip(drawn, expected, strict=True))
        counter.add_(1)


@pytest.mark.parametrize(
    "step",
    [torch.zeros(2, dtype=torch.int64), torch.zeros((), dtype=torch.int64), torch.zeros(1)],
)
def test_bad_step_tensor(step: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"step must be an integer or an int64 tensor \(1,\)"):
        ops.EdgeSampler([0], [0], [1.0], 1).draw(1, 1, step)


@pytest.mark.cuda
def test_devices_draw_the_same_edges(cuda: torch.device) -> None:
    heads, tails, weights = (torch.from_numpy(part) for part in random_edges(20_000, 999))
    host = ops.EdgeSampler(heads, tails, weights, 999, seed=5)
    there = ops.EdgeSampler(*(p.to(cuda) for p in (heads, tails, weights)), 999, seed=5)
    for step in (0, 7, 2**40):
        pairs = zip(host.draw(3000, 5, step), there.draw(3000, 5, step), strict=True)
        assert all(torch.equal(a, b.cpu()) for a, b in pairs)
    with pytest.raises(ValueError, match="arguments must be on one device, not step on cpu"):
        there.draw(1, 1, torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0])
def test_skewed_weights_equal_reference(spread: float, device: torch.device) -> None:
    rng = np.random.default_rng(3)
    weights = np.exp(spread * rng.normal(size=3000)).astype(np.float32)
    drawn = numbered_sampler(weights, device, seed=11).draw(300, 0, 4).heads
    numbers = np.arange(3000)
    expected, _ = reference.draw_edges(numbers, numbers, weights, 3000, 300, 0, seed=11, step=4)
    np.testing.assert_array_equal(drawn.cpu(), expected)


@pytest.mark.parametrize("steps", [1, 40])
def test_draws_follow_the_weights(steps: int, device: torch.device) -> None:
    weights = np.random.default_rng(5).gamma(1.0, size=300).astype(np.float32) + np.float32(0.02)
    sampler = numbered_sampler(weights, device, seed=1)
    size = 240_000 // steps
    drawn = torch.cat([sampler.draw(size, 0, step).heads for step in range(steps)])
    counts = np.bincount(drawn.cpu(), minlength=300)
    expected = weights.astype(np.float64) / weights.sum(dtype=np.float64) * len(drawn)
    assert expected.min() > 5
    assert scipy.stats.chisquare(counts, expected).pvalue > LEAST_P


def test_negatives_are_uniform(device: torch.device) -> None:
    n = 500
    heads, tails, weights = (torch.from_numpy(part).to(device) for part in random_edges(100, n))
    drawn = ops.EdgeSampler(heads, tails, weights, n, seed=2).draw(50_000, 5, 0).tails[:, 1:].cpu()
    counts = np.stack([np.bincount(slot, minlength=n) for slot in drawn.numpy().T])
    assert scipy.stats.chisquare(counts.sum(0)).pvalue > LEAST_P
    assert all(scipy.stats.chisquare(slot).pvalue > LEAST_P for slot in counts)
    pairs = np.histogram2d(*drawn[:, :2].numpy().T, bins=10)[0]  # neighbours in one Philox block
    assert scipy.stats.chi2_contingency(pairs).pvalue > LEAST_P


def test_zero_weights_are_never_drawn(device: torch.device) -> None:
    weights = np.random.default_rng(7).random(1000, np.float32)
    weights[::2] = 0
    weights[900:] = 0  # at the end, where a search could run over
    weights[:100] = 0
    drawn = numbered_sampler(weights, device).draw(100_000, 0, 0).heads.cpu().numpy()
    assert bool((weights[drawn] > 0).all())
    assert set(drawn) == set(np.flatnonzero(weights))


def test_one_edge_outweighs_all(device: torch.device) -> None:
    weights = np.full(10_000, 1e-30, dtype=np.float32)
    weights[7777] = 1e30
    drawn = numbered_sampler(weights, device).draw(10_000, 0, 0).heads
    # The others hold one unit of 2^32 each: 10,000 of 4.3e9, 0.02 draws of 10,000 are expected.
    assert int((drawn == 7777).sum()) >= 9_999


def test_more_edges_than_float32_counts(device: torch.device) -> None:
    edges, heavy = 2**24 + 3, 3
    ends = torch.zeros(edges, dtype=torch.int32, device=device)
    ends[-heavy:] = torch.arange(1, 1 + heavy, dtype=torch.int32, device=device)
    weights = torch.zeros(edges, device=device)
    weights[-heavy:] = torch.tensor([1.0, 2.0, 1.0], device=device)
    sampler = ops.EdgeSampler(ends, ends, weights, 1 + heavy)
    del weights
    counts = torch.bincount(sampler.draw(40_000, 0, 0).heads.long(), minlength=4).cpu().numpy()
    assert len(sampler) == edges
    assert counts[0] == 0
    assert scipy.stats.chisquare(counts[1:], [10_000, 20_000, 10_000]).pvalue > LEAST_P


def test_steps_and_seeds(device: torch.device) -> None:
    weights = np.random.default_rng(9).random(1000, np.float32)
    sampler, other = (numbered_sampler(weights, device, seed=seed) for seed in (0, 1))
    draws = [sampler.draw(64, 3, 0), sampler.draw(64, 3, 1), sampler.draw(64, 3, 2**32)]
    draws.append(other.draw(64, 3, 0))
    for i, first in enumerate(draws):
        for second in draws[:i]:
            assert not torch.equal(first.heads, second.heads)
            assert not torch.equal(first.tails[:, 1:], second.tails[:, 1:])
    for part, again in zip(draws[0], sampler.draw(64, 3, 0), strict=True):
        assert torch.equal(part, again)


def test_larger_batches_extend_smaller_ones(device: torch.device) -> None:
    sampler = numbered_sampler(np.random.default_rng(9).random(1000, np.float32), device)
    small, large = sampler.draw(10, 2, 5), sampler.draw(5000, 4, 5)
    assert torch.equal(large.heads[:10], small.heads)
    assert torch.equal(large.tails[:10, :3], small.tails)


def test_empty_batch(device: torch.device) -> None:
    drawn = numbered_sampler(np.ones(3, np.float32), device).draw(0, 5, 0)
    assert (drawn.heads.shape, drawn.tails.shape) == ((0,), (0, 6))


# A piece of work is 65536 edges of a table, or 4096 draws.
def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    parts = [torch.from_numpy(part) for part in random_edges(200_003, 5000)]
    before = [part.clone() for part in parts]
    assert_same_bits(lambda: ops.EdgeSampler(*parts, 5000, seed=3).draw(20_000, 5, 1))
    assert all(torch.equal(a, b) for a, b in zip(parts, before, strict=True))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numpy_and_layouts(dtype: str) -> None:
    heads, tails, weights = random_edges(50, 20)
    expected = ops.EdgeSampler(heads, tails, weights, 20).draw(100, 2, 0)
    strided = np.stack((heads, tails), axis=1).astype(np.int32)
    strided.flags.writeable = False
    sampler = ops.EdgeSampler(strided[:, 0], strided[:, 1], weights.astype(dtype), np.int64(20))
    for part, same in zip(sampler.draw(100, 2, 0), expected, strict=True):
        assert torch.equal(part, same)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"heads": [0, 3]}, ValueError, r"heads must lie in \[0, 3\), but holds 3"),
        ({"tails": [-1, 0]}, ValueError, r"tails must lie in \[0, 3\), but holds -1"),
        ({"heads": [0.0, 1.0]}, TypeError, "heads must hold integers"),
        ({"heads": [[0, 1]]}, ValueError, "heads must have 1 dim"),
        ({"tails": [0]}, ValueError, "heads, tails and weights must have one length.*2, 1 and 2"),
        ({"weights": [1.0, -1.0]}, ValueError, r"weights must be .*-1.0 at \[1\]"),
        ({"weights": [np.nan, 1.0]}, ValueError, r"weights must be .*nan at \[0\]"),
        ({"weights": [np.inf, 1.0]}, ValueError, r"weights must be .*inf at \[0\]"),
        ({"weights": [0.0, 0.0]}, ValueError, "weights must hold a positive value"),
        ({"heads": [], "tails": [], "weights": []}, (ValueError, TypeError), "heads|weights"),
        ({"n": 0}, ValueError, r"n must be an integer in \[1, 2147483647\]"),
        ({"n": 2**31}, ValueError, "n must be an integer"),
        ({"n": 2.5}, ValueError, "n must be an integer"),
        ({"seed": -1}, ValueError, "seed must be an integer"),
        ({"seed": 2**64}, ValueError, "seed must be an integer"),
        ({"seed": None}, TypeError, "seed must be an integer"),
    ],
)
def test_bad_edges(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"heads": [0, 1], "tails": [1, 2], "weights": [1.0, 1.0], "n": 3, **change}
    with pytest.raises(error, match=message):
        ops.EdgeSampler(**arguments)


def test_no_edges() -> None:
    none = np.empty(0, dtype=np.int64)
    with pytest.raises(ValueError, match="weights must hold a positive value"):
        ops.EdgeSampler(none, none, np.empty(0, dtype=np.float32), 3)


@pytest.mark.parametrize("name", ["batch_size", "negatives", "step"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (1.5, ValueError), (2**64, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_bad_draw(name: str, value: Any, error: type[Exception]) -> None:
    sampler = ops.EdgeSampler([0], [0], [1.0], 1)
    with pytest.raises(error, match=f"{name} must be an integer"):
        sampler.draw(**{"batch_size": 1, "negatives": 1, "step": 0, name: value})
