"""Draws, the loss, networks and the optimizer of a training step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastparadime.ops.reference.kinds import Floats, Ints
from fastparadime.ops.reference.philox import philox


def draw_edges(
    heads: Ints,
    tails: Ints,
    weights: npt.NDArray[np.float32],
    n: int,
    batch_size: int,
    negatives: int,
    seed: int,
    step: int,
) -> tuple[Ints, Ints]:
    """The sampler's draws (batch,) and (batch, 1 + negatives), by search of the running sum."""
    bits = min(32, 61 - int(np.ceil(np.log2(len(weights) + 1))))
    scale = 2.0**bits / float(weights.max())
    quantised = (weights.astype(np.float64) * scale).astype(np.int64)
    quantised[(weights > 0) & (quantised == 0)] = 1
    cumulative = np.cumsum(quantised)
    out_heads = np.empty(batch_size, dtype=np.int64)
    out_tails = np.empty((batch_size, 1 + negatives), dtype=np.int64)
    for lane in range(batch_size):
        words = [w for block in range(negatives // 2 + 1) for w in philox(seed, step, lane, block)]
        edge = np.searchsorted(cumulative, (words[0] * int(cumulative[-1])) >> 64, side="right")
        out_heads[lane] = heads[edge]
        out_tails[lane] = [tails[edge]] + [(w * n) >> 64 for w in words[1 : 1 + negatives]]
    return out_heads, out_tails


def negative_edge_cross_entropy(
    heads: Floats,
    tails: Floats,
    a: float,
    b: float,
    epsilon: float = 1e-7,
    repulsion_strength: float = 1.0,
) -> tuple[float, Floats, Floats]:
    """Mean loss and its gradients in heads (batch, dim) and tails (batch, slots, dim)."""
    heads, tails = np.asarray(heads, dtype=np.float64), np.asarray(tails, dtype=np.float64)
    difference = heads[:, None] - tails
    d2 = np.maximum((difference**2).sum(axis=2), np.finfo(np.float32).tiny)
    power = a * d2**b
    likelihood = power / (1 + power)
    likelihood[:, 0] = 1 / (1 + power[:, 0])
    scale = np.full(d2.shape, repulsion_strength)
    scale[:, 0] = 1.0
    # d(-log q)/d d2 = b q a d2^(b - 1) and d(-log(1 - q))/d d2 = -b q / d2
    slope = -b / d2 / (1 + power)
    slope[:, 0] *= -power[:, 0]
    slope = np.where(likelihood < epsilon, 0.0, slope) * scale / d2.size
    loss = (-np.log(np.maximum(likelihood, epsilon)) * scale).mean()
    gradient = 2 * slope[..., None] * difference
    return float(loss), gradient.sum(axis=1), -gradient


def anchor_cross_entropy(
    scores: Floats, positions: Floats, anchors: Floats, reaches: Floats
) -> tuple[float, Floats]:
    """Mean loss and its gradient in scores (rows, anchors)."""
    scores, positions, anchors = (
        np.asarray(part, dtype=np.float64) for part in (scores, positions, anchors)
    )
    d2 = ((positions[:, None] - anchors) ** 2).sum(axis=2)
    reach = np.asarray(reaches, dtype=np.float64)[d2.argmin(axis=1)][:, None]
    shares, found = softmax(-d2 / (2 * reach**2)), softmax(scores)
    largest = scores.max(axis=1, keepdims=True)
    logs = scores - largest - np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))
    return float(-(shares * logs).sum(axis=1).mean()), (found - shares) / len(scores)


def anchor_modes(scores: Floats, anchors: Floats, windows: Floats) -> Floats:
    """Peaks (rows, dim) of anchors by a mean shift from the best of each row on."""
    scores, anchors = (np.asarray(part, dtype=np.float64) for part in (scores, anchors))
    best = scores.argmax(axis=1)
    modes: Floats = anchors[best]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    window = np.asarray(windows, dtype=np.float64)[best][:, None]
    for _ in range(5):
        d2 = ((modes[:, None] - anchors) ** 2).sum(axis=2)
        weights = odds * np.exp(-d2 / (2 * window**2))
        modes = weights @ anchors / weights.sum(axis=1, keepdims=True)
    return modes


def gather_rows(table: npt.NDArray[np.generic], indices: Ints) -> npt.NDArray[np.generic]:
    """Rows of a table picked by index."""
    return np.stack([table[i] for i in indices]) if len(indices) else table[:0]


def activate(activation: str, z: Floats) -> tuple[Floats, Floats]:
    """An activation's value and slope."""
    sigmoid = np.exp(-np.logaddexp(0.0, -z))
    if activation == "softplus":
        return np.logaddexp(0.0, z), sigmoid
    if activation == "silu":
        return z * sigmoid, sigmoid * (1 + z * (1 - sigmoid))
    return np.maximum(z, 0.0), (z > 0).astype(np.float64)


def mlp(
    rows: Floats,
    weights: list[Floats],
    biases: list[Floats],
    activation: str,
    out_grad: Floats,
    scales: tuple[Floats, float, Floats, float],
) -> tuple[Floats, list[Floats]]:
    """A network's output, and the gradient of sum(output out_grad) in weight, bias, weight, ...

    `scales` are the input's mean and scale, which are taken off, and the output's, which are put
    on.
    """
    values, slopes = [(np.asarray(rows, dtype=np.float64) - scales[0]) / scales[1]], []
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        sums = values[-1] @ np.asarray(weight, dtype=np.float64).T + bias
        last = number == len(weights) - 1
        if last:
            value, slope = sums, np.ones_like(sums)
        elif activation == "softmax":
            value = slope = softmax(sums)
        else:
            value, slope = activate(activation, sums)
        values.append(value)
        slopes.append(slope)
    gradient, found = np.asarray(out_grad, dtype=np.float64) * scales[3], []
    for number in reversed(range(len(weights))):
        gradient = gradient * slopes[number]
        if activation == "softmax" and number < len(weights) - 1:  # its Jacobian is diag(p) - p p'
            gradient = gradient - slopes[number] * gradient.sum(axis=1, keepdims=True)
        found += [gradient.sum(axis=0), gradient.T @ values[number]]
        gradient = gradient @ np.asarray(weights[number], dtype=np.float64)
    return values[-1] * scales[3] + scales[2], found[::-1]


def softmax(sums: Floats) -> Floats:
    """Shares of each row (m, k) that are in proportion to the exponentials of its values."""
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def mlp_jacobian(
    rows: Floats,
    weights: list[Floats],
    biases: list[Floats],
    activation: str,
    scales: tuple[Floats, float, Floats, float],
) -> Floats:
    """Derivatives (m, out, in) of the outputs of `mlp` in the columns of the rows."""
    values = (np.asarray(rows, dtype=np.float64) - scales[0]) / scales[1]
    found = np.broadcast_to(np.eye(values.shape[1]), (len(values), *(values.shape[1],) * 2))
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        wide = np.asarray(weight, dtype=np.float64)
        sums, found = values @ wide.T + bias, wide @ found
        if number == len(weights) - 1:
            continue
        if activation == "softmax":
            values = slopes = softmax(sums)
        else:
            values, slopes = activate(activation, sums)
        found = slopes[:, :, None] * found
        if activation == "softmax":  # its Jacobian is diag(p) - p p'
            found = found - slopes[:, :, None] * found.sum(axis=1, keepdims=True)
    return found * (scales[3] / scales[1])


def adam(parameter: Floats, gradients: list[Floats], rates: list[float]) -> Floats:
    """A parameter after steps of Adam (Kingma & Ba 2015, algorithm 1) with torch's defaults."""
    parameter = np.array(parameter, dtype=np.float64)
    mean, square = np.zeros_like(parameter), np.zeros_like(parameter)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased = mean / (1 - 0.9**step), square / (1 - 0.999**step)
        parameter -= rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return parameter


def to_tf32(x: Floats) -> Floats:
    """Finite floats with the nearest 10 bits of mantissa, ties away from zero."""
    fraction, exponent = np.frexp(np.asarray(x, dtype=np.float64))
    nearest = np.copysign(np.floor(np.abs(fraction) * 2**11 + 0.5), fraction)
    cut: Floats = np.ldexp(nearest, exponent - 11)
    return cut


def hidden_layers(
    sums: Floats,
    weights: list[Floats],
    biases: list[Floats],
    activation: str,
    out_grad: Floats,
) -> tuple[Floats, list[Floats]]:
    """Layers behind the first, and the gradient of sum(output out_grad) in sums, weight, bias, ...

    Products between hidden layers take factors of 10 bits of mantissa.
    """

    def factor(number: int, x: Floats) -> Floats:
        return x if number == len(weights) - 1 else to_tf32(x)

    z, gradient = [np.asarray(sums, dtype=np.float64)], np.asarray(out_grad, dtype=np.float64)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        value, _ = activate(activation, z[-1])
        z.append(factor(number, value) @ factor(number, weight).T + bias)
    found: list[Floats] = []
    for number in reversed(range(len(weights))):
        value, slope = activate(activation, z[number])
        rounded = factor(number, gradient)
        found += [gradient.sum(axis=0), rounded.T @ factor(number, value)]
        gradient = rounded @ factor(number, weights[number]) * slope
    return z[-1], [gradient, *found[::-1]]
