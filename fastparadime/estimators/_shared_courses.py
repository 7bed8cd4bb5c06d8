"""The course of a fit by several processes: what decides about its result, and its stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.distributed import Ranks, Shards, SharedCourse
from fastparadime.distributed.courses import begun as begun_by_all
from fastparadime.distributed.courses import digest_of_rows
from fastparadime.estimators._courses import parameters_of
from fastparadime.estimators._parameters import Settings
from fastparadime.graph.fuzzy_simplicial_set import FuzzySimplicialSet
from fastparadime.neighbors import NeighborGraph
from fastparadime.utils.checkpoints import CheckpointLike


def begun(
    checkpoint: CheckpointLike,
    estimator: Any,
    table: Any,
    settings: Settings,
    given: NeighborGraph | None,
    ranks: Ranks,
    shards: Shards,
) -> tuple[SharedCourse, int]:
    """The course of a fit, and its seed; see `fastparadime.distributed.courses.begun`. Collective.

    Parameters
    ----------
    checkpoint : str, Path, Checkpoint or None
    estimator : UMAP or ParametricUMAP
    table : array or tensor (n_local, d)
        The rows that this rank was given.
    settings : Settings
    given : NeighborGraph or None
        Neighbours that were given, of the rows that this rank was dealt.
    ranks : Ranks
    shards : Shards
    """
    parameters, drawn = parameters_of(estimator)
    parameters["process_group"] = True  # others have another order of batches
    data: dict[str, Any] = {}
    if checkpoint is not None:
        data["X"] = digest_of_rows(table, ranks, shards)
        if not isinstance(settings.init, str):
            parameters["init"] = "positions"
            data["init"] = digest_of_rows(np.asarray(settings.init, np.float64), ranks, shards)
        if given is not None:
            parts = (ranks.moved(part, shards.dealt, shards.given) for part in given)
            data["knn"] = [digest_of_rows(part, ranks, shards) for part in parts]
    return begun_by_all(checkpoint, parameters, data, settings.seed, ranks, shards, drawn=drawn)


def neighbors_in(course: SharedCourse, find: Callable[[], NeighborGraph]) -> NeighborGraph:
    """The neighbours that a course keeps of the own rows, or else those found now. Collective."""
    stage = course.read_rows("neighbors")
    if stage is not None:
        return NeighborGraph(stage.arrays["indices"], stage.arrays["distances"], **stage.about)
    found = find()

    def of(rows: slice) -> dict[str, torch.Tensor]:
        return {"indices": found.indices[rows], "distances": found.distances[rows]}

    course.write_rows("neighbors", of, found.about())
    return found


def graph_in(
    course: SharedCourse, shards: Shards, make: Callable[[], FuzzySimplicialSet]
) -> FuzzySimplicialSet:
    """The graph that a course keeps of the own rows, or else the one made now. Collective."""
    stage = course.read_rows("graph")
    if stage is not None:
        parts = stage.arrays
        indptr = torch.nn.functional.pad(parts["lengths"].cumsum(0), (1, 0))
        own = torch.arange(shards.first, shards.first + shards.count, dtype=torch.int32)
        heads = own.repeat_interleave(parts["lengths"])
        edges = ops.Edges(indptr, heads, parts["tails"], parts["weights"])
        return FuzzySimplicialSet(edges, parts["rho"], parts["sigma"], stage.about["removed"])
    made = make()
    edges = made.edges

    def of(rows: slice) -> dict[str, torch.Tensor]:
        starts = edges.indptr[rows.start : rows.stop + 1]
        ends = slice(int(starts[0]), int(starts[-1]))
        return {
            "lengths": starts.diff(),
            "tails": edges.tails[ends],
            "weights": edges.weights[ends],
            "rho": made.rho[rows],
            "sigma": made.sigma[rows],
        }

    course.write_rows("graph", of, {"removed": made.removed})
    return made
