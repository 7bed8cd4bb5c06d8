"""Spark: a function that places rows, as pyspark.ml.functions.predict_batch_udf takes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastparadime.engines._placing import Fitted, Placing
from fastparadime.types import Array


def predict_fn(model: str | Path | Fitted, *, device: Any = None) -> Callable[[], _Predict]:
    """What ``predict_batch_udf`` calls once in each Python worker to get the function of batches.

    Its ``return_type`` is ``ArrayType(FloatType())``, and its ``input_tensor_shapes`` are ``[[d]]``.
    It takes one column of vectors, which ``pyspark.sql.functions.array`` makes of several of
    numbers. The bits are those of one call of `apply` or `transform` with all rows; a network of
    one's own is computed by torch, which may round by the number of rows.

    Parameters
    ----------
    model : path, routine, UMAP or ParametricUMAP
        Fitted, or the path of a saved one, which is read by each worker. Another one goes to them
        with the function, without the data of its fit.
    device : torch.device or str, optional
        Where a saved model goes; the CPU if None.

    Raises
    ------
    NotTrainedError, sklearn.exceptions.NotFittedError, TypeError, ValueError
        For a model that is not as described.
    """
    placing = model if isinstance(model, (str, Path)) else Placing.of(model)
    return functools.partial(_Predict, placing, device)


class _Predict:
    """Places batches of rows.

    Parameters
    ----------
    model : path or Placing
    device : torch.device or str, optional
    """

    def __init__(self, model: str | Path | Placing, device: Any = None) -> None:
        self._placing = model if isinstance(model, Placing) else Placing.of(model, device)

    def __call__(self, rows: Array) -> Array:
        """Coordinates (m, out_dim) of rows (m, d)."""
        self._placing.check_width(rows.shape[1])
        return self._placing(rows)
