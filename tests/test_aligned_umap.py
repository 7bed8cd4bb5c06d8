"""AlignedUMAP: maps of related tables, kept close, good as maps of each, and growing by tables."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from fastparadime import UMAP, AlignedUMAP
from fastparadime.layout import aligned

Floats = npt.NDArray[np.float64]
STEP, SIZE = 25, 50
# Of five slices of 50 rows, each of which begins in the middle of the one before.
RELATIONS = [{row + STEP: row for row in range(STEP)} for _ in range(4)]


@pytest.fixture(scope="module")
def slices() -> tuple[list[Floats], list[Any]]:
    X, y = load_iris(return_X_y=True)
    starts = range(0, 125, STEP)
    return [X[i : i + SIZE] for i in starts], [y[i : i + SIZE] for i in starts]


@pytest.fixture(scope="module")
def model(slices: Any) -> AlignedUMAP:
    return AlignedUMAP(random_state=0).fit(slices[0], relations=RELATIONS)


def neighbors_kept(X: Floats, embedding: Floats, k: int = 10) -> float:
    true, found = (np.argsort(pairwise_distances(part), axis=1)[:, :k] for part in (X, embedding))
    both = [np.isin(a, b).mean() for a, b in zip(true, found, strict=True)]
    return float(np.mean(both))


def drift(embeddings: list[Any]) -> float:
    """The mean distance between maps of the same row, as a share of the maps' size."""
    pairs = itertools.pairwise(embeddings)
    gaps = [np.linalg.norm(a[STEP:] - b[:STEP], axis=1).mean() for a, b in pairs]
    size = np.mean([np.linalg.norm(part - part.mean(axis=0), axis=1).mean() for part in embeddings])
    return float(np.mean(gaps) / size)


def test_each_map_keeps_neighbors_and_clusters(slices: Any, model: AlignedUMAP) -> None:
    for X, embedding in zip(slices[0], model.embeddings_, strict=True):
        assert embedding.shape == (SIZE, 2)
        assert neighbors_kept(X, embedding) >= 0.65
    for table, bound in ((1, 0.75), (3, 0.40)):
        labels = KMeans(n_clusters=2, random_state=0).fit_predict(model.embeddings_[table])
        assert adjusted_rand_score(slices[1][table], labels) >= bound


def test_related_rows_lie_close(slices: Any, model: AlignedUMAP) -> None:
    apart = AlignedUMAP(random_state=0, alignment_regularisation=0.0)
    apart.fit(slices[0], relations=RELATIONS)
    assert drift(model.embeddings_) < 0.5 * drift(apart.embeddings_)
    tight = AlignedUMAP(random_state=0, alignment_regularisation=1.0)
    tight.fit(slices[0], relations=RELATIONS)
    assert drift(tight.embeddings_) < 0.5 * drift(model.embeddings_)


def test_without_a_pull_maps_are_those_of_their_tables(slices: Any) -> None:
    apart = AlignedUMAP(random_state=0, alignment_regularisation=0.0, n_epochs=30)
    found = apart.fit_transform(slices[0][:2], relations=RELATIONS[:1])
    assert found is apart.embeddings_
    for mapper, X in zip(apart.mappers_, slices[0], strict=False):
        assert (mapper.graph_ != UMAP().fit(X).graph_).nnz == 0


def test_the_same_bits_for_any_number_of_threads(slices: Any, set_threads: Any) -> None:
    found = []
    for threads in (1, 3):
        set_threads(threads)
        made = AlignedUMAP(random_state=3, n_epochs=30).fit(slices[0], relations=RELATIONS)
        found.append(np.concatenate(made.embeddings_))
    np.testing.assert_array_equal(*found)
    unseeded = AlignedUMAP(n_epochs=10).fit(slices[0], relations=RELATIONS)
    again = AlignedUMAP(n_epochs=10, random_state=unseeded.seed_)
    np.testing.assert_array_equal(
        again.fit_transform(slices[0], relations=RELATIONS)[3], unseeded.embeddings_[3]
    )


def test_a_table_is_added(slices: Any) -> None:
    model = AlignedUMAP(random_state=0).fit(slices[0][:3], relations=RELATIONS[:2])
    before = [part.copy() for part in model.embeddings_]
    copied = pickle.loads(pickle.dumps(model))
    model.update(slices[0][3], relations=RELATIONS[2])
    assert model.n_models_ == len(model.mappers_) == len(model.embeddings_) == 4
    assert model.dict_relations_ == RELATIONS[:3]
    for old, now in zip(before, model.embeddings_, strict=False):
        np.testing.assert_array_equal(old, now)
    assert neighbors_kept(slices[0][3], model.embeddings_[3]) >= 0.6
    assert drift(model.embeddings_[2:]) < 0.7  # 0.52, and 2.1 without a pull
    copied.update(slices[0][3], relations=RELATIONS[2])
    np.testing.assert_array_equal(copied.embeddings_[3], model.embeddings_[3])


def test_parameters_of_each_table_and_nothing_of_the_caller_changes(slices: Any) -> None:
    n_neighbors, relations = [10, 12, 8], list(RELATIONS[:2])
    model = AlignedUMAP(n_neighbors=n_neighbors, n_epochs=20, random_state=0)
    model.fit(slices[0][:3], relations=relations)
    assert [mapper.n_neighbors for mapper in model.mappers_] == n_neighbors
    with pytest.raises(ValueError, match="n_neighbors must have a value for each table, but has 3"):
        model.update(slices[0][3], relations=RELATIONS[2])
    model.update(slices[0][3], relations=RELATIONS[2], n_neighbors=7, min_dist=0.3)
    assert model.mappers_[3].n_neighbors == 7
    assert model.mappers_[3].min_dist == 0.3
    assert n_neighbors == [10, 12, 8]
    assert len(relations) == 2
    assert clone(model).n_neighbors == [10, 12, 8]


def test_mappers_place_new_rows_in_the_aligned_maps(slices: Any, model: AlignedUMAP) -> None:
    for X, mapper, embedding in zip(slices[0], model.mappers_, model.embeddings_, strict=True):
        np.testing.assert_array_equal(mapper.embedding_, embedding)
        np.testing.assert_array_equal(mapper.transform(X[:3]), embedding[:3])
        offsets = mapper.transform(X + 1e-3) - embedding
        assert np.median(np.linalg.norm(offsets, axis=1)) < 1.5


def test_labels_sparse_rows_tensors_and_windows(slices: Any) -> None:
    X, y = slices
    options: dict[str, Any] = {"n_epochs": 10, "random_state": 0}
    plain = AlignedUMAP(**options).fit_transform(X, relations=RELATIONS)
    supervised = AlignedUMAP(**options).fit_transform(X, [*y[:4], None], relations=RELATIONS)
    assert not np.array_equal(plain[1], supervised[1])
    sparse = [scipy.sparse.csr_matrix(part) for part in X]
    found = AlignedUMAP(**options).fit_transform(sparse, relations=RELATIONS)
    assert np.isfinite(found[4]).all()
    tensors = AlignedUMAP(**options).fit_transform(
        [torch.from_numpy(part) for part in X], relations=RELATIONS
    )
    assert isinstance(tensors[0], torch.Tensor)
    array = AlignedUMAP(**options).fit_transform(np.stack(X), relations=RELATIONS)
    np.testing.assert_array_equal(array[2], plain[2])
    near = AlignedUMAP(**options).fit_transform(X, relations=RELATIONS, window_size=1)
    wanted = AlignedUMAP(**options, alignment_window_size=1).fit_transform(X, relations=RELATIONS)
    np.testing.assert_array_equal(near[2], wanted[2])


def test_defaults_are_those_of_umap_learn() -> None:
    umap = pytest.importorskip("umap", reason="umap-learn is not installed")
    assert list(AlignedUMAP().get_params()) == list(umap.AlignedUMAP().get_params())
    ours, theirs = AlignedUMAP().get_params(), umap.AlignedUMAP()
    for name, value in ours.items():
        assert value == getattr(theirs, name, value)


@pytest.mark.parametrize(
    ("options", "fit", "error", "message"),
    [
        ({}, {}, ValueError, "relations between the tables must be given"),
        ({}, {"relations": RELATIONS[:1]}, ValueError, "one dictionary fewer .*, 2, not 1"),
        ({}, {"relations": 3}, TypeError, "relations must be a list of dictionaries, not int"),
        ({}, {"relations": [{0: 1}, 3]}, TypeError, r"relations\[1\] must be a dictionary"),
        ({}, {"relations": [{0: 50}, {}]}, ValueError, r"rows in \[0, 50\) as values, not 50"),
        ({}, {"relations": [{-1: 5}, {}]}, ValueError, r"rows in \[0, 50\) as keys, not -1"),
        ({}, {"relations": [{}, {}], "no": 1}, TypeError, "unexpected keyword argument 'no'"),
        ({"n_components": [2, 2, 2]}, {"relations": [{}, {}]}, TypeError, "n_components must be"),
        ({"n_epochs": -1}, {"relations": [{}, {}]}, ValueError, "n_epochs must be"),
        ({"init": np.ones((50, 2))}, {"relations": [{}, {}]}, ValueError, "init must be the name"),
        ({"unique": True}, {"relations": [{}, {}]}, ValueError, "unique must be False"),
        ({"alignment_regularisation": -1}, {"relations": [{}, {}]}, ValueError, "alignment_reg"),
        ({"n_neighbors": [5, 5]}, {"relations": [{}, {}]}, ValueError, "none for table 2"),
    ],
)
def test_refused(
    slices: Any, options: dict[str, Any], fit: dict[str, Any], error: Any, message: str
) -> None:
    model = AlignedUMAP(**options)
    with pytest.raises(error, match=message):
        model.fit(slices[0][:3], **fit)
    assert not hasattr(model, "embeddings_")


def test_a_table_that_is_refused_changes_nothing(slices: Any) -> None:
    model = AlignedUMAP(n_epochs=5, random_state=0).fit(slices[0][:2], relations=RELATIONS[:1])
    for relations, error in (({0: 50}, ValueError), ([{0: 1}], TypeError)):
        with pytest.raises(error, match="relations must"):
            model.update(slices[0][2], relations=relations)
    with pytest.raises(ValueError, match="NaN"):
        model.update(slices[0][2] * np.nan, relations={0: 0})
    assert len(model.embeddings_) == len(model.mappers_) == model.n_models_ == 2
    assert model.dict_relations_ == RELATIONS[:1]


def test_relations_are_chained_both_ways() -> None:
    sizes = [4, 4, 3, 4]
    relations = [{0: 1, 1: 2, 2: 0, 3: 3}, {0: 0, 2: 1, 3: 2}, {1: 0, 2: 3}]
    rows = aligned.related_rows(relations, sizes)
    found = [aligned.relations_within(rows, sizes, table, 3) for table in range(4)]
    assert {offset: part.tolist() for offset, part in found[0].items()} == {
        1: [1, 2, 0, 3], 2: [-1, 1, 0, 2], 3: [-1, 0, -1, 3],
    }  # fmt: skip
    assert {offset: part.tolist() for offset, part in found[2].items()} == {
        1: [-1, 0, 3], -1: [0, 2, 3], -2: [2, 1, 3],
    }  # fmt: skip
    assert aligned.relations_within(rows, sizes, 3, 1)[-1].tolist() == [1, -1, -1, 2]


def test_shared_neighborhoods_are_jaccard_indices() -> None:
    rng = np.random.default_rng(0)
    first = scipy.sparse.random(20, 20, 0.2, "csr", random_state=rng)
    second = scipy.sparse.random(25, 25, 0.2, "csr", random_state=rng)
    rows = rng.permutation(25)[:20]
    rows[::4] = -1
    found = aligned.shared_neighborhoods(first, second, rows)
    images = set(rows[rows >= 0].tolist())
    for row in range(20):
        if rows[row] < 0:
            assert found[row] == 0
            continue
        own = {rows[j] for j in first[row].indices if rows[j] >= 0}
        other = set(second[rows[row]].indices) & images
        wanted = len(own & other) / len(own | other) if own | other else 1.0
        assert found[row] == pytest.approx(wanted)


@pytest.mark.filterwarnings("ignore:n_neighbors is lowered:UserWarning")
def test_points_without_neighbors_get_nan_and_pull_no_other() -> None:
    X = np.zeros((31, 7))
    X[:30, :6] = np.random.default_rng(0).random((30, 6))
    X[30, 6] = 1
    model = AlignedUMAP(metric="hellinger", n_neighbors=5, n_epochs=20, random_state=0)
    with pytest.warns(UserWarning, match="1 of 31 points have no neighbour nearer than 0.999999"):
        model.fit([X, X], relations=[{row: row for row in range(31)}])
    with pytest.warns(UserWarning, match="1 of 31 points have no neighbour nearer than 0.999999"):
        model.update(X, relations={29: 30, 30: 29, **{row: row for row in range(29)}})
    for embedding in model.embeddings_:
        assert np.flatnonzero(np.isnan(embedding[:, 0])).tolist() == [30]
