"""``torchrun -m fastparadime embed``: the processes share the rows, and the first one writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastparadime.cli.methods import Fitted
from fastparadime.cli.stages import Report
from fastparadime.distributed import Ranks
from fastparadime.utils.progress import watched


@contextmanager
def joined() -> Iterator[Any]:
    """The group of the processes that torchrun started, within a block; None if it started none."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield None
        return
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    # torchrun's attempts share a store, in which one would find the addresses of the one before.
    attempt = f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    own = PrefixStore(attempt, store)
    dist.init_process_group("gloo", store=own, rank=rank, world_size=size)
    try:
        yield dist.group.WORLD
        dist.barrier()  # a process that left early would end the others' connections
    finally:
        dist.destroy_process_group()


def is_first(group: Any) -> bool:
    """Whether this process is the one that reports and writes."""
    return group is None or Ranks(group).rank == 0


def fit(
    rows: Any,
    report: Report,
    group: Any,
    *,
    method: str,
    n_neighbors: int,
    seed: int | None = None,
    checkpoint: str | None = None,
    **options: Any,
) -> Fitted:
    """Fits rows (n, d), which every process has, each its share of them.

    The result has the coordinates of all rows, and no neighbours.
    """
    # With scikit-learn, which a network of one process does without.
    from fastparadime.estimators import UMAP, ParametricUMAP

    ranks, n = Ranks(group), len(rows)
    own = slice(n * ranks.rank // ranks.size, n * (ranks.rank + 1) // ranks.size)
    kind = UMAP if method == "umap" else ParametricUMAP
    estimator: Any = kind(n_neighbors=n_neighbors + 1, random_state=seed, **options)
    with watched(report.watch):
        estimator.fit(rows[own], process_group=group, checkpoint=checkpoint)
    coords = np.concatenate(ranks.told(np.asarray(estimator.embedding_)))
    name = "UMAP" if method == "umap" else "parametric UMAP"
    facts = {"method": name, "seed": estimator.seed_, "processes": ranks.size}
    write = estimator._write if method == "umap" else estimator.to_routine()._write
    return Fitted(coords, facts, None, write)
