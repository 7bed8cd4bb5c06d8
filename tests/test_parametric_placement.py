"""New rows at the median of where a network has their neighbours."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from fastparadime import ParametricUMAP, dr, ops
from fastparadime.estimators._resumable import _digest
from fastparadime.graph import query_strengths
from fastparadime.utils.medians import weighted_medians

GIVEN: dict[str, Any] = {"quality": "fast", "n_epochs": 50, "random_state": 0}


def table(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(rows, 6)) + shift).astype(np.float32)


X, NEW = table(300, 0), table(80, 1)


@pytest.fixture(scope="module")
def fitted() -> ParametricUMAP:
    return ParametricUMAP(placement="median", **GIVEN).fit(X)


def medians(
    places: np.ndarray, new: np.ndarray = NEW, known: np.ndarray = X, *, mutual: bool = False
) -> np.ndarray:
    """Of the places of five of fifteen neighbours, which float64 distances show."""
    rows, own = (torch.from_numpy(part).double() for part in (new, known))
    nearest, indices = torch.cdist(rows, own).topk(15, largest=False)
    strengths = query_strengths(
        nearest.float(), local_connectivity=1.0, disconnection_distance=math.inf
    )
    if mutual:  # those for which the row is near, too, by their own distances to others
        others = torch.cdist(own, own).topk(15, largest=False).values[:, 1:]
        scales = ops.smooth_knn(others.float(), "umap")
        rho, sigma = (part[indices].double() for part in (scales.rho, scales.sigma))
        ties = strengths * (1 + torch.exp(-(nearest - rho).clamp_min(0) / sigma))
        order = ties.argsort(dim=1, descending=True)
        strengths, indices = strengths.gather(1, order), indices.gather(1, order)
    found = weighted_medians(strengths[:, :5], indices[:, :5], torch.from_numpy(places))
    return found.numpy()


def test_rows_are_at_the_median_of_their_neighbors_places(fitted: ParametricUMAP) -> None:
    placed = fitted.transform(NEW)
    np.testing.assert_allclose(placed, medians(fitted.embedding_), rtol=1e-4, atol=1e-4)
    mutual = copy.deepcopy(fitted).set_params(placement="mutual")
    expected = medians(fitted.embedding_, mutual=True)
    np.testing.assert_allclose(mutual.transform(NEW), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - placed).max() > 0.05
    np.testing.assert_array_equal(mutual.transform(X), fitted.embedding_)
    np.testing.assert_array_equal(mutual.set_params(placement="median").transform(NEW), placed)
    by_network = copy.deepcopy(fitted).set_params(placement="network")
    np.testing.assert_array_equal(by_network.embedding_, fitted.embedding_)
    assert np.abs(by_network.transform(NEW) - placed).max() > 0.05


def test_a_row_is_placed_by_itself(fitted: ParametricUMAP) -> None:
    placed = fitted.transform(NEW)
    np.testing.assert_array_equal(fitted.transform(NEW[::-1])[::-1], placed)
    np.testing.assert_array_equal(fitted.transform(NEW[7:8]), placed[7:8])
    np.testing.assert_array_equal(fitted.transform(X), fitted.embedding_)
    assert fitted.transform(NEW.astype(np.float64)).dtype == np.float64
    assert isinstance(fitted.transform(torch.from_numpy(NEW)), torch.Tensor)


def test_rows_far_from_zero_have_the_places_of_the_fit() -> None:
    far = table(300, 0, 1e4).astype(np.float64)
    mapper = ParametricUMAP(placement="median", **GIVEN).fit(far)
    np.testing.assert_allclose(mapper.transform(far), mapper.embedding_, atol=1e-2)


@pytest.mark.parametrize("placement", ["median", "mutual"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "seuclidean"])
def test_a_file_keeps_the_rows(metric: str, placement: str, tmp_path: Path) -> None:
    mapper = ParametricUMAP(placement=placement, metric=metric, **GIVEN).fit(X)
    mapper.save(tmp_path / "mapper.safetensors")
    loaded = ParametricUMAP.load(tmp_path / "mapper.safetensors")
    assert loaded.placement == placement
    np.testing.assert_array_equal(loaded.transform(NEW), mapper.transform(NEW))
    assert _digest(loaded) == _digest(mapper)
    loaded.save(tmp_path / "again.safetensors")
    again = ParametricUMAP.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again.transform(NEW), mapper.transform(NEW))


@pytest.mark.parametrize("metric", ["euclidean", "canberra"])
@pytest.mark.filterwarnings("ignore::fastparadime.exceptions.PrecisionWarning")
def test_a_file_keeps_the_digits_of_rows_far_from_zero(metric: str, tmp_path: Path) -> None:
    far, new = (1e5 + part.astype(np.float64) for part in (X, NEW))
    mapper = ParametricUMAP(placement="median", metric=metric, **GIVEN).fit(far)
    mapper.save(tmp_path / "mapper.safetensors")
    loaded = ParametricUMAP.load(tmp_path / "mapper.safetensors")
    np.testing.assert_array_equal(loaded.transform(new), mapper.transform(new))


def test_a_file_keeps_what_was_fitted(fitted: ParametricUMAP, tmp_path: Path) -> None:
    mapper, placed = copy.deepcopy(fitted), fitted.transform(NEW)
    mapper.set_params(n_neighbors=4, metric="manhattan", local_connectivity=3.0)
    mapper.save(tmp_path / "mapper.safetensors")
    loaded = ParametricUMAP.load(tmp_path / "mapper.safetensors")
    assert (loaded.n_neighbors, loaded.metric, loaded.local_connectivity) == (15, "euclidean", 1.0)
    loaded.set_params(n_neighbors=4, metric="manhattan")
    np.testing.assert_array_equal(loaded.transform(NEW), placed)
    loaded.save(tmp_path / "again.safetensors")
    again = ParametricUMAP.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again.transform(NEW), placed)


def test_a_file_cannot_keep_a_function_that_places_rows(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)

    def metric(a: Any, b: Any) -> float:
        return float(np.abs(a - b).sum())

    fitted = ParametricUMAP(
        metric=metric, placement="median", quality="fast", n_epochs=5, random_state=0
    ).fit(X)
    with pytest.raises(
        ValueError, match="metric must have a name for a file of placement='median'"
    ):
        fitted.save(tmp_path / "median.safetensors")
    assert not list(tmp_path.iterdir())
    fitted.set_params(placement="network").save(tmp_path / "network.safetensors")
    loaded = ParametricUMAP.load(tmp_path / "network.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def absolute(a: Any, b: Any) -> float:
    return float(np.abs(a - b).sum())


@pytest.mark.parametrize(
    ("compared", "name"),
    [
        ({"metric": absolute}, "metric"),
        ({"metric": "minkowski", "metric_kwds": {"w": np.arange(1.0, 5)}}, "metric_kwds"),
    ],
    ids=["a function", "an array"],
)
def test_rows_are_never_compared_otherwise_than_by_the_fit(
    compared: dict[str, Any], name: str, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    given = {"quality": "fast", "n_epochs": 5, "random_state": 0, **compared}
    mapper = ParametricUMAP(**given).fit(rows)
    mapper.save(tmp_path / "first", landmarks=30)
    ParametricUMAP.load(tmp_path / "first").save(tmp_path / "again", landmarks=30)
    for path in (tmp_path / "first", tmp_path / "again"):
        loaded = ParametricUMAP.load(path)
        np.testing.assert_array_equal(loaded.transform(rows), mapper.transform(rows))
        calls: list[Any] = [loaded.to_routine, lambda kept=loaded: kept.confidence(rows)]
        calls += [
            lambda kept=loaded, known=known: kept.update(rows, known) for known in (None, rows)
        ]
        for call in calls:
            with pytest.raises(
                ValueError, match=f"needs {name} as the fit had it.*give it to load"
            ):
                call()
        with pytest.raises(ValueError, match=f"placement='median' needs {name} as the fit had it"):
            loaded.set_params(placement="median").save(tmp_path / "none")
    told = ParametricUMAP.load(tmp_path / "again", **compared)
    assert np.isfinite(told.confidence(rows).kept_neighbors).all()
    if name == "metric_kwds":
        with pytest.raises(ValueError, match="metric_kwds must hold numbers and text alone for a "):
            mapper.set_params(placement="median").save(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_file_has_the_networks_of_the_fit(tmp_path: Path) -> None:
    rows, path = X[:80], tmp_path / "mapper.safetensors"
    mapper = ParametricUMAP(hidden_dims=(8, 4), batch_size=np.int64(40), **GIVEN).fit(rows)
    placed = mapper.transform(rows)
    mapper.set_params(
        hidden_dims=[3], quality="best", batch_size=7, n_components=3, n_training_epochs=2
    )
    mapper.save(path)
    loaded = ParametricUMAP.load(path)
    found = {name: getattr(loaded, name) for name in ("hidden_dims", "quality", "batch_size")}
    assert found == {"hidden_dims": [8, 4], "quality": "fast", "batch_size": 40}
    assert (loaded.n_components, loaded.n_training_epochs) == (2, 1)
    assert dr.ParametricDR.load(path).hidden_dims == [8, 4]
    np.testing.assert_array_equal(loaded.transform(rows), placed)
    routine = mapper.to_routine()
    assert (routine.out_dim, routine.quality) == (2, "fast")
    np.testing.assert_array_equal(routine.apply(rows).numpy(), placed)
    loaded.set_params(hidden_dims=[5]).save(path)
    assert ParametricUMAP.load(path).hidden_dims == [8, 4]
    mapper.set_params(placement=3)
    with pytest.raises(
        ValueError, match="placement must be one of 'network', 'median', 'mutual', not 3"
    ):
        mapper.save(path)


def test_a_file_without_rows_has_no_median(fitted: ParametricUMAP, tmp_path: Path) -> None:
    copy.deepcopy(fitted).set_params(placement="network").save(tmp_path / "network.safetensors")
    loaded = ParametricUMAP.load(tmp_path / "network.safetensors", placement="median")
    with pytest.raises(ValueError, match="placement='median' needs rows of the fit"):
        loaded.transform(NEW)
    with pytest.raises(ValueError, match="placement='median' keeps rows of the fit"):
        loaded.save(tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()


def test_results_in_a_file_are_told_apart(fitted: ParametricUMAP, tmp_path: Path) -> None:
    found = fitted.transform(NEW, out=tmp_path / "Y.npy")
    np.testing.assert_array_equal(found, fitted.transform(NEW))
    by_network = copy.deepcopy(fitted).set_params(placement="network")
    assert _digest(by_network) != _digest(fitted) == _digest(pickle.loads(pickle.dumps(fitted)))


def test_the_median_follows_an_update(fitted: ParametricUMAP) -> None:
    mapper = copy.deepcopy(fitted)
    mapper.transform(NEW)
    mapper.update(NEW)
    np.testing.assert_array_equal(mapper.transform(NEW), mapper.embedding_[300:])
    assert clone(mapper).placement == "median"
    assert repr(clone(mapper)).count("placement='median'") == 1


def test_a_sample_places_all_rows() -> None:
    mapper = ParametricUMAP(placement="median", sample=200, **GIVEN).fit(X)
    np.testing.assert_array_equal(mapper.transform(X), mapper.embedding_)
    others = np.setdiff1d(np.arange(300), mapper.sample_indices_)
    chosen = mapper.sample_indices_
    expected = medians(mapper.embedding_[chosen], X[others], X[chosen])
    np.testing.assert_allclose(mapper.embedding_[others], expected, rtol=1e-4, atol=1e-4)


def test_confidence_is_in_the_places_of_transform(fitted: ParametricUMAP) -> None:
    by_network = copy.deepcopy(fitted).set_params(placement="network")
    kept = [mapper.confidence(NEW).kept_neighbors.mean() for mapper in (fitted, by_network)]
    assert kept[0] > kept[1]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            {"placement": "layout"},
            "placement must be one of 'network', 'median', 'mutual', not 'layout'",
        ),
        ({"placement": "median", "max_memory": 1000.0}, "which placement='median' needs"),
        ({"placement": "mutual", "max_memory": 1000.0}, "which placement='mutual' needs"),
    ],
    ids=["another", "rows that stay as they are", "for mutual neighbours"],
)
def test_what_cannot_be_placed(given: dict[str, Any], match: str) -> None:
    mapper = ParametricUMAP(**GIVEN, **given)
    with pytest.raises(ValueError, match=match):
        mapper.fit((16 * X).astype(np.int8))
    assert not hasattr(mapper, "model_")


def test_a_placement_is_checked_where_rows_are_placed(fitted: ParametricUMAP) -> None:
    with pytest.raises(
        ValueError, match="placement must be one of 'network', 'median', 'mutual', not 3"
    ):
        copy.deepcopy(fitted).set_params(placement=3).transform(NEW)
