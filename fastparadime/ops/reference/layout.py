"""The layout's epochs and densMAP's term."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastparadime.ops.reference.kinds import Floats, Ints
from fastparadime.ops.reference.output_metrics import OutputMetric
from fastparadime.ops.reference.philox import philox


def _term(
    x: Floats, y: Floats, a: float, b: float, strength: float | None, metric: OutputMetric | None
) -> Floats:
    """Of the head's move: an attraction, or a repulsion of this strength."""
    if metric is None:
        return _layout_factor(float((x - y) @ (x - y)), a, b, strength) * (x - y)
    distance, gradient = metric(x, y)
    if not distance > 0:
        return np.zeros(len(x))
    return _layout_factor(distance**2, a, b, strength) * distance * gradient


def _layout_factor(d2: float, a: float, b: float, strength: float | None) -> float:
    """Of the difference in a head's move: an attraction, or a repulsion of this strength."""
    power = float(a * (d2 + 1e-12) ** b)
    if strength is None:
        return -2 * b * power / ((d2 + 1e-12) * (1 + power))
    return 2 * strength * b / ((0.001 + d2) * (1 + power))


def _mixed_bits(x: int) -> int:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ x >> shift) * factor & 0xFFFFFFFF
    return x ^ x >> 16


def _part_of(head: int, tail: int, parts: int, fixed_tails: bool) -> int:
    """The part of an epoch that an edge is sampled in."""
    lower, upper = (0, tail) if fixed_tails else (min(head, tail), max(head, tail))
    part = _mixed_bits(_mixed_bits(lower) ^ upper) * parts >> 32
    return part if fixed_tails or head < tail else parts - 1 - part


class Windows(NamedTuple):
    """Negatives of heads in a row come from points in a row."""

    size: int
    heads_log2: int

    def start(self, seed: int, epoch: int, part: int, head: int, negative: int, n: int) -> int:
        key = _mixed_bits(_mixed_bits(seed & 0xFFFFFFFF ^ epoch) ^ (part << 16 | negative))
        return _mixed_bits(key ^ seed >> 32 ^ head >> self.heads_log2) * n >> 32


def _negatives(
    seed: int,
    epoch: int,
    part: int,
    ends: tuple[int, int],
    count: int,
    n: int,
    windows: Windows | None,
) -> list[int]:
    words: list[int] = []
    for block in range(-(-count // 5)):
        low, high = philox(seed, epoch | block << 32, *ends)
        four = [half >> shift & 0xFFFFFFFF for half in (low, high) for shift in (0, 32)]
        words += [*four, four[0] ^ four[1] ^ four[2] ^ four[3]]
    if windows is None:
        return [word * n >> 32 for word in words[:count]]
    places = [
        windows.start(seed, epoch, part, ends[0], i, n) + (word * windows.size >> 32)
        for i, word in enumerate(words[:count])
    ]
    return [place % n for place in places]


def _weights(row_weights: Floats | None) -> Callable[[int], float]:
    return lambda row: 1.0 if row_weights is None else float(row_weights[row])


def _shares(weights: Floats, narrow: bool) -> Floats:
    """Samples of each edge an epoch: the schedule is one of float32."""
    singles = np.asarray(weights, dtype=np.float32)
    shares: Floats = singles / singles.max()
    if narrow:
        parts = np.minimum(np.rint(shares * np.float32(65536)), 65535)
        shares = (parts + (parts == 65535)) / np.float32(65536)
    return shares


def sgd_layout(
    positions: Floats,
    indptr: Ints,
    tails: Ints,
    weights: Floats,
    a: float,
    b: float,
    n_epochs: int,
    steps_per_epoch: int,
    *,
    learning_rate: float = 1.0,
    repulsion_strength: float = 1.0,
    negatives: int = 5,
    seed: int = 0,
    anchors: Floats | None = None,
    density: tuple[Floats, float] | None = None,
    density_epochs: int = 0,
    metric: OutputMetric | None = None,
    on_sphere: bool = False,
    row_weights: Floats | None = None,
    windows: Windows | None = None,
    narrow_shares: bool = False,
) -> Floats:
    """Positions after the epochs: in each, one synchronous step for each part of the edges.

    `density` are densMAP's log radii (n,) of the data and its strength, for the last epochs.
    `row_weights` are of mean 1. Samples an epoch are whole 65,536ths with `narrow_shares`.
    """
    now = np.asarray(positions, dtype=np.float64)
    weights_of = _weights(row_weights)
    fixed = anchors is not None
    shares = _shares(weights, narrow_shares)
    heads = np.repeat(np.arange(len(now)), np.diff(indptr))
    ends = [(int(i), int(j)) for i, j in zip(heads, tails, strict=True)]
    parts = np.array([_part_of(i, j, steps_per_epoch, fixed) for i, j in ends])
    for step in range(n_epochs * steps_per_epoch):
        epoch, part = divmod(step, steps_per_epoch)
        due = np.floor(shares * np.float32(epoch + 1)) > np.floor(shares * np.float32(epoch))
        others = now if anchors is None else np.asarray(anchors, dtype=np.float64)
        sums = np.zeros_like(now)
        dense = density is not None and epoch >= n_epochs - density_epochs
        if density is not None and dense and part == 0:
            pulls, deviation = density_pulls(now, heads, tails, density[0], a, b)
            gain = 2 * density[1] * weights.sum() / (deviation * len(now))
        for e in np.flatnonzero(due & (parts == part)):
            i, j = ends[e]
            pull = weights_of(j)
            pairs: list[tuple[int, Floats, float | None, float]] = [(i, others[j], None, pull)]
            for k in _negatives(seed, epoch, part, (i, j), negatives, len(others), windows):
                pairs.append((i, others[k], repulsion_strength, pull * weights_of(k)))
            if not fixed:
                pairs.append((j, others[i], None, weights_of(i)))
            for point, other, strength, scale in pairs:
                term = _term(now[point], other, a, b, strength, metric)
                sums[point] += scale * np.clip(term, -4, 4)
            if dense:
                slope = _density_factor(now[i] - now[j], pulls[i] + pulls[j], a, b)
                term = np.clip(gain / weights[e] * slope * (now[i] - now[j]), -4, 4)
                sums[i] += term
                sums[j] -= term
        size = learning_rate * (1 - epoch / n_epochs)
        now = now + size * np.clip(sums, *((-5, 5) if dense else (-8, 8)))
        if on_sphere:
            now /= np.linalg.norm(now, axis=1, keepdims=True)
    return now


def density_radii(
    positions: Floats, heads: Ints, tails: Ints, a: float, b: float
) -> tuple[Floats, Floats]:
    """Squared local radii (n,) of positions by a graph's edges, and sums of their strengths."""
    n = len(positions)
    d2 = ((positions[heads] - positions[tails]) ** 2).sum(axis=1)
    q = 1 / (1 + a * d2**b)
    strengths, squares = np.zeros(n), np.zeros(n)
    np.add.at(strengths, heads, q)
    np.add.at(squares, heads, q * d2)
    return np.divide(squares, strengths, out=np.zeros(n), where=strengths > 0), strengths


def density_pulls(
    positions: Floats,
    heads: Ints,
    tails: Ints,
    radii: Floats,
    a: float,
    b: float,
    variance_shift: float = 0.1,
) -> tuple[Floats, float]:
    """What points put into the slopes of their edges (n, 2), and the deviation of the log radii.

    `radii` are the log radii (n,) of the data. umap-learn sums strengths from both ends of both
    directions of a pair: twice those of a row.
    """
    squares, strengths = density_radii(positions, heads, tails, a, b)
    own = np.log(1e-8 + squares)
    wanted = (radii - radii.mean()) / radii.std()
    variance = own.var() + variance_shift
    covariance = own @ wanted / (len(own) - 1)
    pulls = wanted - covariance * (own - own.mean()) / variance
    by_strength = np.divide(pulls, 2 * strengths, out=np.zeros(len(own)), where=strengths > 0)
    return np.stack([by_strength, by_strength / np.exp(own)], axis=1), float(np.sqrt(variance))


def _density_factor(difference: Floats, pulls: Floats, a: float, b: float) -> float:
    """The slope of the correlation of radii in the squared distance, by the pulls of both ends."""
    d2 = float(difference @ difference) + 1e-12
    q = 1 / (1 + a * d2**b)
    return float(pulls[1] * q * (1 - b * (1 - q)) + pulls[0] * q * b * (1 - q) / d2)
