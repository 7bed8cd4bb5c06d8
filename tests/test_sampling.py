"""Batches: what they hold, that they are built lazily, and that items are covered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from fastparadime import dr, ops
from fastparadime.training import sampling

N, DIM = 60, 4


def entries(device: torch.device | str = "cpu") -> sampling.DataEntries:
    generator = torch.Generator().manual_seed(0)
    return sampling.DataEntries(
        main=torch.randn(N, DIM, generator=generator).to(device),
        labels=torch.arange(N, device=device) * 10,
        images=torch.randn(N, 2, 3, generator=generator).to(device),
        indices=torch.arange(N, device=device),
    )


def edge_batches(
    data: sampling.Entries, seed: int = 1, batch_size: int = 8, negatives: int = 3
) -> sampling.NegativeEdgeBatches:
    device = next(iter(data.values())).device
    heads = torch.arange(N, device=device)
    tails, weights = (heads + 1) % N, torch.ones(N, device=device)
    sampler = ops.EdgeSampler(heads, tails, weights, N, seed=seed)
    return sampling.NegativeEdgeBatches(data, sampler, batch_size, negatives)


def test_edge_batch_is_as_paradime_gives_it(device: torch.device) -> None:
    data = entries(device)
    batch = edge_batches(data).batch(0)
    assert set(batch) == {
        "main", "labels", "images", "indices", "row", "col", "rel", "from_to_data"
    }  # fmt: skip
    row, col, rel = batch["row"], batch["col"], batch["rel"]
    assert row.shape == col.shape == rel.shape == (32,)
    assert row.dtype == col.dtype == batch["indices"].dtype == torch.int64
    assert rel.dtype == torch.float32
    assert rel.tolist() == [1.0, 0.0, 0.0, 0.0] * 8
    assert (row.view(8, 4) == row.view(8, 4)[:, :1]).all()  # an edge and its negative ones
    assert (col[::4] == (row[::4] + 1) % N).all()  # positive ones are edges of the graph
    indices = batch["indices"]
    assert indices.tolist() == sorted(set(row.tolist()) | set(col.tolist()))
    assert batch["from_to_data"].shape == (2, 32, DIM)
    assert torch.equal(batch["from_to_data"], torch.stack((data["main"][row], data["main"][col])))
    for key in ("main", "labels", "images"):
        assert torch.equal(batch[key], data[key][indices])


def test_draws_depend_on_seed_and_step_alone() -> None:
    first = edge_batches(entries(), seed=1)
    kept = [first.batch(step)["col"] for step in range(4)]
    again = edge_batches(entries(), seed=1)
    assert torch.equal(again.batch(3)["col"], kept[3])  # in any order
    assert torch.equal(again.batch(0)["col"], kept[0])
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(edge_batches(entries(), seed=2).batch(0)["col"], kept[0])


def test_without_negative_edges() -> None:
    batch = edge_batches(entries(), negatives=0).batch(0)
    assert batch["rel"].tolist() == [1.0] * 8
    assert batch["from_to_data"].shape == (2, 8, DIM)


def test_shared_negatives_are_ends_of_the_batch(device: torch.device) -> None:
    shared, plain = edge_batches(entries(device)), edge_batches(entries(device))
    shared.shared = True
    size = shared.batch_size
    for step in range(5):
        heads, tails = shared.draw(step).tensor_split((size,))
        expected, tails = plain.draw(step), tails.view(size, -1)
        assert torch.equal(heads, expected[:size])
        assert torch.equal(tails[:, 0], expected[size:].view(size, -1)[:, 0])
        ends = set(heads.tolist()) | set(tails[:, 0].tolist())
        assert set(tails[:, 1:].flatten().tolist()) <= ends
    sampler = ops.EdgeSampler(torch.arange(99), torch.arange(1, 100), torch.ones(99), 100, seed=1)
    many = sampling.NegativeEdgeBatches(entries(), sampler, 50, 200, shared=True).draw(0)
    tails = many[50:].view(50, 201)
    ends = torch.cat((many[:50], tails[:, 0]))
    counts = torch.bincount(tails[:, 1:].flatten(), minlength=100)
    # 10,000 draws in proportion to how often a point is an end, within five standard deviations.
    shares = torch.bincount(ends, minlength=100) / len(ends)
    deviation = (10_000 * shares * (1 - shares)).sqrt()
    assert bool(((counts - 10_000 * shares).abs() <= 5 * deviation).all())


def test_from_to_data_of_another_entry() -> None:
    data = entries()
    batches = edge_batches(data)
    batches.data_key = "images"
    batch = batches.batch(0)
    assert torch.equal(batch["from_to_data"][1], data["images"][batch["col"]])


def test_a_batch_builds_only_what_is_read() -> None:
    built: list[str] = []

    def builder(key: str) -> Callable[[], torch.Tensor]:
        def build() -> torch.Tensor:
            built.append(key)
            return torch.ones(2)

        return build

    batch = sampling.Batch({key: builder(key) for key in ("main", "labels", "rel")})
    assert (len(batch), list(batch), "labels" in batch) == (3, ["main", "labels", "rel"], True)
    assert built == []
    assert batch["rel"] is batch["rel"]
    assert built == ["rel"]
    assert batch["data"] is batch["main"]
    assert built == ["rel", "main"]
    with pytest.raises(KeyError, match=r"'row'.*'labels', 'main', 'rel'"):
        _ = batch["row"]
    assert built == ["rel", "main"]


@pytest.mark.parametrize(("stored", "asked"), [("main", "data"), ("data", "main")])
def test_main_and_data_are_one(stored: str, asked: str) -> None:
    value = torch.ones(3)
    data = sampling.DataEntries({stored: value, "labels": value})
    assert data[asked] is value
    assert asked in data
    assert "other" not in data
    with pytest.raises(KeyError, match=f"'other'.*'{stored}'"):
        _ = data["other"]
    (batch,) = sampling.item_batches(data, 5, seed=0)
    assert torch.equal(batch[asked], value)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 60, 1000])
def test_item_batches_cover_every_item_once(batch_size: int, device: torch.device) -> None:
    data = entries(device)
    batches = list(sampling.item_batches(data, batch_size, seed=3))
    sizes = [len(batch["indices"]) for batch in batches]
    assert sum(sizes) == N
    assert all(size == min(batch_size, N) for size in sizes[:-1])
    order = torch.cat([batch["indices"] for batch in batches]).cpu()
    assert order.sort().values.tolist() == list(range(N))
    for batch in batches:
        assert torch.equal(batch["labels"], 10 * batch["indices"].to(device))
        assert torch.equal(batch["main"], data["main"][batch["indices"].to(device)])


def test_item_order_is_the_seeds() -> None:
    def order(seed: int) -> list[int]:
        batches = sampling.item_batches(entries(), 7, seed)
        return torch.cat([batch["indices"] for batch in batches]).tolist()

    state = torch.get_rng_state()
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != list(range(N))
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_has_the_spread_asked_for(device: torch.device) -> None:
    rows = torch.randn(5000, 6, generator=torch.Generator().manual_seed(0))
    table = (100 + torch.arange(6) * rows).to(device)
    noise = sampling.Noise(table, 0.5, 200, seed=1)
    pieces = torch.stack([noise.piece(step, 200) for step in range(20)])
    spread = float(table.var(dim=0, correction=0).mean().sqrt())
    assert float(pieces.std()) == pytest.approx(0.5 * spread, rel=0.05)
    assert abs(float(pieces.mean())) < 0.05 * spread
    assert not torch.equal(pieces[0], pieces[1])
    step = torch.tensor([7], device=device)
    assert torch.equal(noise.piece(step, 50), noise.piece(7, 50))
    assert torch.equal(sampling.Noise(table, 0.5, 200, seed=1).piece(3, 9), noise.piece(3, 9))


@pytest.mark.parametrize("key", ["main", "data"])
def test_noise_is_on_one_entry(key: str) -> None:
    entries = sampling.DataEntries({"main": torch.zeros(8, 3), "pos": torch.ones(8, 2)})
    entries["main"][0] = 1.0
    (batch,) = sampling.item_batches(entries, 8, seed=0)
    noise = sampling.Noise(entries["main"], 2.0, 8, seed=0)
    noisy = sampling.with_noise(batch, key, noise, 4)
    assert torch.equal(noisy["data"], batch["main"] + noise.piece(4, 8))
    assert torch.equal(noisy["pos"], batch["pos"])


def test_bad_noise() -> None:
    with pytest.raises(ValueError, match=r"noise must be .*-1"):
        dr.TrainingPhase(noise=-1)
    with pytest.raises(ValueError, match="noise is for 'standard' sampling"):
        dr.TrainingPhase(noise=0.5, sampling="negative_edge")
