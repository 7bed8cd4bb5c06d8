"""Maps that stay put while rows are added, by landmarks, and how far they moved."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, ParametricUMAP, layout, ops, routines
from fastparadime.exceptions import NotTrainedError, SpecificationError
from fastparadime.layout.landmarks import drawn_back

QUICK: dict[str, Any] = {"quality": "fast", "hidden_dims": [32, 32], "random_state": 0}


def test_drift_is_what_it_says() -> None:
    before = torch.rand((200, 2), generator=torch.Generator().manual_seed(0))
    before[0], before[1] = torch.tensor([0.0, 0.0]), torch.tensor([4.0, 1.0])
    after = before.clone()
    after[:100, 0] += 0.4
    after[150:160] = torch.nan
    found = layout.Drift.between(before, after)
    assert found.rows == 190
    assert found.median == pytest.approx(0.1)  # of the longer side, of 100 among 190
    assert found.upper == pytest.approx(0.1)
    assert 0 < found.kept < 1
    still = layout.Drift.between(before, before)
    assert (still.median, still.upper, still.kept) == (0, 0, 1)
    assert repr(still) == "Drift(median=0.00%, upper=0.00%, kept=100.0%, rows=200)"
    assert layout.Drift.between(before[:0], before[:0]).rows == 0
    assert layout.Drift.between(before[:1], before[:1]).kept == 1


def test_offsets_are_drawn_back_to_a_median() -> None:
    lengths = torch.tensor([0.5, 1.0, 2.0, 4.0, 20.0])
    directions = torch.nn.functional.normalize(
        torch.randn((5, 3), generator=torch.Generator().manual_seed(0)), dim=1
    )
    found = drawn_back(lengths[:, None] * directions, 0.5)
    # pull = 2 (2 / 0.5 - 1) = 6
    wanted = lengths / (1 + 6 / (1 + (lengths / 2) ** 2))
    assert float(wanted[2]) == 0.5
    torch.testing.assert_close(found, wanted[:, None] * directions)
    near = 0.1 * directions
    assert drawn_back(near, 0.5) is near
    assert not drawn_back(near, 0.0).any()


def test_a_layout_holds_the_landmarks_that_it_moves() -> None:
    before = torch.tensor([[0.0, 0.0], [8.0, 1.0], [2.0, 2.0], [torch.nan, torch.nan]])
    indptr = torch.tensor([0, 1, 2, 2, 3, 4])  # the third has no edge, the fifth is new
    heads, tails = (torch.tensor(ends, dtype=torch.int32) for ends in ([0, 1, 3, 4], [1, 0, 4, 3]))
    edges = ops.Edges(indptr, heads, tails, torch.ones(4))
    moved = torch.tensor([[1.0, 0.0], [8.0, 2.0], [5.0, 5.0], [7.0, 7.0], [6.0, 6.0]])
    layout.Landmarks(before, 0.02).holder(edges)(moved)
    # Both moved by 1, of which 2 % of the span of 8 are left, less a thousandth for rounding.
    still = 0.02 * 8 * 0.999
    wanted = [[still, 0.0], [8.0, 1.0 + still], [5.0, 5.0], [7.0, 7.0], [6.0, 6.0]]
    torch.testing.assert_close(moved, torch.tensor(wanted))


def test_an_update_holds_the_map(digits: Any) -> None:
    X, _ = digits
    fitted = UMAP(random_state=0).fit(X[:1200])
    before = np.array(fitted.embedding_)
    assert not hasattr(fitted, "drift_")
    usual, close, still, free = (
        copy.deepcopy(fitted).update(X[1200:], **options)
        for options in ({}, {"max_drift": 0.005}, {"max_drift": 0.0}, {"max_drift": None})
    )
    np.testing.assert_array_equal(still.embedding_[:1200], before)
    assert (still.drift_.median, still.drift_.upper, still.drift_.kept) == (0, 0, 1)
    assert close.drift_.median < 0.005
    assert 0.01 < usual.drift_.median < 0.015 < free.drift_.median
    assert usual.drift_.rows == 1200
    moved = np.linalg.norm(usual.embedding_[:1200] - before, axis=1) / np.ptp(before, axis=0).max()
    assert usual.drift_.median == pytest.approx(np.median(moved), rel=1e-5)
    assert usual.drift_.upper == pytest.approx(np.quantile(moved, 0.95), rel=1e-5)
    # A whole fit reaches 0.986 to 0.988.
    assert trustworthiness(X, usual.embedding_, n_neighbors=15) > 0.98
    assert not hasattr(usual.fit(X[:100]), "drift_")


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), "2 %"])
def test_a_wrong_bound_is_refused(wrong: Any, digits: Any) -> None:
    X, _ = digits
    fitted = UMAP(n_epochs=5, random_state=0).fit(X[:60])
    before = np.array(fitted.embedding_)
    with pytest.raises((TypeError, ValueError), match="max_drift must be a finite number >= 0"):
        fitted.update(X[60:80], max_drift=wrong)
    np.testing.assert_array_equal(fitted.embedding_, before)


@pytest.mark.parametrize("seed", [0, 1])
def test_instalments_end_near_a_fit_at_once(seed: int, digits: Any) -> None:
    """Six instalments of digits, of which the fourth brings nines."""
    X, labels = digits
    rng = np.random.default_rng(seed)
    old, new = (rng.permutation(np.flatnonzero(part)) for part in (labels < 9, labels == 9))
    rest = rng.permutation(np.r_[old[750:], new])
    parts = [*np.split(old[:750], 3), *np.array_split(rest, 3)]
    grown = UMAP(random_state=seed).fit(X[parts[0]])
    for part in parts[1:]:
        grown.update(X[part])
        assert grown.drift_.median < 0.015
    X = X[np.concatenate(parts)]
    once = UMAP(random_state=seed).fit_transform(X)
    shares = [trustworthiness(X, found, n_neighbors=15) for found in (grown.embedding_, once)]
    assert shares[0] > shares[1] - 0.01


def test_other_outputs_are_held_too() -> None:
    X = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
    fitted = UMAP(output_metric="haversine", n_epochs=60, random_state=0).fit(X[:120])
    free = copy.deepcopy(fitted).update(X[120:], max_drift=None)
    fitted.update(X[120:])
    assert fitted.drift_.median < min(0.015, free.drift_.median / 2)
    assert fitted.embedding_.shape == (150, 2)


def test_lone_points_are_not_held() -> None:
    X = np.r_[np.random.default_rng(0).normal(size=(60, 3)), [[500.0, 0, 0]]].astype(np.float32)
    with pytest.warns(UserWarning, match="1 of 61 points"):
        fitted = UMAP(n_epochs=20, disconnection_distance=50, random_state=0).fit(X)
    near = X[-1:] + np.linspace(0, 1, 6, dtype=np.float32)[1:, None]
    fitted.update(near)
    assert fitted.drift_.rows == 60
    assert np.isfinite(fitted.embedding_).all()


def test_a_network_stays_put_through_instalments(digits: Any) -> None:
    """Digits in four instalments; nines come with the third."""
    X, labels = digits
    X, labels = X[:1200], labels[:1200]
    old, new = np.flatnonzero(labels < 9), np.flatnonzero(labels == 9)
    parts = [old[:500], old[500:700], np.r_[old[700:850], new[:60]], np.r_[old[850:], new[60:]]]
    mapper = ParametricUMAP(**QUICK).fit(X[parts[0]])
    for part in parts[1:]:
        mapper.partial_fit(X[part])
        assert mapper.drift_.median < 0.02
        assert mapper.drift_.upper < 0.06
        assert mapper.drift_.kept > 0.3
    whole = ParametricUMAP(**QUICK).fit(X)
    order = np.concatenate(parts)
    grown, once = (
        trustworthiness(X[order], Y, n_neighbors=15)
        for Y in (mapper.embedding_, whole.transform(X[order]))
    )
    assert grown > once - 0.02


def test_landmarks_take_the_place_of_rows(digits: Any, tmp_path: Path) -> None:
    X, _ = digits
    path = tmp_path / "model.safetensors"
    mapper = ParametricUMAP(**QUICK).fit(X[:600])
    mapper.save(path)
    bare = ParametricUMAP.load(path)
    with pytest.raises(ValueError, match="update is not available after load"):
        bare.update(X[600:700])
    with pytest.raises(ValueError, match="landmarks are rows of the fit"):
        bare.save(path, landmarks=5)
    mapper.save(path, landmarks=200)
    loaded = ParametricUMAP.load(path)
    np.testing.assert_array_equal(loaded.transform(X), mapper.transform(X))
    kept = loaded._landmarks.numpy()
    assert {row.tobytes() for row in kept} <= {row.tobytes() for row in X[:600]}
    assert len(kept) == 200
    loaded.save(path)  # of them too only what is asked for
    assert ParametricUMAP.load(path)._landmarks is None
    for fitted, given in ((loaded, None), (bare, X[:200])):
        before = fitted.transform(X[:600])
        fitted.update(X[600:800], landmarks=given)
        drift = layout.Drift.between(*map(torch.from_numpy, (before, fitted.transform(X[:600]))))
        assert drift.median < 0.03  # of rows that are no landmarks too
        assert fitted.drift_.rows == 200
        assert fitted.embedding_.shape == (400, 2)
        assert fitted.umap_.graph_.shape == (400, 400)
    with pytest.raises(ValueError, match="landmarks stand for the rows of a fit"):
        mapper.update(X[600:], landmarks=X[:100])
    with pytest.raises(ValueError, match="landmarks"):
        mapper.save(path, landmarks=-1)


def test_damaged_landmarks_are_refused(digits: Any, tmp_path: Path) -> None:
    X, _ = digits
    path = tmp_path / "model.safetensors"
    mapper = ParametricUMAP(**{**QUICK, "n_epochs": 10, "hidden_dims": [4]}).fit(X[:60])
    mapper._spread_rows = lambda count: torch.zeros(count, 3)  # type: ignore[method-assign]
    mapper.save(path, landmarks=4)
    with pytest.raises(SpecificationError, match=r"landmarks of shape \(4, 3\)"):
        ParametricUMAP.load(path)


@pytest.mark.parametrize("quality", [None, "fast"])
def test_a_routine_is_updated(quality: str | None, digits: Any, tmp_path: Path) -> None:
    X, _ = digits
    options: dict[str, Any] = {
        "n_neighbors": 15,
        "seed": 0,
        "quality": quality,
        "hidden_dims": [16],
    }
    if quality is None:
        options.update(epochs=5, batch_size=100, batches_per_epoch=30)
    routine = routines.ParametricUMAP(**options)
    with pytest.raises(NotTrainedError):
        routine.update(X[:10])
    routine.train(X[:300])
    rates = [(phase.learning_rate, phase.loss) for phase in routine.training_phases]
    loose = {} if quality is None else {"max_drift": None}
    free = copy.deepcopy(routine).update(X[300:400], landmark_weight=0.0, **loose)
    assert routine.update(X[300:400]) is routine
    assert routine.drift_.rows == 300
    assert routine.drift_.median < min(0.02, free.drift_.median)
    assert len(routine.dataset) == 400
    after = [(phase.learning_rate, phase.loss) for phase in routine.training_phases]
    assert [(rate, type(part)) for rate, part in after] == [(r, type(p)) for r, p in rates]
    assert routine.update(X[400:450], landmarks=X[:100]).drift_.rows == 100
    assert len(routine.dataset) == 150
    routine.save(tmp_path / "bare")
    with pytest.raises(ValueError, match="update needs rows of the training after load"):
        type(routine).load(tmp_path / "bare").update(X[:10])
    routine.save(tmp_path / "kept", landmarks=60)
    loaded = routines.ParametricUMAP.load(tmp_path / "kept", n_neighbors=15, quality=quality)
    assert loaded.update(X[450:480]).drift_.rows == 60


def test_a_routine_of_labels_needs_labels(digits: Any) -> None:
    X, labels = digits
    routine = routines.ParametricUMAP(quality="fast", hidden_dims=[8], seed=0)
    routine.train({"main": X[:100], "labels": labels[:100]})
    with pytest.raises(ValueError, match="y must give labels"):
        routine.update(X[100:120])
    routine.update(X[100:120], labels[100:120])
    assert routine.dataset.data["labels"].tolist() == labels[:120].tolist()
    bare = routines.ParametricUMAP(quality="fast", hidden_dims=[8], seed=0)
    bare.train({"main": X[:100], "weights": labels[:100].astype(np.float32)})
    with pytest.raises(ValueError, match=r"the dataset also has \['weights'\]"):
        bare.update(X[100:120])
    with pytest.raises(ValueError, match="y is for a dataset with an entry 'labels'"):
        bare.update(X[100:120], labels[100:120], landmarks=X[:50])
    with pytest.raises(ValueError, match="landmark_weight"):
        bare.update(X[100:120], landmark_weight=-1.0)
    with pytest.raises(ValueError, match="max_drift"):
        bare.update(X[100:120], max_drift=-1.0)
    by_edges = routines.ParametricUMAP(hidden_dims=[8], seed=0)
    with pytest.raises(ValueError, match=r"max_drift is for the layout of a quality, but is 0\.01"):
        by_edges.update(X[100:120], max_drift=0.01)
