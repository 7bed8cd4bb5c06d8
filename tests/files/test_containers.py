"""Files that hold several tables: which is taken, and what is said where none or several are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fastparadime import read_table

from .made_files import anndata, h5py

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def _several(path: Path) -> None:
    if path.suffix == ".npz":
        np.savez(path, a=X, b=X * 2)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["a"], file["b"], file["names"] = X, X * 2, np.arange(20)
    else:
        zarr = pytest.importorskip("zarr", reason="zarr 3 needs Python 3.11")
        group = zarr.open_group(path, mode="w")
        for name, factor in (("a", 1), ("b", 2)):
            group.create_array(name, data=X * factor)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".zarr"])
def test_one_of_several_is_chosen(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    _several(path)
    np.testing.assert_array_equal(read_table(f"{path}:b").values, X * 2)
    with pytest.raises(FileNotFoundError, match=r"holds 2 (array|dataset)s \(a, b\): choose one"):
        read_table(path)
    with pytest.raises(FileNotFoundError, match=r"has no (array|dataset) 'c'; there are: "):
        read_table(f"{path}:c")


@pytest.fixture(name="cells")
def _cells() -> anndata.AnnData:
    obs = pd.DataFrame(
        {"kind": pd.Categorical(["u", "v"] * 10)}, index=[f"c{i}" for i in range(20)]
    )
    cells = anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=["g1", "g2", "g3"]))
    cells.obsm["X_pca"] = X[:, :2]
    cells.layers["counts"] = X + 5
    return cells


def test_matrices_of_cells(cells: anndata.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    cells.write_h5ad(path)
    table = read_table(path, label_column="kind")
    assert table.columns == ("g1", "g2", "g3")
    assert table.ids is not None
    assert table.labels is not None
    assert table.ids.tolist() == [f"c{i}" for i in range(20)]
    assert table.labels.tolist() == ["u", "v"] * 10
    np.testing.assert_array_equal(table.values, X)
    np.testing.assert_array_equal(read_table(path, layer="counts").values, X + 5)
    pca = read_table(path, obsm="X_pca")
    assert pca.columns is None
    np.testing.assert_array_equal(pca.values, X[:, :2])
    np.testing.assert_array_equal(read_table(path, like=pca).values, X[:, :2])
    np.testing.assert_array_equal(read_table(path, drop="g2").values, X[:, [0, 2]])
    with pytest.raises(FileNotFoundError, match="has no obsm 'X_umap'; there are: X_pca"):
        read_table(path, obsm="X_umap")


def test_genes_are_found_by_name(cells: anndata.AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "x.h5ad")
    first = read_table(tmp_path / "x.h5ad")
    cells[::-1, ["g3", "g1", "g2"]].copy().write_h5ad(tmp_path / "y.h5ad")
    later = read_table(tmp_path / "y.h5ad", like=first)
    assert later.columns == first.columns
    np.testing.assert_array_equal(later.values, X[::-1])
    cells[:, ["g3", "g1"]].copy().write_h5ad(tmp_path / "y.h5ad")
    with pytest.raises(ValueError, match="lacks columns that the model takes: 'g2'"):
        read_table(tmp_path / "y.h5ad", like=first)


def test_sparse_cells_are_made_dense_and_it_is_said(cells: anndata.AnnData, tmp_path: Path) -> None:
    cells.X = sparse.csr_matrix(np.where(X > 0, X, 0))
    cells.write_h5ad(tmp_path / "x.h5ad")
    table = read_table(tmp_path / "x.h5ad")
    np.testing.assert_array_equal(table.values, np.where(X > 0, X, 0))
    assert any("made dense" in note and "obsm='X_pca'" in note for note in table.notes)


@pytest.mark.parametrize("name", ["x.h5", "x.h5ad"])
def test_other_files_by_these_names(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(ValueError, match=rf"cannot read .*{name}: it is not a valid"):
        read_table(tmp_path / name)


def test_sparse_matrices_of_scipy_are_named(tmp_path: Path) -> None:
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_array(np.eye(3)))
    with pytest.raises(ValueError, match=r"x\.npz: it holds a sparse matrix of scipy: save its"):
        read_table(tmp_path / "x.npz")
