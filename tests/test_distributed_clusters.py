"""Searches among clusters by 1, 2 and 4 processes: the bits of one, its recall, errors of all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from fastparadime import UMAP
from fastparadime.exceptions import RecallWarning
from fastparadime.neighbors import approximate, cluster_plan, cluster_search, knn, shared_rounds
from fastparadime.neighbors.cluster_plan import STEPS
from tests import clusters_job
from tests.clusters_job import CASES, OF_UMAP, lowered, searched, too_few_steps
from tests.processes import end_group
from tests.test_distributed import run

_LIMIT = 600  # seconds, beyond which a job counts as hanging


def found(ranks: int, folder: Path) -> dict[str, Any]:
    """The results of all ranks, their rows in order."""
    parts = [dict(np.load(folder / f"{rank}.npz")) for rank in range(ranks)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def said(ranks: int, folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{rank}.json").read_text("utf-8")) for rank in range(ranks)]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folders = {ranks: tmp_path_factory.mktemp(f"clusters{ranks}") for ranks in (1, 2, 4)}
    return {
        ranks: run(ranks, folder, job="clusters_job", limit=_LIMIT)
        for ranks, folder in folders.items()
    }


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    lowered(monkeypatch.setattr)
    return monkeypatch


def test_bits_do_not_depend_on_the_number_of_processes(jobs: dict[int, Path]) -> None:
    """Nor on how rows are shared out: shards are uneven, and one of four is empty."""
    one, told = found(1, jobs[1]), said(1, jobs[1])[0]
    assert len(one["map"]) == clusters_job.N
    for ranks in (2, 4):
        several = found(ranks, jobs[ranks])
        assert [name for name in one if not np.array_equal(one[name], several[name])] == []
        for of_rank in said(ranks, jobs[ranks]):
            assert {name: of_rank[name] for name in told} == told


@pytest.mark.parametrize("name", [*CASES, "later"])
def test_bits_are_those_of_one_process_without_a_group(
    name: str, jobs: dict[int, Path], low: pytest.MonkeyPatch
) -> None:
    if name == "later":
        too_few_steps(low.setattr)
    of = "plain" if name == "later" else name
    graph = searched(CASES[of][0](), of)
    several, told = found(2, jobs[2]), said(2, jobs[2])[0][name]
    assert "overlapping clusters" in graph.engine
    assert told == [graph.engine, graph.recall_estimate, graph.recall_bound]
    assert np.array_equal(several[f"{name} indices"], graph.indices)
    assert np.array_equal(several[f"{name} distances"], graph.distances)


def test_cases_take_the_ways_that_they_are_for(jobs: dict[int, Path]) -> None:
    told = said(2, jobs[2])[0]
    joined = {
        name: float(told[name][0].split("clusters, ")[1].split(" a point")[0])
        for name in ("plain", "later")
    }
    assert ", by 64 of 120 columns" in told["wide"][0]
    assert joined["later"] <= joined["plain"] + 1 / STEPS  # step after step
    assert told["later"][2] >= 0.95


@pytest.mark.parametrize("name", CASES)
def test_recall_is_reached(name: str, jobs: dict[int, Path]) -> None:
    rows, k, metric, recall = CASES[name]
    exact = knn(rows(), k, metric, recall=1.0)
    radius = exact.distances[:, -1:].numpy() * (1 + 1e-5)
    share = (found(4, jobs[4])[f"{name} distances"] <= radius).mean()
    _, estimate, bound = said(4, jobs[4])[0][name]
    assert recall <= bound <= estimate
    assert share >= recall
    assert share < 1 or name == "far"  # that is, it is not an exact search that is tested


@pytest.mark.usefixtures("low")
def test_umap_searches_among_clusters(jobs: dict[int, Path]) -> None:
    umap = UMAP(**OF_UMAP).fit(CASES["plain"][0]())
    assert said(2, jobs[2])[0]["map"] == [umap.engine_, umap.recall_estimate_]
    assert "overlapping clusters" in umap.engine_
    assert np.array_equal(found(2, jobs[2])["map"], umap.embedding_)


def test_an_error_of_one_process_is_one_of_all(jobs: dict[int, Path]) -> None:
    first, second = (told["errors"] for told in said(2, jobs[2]))
    assert first == second
    room = ["MemoryError", "rank 1: no room for a cluster"]
    for name in ("compare", "join", "sample", "distances"):
        assert first[name] == room, name
    for name, values in (("recall", ("0.95", "0.9")), ("seed", ("0", "1"))):
        kind, text = first[name]
        assert kind == "ValueError"
        assert text == (
            f"{name} must be the same on all ranks, but is {values[0]} on rank 0 and {values[1]} "
            "on rank 1"
        )
    assert first["range"] == ["ValueError", "rank 0: recall must lie in (0, 1], not 1.5"]


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Any]:
    """A group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield dist.group.WORLD
    end_group()


def test_exact_search_where_clusters_would_take_longer(group: Any, low: pytest.MonkeyPatch) -> None:
    low.setattr(approximate, "_MOST_WORK", 0.0)
    X = CASES["plain"][0]()
    graph, exact = searched(X, "plain", group), knn(X, 14, recall=1.0)
    assert graph.engine.startswith("ring, exact (clusters were predicted at ")
    assert torch.equal(graph.indices, exact.indices)
    assert torch.equal(graph.distances, exact.distances)


def test_a_recall_that_is_not_reached_warns(group: Any, low: pytest.MonkeyPatch) -> None:
    too_few_steps(low.setattr)
    low.setattr(cluster_search, "_MOST_WORK", 0.0)
    with pytest.warns(RecallWarning, match=r"recall=0\.95 was not reached: overlapping clusters"):
        graph = searched(CASES["plain"][0](), "plain", group)
    assert graph.recall_bound < 0.95
    assert graph.recall_bound < graph.recall_estimate < 1


def test_the_formula_covers_the_peak(jobs: dict[int, Path]) -> None:
    for told in said(2, jobs[2]):
        for name, (peak, formula) in told["peaks"].items():
            assert formula / 4 < peak <= formula, name


@pytest.mark.parametrize("ranks", [1, 2, 5])
@pytest.mark.parametrize("room", [1, 60, 10_000])
def test_rounds_compare_each_cluster_once_within_their_room(ranks: int, room: int) -> None:
    rng = np.random.default_rng([ranks, room])
    counts = torch.from_numpy(rng.integers(0, 9, (ranks, 300)))
    counts[:, 17] = counts[:, 288] = 40  # more than some of the rooms that are tried
    rounds = shared_rounds.rounds_of(counts, room)
    owners = [[r[owner] for r in rounds] for owner in range(ranks)]
    ranges = [cut for own in owners for cut in own if cut[0] < cut[1]]
    assert [a for first, last in ranges for a in range(first, last)] == list(range(300))
    work = counts.sum(dim=0).double().square()
    each = [sum(float(work[a:b].sum()) for a, b in own) for own in owners]
    assert max(each) - min(each) <= 2 * float(work.max())
    for cuts in rounds:
        parts = [counts[:, a:b] for a, b in cuts]
        several = [int((part.sum(dim=0) > 0).sum()) > 1 for part in parts]
        assert all(int(p.sum()) <= room for p, more in zip(parts, several, strict=True) if more)
        given = int(torch.cat(parts, dim=1).sum(dim=1).max())
        assert given <= room or sum(int((part.sum(dim=0) > 0).sum()) for part in parts) == 1


def test_close_clusters_are_near_each_other_in_order() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(16), 8))
    centers = torch.from_numpy(100.0 * rng.normal(size=(16, 5))[groups] + rng.normal(size=(128, 5)))
    order = cluster_plan.along_a_curve(centers)
    assert sorted(order.tolist()) == list(range(128))
    changes = np.diff(groups[order.numpy()]) != 0
    assert changes.sum() < 30  # of 15 at the least, and 120 at random
    assert cluster_plan.along_a_curve(centers[:1]).tolist() == [0]
