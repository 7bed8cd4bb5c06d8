"""Maps that stay put while rows are added, by landmarks, and how far they moved."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, ParametricUMAP, layout, routines
from fastparadime.exceptions import NotTrainedError, SpecificationError

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


def test_an_update_holds_the_map(digits: Any) -> None:
    X, _ = digits
    fitted = UMAP(random_state=0).fit(X[:1200])
    assert not hasattr(fitted, "drift_")
    held, free = (
        copy.deepcopy(fitted).update(X[1200:], landmark_weight=weight) for weight in (1.0, 0.0)
    )
    assert held.drift_.rows == 1200
    assert held.drift_.median < 0.003 < free.drift_.median
    assert held.drift_.upper < 0.006
    assert held.drift_.kept > 0.97
    # A whole fit reaches 0.986 to 0.988.
    assert trustworthiness(X, held.embedding_, n_neighbors=15) > 0.98
    assert not hasattr(held.fit(X[:100]), "drift_")
    with pytest.raises(ValueError, match="landmark_weight"):
        fitted.update(X[1200:], landmark_weight=-1)


def test_other_outputs_are_held_too() -> None:
    X = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
    fitted = UMAP(output_metric="haversine", n_epochs=60, random_state=0).fit(X[:120])
    free = copy.deepcopy(fitted).update(X[120:], landmark_weight=0.0)
    fitted.update(X[120:])
    assert fitted.drift_.median < min(0.05, free.drift_.median / 2)
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
    free = copy.deepcopy(routine).update(X[300:400], landmark_weight=0.0)
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
