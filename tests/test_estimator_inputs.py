"""What UMAP and KNNTransformer take beside arrays of floats, and how they refuse what they do not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastparadime import UMAP, KNNTransformer, neighbors, ops


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 5, "n_neighbors": 5, "random_state": 0, **options})


@pytest.fixture(name="X")
def random_rows() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


def test_a_tensor_is_the_array_it_holds(X: Any) -> None:
    expected = quick().fit(X)
    tensor = torch.from_numpy(X).requires_grad_()
    found = quick().fit(tensor)
    assert found.embedding_.dtype == torch.float32
    np.testing.assert_array_equal(found.embedding_, expected.embedding_)
    np.testing.assert_array_equal(found.transform(tensor[:3] + 1), expected.transform(X[:3] + 1))
    graph = KNNTransformer().fit_transform(tensor)
    assert graph.dtype == np.float32
    assert (graph != KNNTransformer().fit_transform(X)).nnz == 0
    for estimator in (quick(), KNNTransformer()):
        with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda', not 'meta'"):
            estimator.fit(tensor.to("meta"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, bool])
def test_other_numbers_become_float32_at_once(X: Any, dtype: Any) -> None:
    rows = (10 * np.abs(X)).astype(dtype)
    found = quick().fit(rows)
    assert found.embedding_.dtype == np.float32
    expected = quick().fit(rows.astype(np.float32))
    np.testing.assert_array_equal(found.embedding_, expected.embedding_)
    assert quick().fit_transform(rows.astype(np.float64)).dtype == np.float64


def test_initial_positions_of_any_kind(X: Any) -> None:
    expected = quick(init=X[:, :2]).fit_transform(X)
    for init in (X[:, :2].tolist(), torch.from_numpy(X[:, :2])):
        np.testing.assert_array_equal(quick(init=init).fit_transform(X), expected)


@pytest.mark.parametrize(
    "parameter",
    ["metric", "tqdm_kwds", "metric_kwds", "target_metric_kwds", "callback", "target_metric"],
)
def test_a_wrong_type_is_both_errors(X: Any, parameter: str) -> None:
    """umap-learn raises ValueError for all of them."""
    for error in (TypeError, ValueError):
        with pytest.raises(error, match=parameter):
            quick(**{parameter: 45}).fit(X)


@pytest.mark.parametrize("init", [[[0.0, 1.0], [2.0]], 3, [["a", "b"]], {"a": 1}])
def test_what_is_no_initial_position(X: Any, init: Any) -> None:
    with pytest.raises(ValueError, match=r"^init must be one of .* or a table of positions, not"):
        quick(init=init).fit(X)


def test_neighbours_with_the_point_itself_or_without(X: Any) -> None:
    expected = quick().fit(X)
    graph = neighbors.knn(X, 6)
    with_itself = (expected._knn_indices[:, ::-1], expected._knn_dists[:, ::-1])
    for knn in (graph, tuple(graph), tuple(part[:, :4] for part in graph), with_itself):
        found = quick(precomputed_knn=knn).fit(X)
        np.testing.assert_array_equal(found.embedding_, expected.embedding_)


def test_unknown_labels_among_objects(X: Any) -> None:
    y = np.random.default_rng(1).integers(0, 3, 60)
    y[::2] = -1
    expected = quick().fit(X, y).graph_
    names: Any = np.array(["ant", "bee", "cow"], object)[y]
    names[y == -1] = -1
    for labels in (names, y.astype(object)):
        assert (quick().fit(X, labels).graph_ != expected).nnz == 0
    names[1 if y[0] == -1 else 0] = 3
    with pytest.raises(ValueError, match="y must hold categories of one kind, -1 where unknown"):
        quick().fit(X, names)


def test_points_whose_neighbours_are_not_mutual() -> None:
    line = np.cumsum(2.0 ** np.arange(8))[:, None]  # each one's nearest is the one before
    with pytest.warns(UserWarning, match="6 of 8 points have no edge in the graph and get NaN"):
        embedding = quick(n_neighbors=2, set_op_mix_ratio=0.0).fit_transform(line)
    assert np.isnan(embedding[2:]).all()
    assert np.isfinite(embedding[:2]).all()


def test_values_beyond_float32(X: Any) -> None:
    rows = X.astype(np.float64)
    rows[7, 2] = 1e300
    neighbors = (np.tile(np.arange(60), (60, 1)), np.ones((60, 60)))
    for estimator in (quick(), quick(precomputed_knn=neighbors), KNNTransformer()):
        with pytest.raises(ValueError, match="finite float32 values, but row 7"):
            estimator.fit(rows)
    fitted = quick().fit(X)
    with pytest.raises(ValueError, match="finite float32 values, but row 7"):
        fitted.transform(rows)


def test_an_unknown_argument_names_the_class() -> None:
    with pytest.raises(
        TypeError, match=r"^UMAP\(\) got an unexpected keyword argument 'n_neigbors'"
    ):
        UMAP(n_neigbors=3)


def test_warnings_name_the_line_that_called(X: Any) -> None:
    scaled = make_pipeline(StandardScaler(), quick(n_neighbors=100))
    for embed in (quick(n_neighbors=100).fit, quick(n_neighbors=100).fit_transform, scaled.fit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            embed(X)
        assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("exponent", [-90, 66])
def test_new_rows_of_any_scale_are_measured_by_angles(X: Any, exponent: int) -> None:
    fitted = quick(metric="cosine").fit(X)
    placed, distances = fitted._rows.query(X * np.float32(2.0) ** exponent, 1)
    assert (placed[:, 0] == np.arange(60)).all()
    assert distances.max() < 1e-6


def test_a_new_row_too_far_away(X: Any) -> None:
    fitted = quick().fit(X)
    with pytest.raises(ValueError, match="row 1 of X is too far from those of the fit"):
        fitted.transform(np.stack([X[0], X[1] * 1e25]))


def test_a_device_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda', not 'gpu'"):
        ops.resolve_device("gpu")
