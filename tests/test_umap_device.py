"""UMAP and KNNTransformer on a device: tensors go in and come out there, and what is refused."""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import cdist

from fastparadime import UMAP, KNNTransformer, ops
from fastparadime.estimators import _rows
from fastparadime.estimators._parameters import check_parameters, check_places
from fastparadime.exceptions import CUDANotAvailableError
from fastparadime.graph.set_operations import AlignedGraphs, joined_by_sorting
from fastparadime.layout import initialization
from fastparadime.neighbors import knn
from fastparadime.neighbors.metric_space import DEVICE_METRICS, Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.neighbors.query_searches import TileSearch

N, NEW = 120, 25
LABELS = np.where(np.arange(N) % 4, np.arange(N) % 3, -1)


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 10, "n_neighbors": 8, "random_state": 0, **options})


def rows(n: int = N + NEW, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 5)) + 2 * rng.integers(0, 3, (n, 1))).astype(np.float32)


def check(found: Any, expected: np.ndarray, device: torch.device, atol: float = 0.0) -> None:
    """That a result is a tensor on the device: the array's on the CPU, elsewhere within `atol`."""
    assert isinstance(found, torch.Tensor)
    assert found.device.type == device.type
    atol = 0.0 if device.type == "cpu" else atol
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=0, atol=atol)


@pytest.fixture
def tables(device: torch.device) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Rows of a fit and new ones, as arrays and as tensors on the device."""
    X, new = np.split(rows(), [N])
    X[:3] = X[3:6]
    return [(part, torch.from_numpy(part).to(device)) for part in (X, new)]


# Rounding grows in a layout, so on a device positions are compared before its first step.
@pytest.mark.parametrize(
    ("options", "y"),
    [
        ({}, None),
        ({"init": "random", "n_epochs": [0, 5]}, None),
        ({"init": rows(N, 3)[:, :2]}, None),
        ({"metric": "cosine", "local_connectivity": 1.5, "set_op_mix_ratio": 0.5}, None),
        ({"metric": "correlation", "init": "pca", "n_components": 3}, None),
        ({"metric": "manhattan"}, None),
        ({"metric": "minkowski", "metric_kwds": {"p": 3, "w": np.arange(1, 6)}}, None),
        ({"metric": "mahalanobis"}, None),
        ({"metric": "seuclidean"}, None),
        ({"unique": True}, LABELS),
        ({"target_metric": "euclidean"}, LABELS.astype(float)),
    ],
    ids=str,
)
def test_fits(tables: Any, device: torch.device, options: dict[str, Any], y: Any) -> None:
    (X, there), _ = tables
    expected, found = quick(**options).fit(X, y), quick(**options).fit(there, y)
    np.testing.assert_allclose(found.graph_.toarray(), expected.graph_.toarray(), atol=1e-4)
    if device.type == "cpu":
        check(found.embedding_, expected.embedding_, device)
    wanted, start = (
        quick(**{**options, "n_epochs": 0}).fit_transform(part, y) for part in (X, there)
    )
    # The sign of an eigenvector is rounding's choice on a device.
    flips = (start.cpu() - torch.from_numpy(wanted)).abs().amax(dim=0) > 1
    flips &= torch.tensor(device.type != "cpu")
    check(torch.where(flips.to(device), 10 - start, start), wanted, device, atol=0.02)
    if isinstance(options.get("n_epochs"), list):
        assert [part.device.type for part in found.embedding_list_] == 2 * [device.type]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "chebyshev", "seuclidean"])
def test_transform_and_back(tables: Any, device: torch.device, metric: str) -> None:
    (X, there), (new, others) = tables
    expected, found = quick(metric=metric).fit(X), quick(metric=metric).fit(there)
    placed = found.transform(others)
    if device.type == "cpu":
        check(placed, expected.transform(new), device)
    both = found.transform(torch.cat([others[:7], there[3:9]]))
    assert torch.equal(both[:7], placed[:7])
    assert torch.equal(both[7:], torch.cat([found.embedding_[:3], found.embedding_[6:9]]))
    back = found.inverse_transform(found.embedding_[10:20])
    assert ((back >= there.amin(dim=0) - 1e-4) & (back <= there.amax(dim=0) + 1e-4)).all()
    if device.type == "cpu":
        check(back, expected.inverse_transform(found.embedding_[10:20].numpy()), device)
    assert isinstance(found.transform(new), np.ndarray)
    wide = found.transform(others.double())
    assert (wide.dtype, wide.device.type) == (torch.float64, device.type)


def test_rows_far_from_zero(tables: Any) -> None:
    (X, there), _ = tables
    expected = quick(n_epochs=0).fit(X)
    far = quick(n_epochs=0).fit(there.double() + 2**30)
    assert abs(far.graph_ - expected.graph_).max() < 1e-3
    back = far.inverse_transform(far.embedding_[:5])
    assert back.dtype == torch.float64
    assert float((back - 2**30 - there[:5]).abs().max()) < 10


def test_density(tables: Any, device: torch.device) -> None:
    (X, there), _ = tables
    options = {"densmap": True, "output_dens": True, "n_epochs": 40}
    expected, found = quick(**options).fit_transform(X), quick(**options).fit_transform(there)
    check(found[1], expected[1], device, atol=1e-4)
    if device.type == "cpu":
        check(found[0], expected[0], device)
        check(found[2], expected[2], device)
    assert found[0].device.type == found[2].device.type == device.type


def test_update_and_sets(tables: Any, device: torch.device) -> None:
    (X, there), (new, others) = tables
    expected, found = quick().fit(X).update(new), quick().fit(there).update(others)
    assert found.embedding_.shape == (N + NEW, 2)
    assert abs(found.graph_ - expected.graph_).max() < 1e-4
    for join in (operator.mul, operator.add, operator.sub):
        pairs = [
            [quick(metric=m).fit(part) for m in ("euclidean", "cosine")] for part in (X, there)
        ]
        arrays, tensors = (join(*pair) for pair in pairs)
        assert abs(tensors.graph_ - arrays.graph_).max() < 1e-4
        assert tensors.embedding_.device.type == device.type


def test_graphs_are_scipys(tables: Any) -> None:
    (X, there), (new, others) = tables
    expected, found = (quick(transform_mode="graph").fit(part) for part in (X, there))
    assert abs(found.transform(others) - expected.transform(new)).max() < 1e-4
    for metric in ("euclidean", "manhattan"):
        arrays, tensors = KNNTransformer(metric=metric), KNNTransformer(metric=metric)
        wanted, graph = arrays.fit_transform(X), tensors.fit_transform(there)
        assert scipy.sparse.issparse(graph)
        np.testing.assert_array_equal(graph.indptr, wanted.indptr)
        np.testing.assert_allclose(graph.toarray(), wanted.toarray(), rtol=1e-5, atol=1e-6)
        of_new = tensors.transform(others).toarray()
        np.testing.assert_allclose(of_new, arrays.transform(new).toarray(), rtol=1e-5, atol=1e-6)
        kept = there.clone()
        there.zero_()
        np.testing.assert_array_equal(tensors.transform(others).toarray(), of_new)
        there.copy_(kept)


def test_given_neighbours_and_the_device_asked_for(tables: Any, device: torch.device) -> None:
    (X, there), _ = tables
    expected = quick().fit(X)
    for given in (knn(there, 7), tuple(knn(there, 7)), cdist(X, X)):
        found = quick(precomputed_knn=given).fit(there)
        assert abs(found.graph_ - expected.graph_).max() < 1e-4
    moved = quick(device=device).fit_transform(X)
    assert isinstance(moved, np.ndarray)
    home = quick(device="cpu").fit_transform(there)
    assert home.device.type == device.type
    np.testing.assert_array_equal(home.cpu().numpy(), expected.embedding_)


@pytest.mark.parametrize(
    ("options", "X", "message"),
    [
        ({"metric": "canberra"}, rows(), "metric must be one of 'euclidean', .*, not 'canberra'"),
        ({"metric": "jaccard"}, rows(), "metric must be one of .* on 'cuda'"),
        ({"metric": "precomputed"}, rows(), "metric must be one of .* device='cpu' takes all"),
        ({"metric": np.dot}, rows(), "metric must be one of"),
        ({"target_metric": "ordinal"}, rows(), "target_metric must be one of .*, not 'ordinal'"),
        ({"target_metric": "canberra"}, rows(), "target_metric must be one of"),
        ({}, scipy.sparse.eye(9, format="csr"), "X is sparse, .* device must be 'cpu', not 'cuda'"),
    ],
)
def test_what_no_device_takes(options: dict[str, Any], X: Any, message: str) -> None:
    settings = check_parameters(quick(**options), X)
    check_places(settings, X, supervised=True, weighted=False)
    object.__setattr__(settings, "device", torch.device("cuda"))
    with pytest.raises(ValueError, match=message):
        check_places(settings, X, supervised=True, weighted=False)


@pytest.mark.parametrize("estimator", [quick(device="cuda"), KNNTransformer(device="cuda")])
def test_cuda_asked_for_and_absent(monkeypatch: pytest.MonkeyPatch, estimator: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CUDANotAvailableError, match="device 'cuda' was asked for"):
        estimator.fit(rows())
    assert not hasattr(estimator, "n_features_in_")
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda', not 'tpu'"):
        type(estimator)(device="tpu").fit(rows())


@pytest.mark.parametrize("metric", DEVICE_METRICS[:6])
@pytest.mark.parametrize("far", [0.0, 3000.0])
def test_search_by_tiles(device: torch.device, metric: str, far: float) -> None:
    X, new = np.split(rows(700) + np.float32(far), [600])
    there, queries = (torch.from_numpy(part).to(device) for part in (X, new))
    found = TileSearch(there, metric, 3.0)(queries, 9)
    expected = QueryIndex(X, Space(metric, 3.0)).nearest(new, 9)
    assert found[0].device.type == device.type
    assert (found[0].cpu() == expected[0]).float().mean() > 0.99  # neighbours as far may swap
    torch.testing.assert_close(found[1].cpu(), expected[1], rtol=1e-4, atol=1e-5)
    itself = TileSearch(there, metric, 3.0)(there[:5], 1)
    assert itself[0].flatten().tolist() == list(range(5))
    assert itself[1].flatten().tolist() == [0.0] * 5


def test_what_devices_do_in_another_way(device: torch.device) -> None:
    X = rows()
    X[40:60], X[7, 2], X[9, 2] = X[:20], np.nan, np.nan
    first, inverse = _rows.distinct_on_device(torch.from_numpy(X).to(device))
    wanted = _rows.distinct(X)
    assert sorted(first) == sorted(wanted[0])
    np.testing.assert_array_equal(first[inverse], wanted[0][wanted[1]])
    streams = _rows.row_streams(torch.from_numpy(X).to(device)).cpu()
    assert torch.equal(streams, _rows.row_streams(X))
    graphs = [quick().fit(rows(80, seed))._fitted_graph.edges for seed in (1, 2)]
    there = [ops.Edges(*(part.to(device) for part in graph)) for graph in graphs]
    indptr, tails = joined_by_sorting(*there)
    both = AlignedGraphs.of(*graphs)
    assert torch.equal(indptr.cpu(), both.indptr)
    assert torch.equal(tails.cpu(), both.tails)
    table = torch.from_numpy(rows()).to(device)
    found = initialization._pca_by_covariance(table, 2).cpu().numpy()
    expected = initialization.principal_components(rows(), 2)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_bad_tensors(device: torch.device) -> None:
    tensor = torch.from_numpy(rows()).to(device)
    fitted = quick().fit(tensor)
    bad = tensor.clone()
    bad[4, 1] = torch.nan
    for call in (fitted.transform, quick().fit, KNNTransformer().fit):
        with pytest.raises(
            ValueError, match="X must hold finite float32 values, but row 4 has nan"
        ):
            call(bad)
    with pytest.raises(ValueError, match="X has 3 features, but UMAP is expecting 5 features"):
        fitted.transform(tensor[:, :3])
    with pytest.raises(ValueError, match="X must have n_components = 2 columns, not 5"):
        fitted.inverse_transform(tensor)
    with pytest.raises(TypeError, match=re.escape("X has dtype torch.complex64")):
        quick().fit(tensor * 1j)
    with pytest.raises(ValueError, match="X must have at least 2 rows"):
        quick().fit(tensor[:1])
