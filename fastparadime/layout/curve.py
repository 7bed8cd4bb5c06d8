"""The curve of similarity over distance in the embedding."""

from __future__ import annotations

import functools

import numpy as np

from fastparadime.utils.validate import check_positive


@functools.cache
def find_ab(min_dist: float = 0.1, spread: float = 1.0) -> tuple[float, float]:
    """The curve parameters (a, b) that fit UMAP's offset exponential by least squares.

    Parameters
    ----------
    min_dist, spread : float
        The curve is 1 below `min_dist` and exp(-(d - min_dist) / spread) beyond, on 300 points of
        [0, 3 spread]. `spread` must be positive, `min_dist` in [0, 3 spread).

    Raises
    ------
    ValueError
        If one of them is out of its range.
    """
    from scipy.optimize import curve_fit

    spread = check_positive(spread, "spread")
    if not 0 <= min_dist < 3 * spread:
        raise ValueError(f"min_dist must lie in [0, 3 spread) = [0, {3 * spread}), not {min_dist}")
    # The solver starts from a = b = 1: far from a spread of 1 the fit is in units of the spread, near
    # it as it is, where paraDime and umap-learn agree to the digits the solver stops at.
    unit = 1.0 if 0.25 <= spread <= 4 else spread
    width, near = spread / unit, min_dist / unit
    d = np.linspace(0, 3 * width, 300)
    target = np.where(d < near, 1.0, np.exp(-(d - near) / width))
    with np.errstate(divide="ignore"):  # b may be negative on the way
        (a, b), _ = curve_fit(lambda x, a, b: 1.0 / (1.0 + a * x ** (2 * b)), d, target)
    return float(a / unit ** (2 * b)), float(b)
