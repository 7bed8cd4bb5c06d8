"""Distances and neighbours that are given: those lacking, rounding, and what umap-learn makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import cdist

from fastparadime import UMAP, KNNTransformer, neighbors, ops, relations, routines, transforms

N, K = 60, 8  # K counts the point itself
FAR = 1.7  # some rows have fewer than K - 1 others nearer than this


def points() -> np.ndarray:
    X = np.random.default_rng(0).normal(size=(N, 3))
    X[30:] += 8
    return X


def table() -> np.ndarray:
    """Distances, infinite from FAR on."""
    D = cdist(points(), points())
    return np.where(D < FAR, D, np.inf)


ALONE = [4, 15, 59]  # points that have none


def stored(D: np.ndarray) -> Any:
    """A sparse matrix of the finite ones."""
    heads, tails = np.nonzero(np.isfinite(D))
    return scipy.sparse.csr_matrix((D[heads, tails], (heads, tails)), shape=D.shape)


def lists(D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The K nearest of each row, itself first, -1 at infinite distances."""
    indices = np.argsort(D, axis=1, kind="stable")[:, :K]
    distances = np.take_along_axis(D, indices, axis=1)
    return np.where(np.isfinite(distances), indices, -1), distances


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_neighbors": K, "n_epochs": 20, "random_state": 0, **options})


def strengths_of_umap_learn(D: np.ndarray, connectivity: float = 1.0, **options: Any) -> Any:
    """umap-learn's directed strengths by a table of distances; its functions without compiling."""
    umap = pytest.importorskip("umap", reason="umap-learn is not installed").umap_
    indices, distances = lists(D)
    distances = distances.astype(np.float32)
    with np.errstate(invalid="ignore"):
        scales = umap.smooth_knn_dist.py_func(distances, K, local_connectivity=connectivity)
    heads, tails, strengths, _ = umap.compute_membership_strengths.py_func(
        indices, distances, *scales, **options
    )
    matrix = scipy.sparse.coo_matrix((strengths, (heads, tails)), shape=D.shape).tocsr()
    matrix.eliminate_zeros()
    return matrix


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_form_gives_the_graph_of_umap_learn() -> None:
    D = table()
    directed = strengths_of_umap_learn(D)
    expected = directed + directed.T - directed.multiply(directed.T)
    graph = stored(D)
    nearest = KNNTransformer(n_neighbors=K - 1, metric="precomputed").fit_transform(D)
    known = relations.NeighborBasedPDist(K - 1, "precomputed").compute_relations(D)
    rescaled = transforms.ConnectivityBasedRescale(K, rule="umap")(known)
    found = {
        "dense": quick(metric="precomputed").fit(D).graph_,
        "sparse": quick(metric="precomputed").fit(graph).graph_,
        "too far": quick(metric="precomputed", disconnection_distance=FAR)
        .fit(np.where(np.isfinite(D), D, 3.0))
        .graph_,
        "lists": quick(precomputed_knn=lists(D)).fit(points()).graph_,
        "lists without the point": quick(precomputed_knn=tuple(p[:, 1:] for p in lists(D)))
        .fit(points())
        .graph_,
        "knn": quick(precomputed_knn=neighbors.knn(D, K - 1, "precomputed")).fit(points()).graph_,
        "matrix": quick(precomputed_knn=graph).fit(points()).graph_,
        "transformer": quick(metric="precomputed").fit(nearest).graph_,
        "relations": transforms.Symmetrize(subtract_product=True)(rescaled).data,
    }
    for form, made in found.items():
        assert made.nnz == expected.nnz, form
        assert abs(made - expected).max() < 5e-6, form


def test_what_is_lacking_is_said_and_kept() -> None:
    D = table()
    fewer = int((np.isfinite(D).sum(axis=1) < K).sum())
    assert 5 < fewer < 30
    message = f"X holds fewer than k = 7 other points in {fewer} of 60 rows, least in row 4 with 0"
    with (
        pytest.warns(UserWarning, match="3 of 60 points have no edge in the graph and get NaN"),
        pytest.warns(UserWarning, match=message) as caught,
    ):
        fit = quick(metric="precomputed", random_state=3).fit(D)
    assert [warning.filename for warning in caught] == [__file__] * 2
    assert np.flatnonzero(np.isnan(fit.embedding_).any(axis=1)).tolist() == ALONE
    indices, distances = lists(D)
    np.testing.assert_array_equal(fit._knn_indices, indices)
    np.testing.assert_allclose(fit._knn_dists, distances, rtol=1e-6)
    # Rows of the fit are found again; those without neighbours have no place.
    np.testing.assert_array_equal(fit.transform(D), fit.embedding_)
    np.testing.assert_array_equal(fit.transform(stored(D)), fit.embedding_)
    new = np.full((2, N), np.inf)
    new[0, 3] = 1.0
    placed = fit.transform(new)
    np.testing.assert_allclose(placed[0], fit.embedding_[3], atol=1.0)
    assert np.isnan(placed[1]).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_memberships_of_new_rows_are_those_of_umap_learn() -> None:
    D = table()
    fit = quick(metric="precomputed", transform_mode="graph").fit(D)
    new = D + 0.01
    lacking = np.isfinite(new).sum(axis=1) < K
    for part in (new[lacking], new[~lacking]):  # umap-learn's depend on the others of the batch
        expected = strengths_of_umap_learn(part, 0.0, bipartite=True)
        assert fit.transform(part).nnz == expected.nnz
        assert abs(fit.transform(part) - expected).max() < 1e-5


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_densmap_of_rows_that_lack_neighbours() -> None:
    fit = quick(metric="precomputed", densmap=True, output_dens=True).fit(table())
    finite = np.isfinite(fit.rad_orig_)
    assert np.flatnonzero(~finite).tolist() == ALONE
    D, graph = np.where(np.isfinite(table()), table(), 0), fit.graph_
    weights = graph.toarray()
    weights[weights < 1 / 20] = 0  # not sampled in 20 epochs
    means = np.average(D[finite] ** 2, axis=1, weights=weights[finite])
    np.testing.assert_allclose(fit.rad_orig_[finite], np.log(means), rtol=1e-4, atol=1e-6)


def test_rounding_below_zero_is_zero() -> None:
    rng = np.random.default_rng(0)
    U = rng.normal(size=(80, 200)).astype(np.float32)
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    D = 1 - U @ U.T
    assert np.diag(D).min() < 0 < np.diag(D).max()
    D[0, 1] = D[1, 0] = -1e-6
    graph = neighbors.knn(D, 5, "precomputed")
    assert graph.distances[:2, 0].tolist() == [0, 0]
    assert (graph.distances[2:] > 0.5).all()
    clean = np.where(D > 1e-5, D, 0)
    expected = quick(metric="precomputed").fit(clean).graph_
    for given in (D, D.astype(np.float64), scipy.sparse.csr_matrix(D)):
        fit = quick(metric="precomputed").fit(given)
        assert (fit.graph_ != expected).nnz == 0
        assert np.isfinite(fit.transform(given[:3])).all()
    indices = np.argsort(D, axis=1)[:, :K]  # the point itself is not always first
    fit = quick(precomputed_knn=(indices, np.take_along_axis(D, indices, axis=1))).fit(U)
    assert (fit.graph_ != expected).nnz == 0
    ours = KNNTransformer(metric="precomputed").fit_transform(D)
    assert ours.min() == 0
    # To the share of the largest of the row.
    D[3, 7] = D[7, 3] = -5e-5
    with pytest.raises(ValueError, match=r"X must hold .* not negative, but row 3 has -4.99.*"):
        quick(metric="precomputed").fit(D)
    quick(metric="precomputed").fit(np.where(np.abs(D) > 0.5, 10 * D, D))
    with pytest.raises(ValueError, match=r"row 0 has -0.5 in column 1"):
        quick(metric="precomputed").fit(cosine_like()).transform(-cosine_like() / 2)


def cosine_like() -> np.ndarray:
    return 1.0 - np.eye(10)


def test_lists_with_points_that_found_fewer() -> None:
    """As pynndescent gives them."""
    X = points()
    indices, distances = lists(cdist(X, X).astype(np.float32))
    indices[4, 5:], distances[4, 5:] = -1, np.inf
    indices[9], distances[9] = -1, np.nan  # what stands at no index counts nothing
    with pytest.warns(UserWarning, match="precomputed_knn holds fewer than k = 7 .* in 2 of 60"):
        fit = quick(precomputed_knn=(indices, distances)).fit(X)
    directed = fit.graph_[4, indices[4, 1:5]].toarray()
    np.testing.assert_allclose(directed, 1.0, rtol=1e-6)
    assert np.isfinite(fit.embedding_).all()  # others list the point that found none
    assert (fit._knn_indices[9, 1:] == -1).all()


def test_graphs_of_scikit_learn_keep_zeros() -> None:
    from sklearn.neighbors import kneighbors_graph

    X = np.repeat(points(), 2, axis=0)
    for include_self in (False, True):
        graph = kneighbors_graph(X, K, mode="distance", include_self=include_self)
        assert (graph.data == 0).sum() >= 2 * N
        fit = quick(metric="precomputed").fit(graph)
        plain = quick().fit(X)
        assert abs(fit.graph_ - plain.graph_).max() < 1e-3
        kept = KNNTransformer(n_neighbors=K - 1, metric="precomputed").fit_transform(graph)
        np.testing.assert_allclose(
            kept.toarray(), KNNTransformer(n_neighbors=K - 1).fit_transform(X).toarray(), atol=1e-6
        )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_transformer_drops_what_is_none() -> None:
    D = table()
    expected = np.minimum(np.isfinite(D).sum(axis=1), K)
    for given in (D, stored(D), D.astype(np.float32)):
        ours = KNNTransformer(n_neighbors=K - 1, metric="precomputed")
        graph = ours.fit_transform(given)
        np.testing.assert_array_equal(np.diff(graph.indptr), expected)
        again = ours.transform(given)
        np.testing.assert_array_equal(np.diff(again.indptr), expected)
        np.testing.assert_array_equal(graph.toarray(), again.toarray())
    assert graph.dtype == np.float32
    ones = KNNTransformer(mode="connectivity", n_neighbors=K, metric="precomputed")
    np.testing.assert_array_equal(ones.fit_transform(D).toarray(), graph.astype(bool).toarray()
                                  | np.eye(N, dtype=bool))  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_perplexity_of_rows_that_lack_neighbours(device: torch.device) -> None:
    from fastparadime.ops import reference

    distances = torch.from_numpy(lists(table())[1][:, 1:]).float()
    weights, beta = ops.perplexity(distances.to(device), 3.0)
    expected, betas = reference.perplexity(distances.numpy(), 3.0)
    np.testing.assert_allclose(weights.cpu(), expected, atol=1e-5)
    np.testing.assert_allclose(beta.cpu(), betas, rtol=1e-4)
    sums = weights.sum(dim=1)
    assert np.flatnonzero(sums.cpu() == 0).tolist() == ALONE
    np.testing.assert_allclose(sums[sums > 0].cpu(), 1, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "routine",
    [
        routines.ParametricUMAP(7, metric="precomputed", epochs=2, init_epochs=1, seed=0),
        routines.ParametricUMAP(7, metric="precomputed", quality="fast", seed=0),
        routines.ParametricTSNE(3.0, metric="precomputed", epochs=2, init_epochs=1, seed=0),
    ],
)
def test_routines_train_on_what_is_known(routine: Any) -> None:
    """Relations of a table of distances, a model of the rows."""
    X = torch.from_numpy(points()).float()
    known = routine.global_relations["rel"]
    routine.global_relations["rel"] = relations.Precomputed(
        known.compute_relations(table()).to_sparse_array().data
    )
    routine.train(X)
    assert bool(torch.isfinite(routine.apply(X)).all())


def test_a_tuple_with_rows_filled_up() -> None:
    indices = torch.tensor([[1, 2], [0, -1], [-1, -1]])
    values = torch.tensor([[1.0, 2.0], [4.0, np.inf], [np.inf, np.inf]])
    known = relations.Precomputed((indices, values)).compute_relations()
    dense = torch.tensor([[0.0, 1, 2], [4, 0, 0], [0, 0, 0]])
    assert torch.equal(known.to_square_tensor().data, dense)
    assert known.to_sparse_array().data.nnz == 3
    assert torch.equal(known.sub([0, 1]), dense[:2, :2])
    for transform, total in ((transforms.Normalize(), 7.0), (transforms.NormalizeRows(), None)):
        found = transform(known).to_square_tensor().data
        sums = dense.sum(1, keepdim=True) if total is None else total
        torch.testing.assert_close(found[:2], (dense / sums)[:2])
    joined = transforms.Symmetrize()(transforms.Normalize()(known)).to_square_tensor().data
    torch.testing.assert_close(joined, (dense + dense.T) / 14)
    kernel = transforms.AdaptiveNeighborhoodRescale(
        lambda row, param: row * param, lambda row, _: float(len(row))
    )
    kernel._get_comparison_constant = lambda: 0.0
    rescaled = kernel(known)
    assert rescaled.values.tolist() == [[2.0, 4.0], [4.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((3, 5, np.nan), "X must hold distances, not negative, but row 3 has nan in column 5"),
        ((3, 5, -0.25), "but row 3 has -0.25 in column 5"),
        ((3, 3, 0.25), "diagonal of zeros .* but row 3 has 0.25"),
    ],
)
@pytest.mark.parametrize("kind", [UMAP, KNNTransformer])
def test_bad_distances(kind: Any, change: tuple[int, int, float], message: str) -> None:
    D = cdist(points(), points())
    row, column, value = change
    D[row, column] = value
    with pytest.raises(ValueError, match=message):
        kind(metric="precomputed").fit_transform(D)
    if row != column:
        fit = kind(metric="precomputed").fit(cdist(points(), points()))
        with pytest.raises(ValueError, match=message):
            fit.transform(D)
        with pytest.raises(ValueError, match=message):
            kind(metric="precomputed").fit_transform(scipy.sparse.csr_matrix(D))


def test_a_start_by_principal_components_needs_finite_distances() -> None:
    with pytest.raises(ValueError, match=r"init='pca' needs rows without .* infinite distances"):
        quick(metric="precomputed", init="pca").fit(table())
