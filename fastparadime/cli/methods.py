"""The two methods, a network and UMAP without one: fitting, saving, loading and applying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime import dr, models, routines
from fastparadime.cli.stages import Report
from fastparadime.dr import saving
from fastparadime.neighbors import stratified_sample
from fastparadime.types import Array
from fastparadime.utils import frames
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.progress import watched
from fastparadime.utils.seed import derive
from fastparadime.utils.tables import Recipe, Table
from fastparadime.utils.tables.stored import beside_model, recipe_of

if TYPE_CHECKING:
    from fastparadime.estimators import UMAP


@dataclass(frozen=True)
class Fitted:
    """What a method made of a table.

    Attributes
    ----------
    coords : array (n, n_components)
    facts : dict
        For the summary.
    neighbors : (indices (n, k), distances (n, k)) or None
    save : callable
        Takes the path of the model's file, and what it keeps beside the model.
    """

    coords: Array
    facts: dict[str, Any]
    neighbors: tuple[Array, Array] | None
    save: Callable[[str, Mapping[str, Any]], None]


def fit_network(
    rows: Any,
    report: Report,
    *,
    n_components: int = 2,
    quality: str | None = None,
    sample: float | None = None,
    checkpoint: str | None = None,
    **options: Any,
) -> Fitted:
    """Trains a parametric UMAP on rows (n, d), or on a sample of them, and places all."""
    routine = routines.ParametricUMAP(
        out_dim=n_components, quality=quality or "balanced", **options
    )
    facts = {"method": "parametric UMAP", "seed": routine.seed, "device": routine.device}
    some = rows
    if sample is not None:
        with report.stage("sample"):
            some = _sampled(rows, sample, routine.seed, options["n_neighbors"], options["metric"])
        facts["sample"] = f"{len(some):,} rows"
    with watched(report.watch):
        routine.train(some, checkpoint=checkpoint)
    with report.stage("apply"):
        coords = routine.apply(rows)
    if sample is not None:
        return Fitted(coords.numpy(), facts, None, routine._write)
    relation: Any = routine.global_relations["rel"]
    neighbors = tuple(map(to_numpy, relation.neighbor_graph))
    return Fitted(coords.numpy(), facts, (neighbors[0], neighbors[1]), routine._write)


def _sampled(rows: Any, sample: float, seed: int, n_neighbors: int, metric: str) -> Any:
    values, columns = frames.rows_and_names(rows)
    chosen = stratified_sample(
        values, sample, n_neighbors=n_neighbors, metric=metric, seed=derive(seed, "sample")
    )
    return NamedRows(values[chosen], columns) if columns else values[chosen]


def fit_umap(
    rows: Any,
    report: Report,
    *,
    n_neighbors: int,
    seed: int | None = None,
    checkpoint: str | None = None,
    **options: Any,
) -> Fitted:
    """Lays rows (n, d) out by UMAP without a network, which counts a point among its neighbours."""
    from fastparadime.estimators import UMAP  # with scikit-learn, which a network does without

    umap = UMAP(n_neighbors=n_neighbors + 1, random_state=seed, **options)
    with watched(report.watch):
        umap.fit(rows, checkpoint=checkpoint)
    facts = {"method": "UMAP", "seed": umap.seed_, "device": options["device"]}
    if umap.sample is not None:
        facts["sample"] = f"{len(umap.sample_indices_):,} rows"
        return Fitted(np.asarray(umap.embedding_), facts, None, umap._write)
    neighbors = (umap._knn_indices[:, 1:], umap._knn_dists[:, 1:])
    return Fitted(np.asarray(umap.embedding_), facts, neighbors, umap._write)


def save(fitted: Fitted, path: str, recipe: Recipe) -> None:
    """Writes a model with what was decided about the columns of its table."""
    fitted.save(path, beside_model(recipe))


@dataclass(frozen=True)
class Model:
    """A saved model.

    Attributes
    ----------
    path : str
    out_dim : int
    recipe : Recipe or None
        None of models that were fitted to neither a file nor columns with names.
    width : int or None
        Columns that it takes.
    place : callable
        Takes rows (m, d) and gives their positions; with the path of a ``.npy`` file after them
        these are in that file.
    """

    path: str
    out_dim: int
    recipe: Recipe | None
    width: int | None
    place: Callable[[Any, str | None], Array]

    def check_width(self, table: Table) -> None:
        """Raises ValueError if the rows of a table have another width."""
        found = table.values.shape[1]
        if self.width is not None and found != self.width:
            raise ValueError(
                f"{table.source} has {found} columns, but the model of {self.path} takes "
                f"{self.width}"
            )


def load(path: str, device: str) -> Model:
    """The model of a file, of either method.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If it is no model's.
    """
    recipe = recipe_of(path)
    if saving.holds_umap(path):
        from fastparadime.estimators import UMAP

        umap = UMAP.load(path, device=device)
        recipe = recipe or _of_names(umap)
        return Model(path, umap.n_components, recipe, umap.n_features_in_, _placed_by(umap))
    routine = dr.ParametricDR.load(path, device=device)

    def place(rows: Any, out: str | None) -> Array:
        return np.asarray(routine.apply(rows, out=out))

    width = models.input_width(routine.model)
    return Model(path, routine.out_dim, recipe or _of_names(routine), width, place)


def _of_names(fitted: Any) -> Recipe | None:
    """The recipe of a model that was fitted in Python to columns with names."""
    names = getattr(fitted, "feature_names_in_", None)
    return None if names is None else Recipe.of_columns(tuple(map(str, names)))


def _placed_by(umap: UMAP) -> Callable[[Any, str | None], Array]:
    return lambda rows, out: np.asarray(umap.transform(rows, out=out))
