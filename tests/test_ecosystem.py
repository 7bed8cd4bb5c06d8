"""The packages that take our estimators in place of their own: scanpy and BERTopic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import pyplot as plt
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from fastparadime import UMAP, KNNTransformer

N, KINDS = 300, 3


@pytest.fixture
def rows() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Three directions in 20 dimensions, and which of them each row follows."""
    rng = np.random.default_rng(0)
    kinds = np.arange(N) % KINDS
    centers = 6 * np.eye(KINDS, 20)
    return (centers[kinds] + rng.normal(size=(N, 20))).astype(np.float32), kinds


@pytest.fixture
def cells(rows: Any) -> Any:
    """The rows as cells of 20 genes, with ten principal components."""
    anndata = pytest.importorskip("anndata", reason="the extra 'ecosystem' is not installed")
    import pandas as pd
    import scanpy as sc

    X, kinds = rows
    names = [f"cell {i}" for i in range(N)]
    adata = anndata.AnnData(X, pd.DataFrame({"kind": kinds.astype(str)}, index=names))
    sc.pp.pca(adata, n_comps=10, random_state=0)
    return adata


def test_scanpy_finds_neighbors_by_our_transformer(cells: Any) -> None:
    import scanpy as sc

    theirs = cells.copy()
    sc.pp.neighbors(theirs, n_neighbors=15, transformer="sklearn", use_rep="X_pca")
    sc.pp.neighbors(cells, transformer=KNNTransformer(n_neighbors=15), use_rep="X_pca")
    assert cells.uns["neighbors"]["params"]["n_neighbors"] == 15
    expected = theirs.obsp["connectivities"].toarray()
    assert (expected > 0).sum() > 15 * N
    np.testing.assert_allclose(cells.obsp["connectivities"].toarray(), expected, atol=1e-4)


# scanpy 1.11 calls what matplotlib 3.11 is about to deprecate.
@pytest.mark.filterwarnings("ignore:The set_bad function:PendingDeprecationWarning")
def test_scanpy_draws_our_layout_of_its_neighbors(cells: Any) -> None:
    import scanpy as sc

    sc.pp.neighbors(cells, transformer=KNNTransformer(n_neighbors=15), use_rep="X_pca")
    graph = cells.obsp["distances"]
    knn = tuple(part.reshape(N, -1) for part in (graph.indices, graph.data))
    umap = UMAP(n_neighbors=15, precomputed_knn=knn, random_state=0)
    cells.obsm["X_umap"] = umap.fit_transform(cells.obsm["X_pca"])
    # The search was done by scanpy's step, so that the layout is the one of a fit by itself.
    alone = UMAP(n_neighbors=15, random_state=0).fit_transform(cells.obsm["X_pca"])
    np.testing.assert_array_equal(cells.obsm["X_umap"], alone)
    axes = sc.pl.umap(cells, color="kind", show=False)
    drawn = np.vstack([np.asarray(part.get_offsets()) for part in axes.collections])
    plt.close(axes.figure)
    assert len(drawn) == N
    assert sorted(drawn.tolist()) == sorted(alone.tolist())
    kinds = cells.obs["kind"]
    assert KNeighborsClassifier(5).fit(alone, kinds).score(alone, kinds) > 0.98


def test_bertopic_reduces_by_our_umap(rows: Any, tmp_path: Path) -> None:
    bertopic = pytest.importorskip("bertopic", reason="the extra 'ecosystem' is not installed")

    X, kinds = rows
    words = [["cat", "dog", "fur"], ["moon", "star", "orbit"], ["oven", "bread", "flour"]]
    rng = np.random.default_rng(0)
    documents = [" ".join(rng.choice(words[kind], 6)) for kind in kinds]
    # BERTopic's own options of UMAP.
    umap = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=0)
    model = bertopic.BERTopic(umap_model=umap, embedding_model=None, min_topic_size=30)
    topics, _ = model.fit_transform(documents, embeddings=X)
    assert model.umap_model is umap
    assert umap.embedding_.shape == (N, 5)
    assert adjusted_rand_score(kinds, topics) > 0.95
    found = [{word for word, _ in model.get_topic(topic)[:3]} for topic in range(KINDS)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, words))
    new = X[:60] + rng.normal(scale=0.1, size=(60, 20)).astype(np.float32)
    assert adjusted_rand_score(model.transform(documents[:60], embeddings=new)[0], kinds[:60]) > 0.9
    model.save(tmp_path / "topics", serialization="pickle")
    restored = bertopic.BERTopic.load(tmp_path / "topics")
    assert (
        restored.transform(documents[:60], embeddings=new)[0]
        == model.transform(documents[:60], embeddings=new)[0]
    )


def test_bertopic_takes_labels(rows: Any) -> None:
    bertopic = pytest.importorskip("bertopic", reason="the extra 'ecosystem' is not installed")

    X, kinds = rows
    umap = UMAP(n_neighbors=10, n_components=2, min_dist=0.0, n_epochs=100, random_state=0)
    model = bertopic.BERTopic(umap_model=umap, embedding_model=None, min_topic_size=30)
    documents = [f"{'abc'[kind] * 3} word{i}" for i, kind in enumerate(kinds)]
    topics, _ = model.fit_transform(documents, embeddings=X, y=kinds)
    assert adjusted_rand_score(kinds, topics) > 0.95
