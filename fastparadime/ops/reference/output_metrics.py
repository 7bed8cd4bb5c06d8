"""Metrics between positions of a layout, with their gradients in the first one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastparadime.ops.reference.kinds import Floats

OutputMetric = Callable[[Floats, Floats], tuple[float, Floats]]
_LOG_TWO_PI = float(np.log(2 * np.pi))


def minkowski(p: float, weights: Floats) -> OutputMetric:
    def metric(x: Floats, y: Floats) -> tuple[float, Floats]:
        part = np.abs(x - y)
        distance = float((weights * part**p).sum() ** (1 / p))
        slopes = weights * np.where(part > 0, part, 1.0) ** (p - 1) * np.sign(x - y)
        return distance, slopes * (distance ** (1 - p) if distance > 0 else 0.0)

    return metric


def chebyshev(x: Floats, y: Floats) -> tuple[float, Floats]:
    widest = int(np.abs(x - y).argmax())
    gradient = np.zeros(len(x))
    gradient[widest] = np.sign(x - y)[widest]
    return float(np.abs(x - y).max()), gradient


def mahalanobis(matrix: Floats) -> OutputMetric:
    def metric(x: Floats, y: Floats) -> tuple[float, Floats]:
        distance = float(np.sqrt((x - y) @ matrix @ (x - y)))
        return distance, matrix @ (x - y) / distance if distance > 0 else np.zeros(len(x))

    return metric


def cosine(x: Floats, y: Floats) -> tuple[float, Floats]:
    lengths = float(np.sqrt((x @ x) * (y @ y)))
    if lengths == 0:
        return float((x @ x) != (y @ y)), np.zeros(len(x))
    return float(1 - x @ y / lengths), (x * (x @ y) / (x @ x) - y) / lengths


def correlation(x: Floats, y: Floats) -> tuple[float, Floats]:
    return cosine(x - x.mean(), y - y.mean())


def canberra(x: Floats, y: Floats) -> tuple[float, Floats]:
    whole, part = np.abs(x) + np.abs(y), np.abs(x - y)
    safe = np.where(whole > 0, whole, 1.0)
    slopes = (np.sign(x - y) - part / safe * np.sign(x)) / safe
    return float((part / safe).sum()), np.where(whole > 0, slopes, 0.0)


def braycurtis(x: Floats, y: Floats) -> tuple[float, Floats]:
    whole = float(np.abs(x + y).sum())
    if whole == 0:
        return 0.0, np.zeros(len(x))
    distance = float(np.abs(x - y).sum() / whole)
    return distance, (np.sign(x - y) - distance * np.sign(x + y)) / whole


def sphere(x: Floats, y: Floats) -> tuple[float, Floats]:
    """The angle between unit vectors; the gradient is that within the sphere."""
    gradient = (x @ y) * x - y
    length = float(np.linalg.norm(gradient))
    angle = float(np.arctan2(np.linalg.norm(np.cross(x, y)), x @ y))
    return angle, gradient / length if length > 0 else np.zeros(3)


def hyperboloid(x: Floats, y: Floats) -> tuple[float, Floats]:
    s, t = np.sqrt(1 + x @ x), np.sqrt(1 + y @ y)
    product = max(float(s * t - x @ y), 1 + 1e-12)
    return float(np.arccosh(product)), (x * t / s - y) / np.sqrt(product**2 - 1)


def spherical_gaussian(x: Floats, y: Floats) -> tuple[float, Floats]:
    mean, width = (x - y)[:2], abs(x[2]) + abs(y[2])
    square = float(mean @ mean)
    slope = np.sign(x[2]) * (1 / width - square / (2 * width**2))
    distance = square / (2 * width) + np.log(width) + _LOG_TWO_PI
    return float(distance), np.append(mean / width, slope)


def diagonal_gaussian(x: Floats, y: Floats) -> tuple[float, Floats]:
    mean, widths = (x - y)[:2], np.abs(x[2:]) + np.abs(y[2:])
    slopes = np.sign(x[2:]) * (1 / widths - mean**2 / widths**2) / 2
    distance = ((mean**2 / widths) + np.log(widths)).sum() / 2 + _LOG_TWO_PI
    return float(distance), np.concatenate([mean / widths, slopes])


def _covariance(row: Floats) -> Floats:
    turn = _rotation(row[4])
    found: Floats = turn @ np.diag(np.abs(row[2:4])) @ turn.T
    return found


def _rotation(angle: float) -> Floats:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def gaussian(x: Floats, y: Floats) -> tuple[float, Floats]:
    mean = (x - y)[:2]
    inverse = np.linalg.inv(_covariance(x) + _covariance(y))
    distance = mean @ inverse @ mean - np.linalg.slogdet(inverse)[1] + _LOG_TWO_PI
    outer = inverse @ mean
    slope = inverse - np.outer(outer, outer)  # in the covariance
    along, across = _rotation(x[4]).T
    turned = (abs(x[2]) - abs(x[3])) * (np.outer(along, across) + np.outer(across, along))
    slopes = [np.sign(x[2]) * along @ slope @ along, np.sign(x[3]) * across @ slope @ across]
    return float(distance), np.concatenate([2 * outer, slopes, [float((slope * turned).sum())]])


OUTPUT_METRICS: dict[str, OutputMetric] = {
    "chebyshev": chebyshev,
    "cosine": cosine,
    "correlation": correlation,
    "canberra": canberra,
    "braycurtis": braycurtis,
    "sphere": sphere,
    "hyperboloid": hyperboloid,
    "spherical_gaussian": spherical_gaussian,
    "diagonal_gaussian": diagonal_gaussian,
    "gaussian": gaussian,
}
