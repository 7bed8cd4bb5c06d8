"""Sources of rows beyond the neighbour search: conversion, datasets, training and applying."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models
from fastparadime.utils import sources
from fastparadime.utils.convert import to_float32, to_numpy, to_torch
from fastparadime.utils.validate import check_data

N, D = 90, 4


def table(dtype: str = "f4") -> np.ndarray:
    return np.random.default_rng(0).uniform(1, 100, (N, D)).astype(dtype)


def hdf5(X: np.ndarray, folder: Path) -> Any:
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "x.h5", "w").create_dataset("x", data=X, chunks=(32, D))


def zarr(X: np.ndarray, folder: Path) -> Any:
    module = pytest.importorskip("zarr")
    array = module.create_array(folder / "x.zarr", shape=X.shape, chunks=(20, D), dtype=X.dtype)
    array[:] = X
    return array


class Short:
    """Says that it has more rows than it gives."""

    shape, ndim, dtype = (N, D), 2, np.dtype("f4")

    def __getitem__(self, rows: slice) -> np.ndarray:
        return table()[: N - 3][rows]


Make = Callable[[np.ndarray, Path], Any]
MAKERS = [hdf5, zarr]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8"])
def test_conversion(make: Make, dtype: str, tmp_path: Path) -> None:
    X = table(dtype)
    source = make(X, tmp_path)
    np.testing.assert_array_equal(to_numpy(source), X)
    assert to_numpy(source).dtype == X.dtype
    assert torch.equal(to_torch(source), to_torch(X))
    np.testing.assert_array_equal(check_data(source), X)


def test_conversion_of_one_column_and_of_more_dimensions(tmp_path: Path) -> None:
    for X in (table()[:, 0], np.arange(24.0).reshape(4, 3, 2)):
        source = pytest.importorskip("h5py").File(tmp_path / f"{X.ndim}.h5", "w")
        np.testing.assert_array_equal(to_numpy(source.create_dataset("x", data=X)), X)


def test_what_is_a_source(tmp_path: Path) -> None:
    import pandas as pd
    import scipy.sparse

    assert sources.is_source(hdf5(table(), tmp_path))
    assert sources.is_source(Short())
    others = (table(), torch.ones(2), np.float64(3), [1], "x", None, pd.Series([1]))
    assert not any(map(sources.is_source, others))
    assert not sources.is_source(pd.DataFrame({"a": [1]}))
    assert not sources.is_source(scipy.sparse.dia_array(np.eye(3)))


def test_float32_without_a_detour() -> None:
    X = table()
    assert to_float32(X).data_ptr() == X.ctypes.data
    tensor = torch.from_numpy(X)
    assert to_float32(tensor).data_ptr() == X.ctypes.data
    for other in (X.astype("u1"), X.astype("f8"), X[:, ::-1], tensor.bfloat16(), tensor.T):
        found = to_float32(other)
        assert found.dtype == torch.float32
        assert found.is_contiguous()
        np.testing.assert_array_equal(found, to_numpy(other).astype(np.float32))


@pytest.mark.parametrize("make", MAKERS)
def test_datasets_read_sources(make: Make, tmp_path: Path) -> None:
    X = table()
    source = make(X, tmp_path)
    assert torch.equal(dr.Dataset(source).data["main"], torch.from_numpy(X))
    dataset = dr.Dataset({"main": source, "labels": np.arange(N)})
    dataset.add({"again": source})
    assert torch.equal(dataset.data["again"], dataset.data["main"])


def test_a_group_of_hdf5_is_a_dataset(tmp_path: Path) -> None:
    file = pytest.importorskip("h5py").File(tmp_path / "x.h5", "w")
    file["main"], file["labels"] = table(), np.arange(N)
    dataset = dr.Dataset(file)
    assert dataset.data["labels"].tolist() == list(range(N))
    images = file.create_dataset("images", data=np.zeros((N, 3, 2)))
    assert dr.Dataset(images).data["main"].shape == (N, 3, 2)


@pytest.mark.parametrize("make", MAKERS)
def test_training_and_applying(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    X = table()
    source = make(X, tmp_path)
    routines = []
    for data in (X, source):
        routine = dr.ParametricDR(losses=loss.PositionLoss(position_key="main"), out_dim=D, seed=0)
        routine.add_training_phase(epochs=1)
        routine.train(data)
        routines.append(routine)
    whole = routines[0].apply(X)
    monkeypatch.setattr(models.chunks, "_CHUNK_BYTES", 4 * D * 40)  # not a whole number of chunks
    torch.testing.assert_close(routines[1].apply(source), whole)
    model = models.FullyConnectedEmbeddingModel(3, 2, [])
    with pytest.raises(ValueError, match="X has 4 columns, but the model takes 3"):
        models.embed_in_chunks(model, source)


def test_sources_that_end_short_change_nothing() -> None:
    message = (
        r"(data|main|later).* has 90 rows by its shape \(90, 4\).* rows 0 to 89 of .*\(87, 4\)"
    )
    routine = dr.ParametricDR(losses=loss.PositionLoss(position_key="main"), out_dim=D, seed=0)
    routine.add_training_phase(epochs=1)
    for add in (dr.Dataset, routine.register_dataset, routine.train):
        with pytest.raises(ValueError, match=message):
            add(Short())
    routine.train(table())
    with pytest.raises(ValueError, match=message):
        routine.add_data({"later": Short()})
    assert "later" not in routine.dataset.data
    with pytest.raises(ValueError, match="X has 90 rows by its shape"):
        routine.apply(Short())


def test_sources_with_values_that_are_not_finite(tmp_path: Path) -> None:
    X = table()
    X[33, 2] = np.inf
    source = hdf5(X, tmp_path)
    for make in (dr.Dataset, lambda source: dr.Dataset({"main": source})):
        with pytest.raises(ValueError, match="row 33 has inf in column 2"):
            make(source)
