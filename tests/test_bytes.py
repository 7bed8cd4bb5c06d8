"""Tables of integers, of one byte above all: kept as they are, widened batch by batch, pixels or tokens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, relations, routines
from fastparadime.training.batches import TrainingData
from fastparadime.training.native_steps import native_steps
from fastparadime.training.progress import PhaseProgress
from fastparadime.training.sampling import edge_batch, item_batches
from fastparadime.utils.convert import widened

PIXELS = np.random.default_rng(0).integers(0, 256, (80, 16)).astype(np.uint8)


def umap(model: torch.nn.Module | None = None, **options: Any) -> routines.ParametricUMAP:
    options = options if "quality" in options else {"epochs": 1, "init_epochs": 1, **options}
    return routines.ParametricUMAP(n_neighbors=5, seed=0, model=model, **options)


def trained(data: Any, model: torch.nn.Module | None = None, **options: Any) -> Any:
    routine = umap(model, **options)
    routine.train(data)
    return routine


class Patches(torch.nn.Module):
    """A network of pixels with an embedding table, of the places of patches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.places = torch.nn.Embedding(4, 3)
        self.first, self.last = torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.first(x.view(-1, 4, 4)) + self.places(torch.arange(4))
        return self.last(patches.mean(1))

    forward = embed


class Words(torch.nn.Module):
    """A network of token numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.last = torch.nn.Embedding(256, 3), torch.nn.Linear(3, 2)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.words(x).mean(1))

    forward = embed


def test_widened() -> None:
    for dtype, plain, amounts in (
        (torch.uint8, torch.int64, torch.float32),
        (torch.int8, torch.int64, torch.float32),
        (torch.int32, torch.int32, torch.float32),
        (torch.bool, torch.bool, torch.bool),
        (torch.float64, torch.float64, torch.float64),
        (torch.complex64, torch.complex64, torch.complex64),
    ):
        assert widened(torch.ones(2, dtype=dtype)).dtype == plain
        assert widened(torch.ones(2, dtype=dtype), amounts=True).dtype == amounts


def test_datasets_hold_bytes() -> None:
    dataset = dr.Dataset({"main": PIXELS, "labels": PIXELS[:, 0], "signed": PIXELS.astype("i1")})
    assert dataset.data["main"].dtype == torch.uint8
    assert dataset.data["main"].data_ptr() == PIXELS.ctypes.data
    assert dataset.data["signed"].dtype == torch.int8
    assert dataset.data["labels"].dtype == torch.int64  # torch's cross-entropy wants them
    assert {entry.dtype for entry in dataset[3:5].values()} == {torch.int64}


@pytest.mark.parametrize("tokens", [None, [], ["main"], ["data"]])
def test_batches_hold_room(tokens: list[str] | None) -> None:
    dataset = dr.Dataset({"main": PIXELS, "other": PIXELS.astype(np.int32)}, tokens=tokens)
    dtype = torch.float32 if tokens == [] else torch.int64
    other = torch.int64 if tokens is None else torch.float32
    items = next(iter(item_batches(dataset.data, 10, 0)))
    ends = edge_batch(dataset.data, torch.tensor([3]), torch.tensor([4]), 1)
    for batch in (items, ends, dataset[:2]):
        assert (batch["main"].dtype, batch["other"].dtype) == (dtype, other)
    assert ends["from_to_data"].dtype == dtype
    np.testing.assert_array_equal(ends["from_to_data"][:, 0], PIXELS[[3, 4]])
    assert items["indices"].dtype == torch.int64


def linear() -> torch.nn.Module:
    torch.manual_seed(0)
    model = torch.nn.Linear(16, 2)
    model.embed = model.forward  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool"])
@pytest.mark.parametrize("make", [lambda: None, linear])
def test_integers_train_like_floats(make: Any, dtype: str) -> None:
    """By native steps and by torch's."""
    integers = (PIXELS > 99) if dtype == "bool" else PIXELS.astype(dtype)
    floats = integers.astype(np.float32)
    expected = trained(floats, make())
    found = trained(integers, make())
    assert not found.dataset.data["main"].is_floating_point()
    assert torch.equal(found.apply(integers), expected.apply(floats))
    assert torch.equal(found(integers), expected(floats))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_integers_take_native_steps(dtype: torch.dtype) -> None:
    model = models.FullyConnectedEmbeddingModel(16, 2, [4])
    table = torch.from_numpy(PIXELS).to(dtype)
    entries = {"main": table, "wanted": torch.zeros(80, 2)}
    data = TrainingData(entries, {}, {}, torch.device("cpu"), 0)
    phase = dr.TrainingPhase(loss=loss.PositionLoss(position_key="wanted"))
    assert native_steps(model, phase, data, 1, PhaseProgress(model, phase)) is not None


@pytest.mark.parametrize("options", [{"initialization": "pca"}, {"quality": "fast"}])
def test_bytes_train_almost_like_floats(options: dict[str, Any]) -> None:
    """Where means and components are computed, of bytes in float64."""
    floats = PIXELS.astype(np.float32)
    expected, found = trained(floats, **options), trained(PIXELS, **options)
    torch.testing.assert_close(found.apply(PIXELS), expected.apply(floats), rtol=1e-3, atol=1e-3)


def test_scales_of_integers() -> None:
    positions = torch.randn(80, 2, generator=torch.Generator().manual_seed(0))
    found, expected = (models.ScaledEmbeddingModel(16, 2, [3]) for _ in range(2))
    found.fit_scales(torch.from_numpy(PIXELS), positions)
    expected.fit_scales(torch.from_numpy(PIXELS).double(), positions)
    torch.testing.assert_close(found.input_mean, expected.input_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.input_scale, expected.input_scale, rtol=1e-6, atol=0)


def test_tokens_are_told_from_pixels(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="dtype"):
        trained(PIXELS, Patches())  # its table tells of tokens
    pixels = trained(dr.Dataset(PIXELS, tokens=[]), Patches())
    expected = trained(PIXELS.astype(np.float32), Patches())
    assert torch.equal(pixels.apply(PIXELS), expected.apply(PIXELS.astype(np.float32)))
    pixels.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(tmp_path / "model", model=Patches())
    assert torch.equal(loaded.apply(PIXELS), pixels.apply(PIXELS))
    assert torch.equal(loaded(PIXELS), pixels(PIXELS))
    loaded.export(tmp_path / "model.pt2", PIXELS)
    program = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(program(torch.from_numpy(PIXELS).float()), pixels.apply(PIXELS))
    words = trained(PIXELS, Words())
    for data in (PIXELS.astype(np.int64), dr.Dataset(PIXELS, tokens=["main"])):
        assert torch.equal(trained(data, Words()).apply(PIXELS), words.apply(PIXELS))
    with pytest.raises(KeyError, match=r"tokens must name entries, not \['words'\]"):
        dr.Dataset(PIXELS, tokens=["words"])
    with pytest.raises(TypeError, match="tokens must be a list, not 'main'"):
        dr.Dataset(PIXELS, tokens="main")


def test_functions_and_relations_of_the_user_have_room() -> None:
    seen: list[torch.dtype] = []

    class Differences(relations.PDist):
        def compute_relations(self, X: Any = None, **kwargs: Any) -> Any:
            seen.append(X.dtype)
            return super().compute_relations(X)

    class Own(relations.Relations):
        def compute_relations(self, X: Any = None, **kwargs: Any) -> Any:
            seen.append(X.dtype)
            return relations.PDist().compute_relations(X)

    def doubled(X: torch.Tensor) -> torch.Tensor:
        seen.append(X.dtype)
        return X + X

    routine = dr.ParametricDR(
        derived_data={"twice": dr.DerivedData(doubled)},
        global_relations={"a": Own(), "b": Differences()},
        losses=loss.PositionLoss(position_key="main"),
        out_dim=16,
        seed=0,
    )
    routine.add_training_phase(epochs=1)
    routine.train(PIXELS)
    assert seen == [torch.int64] * 3
    np.testing.assert_array_equal(routine.dataset.data["twice"], 2 * PIXELS.astype(int))


_PEAK = """
import resource, sys
import numpy as np
from fastparadime import dr, loss, relations, transforms

n, d = 60_000, 1000
X = np.zeros((n, d), sys.argv[1])
X[:, 0] = np.arange(n) % 100
ring = (np.arange(n)[:, None] + [[1, 2]]) % n
routine = dr.ParametricDR(
    hidden_dims=[4],
    global_relations=relations.Precomputed(
        (ring, np.ones((n, 2), np.float32)), transform=transforms.Symmetrize()
    ),
    batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform(0.1)),
    losses=loss.RelationLoss(loss.cross_entropy_loss),
    seed=0,
)
routine.add_training_phase(epochs=1, batches_per_epoch=3, batch_size=50, sampling="negative_edge")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
routine.train(X)
routine.apply(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in KiB on Linux")
def test_bytes_take_one_byte_a_value() -> None:
    """Beside the table and torch itself, of about 100 MB, training and applying take little."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, "u1"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * 1024 < 60_000 * 1000 * 4  # as int64, the table alone took 8
