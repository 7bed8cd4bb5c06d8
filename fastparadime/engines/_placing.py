"""A fitted model as engines send it to their workers: what places rows, without data of the fit."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime import dr, models
from fastparadime.dr import saving
from fastparadime.dr.inference import Inference
from fastparadime.estimators import UMAP, ParametricUMAP
from fastparadime.types import Array
from fastparadime.utils.tables.stored import recipe_of

Fitted = Inference | UMAP | ParametricUMAP
# What a fit of UMAP keeps beside what places new rows.
_OF_THE_FIT = (
    "_fitted_graph", "embedding_", "embedding_list_", "rad_orig_", "rad_emb_", "graph_",
    "_knn_indices", "_knn_dists", "_rhos", "_sigmas",
)  # fmt: skip


@dataclass(frozen=True)
class Placing:
    """Places rows by a model.

    Attributes
    ----------
    model : routine, UMAP or ParametricUMAP
    out_dim : int
        Coordinates of a row.
    in_dim : int or None
        Columns of a row, where the model says.
    columns : tuple of str
        Their names; empty where they have none.
    """

    model: Fitted
    out_dim: int
    in_dim: int | None
    columns: tuple[str, ...]

    @staticmethod
    def of(model: Any, device: Any = None) -> Placing:
        """A fitted model, or the one of a file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        NotTrainedError, sklearn.exceptions.NotFittedError
            For a model that is not fitted.
        SpecificationError
            If the file is no model's.
        TypeError
            For anything else.
        ValueError
            For a file whose rows are made from a table, and a fit of the graph alone.
        """
        if isinstance(model, (str, Path)):
            model = _loaded(model, device)
        if isinstance(model, Inference):
            alone = model._without_data()
            width = models.input_width(alone.model)
            return Placing(alone, alone.out_dim, width, tuple(alone._columns))
        if not isinstance(model, (UMAP, ParametricUMAP)):
            raise TypeError(
                "model must be a fitted routine, UMAP or ParametricUMAP, or the path of a saved "
                f"one, not {type(model).__name__}"
            )
        alone = _without_fit(model)
        names = tuple(map(str, getattr(model, "feature_names_in_", ())))
        return Placing(alone, alone._n_features_out, alone.n_features_in_, names)

    def __call__(self, rows: Any) -> Array:
        """Coordinates (m, out_dim) of rows (m, ...), an array or a data frame; m may be 0."""
        if len(rows) == 0:
            return np.empty((0, self.out_dim), self.dtype_for(rows))
        if isinstance(self.model, Inference):
            coords: torch.Tensor = self.model.apply(rows)
            return coords.numpy()
        return np.asarray(self.model.transform(rows))

    def dtype_for(self, rows: Any) -> np.dtype[Any]:
        """The dtype of coordinates of rows: a routine's is its model's, an estimator keeps float64."""
        if isinstance(self.model, Inference):
            dtype = models.dtype_of(self.model.model)
            return np.dtype(str(dtype).removeprefix("torch."))
        given = getattr(rows, "dtype", None)
        if given is None:  # a frame's columns are held in one dtype
            kinds = rows.dtypes.items()
            given = np.result_type(*(_dtype_of(kind, column) for column, kind in kinds))
        return np.dtype(np.float64 if given == np.float64 else np.float32)

    def check_width(self, width: int) -> None:
        """Raises ValueError for rows of another width than the model's."""
        if self.in_dim is not None and width != self.in_dim:
            raise ValueError(f"X has {width} columns, but the model takes {self.in_dim}")


def _dtype_of(kind: Any, column: Any) -> np.dtype[Any]:
    """NumPy's dtype of a column of a data frame, also of pandas' own of numbers."""
    try:
        found: np.dtype[Any] = np.dtype(getattr(kind, "numpy_dtype", kind))
    except TypeError as error:
        raise TypeError(f"X must have columns of numbers, but {column!r} holds {kind}") from error
    return found


def _loaded(path: str | Path, device: Any) -> Fitted:
    recipe = recipe_of(path)
    made = recipe is not None and (recipe.fill or recipe.centre or recipe.categories)
    if made:
        raise ValueError(
            f"the model of {path} takes rows that are filled, scaled or made of categories as its "
            "table was: fastparadime.read_table(rows, like=path) makes them, or the apply command"
        )
    where = "cpu" if device is None else device
    if saving.holds_umap(path):
        return UMAP.load(path, device=where)
    if saving.read(path).description.estimator is not None:
        return ParametricUMAP.load(path, device=where)
    return dr.ParametricDR.load(path, device=where)


def _without_fit(model: UMAP | ParametricUMAP) -> Any:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "seed_")
    alone = copy.copy(model)
    if isinstance(alone, UMAP) and alone._of_rows("apply") and alone._settings.graph_alone:
        raise ValueError("model must have positions, but its transform_mode is 'graph'")
    alone.callback = None  # told of a fit alone, and seldom pickled
    for name in _OF_THE_FIT:
        alone.__dict__.pop(name, None)
    if isinstance(alone, ParametricUMAP):
        alone.umap_ = None
    return alone
