"""What engines send to their workers: it places rows as the model does, and holds no data."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastparadime import UMAP, KNNTransformer, ParametricUMAP, dr, exceptions, routines
from fastparadime.engines._placing import Placing

KINDS = ("routine", "umap", "network")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_path", [False, True])
def test_a_model_is_as_good_as_its_file(
    kind: str, by_path: bool, fitted: Any, saved: Any, new_rows: Any, expected: Any
) -> None:
    placing = pickle.loads(pickle.dumps(Placing.of(saved[kind] if by_path else fitted[kind])))
    blocks = [placing(new_rows[start : start + 100]) for start in range(0, 1003, 100)]
    assert np.concatenate(blocks).tobytes() == expected[kind].tobytes()
    assert (placing.in_dim, placing.out_dim) == (8, 2)
    nothing = placing(new_rows[:0])
    assert (nothing.shape, nothing.dtype) == ((0, 2), np.float32)


def test_data_stays_where_it_is(fitted: Any) -> None:
    sizes = {kind: len(pickle.dumps(Placing.of(model))) for kind, model in fitted.items()}
    routine, umap = fitted["routine"], fitted["umap"]
    weights = sum(p.numel() for p in routine.model.parameters()) * 4
    assert sizes["routine"] < weights + 10_000
    assert sizes["network"] < weights + 20_000
    assert sizes["umap"] < umap._raw_data.nbytes + umap.embedding_.nbytes + 30_000
    assert hasattr(umap, "embedding_")
    assert fitted["network"].umap_ is not None


def test_dtypes(fitted: Any, new_rows: Any) -> None:
    wide = new_rows[:5].astype(np.float64)
    for kind, dtype in (("routine", np.float32), ("umap", np.float64), ("network", np.float64)):
        placing = Placing.of(fitted[kind])
        assert placing.dtype_for(wide) == placing(wide).dtype == dtype


def test_what_cannot_be_placed_by(tmp_path: Path, new_rows: Any) -> None:
    cases: list[tuple[Any, type[Exception], str]] = [
        (dr.ParametricDR(in_dim=3), exceptions.NotTrainedError, "not trained"),
        (UMAP(), NotFittedError, "not fitted"),
        (ParametricUMAP(), NotFittedError, "not fitted"),
        (KNNTransformer(), TypeError, "model must be a fitted routine, .* not KNNTransformer"),
        (tmp_path / "none", FileNotFoundError, "no such file"),
        (UMAP(transform_mode="graph").fit(new_rows[:50]), ValueError, "transform_mode is 'graph'"),
    ]
    for model, error, message in cases:
        with pytest.raises(error, match=message):
            Placing.of(model)


def test_a_file_of_scaled_rows_is_refused(tmp_path: Path, new_rows: Any) -> None:
    from fastparadime.cli import methods
    from fastparadime.cli.stages import Report
    from fastparadime.utils.tables import read_table

    np.save(tmp_path / "X.npy", new_rows[:100])
    made = read_table(tmp_path / "X.npy", scale="standard")
    fit = methods.fit_network(made.rows, Report(quiet=True), quality="fast", seed=0, n_neighbors=5)
    methods.save(fit, str(tmp_path / "model"), made.recipe)
    with pytest.raises(ValueError, match="takes rows that are filled, scaled or made of"):
        Placing.of(tmp_path / "model")
    assert isinstance(dr.ParametricDR.load(tmp_path / "model"), dr.ParametricDR)
    assert routines.ParametricUMAP.load(tmp_path / "model").apply(made.values).shape == (100, 2)


def test_no_engine_is_imported() -> None:
    program = "import sys; from fastparadime import engines; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    modules = done.stdout
    assert "'fastparadime.engines.spark'" in modules
    for name in ("'dask'", "'dask.array'", "'ray'", "'pyspark'"):
        assert name not in modules
