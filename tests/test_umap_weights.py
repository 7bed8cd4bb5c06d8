"""UMAP's weights of rows, its callback, a rate of zero, and which numbers functions get."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import UMAP

Table = npt.NDArray[np.float64]


def blobs(n: int = 120, dim: int = 6) -> Table:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, dim)) + 4 * (np.arange(n) % 3)[:, None]


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 30, "random_state": 0, **options})


def test_equal_weights_change_nothing() -> None:
    X = blobs()
    plain = quick().fit_transform(X)
    np.testing.assert_array_equal(quick().fit_transform(X, sample_weight=np.full(120, 2)), plain)
    weights = np.linspace(0.5, 2, 120)
    found = quick().fit_transform(X, sample_weight=weights)
    assert not np.array_equal(found, plain)
    for same in (4 * weights, torch.from_numpy(weights), weights.tolist()):
        np.testing.assert_array_equal(quick().fit_transform(X, sample_weight=same), found)
    np.testing.assert_array_equal(
        quick(n_epochs=0).fit_transform(X, sample_weight=weights),
        quick(n_epochs=0).fit_transform(X),
    )


def test_a_heavy_row_pulls_its_neighbors() -> None:
    weights = np.ones(200)
    weights[0] = 40
    distances = []
    for seed in range(5):
        X = np.random.default_rng(seed).normal(size=(200, 4))
        for given in (None, weights):
            estimator = UMAP(n_epochs=100, random_state=0).fit(X, sample_weight=given)
            near = estimator.graph_[0].indices
            offsets = estimator.embedding_[near] - estimator.embedding_[0]
            distances.append(np.linalg.norm(offsets, axis=1).mean())
    assert sum(distances[1::2]) < 0.9 * sum(distances[::2])


def test_rows_without_weight_move_no_other() -> None:
    """Where such a row starts does not matter to the others."""
    X, rng = blobs(), np.random.default_rng(0)
    weights = np.ones(120)
    weights[:10] = 0
    starts = [rng.uniform(0, 10, (120, 2))]
    starts.append(starts[0].copy())
    starts[1][:10] = starts[1][:10][::-1]  # within the same range, which starts are scaled by
    first, second = (quick(init=init).fit_transform(X, sample_weight=weights) for init in starts)
    np.testing.assert_array_equal(first[10:], second[10:])
    assert not np.array_equal(first[:10], second[:10])


def test_weights_of_equal_rows_are_added() -> None:
    X = blobs()
    doubled = np.concatenate([X, X[:40]])
    found = quick(unique=True).fit(doubled, sample_weight=np.ones(160))
    weights = np.where(np.arange(120) < 40, 2.0, 1.0)
    order = np.unique(X.astype(np.float32), axis=0, return_index=True)[1]
    alone = quick().fit(X[order], sample_weight=weights[order])
    np.testing.assert_array_equal(found.embedding_[:120][order], alone.embedding_)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(119), r"sample_weight.shape == \(119,\)"),
        (np.full(120, -1.0), "sample_weight must not be negative, but has -1"),
        (np.zeros(120), "(zero for all rows|at least one non-zero number)"),
        (np.full(120, np.nan), "contains NaN"),
    ],
)
def test_bad_weights(weights: Table, message: str) -> None:
    estimator = quick()
    with pytest.raises(ValueError, match=message):
        estimator.fit(blobs(), sample_weight=weights)
    assert not hasattr(estimator, "embedding_")


def test_weighted_fits_have_no_update_and_no_operators() -> None:
    X = blobs()
    weighted = quick().fit(X, sample_weight=np.ones(120))
    with pytest.raises(ValueError, match="not available for a fit with sample_weight"):
        weighted.update(X[:3])
    for pair in ((weighted, quick().fit(X)), (quick().fit(X), weighted)):
        with pytest.raises(ValueError, match="fits with sample_weight cannot be combined"):
            pair[0] * pair[1]
    quick().fit(X).update(X[:3] + 0.1)


@pytest.mark.parametrize("options", [{}, {"densmap": True}, {"output_metric": "haversine"}])
def test_a_callback_sees_each_epoch(options: dict[str, Any]) -> None:
    X, seen = blobs(), []

    def callback(epoch: int, loss: float | None, positions: Table) -> None:
        assert loss is None
        seen.append((epoch, positions.copy()))
        positions[:] = np.nan  # a copy

    watched = quick(callback=callback, **options).fit(X)
    assert [epoch for epoch, _ in seen] == list(range(30))
    np.testing.assert_array_equal(seen[-1][1], watched.embedding_)
    np.testing.assert_array_equal(watched.embedding_, quick(**options).fit_transform(X))
    for epoch in (1, 17):
        kept = quick(n_epochs=[epoch, 30], **options).fit(X).embedding_list_
        np.testing.assert_array_equal(seen[epoch - 1][1], kept[0])


def test_true_stops_the_layout() -> None:
    X, epochs = blobs(), []

    def callback(epoch: int, loss: None, positions: torch.Tensor) -> np.bool_:
        assert loss is None
        assert isinstance(positions, torch.Tensor)
        epochs.append(epoch)
        return np.bool_(epoch == 11)

    estimator = quick(n_epochs=[5, 20, 30], callback=callback).fit(torch.from_numpy(X))
    assert epochs == list(range(12))
    assert len(estimator.embedding_list_) == 1
    np.testing.assert_array_equal(
        estimator.embedding_, quick(n_epochs=[12, 30]).fit(X).embedding_list_[0]
    )
    epochs.clear()
    estimator.update(X[:5] + 0.1)
    assert epochs == list(range(12))


def test_what_a_callback_raises_ends_the_fit() -> None:
    def callback(epoch: int, loss: None, positions: Table) -> None:
        raise RuntimeError(f"epoch {epoch}, {loss}, {positions.shape}")

    estimator = quick(callback=callback)
    with pytest.raises(RuntimeError, match="epoch 0, None"):
        estimator.fit(blobs())
    assert not hasattr(estimator, "embedding_")


def test_a_callback_sees_every_row_of_the_data() -> None:
    X, shapes = np.repeat(blobs(40), 2, axis=0), []
    quick(unique=True, n_neighbors=5, callback=lambda *args: shapes.append(args[2].shape)).fit(X)
    assert set(shapes) == {(80, 2)}


def test_a_rate_of_zero_moves_nothing() -> None:
    X = blobs()
    still = quick(learning_rate=0).fit(X)
    np.testing.assert_array_equal(still.embedding_, quick(n_epochs=0).fit_transform(X))
    assert np.isfinite(still.transform(X[:3] + 0.1)).all()


def first_column(x: Table, y: Table) -> float:
    return float(abs(x[0] - y[0]))


def test_functions_get_the_numbers_that_are_let_through() -> None:
    X = blobs()
    X[3, 2] = np.nan
    wanted = quick(metric=first_column).fit(X[:, :2])
    found = quick(metric=first_column).fit(X, None, "allow-nan")
    np.testing.assert_array_equal(found.embedding_, wanted.embedding_)
    assert found.transform(X[3:4], "allow-nan").shape == (1, 2)
    found.update(X[3:5] + 0.1, "allow-nan")
    X[4, 3] = np.inf
    np.testing.assert_array_equal(
        quick(metric=first_column).fit_transform(X, ensure_all_finite=False), wanted.embedding_
    )
    with pytest.raises(ValueError, match="infinity"):
        quick(metric=first_column).fit(X, ensure_all_finite="allow-nan")
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        quick(metric=first_column).fit(X)


@pytest.mark.parametrize("value", [False, "allow-nan"])
def test_other_metrics_refuse_such_rows_in_any_case(value: Any) -> None:
    X = blobs()
    np.testing.assert_array_equal(quick().fit_transform(X, None, value), quick().fit_transform(X))
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(X, ensure_all_finite=value)
    with pytest.raises(ValueError, match="ensure_all_finite must be True, False or 'allow-nan'"):
        quick().fit(X, ensure_all_finite="no")


def test_functions_that_write_to_rows_leave_the_data_as_it_is() -> None:
    X = blobs()
    before = X.copy()

    def metric(x: Table, y: Table) -> tuple[float, Table]:
        x[0], x[1] = np.nan, np.inf
        return 0.0, y

    quick(metric=metric).fit(X).transform(X[:3])
    np.testing.assert_array_equal(X, before)


def test_functions_lead_back_by_gradients() -> None:
    X = blobs()

    def metric(x: Table, y: Table) -> tuple[float, Table]:
        return float(np.linalg.norm(x - y)), x - y

    def plain(x: Table, y: Table) -> float:
        return float(np.linalg.norm(x - y))

    estimator = quick(metric=metric).fit(X)
    found = estimator.inverse_transform(estimator.embedding_[:5])
    assert found.shape == (5, 6)
    assert np.abs(found - X[:5]).mean() < 1.5
    with pytest.raises(ValueError, match=r"functions that give \(distance, gradient\)"):
        quick(metric=plain).fit(X).inverse_transform([[0.0, 0.0]])


def test_hellinger_parts_rows_that_share_nothing() -> None:
    rng = np.random.default_rng(0)
    X = np.zeros((41, 31))
    X[:40, :30] = rng.random((40, 30))
    X[40, 30] = 1
    with pytest.warns(UserWarning, match="1 of 41 points have no neighbour nearer than 0.999999"):
        estimator = quick(metric="hellinger", n_neighbors=5).fit(X)
    assert np.isnan(estimator.embedding_[40]).all()
    assert np.isfinite(estimator.embedding_[:40]).all()
    assert estimator.graph_[40].nnz == 0
