"""What routines take beside arrays and tensors, what they say of it, and what they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, routines


@pytest.fixture(name="X")
def random_rows() -> Any:
    return np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


def quick(**options: Any) -> routines.ParametricUMAP:
    settings = {"n_neighbors": 5, "epochs": 1, "init_epochs": 1, "batch_size": 20, "seed": 0}
    return routines.ParametricUMAP(**{**settings, **options})


def frame(X: Any) -> Any:
    return pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))


@pytest.mark.parametrize("kind", [frame, np.ndarray.tolist], ids=["data frame", "list"])
def test_tables_of_other_kinds(X: Any, kind: Any) -> None:
    expected = quick()
    expected.train(X)
    for data in (kind(X), {"main": kind(X), "labels": list(range(60))}):
        routine = quick()
        routine.train(data)
        assert torch.equal(routine.apply(X), expected.apply(X))
    assert routine.dataset.data["labels"].dtype == torch.int64
    assert torch.equal(expected.apply(kind(X)), expected.apply(X))
    assert quick(dataset=kind(X)).model.in_dim == 4


def test_columns_in_one_piece_train_like_rows(X: Any) -> None:
    expected, routine = quick(), quick()
    expected.train(X)
    routine.train(np.asfortranarray(X))  # native steps, of the same bits, are for rows alone
    assert routine.dataset.data["main"].is_contiguous()
    assert torch.equal(routine.apply(X), expected.apply(X))


def test_rows_that_are_none(X: Any) -> None:
    routine = quick()
    routine.train(X)
    with pytest.raises(ValueError, match=r"X must have rows of values.*\(4,\).*reshape\(1, -1\)"):
        routine.apply(X[0])
    with pytest.raises(ValueError, match="'main' must be a table, but its rows differ in length"):
        quick().train([[1.0, 2.0], [3.0]])


def test_more_neighbours_than_points_are_lowered_with_a_warning(X: Any) -> None:
    routine = quick(n_neighbors=80)
    with pytest.warns(UserWarning, match="lowered from 80 to the 59 other points") as caught:
        routine.train(X)
    assert caught[0].filename == __file__


def test_a_model_without_the_method_is_refused_before_work(X: Any) -> None:
    routine = quick(model=torch.nn.Linear(4, 2))
    with pytest.raises(AttributeError, match="no embed method"):
        routine.train(X)
    assert not routine.stages
    two = loss.CompoundLoss([loss.PositionLoss(position_key="main"), loss.ReconstructionLoss()])
    model = torch.nn.Linear(4, 4)
    model.embed = model.forward  # type: ignore[assignment]
    routine = dr.ParametricDR(model=model, losses=two, seed=0)
    routine.add_training_phase(epochs=1)
    with pytest.raises(AttributeError, match="no encode method"):
        routine.train(X)


def test_constant_data_has_principal_components() -> None:
    tsne = routines.ParametricTSNE(perplexity=5, epochs=1, init_epochs=1, seed=0)
    tsne.train(np.ones((40, 3)))
    assert torch.isfinite(tsne.apply(np.ones((2, 3)))).all()


def test_parameters_are_kept_and_shown() -> None:
    umap = quick(min_dist=0.2, metric="cosine")
    assert (umap.n_neighbors, umap.min_dist, umap.spread, umap.metric) == (5, 0.2, 1.0, "cosine")
    assert "n_neighbors=5" in repr(umap)
    assert "DerivedData(" in repr(umap)
    tsne = routines.ParametricTSNE(perplexity=7)
    assert (tsne.perplexity, tsne.alpha, tsne.metric) == (7, 1.0, None)
