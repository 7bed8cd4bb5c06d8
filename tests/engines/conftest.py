"""A fitted model of each kind, and rows that none of them has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastparadime import UMAP, ParametricUMAP, routines

D, KINDS = 8, ("routine", "umap", "network")


@pytest.fixture(scope="session")
def fitted() -> dict[str, Any]:
    """Models of rows (300, 8), by their kind."""
    rows = table(300, 0)
    routine = routines.ParametricUMAP(n_neighbors=10, quality="fast", seed=0)
    routine.train(rows)
    return {
        "routine": routine,
        "umap": UMAP(n_epochs=20, random_state=0).fit(rows),
        "network": ParametricUMAP(quality="fast", n_epochs=20, random_state=0).fit(rows),
    }


@pytest.fixture(scope="session")
def saved(fitted: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Their files."""
    folder = tmp_path_factory.mktemp("models")
    for kind, model in fitted.items():
        model.save(folder / kind)
    return {kind: folder / kind for kind in fitted}


@pytest.fixture(scope="session")
def new_rows() -> np.ndarray:
    """Others (1003, 8)."""
    return table(1003, 1)


@pytest.fixture(scope="session")
def expected(fitted: dict[str, Any], new_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Where one call of each model places them."""
    return {
        kind: model.apply(new_rows).numpy() if kind == "routine" else model.transform(new_rows)
        for kind, model in fitted.items()
    }


def table(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)
