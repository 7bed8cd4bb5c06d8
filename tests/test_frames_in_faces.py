"""Frames in UMAP, KNNTransformer, knn and routines: the same results as of arrays, names kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import UMAP, KNNTransformer, dr, routines
from fastparadime.neighbors import knn
from fastparadime.relations import NeighborBasedPDist
from fastparadime.utils.frames import NamedRows

pd = pytest.importorskip("pandas", reason="pandas is not installed")
pl = pytest.importorskip("polars", reason="polars is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

NAMES = ["a", "b", "c", "d"]
X = np.random.default_rng(0).normal(size=(60, 4))
KINDS: dict[str, Callable[[np.ndarray, list[str]], Any]] = {
    "pandas": lambda X, names: pd.DataFrame(X, columns=names),
    "nullable": lambda X, names: pd.DataFrame(X, columns=names).convert_dtypes(),
    "polars": lambda X, names: pl.DataFrame(X, schema=names),
    "pyarrow": lambda X, names: pa.table(dict(zip(names, X.T, strict=True))),
    "named rows": NamedRows,
    "vectors": lambda X, _: pd.Series(list(X)),
}
NAMED = [kind for kind in KINDS if kind != "vectors"]


def umap(**options: Any) -> UMAP:
    return UMAP(n_neighbors=5, n_epochs=5, random_state=0, **options)


def routine(data: Any, **options: Any) -> routines.ParametricUMAP:
    options = {"n_neighbors": 5, "epochs": 1, "init_epochs": 1, "seed": 0, **options}
    made = routines.ParametricUMAP(**options)
    made.train(data)
    return made


@pytest.fixture(scope="module")
def fitted() -> UMAP:
    return umap().fit(X)


@pytest.fixture(scope="module")
def trained() -> routines.ParametricUMAP:
    return routine(X)


@pytest.mark.parametrize("kind", KINDS)
def test_umap(kind: str, fitted: UMAP) -> None:
    frame = KINDS[kind](X, NAMES)
    found = umap().fit(frame)
    np.testing.assert_array_equal(found.embedding_, fitted.embedding_)
    assert found.embedding_.dtype == np.float64
    np.testing.assert_array_equal(found.transform(frame), fitted.transform(X))
    if kind in NAMED:
        assert found.feature_names_in_.tolist() == NAMES
        found.update(KINDS[kind](X[:9] + 0.1, NAMES))
        assert len(found.embedding_) == 69
        with pytest.warns(UserWarning, match="UMAP was fitted without feature names"):
            fitted.transform(frame)
    else:
        assert not hasattr(found, "feature_names_in_")


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours(kind: str) -> None:
    frame = KINDS[kind](X, NAMES)
    expected = knn(X, 4)
    for metric in ("euclidean", "braycurtis"):
        assert torch.equal(knn(frame, 4, metric).indices, knn(X, 4, metric).indices)
    transformer = KNNTransformer(n_neighbors=4)
    graph = transformer.fit_transform(frame)
    np.testing.assert_array_equal(graph.indices.reshape(60, 5)[:, 1:], expected.indices)
    assert (transformer.transform(frame) != graph).nnz == 0
    tuples = NeighborBasedPDist(n_neighbors=4).compute_relations(frame)
    assert torch.equal(torch.as_tensor(tuples.data[0]), expected.indices)


@pytest.mark.parametrize("kind", NAMED)
def test_estimators_follow_the_contract_of_names(kind: str) -> None:
    make = KINDS[kind]
    order = "Feature names must be in the same order"
    for estimator in (umap(), KNNTransformer()):
        estimator.fit(make(X, NAMES))
        for names, columns, match in (
            (NAMES[::-1], 4, f"{order} (.|\n)*feature_names_in_"),
            (["a", "b", "c", "x"], 4, r"unseen at fit time:\n- x\n(.|\n)*missing:\n- d\n"),
            (NAMES[:3], 3, r"yet now missing:\n- d\n"),
        ):
            with pytest.raises(ValueError, match=match):
                estimator.transform(make(X[:, :columns], names))
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            estimator.transform(X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            estimator.fit(X).transform(X)  # the names of the fit before are gone
        assert not hasattr(estimator, "feature_names_in_")


@pytest.mark.parametrize("kind", KINDS)
def test_routines(kind: str, trained: routines.ParametricUMAP) -> None:
    frame, expected = KINDS[kind](X, NAMES), trained.apply(X)
    for data in (frame, {"main": frame, "labels": pd.Series(range(60))}, dr.Dataset(frame)):
        found = routine(data)
        assert torch.equal(found.apply(X), expected)
        assert torch.equal(found.apply(frame), expected)
        assert torch.equal(found(frame), trained(X))
    if kind not in NAMED:
        assert not hasattr(found, "feature_names_in_")
        return
    assert found.feature_names_in_.tolist() == NAMES
    turned = KINDS[kind](np.ascontiguousarray(X[:, ::-1]), NAMES[::-1])
    assert torch.equal(found.apply(turned), expected)
    assert torch.equal(trained.apply(turned), trained.apply(X[:, ::-1].copy()))  # by place


def test_missing_values_name_their_column() -> None:
    frame = pd.DataFrame(X, columns=NAMES)
    frame.iloc[3, 2] = np.nan
    for found in (frame, frame.convert_dtypes(), pl.from_pandas(frame), {"main": frame}):
        faces: list[Callable[[Any], Any]] = [routine, dr.Dataset]
        if not isinstance(found, dict):
            faces += [umap().fit, KNNTransformer().fit, lambda data: knn(data, 3)]
        for face in faces:
            with pytest.raises(ValueError, match="row 3 has nan in column 'c'"):
                face(found)
    known = umap(metric="nan_euclidean").fit(frame.convert_dtypes())
    np.testing.assert_array_equal(
        known.embedding_, umap(metric="nan_euclidean").fit(frame.to_numpy()).embedding_
    )


class Annotated:
    """What AnnData has."""

    obs = var = n_obs = None
    shape = X.shape

    def __init__(self) -> None:
        self.obsm = {"X_pca": X}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (Annotated, r"use adata\.obsm\['X_pca'\]"),
        (lambda: pd.DataFrame({"a": [1.0, 2.0], "city": ["x", "y"]}), "column 'city' of"),
        (lambda: pd.DataFrame({"k": pd.Categorical(["x", "y"])}), "column 'k' of .* categories"),
        (lambda: pl.DataFrame({"a": [1.0, 2.0]}).lazy(), "lazy"),
    ],
)
def test_what_is_no_table_is_refused_at_once(make: Callable[[], Any], match: str) -> None:
    for face in (umap().fit, KNNTransformer().fit, lambda data: knn(data, 1), dr.Dataset, routine):
        with pytest.raises(TypeError, match=match):
            face(make())


def test_sparse_columns_are_searched_as_sparse_rows() -> None:
    values = np.where(X > 0.5, X, 0.0)
    frame = pd.DataFrame(values, columns=NAMES).astype(pd.SparseDtype(float, 0.0))
    found = umap().fit(frame)
    assert found.engine_.startswith("sparse")
    assert found.feature_names_in_.tolist() == NAMES
    assert knn(frame, 3).engine.startswith("sparse")
    with pytest.raises(TypeError, match="sparse"):
        routine(frame)
