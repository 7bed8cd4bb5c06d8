"""Rows of Dask's arrays and data frames, by threads and by processes of a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastparadime import engines

dask = pytest.importorskip("dask", reason="the extra 'dask' is not installed")
da = pytest.importorskip("dask.array", reason="the extra 'dask' is not installed")
KINDS = ("routine", "umap", "network")


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_by_threads(kind: str, fitted: Any, new_rows: Any, expected: Any) -> None:
    X = da.from_array(new_rows, chunks=(250, 5))
    Y = engines.dask.apply(fitted[kind], X)
    assert (Y.shape, Y.dtype) == ((1003, 2), np.float32)
    assert Y.chunks == ((250, 250, 250, 250, 3), (2,))
    found = Y.compute(scheduler="threads", num_workers=3)
    assert found.dtype == Y.dtype
    assert found.tobytes() == expected[kind].tobytes()


def test_nothing_is_placed_before_it_is_asked_for(fitted: Any, new_rows: Any) -> None:
    seen: list[int] = []

    def noted(block: np.ndarray) -> np.ndarray:
        seen.append(len(block))
        return block

    X = da.from_array(new_rows, chunks=(100, 8)).map_blocks(noted, dtype=np.float32, meta=new_rows)
    Y = engines.dask.apply(fitted["umap"], X)
    assert seen == []
    Y[150:180].compute(scheduler="synchronous")
    assert seen == [100]


def test_rows_of_unknown_number_and_of_more_dimensions(
    fitted: Any, new_rows: Any, expected: Any
) -> None:
    X = da.from_array(new_rows, chunks=(400, 8))
    kept = engines.dask.apply(fitted["umap"], X[X[:, 0] > 0])
    assert np.isnan(kept.shape[0])
    wanted = expected["umap"][new_rows[:, 0] > 0]
    assert kept.compute(scheduler="threads").tobytes() == wanted.tobytes()


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")  # and the fit had none
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_frames(kind: str, dtype: Any, fitted: Any, new_rows: Any) -> None:
    import pandas as pd

    dd = pytest.importorskip("dask.dataframe", reason="the extra 'dask' is not installed")
    model, rows = fitted[kind], new_rows.astype(dtype)
    frame = pd.DataFrame(rows, columns=list("abcdefgh"), index=np.arange(1003) * 2)
    Y = engines.dask.apply(model, dd.from_pandas(frame, npartitions=3))
    assert list(Y.columns) == ["projection_x", "projection_y"]
    wanted = model.apply(rows).numpy() if kind == "routine" else model.transform(rows)
    assert set(Y.dtypes) == {wanted.dtype}
    found = Y.compute(scheduler="threads")
    assert found.index.equals(frame.index)
    assert found.to_numpy().tobytes() == wanted.tobytes()


# distributed leaves sockets and loops to the collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_of_processes(saved: Any, new_rows: Any, expected: Any, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        local_directory=str(tmp_path),
    )
    with cluster, distributed.Client(cluster) as client:
        assert os.getpid() not in client.run(os.getpid).values()
        X = da.from_array(new_rows, chunks=(250, 8))
        for kind in KINDS:
            found = engines.dask.apply(saved[kind], X).compute()
            assert found.tobytes() == expected[kind].tobytes()


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_bad_input(fitted: Any, new_rows: Any) -> None:
    with pytest.raises(ValueError, match="X has 7 columns, but the model takes 8"):
        engines.dask.apply(fitted["umap"], da.zeros((10, 7)))
    with pytest.raises(ValueError, match=r"X must have rows of values, but has shape \(10,\)"):
        engines.dask.apply(fitted["umap"], da.zeros(10))
    with pytest.raises(TypeError, match="X must be an array or a data frame of Dask, not ndarray"):
        engines.dask.apply(fitted["umap"], new_rows)
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(new_rows[:20]).rename(columns=str)
    text = dd.from_pandas(frame.assign(**{"3": "x"}), npartitions=2)
    with pytest.raises(TypeError, match="X must have columns of numbers, but '3' holds"):
        engines.dask.apply(fitted["umap"], text)
    own = engines.dask.apply(fitted["umap"], dd.from_pandas(frame.astype("Float32"), npartitions=2))
    expected = fitted["umap"].transform(new_rows[:20])
    np.testing.assert_array_equal(own.compute().to_numpy(), expected)
