"""Datasets and loaders of torch, images, and what a model gives for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from fastparadime import dr, loss, relations, routines
from fastparadime.dr.items import read_items

IMAGES = np.random.default_rng(0).normal(size=(61, 1, 6, 6)).astype(np.float32)
KINDS = np.arange(61) % 3


class Items(TorchDataset[Any]):
    """Items of one form, drawn one by one."""

    def __init__(self, form: Any) -> None:
        self.form = form

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> Any:
        return self.form(IMAGES[index], int(KINDS[index]))


class Convolutions(torch.nn.Module):
    def __init__(self, out: int = 2, *, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(32, 4)]
        self.layers = torch.nn.Sequential(
            *layers, torch.nn.BatchNorm1d(4) if norm else torch.nn.ReLU(), torch.nn.Linear(4, out)
        )

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    forward = embed


def umap(model: torch.nn.Module, **options: Any) -> routines.ParametricUMAP:
    options = options if "quality" in options else {"epochs": 1, "init_epochs": 2, **options}
    return routines.ParametricUMAP(n_neighbors=5, seed=0, model=model, **options)


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        (lambda image, _: image, {"main"}),
        (lambda image, _: (image,), {"main"}),
        (lambda image, kind: (image, kind), {"main", "labels"}),
        (lambda image, kind: [torch.from_numpy(image), torch.tensor(kind)], {"main", "labels"}),
        (lambda image, kind: {"main": image, "kind": kind}, {"main", "kind"}),
    ],
)
def test_items_become_entries(form: Any, keys: set[str]) -> None:
    for data in (Items(form), DataLoader(Items(form), batch_size=7, shuffle=True)):
        entries = read_items(data)
        assert set(entries) == keys
        np.testing.assert_array_equal(entries["main"], IMAGES)
        for key in keys - {"main"}:
            np.testing.assert_array_equal(entries[key], KINDS)
    dataset = dr.Dataset(Items(form))
    assert set(dataset.data) == {*keys, "indices"}


def test_tensors_of_a_dataset_are_not_copied() -> None:
    images = torch.from_numpy(IMAGES)
    dataset = dr.Dataset(TensorDataset(images, torch.from_numpy(KINDS)))
    assert dataset.data["main"].data_ptr() == images.data_ptr()
    assert dataset.data["labels"].tolist() == KINDS.tolist()


def test_routines_read_datasets_through() -> None:
    expected = umap(Convolutions())
    expected.train(IMAGES)
    items = Items(lambda image, kind: (image, kind))
    for data in (items, DataLoader(items, shuffle=True), {"main": items}):
        found = umap(Convolutions())
        found.train(data)
        assert torch.equal(found.apply(IMAGES), expected.apply(IMAGES))
        assert torch.equal(found.apply(items), expected.apply(IMAGES))
        assert found.dataset.data["labels"].tolist() == KINDS.tolist()
    explicit = dr.Dataset({"main": items, "labels": KINDS + 5})
    assert explicit.data["labels"].tolist() == (KINDS + 5).tolist()


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(IMAGES)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (Stream(), TypeError, "Stream without a length"),
        (Items(lambda image, kind: (image, kind, kind)), TypeError, "3 parts, .* mappings"),
        (Items(lambda image, kind: image[0, : kind + 1]), ValueError, "cannot be put together"),
        (Items(lambda image, _: {"x": image}), ValueError, "no 'main' among"),
        (TensorDataset(torch.ones(0, 3)), ValueError, "is empty"),
    ],
)
def test_datasets_that_are_none(data: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        dr.Dataset(data)


@pytest.mark.parametrize("options", [{}, {"initialization": "pca"}, {"quality": "fast"}])
def test_images_have_the_neighbours_of_their_rows(options: dict[str, Any]) -> None:
    flat = IMAGES.reshape(61, -1)
    expected = relations.NeighborBasedPDist(n_neighbors=5).compute_relations(flat)
    for data, key in ((IMAGES, "main"), ({"images": IMAGES, "kinds": KINDS}, "images")):
        found = umap(Convolutions(), data_key=key, **options)
        found.train(data)
        graph = found.global_relations["rel"].relations
        linked = set(zip(*graph.to_sparse_array().data.nonzero(), strict=True))
        pairs = ((i, int(j)) for i, row in enumerate(expected.data[0]) for j in row)
        assert linked >= set(pairs)
        assert found.apply(IMAGES).shape == (61, 2)
    tsne = routines.ParametricTSNE(
        perplexity=5, epochs=1, init_epochs=1, seed=0, model=Convolutions()
    )
    tsne.train(IMAGES)
    assert torch.isfinite(tsne.apply(IMAGES)).all()


@pytest.mark.parametrize("options", [{}, {"initialization": "pca"}, {"quality": "fast"}])
def test_an_output_of_another_width_is_refused_before_work(options: dict[str, Any]) -> None:
    found = umap(Convolutions(3), **options)
    state = torch.get_rng_state()
    match = r"embed gives an output of shape \(2, 3\) for rows of shape \(2, 1, 6, 6\), but out_dim"
    with pytest.raises(ValueError, match=match):
        found.train(IMAGES)
    assert not found.stages
    assert torch.equal(torch.get_rng_state(), state)
    wide = umap(Convolutions(3), out_dim=3, **options)
    wide.train(IMAGES)
    assert wide.apply(IMAGES).shape == (61, 3)


def test_outputs_are_compared_with_given_positions() -> None:
    positions = {"main": IMAGES, "pos": np.zeros((61, 5), np.float32)}
    for model, match in (
        (Convolutions(), r"shape \(2, 2\) .* entry 'pos' has shape \(61, 5\): it must be \(2, 5\)"),
        (Pooled(), r"shape \(1, 5\) for rows .* must give one row for each"),
        (Listed(), "of the type list for rows"),
    ):
        routine = dr.ParametricDR(model=model, losses=loss.PositionLoss(), seed=0)
        routine.add_training_phase(epochs=1)
        with pytest.raises(ValueError, match=match):
            routine.train(positions)
    free = dr.ParametricDR(model=Convolutions(5), losses=loss.PositionLoss(), seed=0)
    free.add_training_phase(epochs=1)
    free.train(positions)  # out_dim is of the default model alone
    assert free.apply(IMAGES).shape == (61, 5)


class Pooled(Convolutions):
    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_zeros((1, 5))


class Listed(Convolutions):
    def embed(self, x: torch.Tensor) -> Any:
        return [x]


def test_a_last_batch_of_one_row_joins_the_one_before_for_batch_norms() -> None:
    sizes: list[int] = []
    for norm in (True, False):
        model = Convolutions(norm=norm)
        model.layers[0].register_forward_hook(
            lambda part, args, _: sizes.append(len(args[0])) if part.training else None
        )
        routine = dr.ParametricDR(model=model, losses=loss.PositionLoss(), seed=0)
        routine.add_training_phase(epochs=2, batch_size=20)
        routine.train({"main": IMAGES, "pos": np.zeros((61, 2), np.float32)})
        assert sizes == ([20, 20, 21] if norm else [20, 20, 20, 1]) * 2
        assert len(routine.history[0]["losses"]) == 2
        sizes.clear()
    found = umap(Convolutions(norm=True), init_batch_size=20)
    found.train(IMAGES)
    assert torch.isfinite(found.apply(IMAGES)).all()
    noisy = umap(Convolutions(norm=True), quality="fast")
    noisy.train(np.concatenate([IMAGES] * 8 + [IMAGES[:13]]))  # 501: one more than a batch
    assert torch.isfinite(noisy.apply(IMAGES)).all()
