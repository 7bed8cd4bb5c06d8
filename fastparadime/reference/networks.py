"""A fully connected network and its optimizer."""

from __future__ import annotations

import numpy as np

from fastparadime.reference.kinds import Floats


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
        value, slope = (sums, np.ones_like(sums)) if last else activate(activation, sums)
        values.append(value)
        slopes.append(slope)
    gradient, found = np.asarray(out_grad, dtype=np.float64) * scales[3], []
    for number in reversed(range(len(weights))):
        gradient = gradient * slopes[number]
        found += [gradient.sum(axis=0), gradient.T @ values[number]]
        gradient = gradient @ np.asarray(weights[number], dtype=np.float64)
    return values[-1] * scales[3] + scales[2], found[::-1]


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
