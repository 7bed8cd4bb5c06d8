"""Fits by 1, 2 and 4 processes of torch.distributed: the bits of one, and errors that all raise."""

from __future__ import annotations

import copy
import gc
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from fastparadime import UMAP, ParametricUMAP
from fastparadime.distributed import SLICES, Exchange, Ranks, Shards
from fastparadime.distributed.shards import overlaps
from fastparadime.distributed.wire import Wire
from fastparadime.neighbors import knn
from fastparadime.training.sliced_steps import branches
from tests.distributed_job import (
    OF_NETWORK,
    OF_PROTOTYPES,
    OF_UMAP,
    by_groups,
    failing,
    table,
)
from tests.processes import end_group

_PROCESSES = Path(__file__).with_name("processes.py")
LIMIT = 300  # seconds, beyond which a job counts as hanging
_BY_ROW = (
    "grouped",
    "indices",
    "distances",
    "cosine",
    "flat",
    "embedding",
    "lengths",
    "mapped",
    "by_anchors",
    "by_prototypes",
)


def run(
    ranks: int,
    folder: Path,
    *how: str,
    job: str = "distributed_job",
    limit: float = LIMIT,
    store: str | None = None,
    hosts: Sequence[Sequence[str]] = (),
) -> Path:
    """Runs a job of so many processes, of this host or one on each; the folder they wrote to."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    store = store or (folder / "store").as_uri()
    processes = []
    for rank in range(ranks):
        arguments = [_PROCESSES, job, store, rank, ranks, folder, *how]
        command = [*(hosts[rank] if hosts else ()), sys.executable, *map(str, arguments)]
        processes.append(
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        )
    all_end_well(processes, limit)
    return folder


def all_end_well(processes: Sequence[subprocess.Popen[str]], limit: float = LIMIT) -> None:
    """Waits for processes, whose errors are told; none outlives the call."""
    try:
        said = [process.communicate(timeout=limit)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(said)


def found(ranks: int, folder: Path) -> dict[str, Any]:
    """The results of all ranks, their rows in order; of others those of rank 0."""
    parts = [dict(np.load(folder / f"{rank}.npz")) for rank in range(ranks)]
    for name in (
        "weights",
        "losses",
        "anchors",
        "anchor_losses",
        "prototype_losses",
    ):  # the same network everywhere
        assert all(np.array_equal(part[name], parts[0][name]) for part in parts)
    joined = (*_BY_ROW, "tails", "strengths")
    return {
        name: np.concatenate([part[name] for part in parts]) if name in joined else parts[0][name]
        for name in parts[0]
    }


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return {ranks: run(ranks, tmp_path_factory.mktemp(f"ranks{ranks}")) for ranks in (1, 2, 4)}


def test_results_do_not_depend_on_the_number_of_processes(jobs: dict[int, Path]) -> None:
    """Nor on how rows are shared out: shards are uneven, and one of four is empty."""
    one = found(1, jobs[1])
    assert len(one["mapped"]) == 310
    for ranks in (2, 4):
        several = found(ranks, jobs[ranks])
        assert [name for name in one if not np.array_equal(one[name], several[name])] == []


def test_results_do_not_depend_on_how_messages_go(jobs: dict[int, Path], tmp_path: Path) -> None:
    """What nccl does to them but for the GPU: bytes are sent, and put where numbers are wanted."""
    one, staged = found(1, jobs[1]), found(2, run(2, tmp_path, "staged"))
    assert [name for name in one if not np.array_equal(one[name], staged[name])] == []


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_results_by_nccl(jobs: dict[int, Path], tmp_path: Path) -> None:
    """By as many processes as there are GPUs: nccl gives each its own."""
    ranks = max(size for size in (1, 2, 4) if size <= torch.cuda.device_count())
    one, by_nccl = found(1, jobs[1]), found(ranks, run(ranks, tmp_path, "nccl"))
    assert [name for name in one if not np.array_equal(one[name], by_nccl[name])] == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here, by which messages can go")
def test_groups_without_a_backend_for_this_machine(tmp_path: Path) -> None:
    store = f"file://{tmp_path / 'store'}"
    dist.init_process_group("cuda:gloo", init_method=store, rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match="a GPU that is here, not 'cuda:gloo' alone"):
            knn(table(), 3, process_group=dist.group.WORLD)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("device", [None, torch.device("cpu")])
def test_messages_of_any_dtype(device: torch.device | None, tmp_path: Path) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        wire = Wire(dist.group.WORLD)
        wire.device = device
        for dtype in (torch.bool, torch.uint8, torch.float16, torch.float32, torch.int64):
            rows = torch.arange(6).view(3, 2).to(dtype)
            out = torch.zeros_like(rows)
            wire.rows(rows, out, [3], [3])
            assert torch.equal(out, rows)
            wire.rows(rows[:0], out[:0], [0], [0])
            blocks = torch.zeros(1, 6, dtype=dtype)
            wire.blocks(blocks, rows.flatten())
            assert torch.equal(blocks, rows.view(1, 6))
            wire.broadcast(rows, 0)
            assert torch.equal(out, rows)
            wire.broadcast(out.T, 0)  # not contiguous
            assert torch.equal(out, rows)
        values = torch.tensor([5, -2])
        assert torch.equal(wire.sums(values), values)
        assert wire.objects({"a": 1}, 1) == [{"a": 1}]
    finally:
        del wire
        end_group()


def test_neighbors_and_layout_are_those_of_one_process(jobs: dict[int, Path]) -> None:
    X, several = table(), found(2, jobs[2])
    graph = knn(X, 9, recall=1.0)
    assert np.array_equal(several["indices"], graph.indices)
    assert np.array_equal(several["distances"], graph.distances)
    assert np.array_equal(several["cosine"], knn(X, 9, "cosine", recall=1.0).indices)
    umap = UMAP(**OF_UMAP).fit(X)
    assert np.array_equal(several["embedding"], umap.embedding_)
    assert np.array_equal(several["tails"], umap.graph_.indices)
    assert np.array_equal(several["strengths"], umap.graph_.data)
    flat = UMAP(**OF_UMAP, init="random").fit(X[:, :3])
    assert np.array_equal(several["flat"], flat.embedding_)
    with by_groups():
        grouped = UMAP(**OF_UMAP).fit(X)
    assert np.array_equal(several["grouped"], grouped.embedding_)
    assert not np.array_equal(grouped.embedding_, umap.embedding_)


def test_network_is_as_near_to_the_layout_as_that_of_one_process(jobs: dict[int, Path]) -> None:
    shared, alone = found(1, jobs[1]), ParametricUMAP(**OF_NETWORK).fit(table())
    losses = alone.history_[0]["losses"]
    assert len(shared["losses"]) == len(losses)
    assert shared["losses"][-1] < 1.2 * losses[-1] < 0.7 * losses[0]
    alone = ParametricUMAP(**OF_PROTOTYPES).fit(table())
    losses = alone.history_[0]["losses"]
    assert len(shared["prototype_losses"]) == len(losses)
    assert shared["prototype_losses"][-1] < 1.2 * losses[-1]


def test_points_without_an_edge_are_not_trained_on(tmp_path: Path) -> None:
    """A group of one process is one, too."""
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    X = table()
    X[5] += 1000
    try:
        network = ParametricUMAP(**OF_NETWORK, disconnection_distance=500.0)
        with pytest.warns(UserWarning, match="1 of 310 points have no neighbour nearer than 500"):
            network.fit(X, process_group=dist.group.WORLD)
    finally:
        end_group()
    laid_out = network.umap_.embedding_
    assert np.isnan(laid_out).any(axis=1).nonzero()[0].tolist() == [5]
    mean = network.model_.output_mean.numpy()
    np.testing.assert_allclose(mean, np.nanmean(laid_out, axis=0), rtol=1e-4)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Leaves cycles of references where they are."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _fails(group: Any) -> None:
    with pytest.raises(ValueError, match="rank 0: Input X contains NaN"):
        UMAP().fit(table() * np.nan, process_group=group)


def _fails_in_a_step(group: Any) -> None:
    with pytest.raises(MemoryError, match="rank 0: no room for a step"):
        Exchange(Ranks(group), [1]).of(failing)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "work",
    [
        _fails,
        _fails_in_a_step,
        lambda group: UMAP(**OF_UMAP).fit(table(), process_group=group),
        lambda group: knn(table(), 9, process_group=group),
        lambda group: ParametricUMAP(**OF_NETWORK).fit(table(), process_group=group),
        lambda group: ParametricUMAP(**OF_PROTOTYPES).fit(table(), process_group=group),
    ],
)
def test_a_group_ends_where_it_is_destroyed(work: Callable[[Any], object], tmp_path: Path) -> None:
    """Nothing of the package keeps it: its threads would outlive Python, which aborts the process."""
    store = f"file://{tmp_path / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        work(dist.group.WORLD)
        group = weakref.ref(dist.group.WORLD)
    finally:
        end_group()
    assert group() is None


def test_an_error_of_one_process_is_one_of_all(jobs: dict[int, Path]) -> None:
    told = [json.loads((jobs[2] / f"{rank}.json").read_text("utf-8")) for rank in range(2)]
    assert told[0].pop("transform")[0] == told[1].pop("transform")[0] == "ValueError"
    assert told[0] == told[1]
    expected = {
        "nan": ("ValueError", "rank 1: Input X contains NaN"),
        "knn_nan": ("ValueError", "rank 1: X must hold finite float32 values, but row 3"),
        "columns": ("ValueError", "X must have the same columns on all ranks, but has 6 on rank 0 and 5 on rank 1"),
        "dtype": ("ValueError", "X must have the same dtype on all ranks, but has float64 on rank 0 and float32 on rank 1"),
        "k": ("ValueError", "k must be the same on all ranks, but is 3 on rank 0 and 4 on rank 1"),
        "large_k": ("ValueError", "k must be"),
        "metric": ("ValueError", "rank 0: metric must be one of"),
        "parameter": ("ValueError", "n_neighbors must be the same on all ranks, but is 9 on rank 0 and 10 on rank 1"),
        "quality": ("ValueError", "quality must be the same on all ranks"),
        "labels": ("ValueError", "rank 0: y must be None with process_group"),
        "pca": ("ValueError", "rank 0: init must be 'spectral', 'random' or positions"),
        "no_rows": ("ValueError", "X must have at least 2 rows on all ranks together, not 0"),
        "short": ("ValueError", "rank 1: X has 273 rows by its shape (273, 6), but rows 0 to 272 of X came as an array of shape (268, 6)"),
        "known": ("ValueError", "rank 0: precomputed_knn must"),
        "metric_of_one": ("ValueError", "rank 1: metric must be one of"),
        "recall_of_one": ("ValueError", r"rank 1: recall must lie in (0, 1], not 2.0"),
        "layout": ("MemoryError", "rank 1: no room for a step"),
        "layout_of_first": ("MemoryError", "rank 0: no room for a step"),
    }  # fmt: skip
    assert set(told[0]) == set(expected)
    for name, (kind, text) in told[0].items():
        assert kind == expected[name][0], (name, text)
        assert text.startswith(expected[name][1]), name


def test_a_process_that_ends_leaves_no_other_waiting(tmp_path: Path) -> None:
    run(2, tmp_path, "killed")
    kind, text = json.loads((tmp_path / "0.json").read_text("utf-8"))
    assert kind == "RuntimeError"
    assert text  # that of the group's own connections


def test_what_needs_the_rows_of_all(tmp_path: Path) -> None:
    store, path = f"file://{tmp_path / 'store'}", tmp_path / "mapper.safetensors"
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        mapper = ParametricUMAP(**OF_NETWORK).fit(table(), process_group=dist.group.WORLD)
    finally:
        end_group()
    for call, what in (
        (lambda: mapper.save(path, landmarks=5), "save with rows"),
        (lambda: copy.copy(mapper).set_params(placement="median").save(path), "save with rows"),
        (lambda: mapper.confidence(table()), "confidence"),
        (lambda: mapper.update(table()), "update"),
        (lambda: mapper.umap_._raw_data, "the table of rows"),  # type: ignore[union-attr]
    ):
        with pytest.raises(
            ValueError, match=f"^{what} is not available after a fit with process_g"
        ):
            call()
    assert not path.exists()
    routine = mapper.to_routine()
    np.testing.assert_array_equal(routine.apply(table()).numpy(), mapper.embedding_)
    mapper.save(path)
    loaded = ParametricUMAP.load(path)
    np.testing.assert_array_equal(loaded.transform(table()), mapper.transform(table()))


@pytest.mark.parametrize("group", [0, "WORLD", object()], ids=["number", "text", "object"])
def test_what_is_no_group_is_refused(group: Any) -> None:
    X = table()
    for fit in (UMAP().fit, ParametricUMAP().fit):
        with pytest.raises(TypeError, match=r"process_group must be a group of torch\.distributed"):
            fit(X, process_group=group)
    with pytest.raises(TypeError, match="process_group must be a group"):
        Ranks(group)


@pytest.mark.parametrize("counts", [[40], [0, 40], [5, 0, 35], [10, 10, 10, 10], [1] * 16])
def test_slices_are_even_whatever_the_shards(counts: list[int]) -> None:
    shards = [Shards.of(counts, rank) for rank in range(len(counts))]
    n = sum(counts)
    rows = []
    for rank, shard in enumerate(shards):
        assert shard.n == n
        rows += [len(range(n)[part]) for part in shard.slices(rank)]
        assert sum(len(range(n)[part]) for part in shard.slices(rank)) == shard.count
        assert sum(overlaps((shard.first, shard.first + shard.count), shard.given)) == shard.count
    assert len(rows) == SLICES
    assert sum(rows) == n
    assert max(rows) - min(rows) <= 1


def test_branches_of_ranks_make_up_the_tree() -> None:
    assert branches(0, SLICES) == [(0, SLICES)]
    assert branches(5, 10) == [(5, 6), (6, 8), (8, 10)]
    assert branches(0, 5) == [(0, 4), (4, 5)]
    for first in range(SLICES):
        for last in range(first + 1, SLICES + 1):
            parts = branches(first, last)
            assert [number for part in parts for number in range(*part)] == list(range(first, last))
            assert all(a % (b - a) == 0 for a, b in parts)


def test_torch_stays_as_it_was() -> None:
    """An import of the package makes no group."""
    code = "import fastparadime, torch; print(torch.distributed.is_initialized())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
    assert not torch.distributed.is_initialized()


def test_command_under_torchrun_gives_the_map_of_one_process(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    np.save(tmp_path / "rows-0.npy", X[:30])
    np.save(tmp_path / "rows-1.npy", X[30:])
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    asked = ["-m", "fastparadime", "embed", str(tmp_path / "rows-*.npy"), "--method", "umap"]
    asked += ["--checkpoint", str(tmp_path / "kept")]
    output = tmp_path / "map.npy"
    done = subprocess.run(
        [sys.executable, *launch, *asked, "-o", str(output), "--seed", "1", "--n-neighbors", "5"],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "processes" in done.stdout
    alone = UMAP(n_neighbors=6, random_state=1).fit(X)
    assert np.array_equal(np.load(output), alone.embedding_)
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text("utf-8"))
    assert manifest["stages"]["layout"]["about"]["over"]
