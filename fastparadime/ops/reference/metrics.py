"""Distances of two rows, and the rows of zeros and ones that are nearest to some."""

from __future__ import annotations

import numpy as np

from fastparadime.ops.reference.kinds import Floats


def distance(x: Floats, y: Floats, metric: str, p: float) -> float:
    """Of two rows."""
    from scipy.spatial import distance

    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if metric == "inner_product":
        return float(1 - x @ y)
    if metric == "minkowski":
        return float(distance.minkowski(x, y, p))
    if metric == "nan_euclidean":
        there = ~(np.isnan(x) | np.isnan(y))
        if not there.any():
            return np.inf
        return float(np.sqrt(len(x) / there.sum() * np.square(x - y)[there].sum()))
    if metric == "braycurtis" and not np.any(x + y):
        return np.inf if np.any(x) else 0.0
    names = {"manhattan": "cityblock"}
    function = getattr(distance, names.get(metric, metric))
    return float(function(x, y)) if np.any(x != y) else 0.0


def binary_distance(x: Floats, y: Floats, metric: str) -> float:
    """Of two rows by which of their columns are not zero, as umap-learn defines it."""
    here, there = np.asarray(x) != 0, np.asarray(y) != 0
    n, both, differ = len(x), int((here & there).sum()), int((here != there).sum())
    crossed = int((here & ~there).sum()) * int((~here & there).sum())
    if differ == 0 or (metric == "yule" and crossed == 0):
        return 0.0
    return {
        "jaccard": lambda: differ / (both + differ),
        "dice": lambda: differ / (2 * both + differ),
        "matching": lambda: differ / n,
        "kulsinski": lambda: (differ - both + n) / (differ + n),
        "rogerstanimoto": lambda: 2 * differ / (n + differ),
        "russellrao": lambda: (n - both) / n,
        "sokalsneath": lambda: differ / (0.5 * both + differ),
        "yule": lambda: 2 * crossed / (both * (n - both - differ) + crossed),
    }[metric]()
