"""Files of fitted UMAPs: the same positions of new rows, and clear errors."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError

from fastparadime import UMAP
from fastparadime.exceptions import SpecificationError
from fastparadime.neighbors import knn

DRAW = np.random.default_rng(0)
TABLES: dict[str, Any] = {
    "doubles": (DRAW.normal(size=(80, 5)), {}),
    "floats": (DRAW.normal(size=(80, 5)).astype(np.float32), {"metric": "cosine"}),
    "far from zero": (DRAW.normal(size=(80, 2)) + 1.7e9, {}),
    "wide": (DRAW.normal(size=(80, 2)) + 1.7e9, {"metric": "canberra"}),
    "sparse": (scipy.sparse.random(80, 30, 0.3, format="csr", random_state=0), {}),
    "labels": (DRAW.normal(size=(80, 5)), {"y": np.arange(80) % 3}),
    "densmap": (DRAW.normal(size=(80, 5)), {"densmap": True}),
    "keywords": (DRAW.normal(size=(80, 5)), {"metric": "minkowski", "metric_kwds": {"p": 3}}),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.filterwarnings("ignore::fastparadime.exceptions.PrecisionWarning")
def test_the_fit_is_the_same(name: str, tmp_path: Path) -> None:
    X, given = TABLES[name]
    options = dict(given)
    labels = options.pop("y", None)
    fitted = UMAP(n_neighbors=6, random_state=3, n_epochs=50, **options).fit(X, labels)
    fitted.save(tmp_path / "umap")
    loaded = UMAP.load(tmp_path / "umap")
    np.testing.assert_array_equal(loaded.embedding_, fitted.embedding_)
    assert loaded.embedding_.dtype == fitted.embedding_.dtype
    assert (loaded.graph_ != fitted.graph_).nnz == 0
    new = X[:20] * 1.001
    np.testing.assert_array_equal(loaded.transform(new), fitted.transform(new))
    assert loaded.recall_estimate_ == fitted.recall_estimate_
    assert loaded.n_features_in_ == X.shape[1]


def test_a_file_has_the_parameters_of_the_fit(tmp_path: Path) -> None:
    X = DRAW.normal(size=(80, 5))
    fitted = UMAP(n_neighbors=6, random_state=3, n_epochs=50).fit(X)
    placed = fitted.transform(X + 0.1)
    fitted.set_params(n_neighbors=3, metric="manhattan", placement="median", repulsion_strength=9.0)
    fitted.save(tmp_path / "umap")
    loaded = UMAP.load(tmp_path / "umap")
    assert (loaded.n_neighbors, loaded.metric, loaded.placement) == (6, "euclidean", "layout")
    np.testing.assert_array_equal(loaded.transform(X + 0.1), placed)
    np.testing.assert_array_equal(fitted.transform(X + 0.1), placed)


def test_a_file_has_what_keywords_were(tmp_path: Path) -> None:
    X, power = DRAW.normal(size=(80, 5)), {"p": 3}
    options = {"metric": "minkowski", "metric_kwds": power, "n_neighbors": np.int64(6)}
    fitted = UMAP(random_state=3, n_epochs=20, **options).fit(X)  # type: ignore[arg-type]
    power["p"] = 1
    fitted.save(tmp_path / "umap")
    loaded = UMAP.load(tmp_path / "umap")
    assert (loaded.metric_kwds, loaded.n_neighbors) == ({"p": 3}, 6)
    np.testing.assert_array_equal(loaded.transform(X + 0.1), fitted.transform(X + 0.1))


def test_a_fit_does_not_hold_what_was_for_its_run() -> None:
    X = DRAW.normal(size=(80, 5))
    graph = knn(X, 60)
    run = {"callback": lambda *_: None, "tqdm_kwds": {"file": sys.stderr}, "precomputed_knn": graph}
    fitted = UMAP(n_neighbors=6, random_state=3, n_epochs=20, **run).fit(X)  # type: ignore[arg-type]
    fitted.set_params(callback=None, tqdm_kwds=None, precomputed_knn=None)
    pickled = pickle.dumps(fitted)
    np.testing.assert_array_equal(pickle.loads(pickled).transform(X), fitted.transform(X))
    plain = UMAP(n_neighbors=6, random_state=3, n_epochs=20).fit(X)
    assert len(pickled) < len(pickle.dumps(plain)) + graph.indices.nbytes


def test_what_is_not_saved(tmp_path: Path) -> None:
    X = DRAW.normal(size=(30, 3))
    with pytest.raises(NotFittedError):
        UMAP().save(tmp_path / "umap")
    for options, message in (
        ({"unique": True}, "unique=True"),
        ({"transform_mode": "graph"}, "transform_mode='graph'"),
        ({"output_dens": True}, "output_dens=True"),
        ({"n_epochs": [10, 20]}, "a list of n_epochs"),
        ({"metric": _distance}, "metric=<function"),
    ):
        fitted = UMAP(n_neighbors=4, random_state=0, **options).fit(X)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"save is not available for .*{message}"):
            fitted.save(tmp_path / "umap")
    assert list(tmp_path.iterdir()) == []


def _distance(x: Any, y: Any) -> float:
    return float(np.abs(x - y).sum())


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "umap"
    with pytest.raises(FileNotFoundError, match="no such file"):
        UMAP.load(path)
    path.write_bytes(b"hello")
    with pytest.raises(SpecificationError, match="is not the file of a fitted UMAP"):
        UMAP.load(path)
    UMAP(n_neighbors=4, random_state=0).fit(DRAW.normal(size=(30, 3))).save(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(SpecificationError, match="it is damaged"):
        UMAP.load(path)
