"""Dask: rows of arrays and data frames placed block by block, when they are asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.engines._placing import Fitted, Placing
from fastparadime.types import Array
from fastparadime.utils.tables.writing import coordinate_names


def apply(model: str | Path | Fitted, X: Any) -> Any:
    """Coordinates of the rows of a Dask collection, computed block by block when they are asked for.

    The model goes to each worker once, without the data of its fit. The bits are those of one call
    of `apply` or `transform` with all rows; a network of one's own is computed by torch, which may
    round by the number of rows.

    Parameters
    ----------
    model : path, routine, UMAP or ParametricUMAP
        Fitted, or the path of a saved one, which is read here.
    X : dask.array.Array (n, d) or dask.dataframe.DataFrame
        An array's blocks are joined to whole rows. n may be unknown.

    Returns
    -------
    dask.array.Array (n, out_dim)
        With the blocks of rows of `X`, float32, or float64 of estimators for float64 rows.
    dask.dataframe.DataFrame
        For a data frame: columns projection_x, projection_y and so on, its index and its divisions.

    Raises
    ------
    ModuleNotFoundError
        Without Dask.
    TypeError
        For another `X` or `model`.
    ValueError
        For rows of another width than the model's.
    """
    delayed: Any = importlib.import_module("dask").delayed
    array: Any = importlib.import_module("dask.array")
    placing = Placing.of(model)
    if isinstance(X, array.Array):
        if X.ndim < 2:
            raise ValueError(f"X must have rows of values, but has shape {X.shape}")
        if X.ndim == 2:
            placing.check_width(X.shape[1])
        rows = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
        dtype = placing.dtype_for(X)
        return rows.map_blocks(
            _placed,
            delayed(placing),
            dtype=dtype,
            chunks=(rows.chunks[0], (placing.out_dim,)),
            drop_axis=list(range(2, X.ndim)),
            meta=np.empty((0, 0), dtype),
        )
    if not (hasattr(X, "map_partitions") and hasattr(X, "columns")):
        raise TypeError(
            f"X must be an array or a data frame of Dask, not {type(X).__name__}: "
            "model.apply and model.transform take others"
        )
    placing.check_width(len(X.columns))
    dtype = placing.dtype_for(X)
    meta = dict.fromkeys(coordinate_names(placing.out_dim), dtype)
    return X.map_partitions(_placed_frame, delayed(placing), meta=meta)


def _placed(rows: Array, placing: Placing) -> Array:
    return placing(rows)


def _placed_frame(rows: Any, placing: Placing) -> Any:
    import pandas as pd

    return pd.DataFrame(placing(rows), rows.index, coordinate_names(placing.out_dim))
