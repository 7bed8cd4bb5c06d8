"""One process of a group: fits its own rows of a table, and writes what comes of it and of errors.

python tests/processes.py distributed_job STORE RANK PROCESSES FOLDER [killed|staged|nccl]
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime import UMAP, ParametricUMAP, ops
from fastparadime.distributed.wire import Wire
from fastparadime.layout import optimize, shared_layout
from fastparadime.neighbors import knn

OF_UMAP = {"random_state": 3, "n_epochs": 20}
OF_NETWORK = {**OF_UMAP, "quality": "fast", "hidden_dims": [16], "batch_size": 480}
OF_ANCHORS = {**OF_NETWORK, "anchors": 40}
OF_PROTOTYPES = {**OF_UMAP, "quality": "fast", "prototypes": 40, "batch_size": 480}


@contextmanager
def in_steps() -> Iterator[None]:
    """Has processes lay out small tables in steps that they take together, as large ones."""
    most, shared_layout.MOST_ALONE = shared_layout.MOST_ALONE, 0
    try:
        yield
    finally:
        shared_layout.MOST_ALONE = most


@contextmanager
def by_groups() -> Iterator[None]:
    """Has the first half of a small table's layout move groups of points, as of a large one."""
    many, optimize.MANY_POINTS = optimize.MANY_POINTS, 100
    try:
        yield
    finally:
        optimize.MANY_POINTS = many


@contextmanager
def staged() -> Iterator[None]:
    """Has messages go as those of nccl: by copies of their bytes, here in the CPU's memory."""
    make = Wire.__init__

    def staging(self: Wire, group: Any) -> None:
        make(self, group)
        self.device = torch.device("cpu")

    Wire.__init__ = staging  # type: ignore[method-assign]
    try:
        yield
    finally:
        Wire.__init__ = make  # type: ignore[method-assign]


def table() -> np.ndarray[Any, Any]:
    """Rows in two groups, far from zero, some of them equal."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(310, 6)) + 9 * rng.integers(0, 2, (310, 1)) + 1e8
    X[100:104] = X[7]
    return X


def cuts(ranks: int) -> list[int]:
    """Where the rows of each rank start: uneven, and none for the one before the last of four."""
    return {1: [0, 310], 2: [0, 37, 310], 4: [0, 200, 290, 290, 310]}[ranks]


def results(X: Any, group: Any) -> dict[str, Any]:
    graph = knn(X, 9, process_group=group)
    by_cosine = knn(X, 9, "cosine", process_group=group)
    flat = UMAP(**OF_UMAP, init="random").fit(X[:, :3], process_group=group)
    umap = UMAP(**OF_UMAP).fit(X, process_group=group)
    known = knn(X, 14, process_group=group)
    again = UMAP(**OF_UMAP, precomputed_knn=known).fit(X, process_group=group)
    assert np.array_equal(again.embedding_, umap.embedding_)
    with in_steps():
        by_all = UMAP(**OF_UMAP).fit(X, process_group=group)
    assert np.array_equal(by_all.embedding_, umap.embedding_)
    with by_groups():
        grouped = UMAP(**OF_UMAP).fit(X, process_group=group)
        with in_steps():
            by_all = UMAP(**OF_UMAP).fit(X, process_group=group)
    assert np.array_equal(by_all.embedding_, grouped.embedding_)
    prototypes = ParametricUMAP(**OF_PROTOTYPES).fit(X, process_group=group)
    anchors = ParametricUMAP(**OF_ANCHORS).fit(X, process_group=group)
    network = ParametricUMAP(**OF_NETWORK).fit(torch.from_numpy(X), process_group=group)
    weights = [part.detach().numpy().ravel() for part in network.model_.parameters()]
    matrix = umap.graph_
    assert matrix.shape == (len(X), 310)
    if len(X):
        assert torch.equal(network.transform(torch.from_numpy(X)), network.embedding_)
    return {
        "indices": graph.indices,
        "distances": graph.distances,
        "cosine": by_cosine.indices,
        "flat": flat.embedding_,
        "embedding": umap.embedding_,
        "grouped": grouped.embedding_,
        "lengths": np.diff(matrix.indptr),
        "tails": matrix.indices,
        "strengths": matrix.data,
        "mapped": network.embedding_,
        "weights": np.concatenate(weights),
        "losses": network.history_[0]["losses"],
        "by_anchors": anchors.embedding_,
        "anchors": anchors.encoder_.anchors,
        "anchor_losses": anchors.history_[0]["losses"],
        "by_prototypes": prototypes.embedding_,
        "prototype_losses": prototypes.history_[0]["losses"],
    }


def errors(X: Any, rank: int, group: Any) -> dict[str, tuple[str, str]]:
    """What each rank raises where another one, or all of them, cannot go on."""
    second = rank == 1

    def fails_in_the_layout() -> None:
        step = ops.LayoutShard.step
        if second:
            ops.LayoutShard.step = failing  # type: ignore[method-assign]
        try:
            with in_steps():
                UMAP(**OF_UMAP).fit(X, process_group=group)
        finally:
            ops.LayoutShard.step = step  # type: ignore[method-assign]

    def fails_in_the_layout_of_the_first() -> None:
        step = ops.sgd_layout
        if rank == 0:
            ops.sgd_layout = failing  # type: ignore[assignment]
        try:
            UMAP(**OF_UMAP).fit(X, process_group=group)
        finally:
            ops.sgd_layout = step  # type: ignore[assignment]

    bad = X.copy()
    if second:
        bad[3] = np.nan
    cases: dict[str, Callable[[], object]] = {
        "nan": lambda: UMAP().fit(bad, process_group=group),
        "knn_nan": lambda: knn(bad, 3, process_group=group),
        "columns": lambda: knn(X[:, : 5 if second else 6], 3, process_group=group),
        "dtype": lambda: knn(X.astype("f4") if second else X, 3, process_group=group),
        "metric_of_one": lambda: knn(X, 3, "foo" if second else "cosine", process_group=group),
        "recall_of_one": lambda: knn(X, 3, recall=2.0 if second else 0.9, process_group=group),
        "k": lambda: knn(X, 4 if second else 3, process_group=group),
        "large_k": lambda: knn(X, 310, process_group=group),
        "metric": lambda: knn(X, 3, "jaccard", process_group=group),
        "parameter": lambda: UMAP(n_neighbors=9 + rank).fit(X, process_group=group),
        "quality": lambda: ParametricUMAP(
            quality="best" if second else "fast"
        ).fit(X, process_group=group),
        "labels": lambda: UMAP().fit(X, np.zeros(len(X)), process_group=group),
        "pca": lambda: UMAP(init="pca").fit(X, process_group=group),
        "no_rows": lambda: UMAP().fit(X[:0], process_group=group),
        "short": lambda: UMAP().fit(_Short(X) if second else X, process_group=group),
        "known": lambda: UMAP(precomputed_knn=(np.zeros((3, 14), int), np.ones((3, 14)))).fit(
            X, process_group=group
        ),
        "layout": fails_in_the_layout,
        "layout_of_first": fails_in_the_layout_of_the_first,
        "transform": lambda: UMAP(**OF_UMAP).fit(X, process_group=group).transform(X),
    }  # fmt: skip
    return {name: raised(case) for name, case in cases.items()}


def killed(X: Any, rank: int, group: Any) -> tuple[str, str]:
    """What the others raise where rank 1 ends in the middle of a layout."""
    if rank == 1:
        ops.LayoutShard.step = lambda *_: os._exit(0)  # type: ignore[method-assign]
    with in_steps():
        return raised(lambda: UMAP(**OF_UMAP).fit(X, process_group=group))


class _Short:
    """Rows on a disk that end before their shape says."""

    def __init__(self, X: Any) -> None:
        self.X, self.shape, self.ndim, self.dtype = X, X.shape, 2, X.dtype

    def __getitem__(self, rows: slice) -> Any:
        return self.X[: len(self.X) - 5][rows]


def failing(*_: object, **__: object) -> torch.Tensor:
    raise MemoryError("no room for a step")


def raised(case: Callable[[], object]) -> tuple[str, str]:
    try:
        case()
    except Exception as error:  # noqa: BLE001  that is what is asked for
        return type(error).__name__, str(error)
    return "nothing", ""


def take_part(rank: int, ranks: int, folder: Path, group: Any, how: str = "") -> None:
    X = table()[slice(*cuts(ranks)[rank : rank + 2])]
    if how == "killed":
        told = json.dumps(killed(X, rank, group))
        (folder / f"{rank}.json").write_text(told, encoding="utf-8")
        os._exit(0)  # the group cannot be left in order
    with staged() if how == "staged" else nullcontext():
        np.savez(folder / f"{rank}.npz", **results(X, group))
    if ranks == 2 and not how:
        told = json.dumps(errors(X, rank, group))
        (folder / f"{rank}.json").write_text(told, encoding="utf-8")
