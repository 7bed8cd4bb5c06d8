"""Maps of shapes that are known beforehand: finite, classes apart, duplicates together."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "shapes.py"
UMAP, NETWORK = "UMAP", 'ParametricUMAP(quality="fast")'
# Of the neighbours in the map that share the class, or of the trustworthiness.
LEAST = {
    "concentric circles": 0.99,
    "swiss roll with hole": 0.98,
    "separate blobs": 0.99,
    "disconnected components": 0.97,
    "duplicates": 0.99,
    "winding line": 0.97,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the example leaves behind at its small size."""
    path = tmp_path_factory.mktemp("shapes") / "shapes.png"
    arguments, threads = sys.argv, torch.get_num_threads()
    sys.argv = [str(EXAMPLE), "--small", "--plot", str(path)]
    try:
        return {**runpy.run_path(str(EXAMPLE), run_name="__main__"), "path": path}
    finally:
        sys.argv = arguments
        torch.set_num_threads(threads)


def test_every_shape_is_drawn(found: dict[str, Any]) -> None:
    assert set(found["shapes"]) == set(LEAST)
    assert found["path"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", [UMAP, NETWORK])
@pytest.mark.parametrize("name", LEAST)
def test_maps_are_finite_and_sensible(found: dict[str, Any], name: str, method: str) -> None:
    embedding = found["maps"][name][method]
    assert embedding.shape == (900, 2)
    assert np.isfinite(embedding).all()
    assert found["qualities"][name, method] >= LEAST[name]
    # No point is lost far from all others.
    reach = np.abs(embedding - np.median(embedding, axis=0)).max()
    assert reach < 10 * embedding.std(axis=0).max()


def test_blobs_and_components_stay_apart(found: dict[str, Any]) -> None:
    for name, count in (("separate blobs", 20), ("concentric circles", 2)):
        labels = found["shapes"][name].labels
        for embedding in found["maps"][name].values():
            between = np.linalg.norm(embedding[:, None] - embedding, axis=2)
            other = labels[:, None] != labels
            np.fill_diagonal(between, np.inf)
            nearest_own = np.where(other, np.inf, between).min(axis=1)
            assert len(np.unique(labels)) == count
            assert between[other].min() > 2 * np.median(nearest_own)


def test_duplicates_land_together(found: dict[str, Any]) -> None:
    same = found["shapes"]["duplicates"].labels == 1
    assert same.sum() == 300
    maps = found["maps"]["duplicates"]
    # To float32's last digits, which products of blocks of rows do not keep.
    resolution = 1e-5 * float(np.ptp(maps[NETWORK]))
    np.testing.assert_allclose(
        maps[NETWORK][same], maps[NETWORK][same][:1].repeat(300, 0), atol=resolution
    )
    spread, whole = maps[UMAP][same].std(axis=0), maps[UMAP].std(axis=0)
    assert spread.max() < 0.25 * whole.max()
