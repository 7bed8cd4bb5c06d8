"""UMAP's curve at any scale, and keywords that transforms do not know."""

from __future__ import annotations

import numpy as np
import pytest

from fastparadime import transforms


@pytest.mark.parametrize("spread", [1e-6, 1e-3, 0.1, 1.0, 7.0, 1e3, 1e6])
@pytest.mark.parametrize("near", [0.0, 0.1, 0.99, 2.5])
def test_the_curve_scales_with_the_spread(spread: float, near: float) -> None:
    a, b = transforms.find_ab(near, 1.0)
    scaled, power = transforms.find_ab(near * spread, spread)
    assert power == pytest.approx(b, rel=1e-6)
    assert scaled * spread ** (2 * power) == pytest.approx(a, rel=1e-6)


@pytest.mark.parametrize("spread", [1e-3, 0.5, 2.0, 100.0])
def test_the_curve_is_near_its_target(spread: float) -> None:
    d = np.linspace(0, 3 * spread, 50)
    a, b = transforms.find_ab(0.1 * spread, spread)
    target = np.where(d < 0.1 * spread, 1.0, np.exp(-(d / spread - 0.1)))
    assert np.abs(1 / (1 + a * d ** (2 * b)) - target).max() < 0.1


@pytest.mark.parametrize(
    "transform", [transforms.ConnectivityBasedRescale, transforms.PerplexityBasedRescale]
)
def test_a_misspelt_argument_is_refused(transform: type[transforms.RelationTransform]) -> None:
    with pytest.raises(TypeError, match="'n_neigbors' is neither an argument of the transform"):
        transform(n_neigbors=5)
    assert transform(bracket=[0.01, 1.0]).kwargs == {"bracket": [0.01, 1.0]}
