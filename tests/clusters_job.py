"""One process of a group that searches among clusters, and writes what comes of it and of errors.

python tests/processes.py clusters_job STORE RANK PROCESSES FOLDER
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from fastparadime import UMAP, ops
from fastparadime.neighbors import (
    approximate,
    cluster_plan,
    cluster_search,
    doubtful_rows,
    exact,
    knn,
    nearest_centers,
    ring,
    shared_clusters,
    shared_memory,
    shared_rounds,
    tree,
)
from fastparadime.ops.neighbors import nearest_by_products
from tests.distributed_job import raised
from tests.test_neighbors_memory import SMALL, peak_of

N = 6007
OF_UMAP = {"random_state": 3, "n_epochs": 1, "init": "random"}
Set = Callable[[Any, str, Any], None]

# Name: rows, neighbours, metric, recall.
Case = tuple[Callable[[], np.ndarray[Any, Any]], int, str, float]


def normal(n: int, d: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng([n, d]).standard_normal((n, d))


def far() -> np.ndarray[Any, Any]:
    """Groups of unlike sizes far from zero in float64, with many equal rows and some outliers."""
    X = normal(N, 10) + 9.0 * (np.arange(N) % 7 == 0)[:, None] + 1e8
    X[1000:1400] = X[1000]
    X[::500] += 1e4
    return X


def wide() -> np.ndarray[Any, Any]:
    """Few directions in many columns, by which clusters are compared."""
    return normal(9000, 8) @ normal(8, 120) + 0.05 * normal(9000, 120)


def clouds(n: int = 9000, parts: int = 60) -> np.ndarray[Any, Any]:
    """Rows about centres that lie apart, whose clusters are found by groups of them."""
    rng = np.random.default_rng([n, parts])
    centers = 5.0 * rng.standard_normal((parts, 12))
    X = centers[rng.integers(0, parts, n)] + rng.standard_normal((n, 12))
    return X.astype(np.float32)


CASES: dict[str, Case] = {
    "plain": (lambda: normal(N, 10).astype(np.float32), 14, "euclidean", 0.95),
    "squares": (lambda: normal(N, 10).astype(np.float32), 5, "sqeuclidean", 0.9),
    "far": (far, 9, "euclidean", 0.95),
    "wide": (wide, 14, "cosine", 0.9),
    "clouds": (clouds, 14, "euclidean", 0.95),
    "many": (lambda: normal(2500, 6), 60, "euclidean", 0.6),
}


def lowered(put: Set) -> None:
    """Has small tables searched among clusters, in many rounds, without neighbours of neighbours."""
    put(approximate, "_EXACT_COST", 1e6)
    put(approximate, "_LEAST_ROWS", 1000)
    put(approximate, "_MOST_WORK", float("inf"))
    put(tree, "_MOST_COLUMNS", 0)
    put(cluster_search, "_refined_early", lambda *_: False)
    put(nearest_centers, "_LEAST_GROUPED", 100)
    put(shared_rounds, "_LEAST_ROOM", 2500)
    put(shared_rounds, "_SHARE", 0.2)


def too_few_steps(put: Set) -> None:
    """Has a plan predict fewer clusters than the recall takes."""
    steps = cluster_plan.Plan.steps_for
    put(cluster_plan.Plan, "steps_for", lambda plan, recall: max(8, steps(plan, recall) - 5))


def searched(X: Any, name: str, group: Any = None) -> Any:
    _, k, metric, recall = CASES[name]
    return knn(X, k, metric, recall=recall, seed=5, process_group=group)


def results(rank: int, ranks: int, group: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Neighbours and maps of the own rows, and what is said of them."""
    found: dict[str, Any] = {}
    said: dict[str, Any] = {}
    for name, case in CASES.items():
        own = share(case[0](), rank, ranks)
        if name == "squares":  # the number of threads need not be the same on all
            torch.set_num_threads(1 + rank % 2)
        graph = searched(own, name, group)
        torch.set_num_threads(1)
        found[f"{name} indices"], found[f"{name} distances"] = graph
        said[name] = [graph.engine, graph.recall_estimate, graph.recall_bound]
    own = share(CASES["plain"][0](), rank, ranks)
    umap = UMAP(**OF_UMAP).fit(own, process_group=group)
    found["map"], said["map"] = umap.embedding_, [umap.engine_, umap.recall_estimate_]
    too_few_steps(setattr)
    found["later indices"], found["later distances"] = graph = searched(own, "plain", group)
    said["later"] = [graph.engine, graph.recall_estimate, graph.recall_bound]
    return found, said


def waiting(collective: Callable[..., Any]) -> Callable[..., Any]:
    """A collective that ends when gloo's threads have let go of its tensors.

    What they free last, the profiler, which sees this thread alone, would count as held for good.
    """

    def call(*given: Any, **how: Any) -> Any:
        tensors = [part for part in given if isinstance(part, torch.Tensor)]
        before = [tensor._use_count() for tensor in tensors]
        done = collective(*given, **how)
        while [tensor._use_count() for tensor in tensors] != before:
            time.sleep(0)  # lets them have the core
        return done

    return call


def peaks(rank: int, group: Any) -> dict[str, tuple[int, int]]:
    """What searches take of tensors at the most, and what the formula says, in bytes."""
    for name in ("all_to_all_single", "all_reduce", "broadcast"):
        setattr(dist, name, waiting(getattr(dist, name)))
    for module, name, size in (
        (exact, "_BLOCK_BYTES", SMALL),
        (nearest_by_products, "_LIST_BYTES", SMALL),
        (ring, "_PAIRS", SMALL // 4),
        (doubtful_rows, "SHOWN_ROWS", 64),
        (shared_memory, "SHOWN_ROWS", 64),
        (shared_memory, "TOGETHER", 512),
        (shared_clusters, "TOGETHER", 512),
    ):
        setattr(module, name, size)
    X = share(normal(12_000, 40).astype(np.float32), rank, 2, even=True)
    found = {}
    for name, recall in (("clusters", 0.9), ("ring", 1.0)):
        taken = peak_of(lambda recall=recall: knn(X, 9, recall=recall, process_group=group))
        found[name] = taken, shared_memory.search_bytes(12_000, 40, 9, "euclidean", recall, 2)
    return found


def share(X: Any, rank: int, ranks: int, *, even: bool = False) -> Any:
    """The own rows: shares are uneven, and the one before the last of four is empty."""
    n = len(X)
    if even:
        return X[n * rank // ranks : n * (rank + 1) // ranks]
    cuts = {1: [0, n], 2: [0, 37, n], 4: [0, n // 2, n - 20, n - 20, n]}[ranks]
    return X[cuts[rank] : cuts[rank + 1]]


def errors(rank: int, group: Any) -> dict[str, tuple[str, str]]:
    """What each rank raises where another one, or all of them, cannot go on."""
    X, second = share(CASES["plain"][0](), rank, 2), rank == 1

    def failing(owner: Any, name: str) -> Callable[[], object]:
        def search() -> object:
            before = getattr(owner, name)
            if second:
                setattr(owner, name, _failing)
            try:
                return searched(X, "plain", group)
            finally:
                setattr(owner, name, before)

        return search

    cases: dict[str, Callable[[], object]] = {
        "compare": failing(ops.ClusterSearch, "compare"),
        "join": failing(ops.NearestLists, "join"),
        "sample": failing(ops.ProductTable, "nearest_to"),
        "distances": failing(ops, "rerank"),
        "recall": lambda: knn(X, 5, recall=0.9 if second else 0.95, process_group=group),
        "seed": lambda: knn(X, 5, seed=rank, process_group=group),
        "range": lambda: knn(X, 5, recall=1.5, process_group=group),
    }
    return {name: raised(case) for name, case in cases.items()}


def _failing(*_: object, **__: object) -> Any:
    raise MemoryError("no room for a cluster")


def take_part(rank: int, ranks: int, folder: Path, group: Any) -> None:
    lowered(setattr)
    told: dict[str, Any] = {"errors": errors(rank, group)} if ranks == 2 else {}
    found, said = results(rank, ranks, group)
    np.savez(folder / f"{rank}.npz", **found)
    if ranks == 2:
        told["peaks"] = peaks(rank, group)
    (folder / f"{rank}.json").write_text(json.dumps({**told, **said}), encoding="utf-8")
