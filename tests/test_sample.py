"""Fits on a sample: what is drawn, and where all rows are placed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from click.testing import CliRunner
from sklearn.neighbors import KNeighborsClassifier

from fastparadime import UMAP, ParametricUMAP, cli, routines
from fastparadime.neighbors import stratified_sample
from tests.contract import with_checks

SIZES = (1500, 400, 80, 20)  # of groups, far apart
N, D, LEAST = sum(SIZES), 6, 11  # a group's rows in a sample, for ten neighbours
KIND = np.repeat(np.arange(4), SIZES)


def table(dtype: Any = np.float32) -> np.ndarray:
    """Rows of four groups, one after the other."""
    rng = np.random.default_rng(0)
    centres = 20 * np.eye(4, D)
    return (centres[KIND] + rng.normal(size=(N, D))).astype(dtype)


def sample(X: Any, size: float = 300, **options: Any) -> np.ndarray:
    return stratified_sample(X, size, n_neighbors=10, seed=0, **options)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_small_groups_are_not_lost(metric: str) -> None:
    rows = sample(table(), metric=metric)
    assert rows.dtype == np.int64
    assert len(rows) == 300
    assert (np.diff(rows) > 0).all()
    counts = np.bincount(KIND[rows], minlength=4)
    assert counts.min() >= LEAST
    share = counts[:2] / (300 * np.array(SIZES[:2]) / N)
    np.testing.assert_allclose(share, 1, atol=0.2)


def test_it_is_better_than_drawing_from_all() -> None:
    least = [np.bincount(KIND[sample(table(), 300 + i)], minlength=4).min() for i in range(20)]
    rng = np.random.default_rng(0)
    plain = [np.bincount(KIND[rng.choice(N, 310)], minlength=4).min() for _ in range(20)]
    assert np.mean(least) >= LEAST > 2 * np.mean(plain)


def test_the_same_rows_of_any_container(tmp_path: Path, assert_same_bits: Any) -> None:
    import pandas as pd

    X = table()
    rows = sample(X)
    np.save(tmp_path / "X.npy", X)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "X.h5", "w") as file:
        same = [
            np.load(tmp_path / "X.npy", mmap_mode="r"),
            file.create_dataset("X", data=X, chunks=(300, D)),
            torch.from_numpy(X),
            pd.DataFrame(X, columns=list("abcdef")),
            X.astype(np.float64),
            scipy.sparse.csr_matrix(X),
        ]
        for container in same:
            np.testing.assert_array_equal(sample(container), rows)
    assert_same_bits(lambda: torch.from_numpy(sample(X)))
    assert not np.array_equal(stratified_sample(X, 300, seed=1), rows)
    np.testing.assert_array_equal(sample(X, 300 / N), rows)
    np.testing.assert_array_equal(sample(X, 1.0), np.arange(N))
    np.testing.assert_array_equal(sample(X, N), np.arange(N))


def test_wide_sparse_rows() -> None:
    generator = np.random.default_rng(0)
    wide = np.where(generator.random((N, 500)) < 0.02, generator.random((N, 500)), 0)
    X = (
        scipy.sparse.hstack([scipy.sparse.csr_array(wide), scipy.sparse.csr_array(table())])
        .tocsr()
        .astype(np.float32)
    )
    assert np.bincount(KIND[sample(X)], minlength=4).min() > LEAST // 2


def test_equal_rows_and_few_rows() -> None:
    assert len(sample(np.ones((500, 3), np.float32), 50)) == 50
    assert len(sample(table()[:30], 2)) == 2
    missing = table()
    missing[::7, 2] = np.nan
    assert len(sample(missing, 300, metric="nan_euclidean")) == 300


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, "sample must be from 2 to the 2000 rows there are, or a share .*, not 0"),
        (2001, ValueError, "sample must be from 2 to the 2000 rows there are, .*, not 2001"),
        (0.0, ValueError, r"a share in \(0, 1\], not 0.0"),
        (1.5, ValueError, r"a share in \(0, 1\], not 1.5"),
        (float("nan"), ValueError, r"a share in \(0, 1\], not nan"),
        ("half", TypeError, "sample must be a number of rows or a share in .* not 'half'"),
        (True, TypeError, "sample must be a number of rows or a share in .* not True"),
    ],
)
def test_bad_samples(size: Any, error: type[Exception], message: str) -> None:
    for fit in (sample, lambda X, size: UMAP(sample=size).fit(X)):
        with pytest.raises(error, match=message):
            fit(table(), size)


def test_an_unknown_metric() -> None:
    with pytest.raises(ValueError, match=r"metric must be one of .*, not 'manhatten'"):
        sample(table(), 300, metric="manhatten")


ESTIMATORS = [
    UMAP(n_neighbors=11, n_epochs=50, sample=300, random_state=0),
    ParametricUMAP(n_neighbors=11, n_epochs=50, quality="fast", sample=0.15, random_state=0),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_all_rows_are_placed(estimator: Any) -> None:
    X = table()
    found = estimator.fit_transform(X)
    rows = estimator.sample_indices_
    assert len(rows) == 300
    assert found.shape == (N, 2)
    np.testing.assert_array_equal(estimator.transform(X), found)
    assert estimator.graph_.shape == (300, 300)
    known = KNeighborsClassifier(5).fit(found[rows], KIND[rows])
    assert (known.predict(found) == KIND).mean() > 0.99
    again = estimator.fit(torch.from_numpy(X)).embedding_
    assert isinstance(again, torch.Tensor)
    np.testing.assert_array_equal(again.numpy(), found)
    assert estimator.fit(X.astype(np.float64)).embedding_.dtype == np.float64
    with pytest.raises(ValueError, match="update is not available for a fit with sample"):
        estimator.update(X[:20])


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_names_labels_and_sources(estimator: Any, tmp_path: Path) -> None:
    import pandas as pd

    X, h5py = table(), pytest.importorskip("h5py")
    found = estimator.fit(pd.DataFrame(X, columns=list("abcdef"))).embedding_
    assert list(estimator.feature_names_in_) == list("abcdef")
    with h5py.File(tmp_path / "X.h5", "w") as file:
        rows = file.create_dataset("X", data=X, chunks=(300, D))
        np.testing.assert_array_equal(estimator.fit(rows).embedding_, found)
    assert not hasattr(estimator, "feature_names_in_")
    labelled = estimator.fit(X, KIND).embedding_
    assert not np.array_equal(labelled, found)


def test_a_fit_of_a_sample_is_that_of_its_rows() -> None:
    X = table()
    umap = ESTIMATORS[0].fit(X)
    alone = UMAP(n_neighbors=11, n_epochs=50, random_state=0).fit(X[umap.sample_indices_])
    np.testing.assert_array_equal(umap.embedding_[umap.sample_indices_], alone.embedding_)
    weights = np.ones(N)
    weights[1700:] = 3
    start = np.random.default_rng(0).normal(size=(N, 2))
    weighted = UMAP(n_neighbors=11, n_epochs=9, init=start, random_state=0, sample=300)
    found = weighted.fit(X, sample_weight=weights).embedding_
    rows = weighted.sample_indices_
    same = UMAP(n_neighbors=11, n_epochs=9, init=start[rows], random_state=0)
    same.fit(X[rows], sample_weight=weights[rows])
    np.testing.assert_array_equal(found[rows], same.embedding_)


def test_sparse_rows_and_memory_maps(tmp_path: Path) -> None:
    X = np.round(table())
    np.save(tmp_path / "X.npy", X)
    umap = ESTIMATORS[0]
    found = umap.fit(X).embedding_
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(umap.fit(rows).embedding_, found)
    sparse = umap.fit(scipy.sparse.csr_matrix(X))
    assert sparse.embedding_.shape == (N, 2)
    np.testing.assert_array_equal(sparse.transform(scipy.sparse.csr_matrix(X)), sparse.embedding_)
    X[1500, 2] = np.nan
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(ValueError, match="row 1500 has nan in column 2"):
        umap.fit(np.load(tmp_path / "X.npy", mmap_mode="r"))
    with pytest.raises(ValueError, match="contains NaN"):
        umap.fit(X)


@with_checks([UMAP(n_epochs=10, sample=0.5, random_state=0)])
@pytest.mark.filterwarnings("ignore:n_neighbors is lowered:UserWarning")
@pytest.mark.filterwarnings("ignore:1 of .* points have no neighbour:UserWarning")
def test_sklearn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_saved_fit_keeps_the_sample(tmp_path: Path) -> None:
    X = table()
    for estimator in ESTIMATORS:
        found = estimator.fit(X).embedding_
        estimator.save(tmp_path / "model")
        loaded = type(estimator).load(tmp_path / "model")
        np.testing.assert_array_equal(loaded.transform(X), found)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"metric": "precomputed"}, "metric='precomputed'"),
        ({"precomputed_knn": (np.zeros((N, 3)), np.zeros((N, 3)))}, "precomputed_knn"),
        ({"n_epochs": [5, 9]}, "a list of n_epochs"),
        ({"output_dens": True}, "output_dens=True"),
        ({"unique": True}, "unique=True"),
        ({"transform_mode": "graph"}, "transform_mode='graph'"),
    ],
)
def test_what_needs_all_rows(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"sample must be None with {name}, which is about all"):
        UMAP(sample=100, **options).fit(table())


def test_nothing_is_left_of_a_fit_before() -> None:
    X = table()[:1600:4]
    given: dict[str, Any] = {"n_neighbors": 6, "n_epochs": 5, "random_state": 0}
    for estimator in (UMAP(**given), ParametricUMAP(quality="fast", **given)):
        estimator.fit(X).update(X[:5] + 1)
        assert estimator.graph_.shape == (len(X) + 5, len(X) + 5)
        estimator.set_params(sample=100).fit(X)
        assert estimator.graph_.shape == (100, 100)
        assert not hasattr(estimator, "drift_")
        estimator.set_params(sample=None)
        with pytest.raises(ValueError, match="not available for a fit with sample"):
            estimator.update(X[:5] + 1)
        estimator.fit(X)
        assert not hasattr(estimator, "sample_indices_")
        assert estimator.update(X[:5] + 1).embedding_.shape == (len(X) + 5, 2)


def test_positions_to_start_from_are_those_of_all_rows() -> None:
    for estimator in (UMAP, ParametricUMAP):
        with pytest.raises(
            ValueError, match=r"init must have shape .* = \(2000, 2\), not \(50, 2\)"
        ):
            estimator(sample=50, init=np.zeros((50, 2))).fit(table())


def test_samples_of_lists_and_of_other_sparse_rows() -> None:
    X = np.round(table())
    np.testing.assert_array_equal(sample(X.tolist()), sample(X))
    csr = scipy.sparse.csr_matrix(X)
    np.testing.assert_array_equal(sample(csr.tocoo()), sample(csr))
    with pytest.raises(ValueError, match=r"X must have rows and columns, not \(2000,\)"):
        sample(X[:, 0])


def test_fits_of_samples_are_not_combined() -> None:
    first = UMAP(n_epochs=5, sample=100, random_state=0).fit(table())
    with pytest.raises(ValueError, match="fits with sample cannot be combined"):
        first + first


@pytest.mark.parametrize("method", ["network", "umap"])
def test_the_command_line(method: str, tmp_path: Path) -> None:
    X = table()
    np.save(tmp_path / "X.npy", X)
    command = ["embed", str(tmp_path / "X.npy"), "--method", method, "--seed", "0", "--quiet"]
    command += ["-o", str(tmp_path / "Y.npy"), "--save", str(tmp_path / "model")]
    if method == "network":
        command += ["--quality", "fast"]
    result = CliRunner().invoke(cli.main, [*command, "--sample", "0.15"])
    assert result.exit_code == 0, result.output
    assert "300 rows" in result.output
    found = np.load(tmp_path / "Y.npy")
    assert found.shape == (N, 2)
    if method == "umap":
        loaded: Any = UMAP.load(tmp_path / "model").transform(X)
    else:
        loaded = routines.ParametricUMAP.load(tmp_path / "model").apply(X).numpy()
    np.testing.assert_array_equal(loaded, found)
    for given, message in (
        ("few", "'few' is neither a number of rows nor a share such as 0.1"),
        ("15", "--n-neighbors must be smaller than the sample, 15 of 2000 rows, but is 15"),
        ("1.5", "sample must be a number of rows or a share"),
    ):
        refused = CliRunner().invoke(cli.main, [*command, "--sample", given])
        assert refused.exit_code == 2
        assert message in refused.output
