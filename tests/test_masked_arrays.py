"""Masked values are refused by everything that takes data; masks that mask nothing are dropped.

Labels, and values that colour points, may be masked: they are unknown (`test_unknown_labels.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import UMAP, dr, loss, neighbors, ops, plot, relationdata, relations, routines
from fastparadime.estimators.knn_transformer import KNNTransformer
from fastparadime.utils import plotting
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.masks import without_mask
from fastparadime.utils.validate import check_data

N = 30
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
LABELS = np.arange(N) % 3
INDICES = np.tile(np.arange(4), (N, 1))
D = np.linalg.norm(X[:, None] - X, axis=2)


def masked(values: Any, count: int = 2) -> Any:
    """The values of which the first `count` are masked."""
    values = np.asarray(values)
    return np.ma.masked_array(values, mask=np.arange(values.size).reshape(values.shape) < count)


def umap(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 5, "init": "random", "n_neighbors": 4, **options})


def fitted() -> UMAP:
    return umap().fit(X)


def trained() -> dr.ParametricDR:
    routine = dr.ParametricDR(losses=loss.PositionLoss(position_key="main"), out_dim=3, seed=0)
    routine.add_training_phase(epochs=1)
    routine.train(X)
    return routine


def knn(data: Any) -> Any:
    return neighbors.knn(data, 3)


Call = Callable[[Any], Any]
TAKES_ROWS: list[tuple[str, Call]] = [
    ("X", check_data),
    ("X", knn),
    ("X", lambda rows: neighbors.knn(list(rows), 3)),
    ("X", lambda rows: neighbors.knn(rows, 3, "hamming")),
    ("X", lambda rows: umap().fit(rows)),
    ("X", lambda rows: umap(init=X[:, :2]).fit_transform(rows)),
    ("X", lambda rows: fitted().transform(rows)),
    ("X", lambda rows: fitted().update(rows)),
    ("X", lambda rows: fitted().inverse_transform(rows[:, :2])),
    ("X", lambda rows: KNNTransformer().fit(rows)),
    ("X", lambda rows: KNNTransformer().fit(X).transform(rows)),
    ("X", lambda rows: relations.NeighborBasedPDist(3).compute_relations(rows)),
    ("X", lambda rows: relations.PDist().compute_relations(rows)),
    ("X", lambda rows: trained().apply(rows)),
    ("X", lambda rows: trained()(rows)),
    ("data", dr.Dataset),
    ("entry 'main'", lambda rows: dr.Dataset({"main": rows})),
    ("entry 'more'", lambda rows: dr.Dataset({"main": X, "more": rows})),
    ("entry 'labels'", lambda rows: dr.Dataset({"main": X, "labels": rows.ravel()[:N]})),
    ("entry 'main'", lambda rows: routines.ParametricUMAP(5, epochs=1, seed=0).train(rows)),
    ("init", lambda rows: umap(init=rows[:, :2]).fit(X)),
    ("embedding", lambda rows: plot.points(rows[:, :2])),
    ("coords", lambda rows: plotting.scatterplot(rows[:, :2])),
    ("the array", to_numpy),
    ("the array", to_torch),
    ("X", lambda rows: ops.rerank(rows, INDICES, 2)),
]
TAKES_LABELS: list[Call] = [
    lambda labels: umap().fit(X, labels),
    lambda labels: umap(target_metric="ordinal").fit(X, labels),
    lambda labels: umap(target_metric="euclidean").fit(X, labels),
    lambda labels: plot.points(X[:, :2], labels=labels),
    lambda labels: plot.points(X[:, :2], values=labels),
    lambda labels: plotting.scatterplot(X[:, :2], labels),
]
TAKES_DISTANCES: list[tuple[str, Call]] = [
    ("X", lambda table: neighbors.knn(table, 3, "precomputed")),
    ("X", lambda table: umap(metric="precomputed").fit(table)),
    ("precomputed_knn", lambda table: umap(precomputed_knn=table).fit(X)),
    ("relations", relationdata.relation_factory),
    ("relations", relationdata.SquareRelationArray),
    ("relations", relations.Precomputed),
]
TAKES_LISTS: list[tuple[str, Call]] = [
    ("X", lambda lists: neighbors.knn(lists, 2)),
    ("precomputed_knn", lambda lists: umap(precomputed_knn=lists, n_neighbors=3).fit(X)),
    ("relations", relationdata.relation_factory),
    ("relations", relationdata.NeighborRelationTuple),
]
CASES = [
    *((name, call, X) for name, call in TAKES_ROWS),
    *((name, call, D) for name, call in TAKES_DISTANCES),
]


@pytest.mark.parametrize(("name", "call", "values"), CASES)
def test_masked_values_are_refused(name: str, call: Call, values: Any) -> None:
    message = rf"{name} is a masked array with 2 masked values: .*\.filled\(0\)"
    with pytest.raises(TypeError, match=message):
        call(masked(values))


@pytest.mark.parametrize(("call", "values"), [case[1:] for case in CASES])
def test_masks_of_nothing_change_nothing(call: Call, values: Any) -> None:
    call(masked(values, 0))


@pytest.mark.parametrize("call", TAKES_LABELS)
@pytest.mark.parametrize("count", [0, 2])
def test_labels_may_be_masked(call: Call, count: int) -> None:
    call(masked(LABELS, count))


@pytest.mark.parametrize(("name", "call"), TAKES_LISTS)
def test_neighbour_lists(name: str, call: Call) -> None:
    distances = np.take_along_axis(D, INDICES, 1)
    call((masked(INDICES, 0), masked(distances, 0)))
    for lists in ((masked(INDICES, 1), distances), (INDICES, masked(distances, 1))):
        with pytest.raises(TypeError, match=rf"{name} is .* with 1 masked value: "):
            call(lists)


def test_metric_options() -> None:
    umap(metric="seuclidean", metric_kwds={"V": masked(np.ones(3), 0)}).fit(X)
    with pytest.raises(TypeError, match=r"metric_kwds\['V'\] is .* 2 masked values"):
        umap(metric="seuclidean", metric_kwds={"V": masked(np.ones(3))}).fit(X)


def test_lists_with_masked_parts() -> None:
    with pytest.raises(TypeError, match="X is a masked array with 1 masked value"):
        check_data([X[0], masked(X[1], 1)])
    assert without_mask((masked(X, 0), "text"), "pair")[1] == "text"


def test_masked_tensors() -> None:
    tensor = torch.from_numpy(X)
    all_of_it = torch.ones_like(tensor, dtype=torch.bool)
    with pytest.warns(UserWarning, match="prototype"):
        half, whole = (torch.masked.masked_tensor(tensor, m) for m in (tensor > 0, all_of_it))
    count = int((tensor <= 0).sum())
    for call in (knn, umap().fit, dr.Dataset, to_torch):
        with pytest.raises(TypeError, match=f"with {count} masked values"):
            call(half)
    assert torch.equal(knn(whole).indices, knn(tensor).indices)


class Source:
    """Slices that are masked arrays, as variables of netCDF4 give them."""

    def __init__(self, table: Any) -> None:
        self.table, self.shape, self.ndim, self.dtype = table, table.shape, 2, table.dtype

    def __getitem__(self, rows: Any) -> Any:
        return self.table[rows]


@pytest.mark.parametrize(
    "call", [check_data, knn, dr.Dataset, to_numpy, lambda rows: KNNTransformer().fit(rows)]
)
def test_sources(call: Call) -> None:
    call(Source(masked(X, 0)))
    with pytest.raises(TypeError, match=r"rows 0 to 29 of .* with 2 masked values"):
        call(Source(masked(X)))
    if call is knn:
        found = call(Source(masked(X, 0)))
        assert torch.equal(found.indices, call(X).indices)


def test_dask_arrays() -> None:
    array = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="with 2 masked values"):
        knn(array.from_array(masked(X), chunks=(10, 3)))
