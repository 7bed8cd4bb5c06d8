"""Files as people have them, each embedded with its labels, and a shuffled copy placed by the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from fastparadime import cli

from .made_files import FEATURES, KINDS, ROWS, people

# Placed by a network; a row that is not read as it was would be elsewhere by UMAP too.
NETWORKS = {
    "csv of pandas", "csv with gaps", "csv with categories", "csv, some columns", "lists", "h5ad",
    "bytes in h5", "npy",
}  # fmt: skip


def _run(*args: object) -> str:
    result = CliRunner().invoke(cli.main, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def _coordinates(path: Path) -> np.ndarray:
    return pd.read_parquet(path)[["projection_x", "projection_y"]].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_embedded_labelled_and_placed_again(name: str, tmp_path: Path) -> None:
    kind, frame = KINDS[name], people()
    order = np.random.default_rng(1).permutation(ROWS)
    columns = ["group", *FEATURES[::-1], "person"]
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, content in ((first, frame), (second, frame.iloc[order][columns])):
        folder.mkdir()
        kind.write(content, folder)
    label = ("--label-column", "group") * (kind.beside and "--categories" not in kind.embed)
    method = ("--quality", "fast") if name in NETWORKS else ("--method", "umap")
    model = tmp_path / "model"
    options = (*method, *label, *kind.embed, *kind.both, "--save", model)
    embedded, placed = tmp_path / "y.parquet", tmp_path / "z.parquet"
    common = ("-o", embedded, "--seed", 1, "--n-neighbors", 5)
    _run("embed", f"{first}/{kind.source}", *common, *options)
    _run("apply", model, f"{second}/{kind.source}", "-o", placed, *kind.both)
    Y, Z = _coordinates(embedded), _coordinates(placed)
    assert Y.shape == (ROWS, 2)
    assert np.isfinite(Y).all()
    assert np.ptp(Y, axis=0).min() > 0.1
    np.testing.assert_allclose(Z, Y[order], atol=1e-5)
    if kind.beside:
        table, again = pd.read_parquet(embedded), pd.read_parquet(placed)
        name_of_id = "person" if "person" in table.columns else "id"
        assert table[name_of_id].tolist() == frame["person"].tolist()
        assert again[name_of_id].tolist() == frame["person"].iloc[order].tolist()
        if label:
            assert table["group"].astype(str).tolist() == frame["group"].tolist()
            assert again["group"].astype(str).tolist() == frame["group"].iloc[order].tolist()


def test_there_are_thirty_kinds() -> None:
    assert len(KINDS) >= 30
    assert set(KINDS) > NETWORKS
