"""How the clusters of several processes are searched: the plan of one process, made by all alike.

What shows it are rows that are drawn by their numbers, so no rank's share decides. Each rank solves
and compares a part, and all get what is found.
"""

from __future__ import annotations

import dataclasses

import torch

from fastparadime import ops
from fastparadime.distributed import Ranks, gathered, shared_out
from fastparadime.neighbors import cluster_plan
from fastparadime.neighbors.centroids import drawn_numbers, moved_centroids
from fastparadime.neighbors.cluster_plan import Plan, Widened
from fastparadime.neighbors.doubtful_rows import SHOWN_ROWS, near_origin_centre, scale_of
from fastparadime.neighbors.nearest_centers import (
    TELLING_NEAR,
    TELLING_ROWS,
    are_many,
    groups_of,
    nearest_centers,
)
from fastparadime.neighbors.recall_sample import Sample, sample_rows
from fastparadime.neighbors.ring import NONE, Nearest, by_products
from fastparadime.neighbors.shared_rows import SharedRows
from fastparadime.neighbors.smallest import smallest
from fastparadime.ops.neighbors.subspace import SAMPLE, largest
from fastparadime.ops.neighbors.subspace import scale_of as subspace_scale
from fastparadime.utils.seed import derive

Found = tuple[torch.Tensor, torch.Tensor]


def shared_sample(shared: SharedRows, k: int, recall: float, seed: int) -> Sample:
    """Rows of all ranks that are solved exactly, enough to show the recall; the same on all ranks."""
    rows = sample_rows(shared.n, recall, seed)
    return Sample(rows, *exact_neighbors(shared, rows, k))


def exact_neighbors(shared: SharedRows, numbers: torch.Tensor, k: int) -> Found:
    """The k nearest others of some rows by Euclidean distance, on all ranks. Collective.

    Parameters
    ----------
    shared : SharedRows
    numbers : int64 tensor (m,)
        The same on all ranks.
    k : int

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
        Ascending by (distance, index), the same bits for any number of ranks.
    """
    rows, shards = shared.rows, shared.shards
    queries = shared.at(numbers, lambda places: rows[places])
    with shared.ranks.together():
        found = Nearest(len(numbers), k + 1)  # a row is the nearest to itself
        everywhere = torch.full((len(numbers),), torch.inf)  # whichever slices a rank has before
        for part in shards.slices(shards.rank):
            if part.stop > part.start:
                lists = by_products(queries, rows[part], everywhere, k + 1, itself=False)
                found.take(lists.places, shards.first + part.start, lists)
        itself = found.indices == numbers[:, None]
        found.distances[itself], found.indices[itself] = torch.inf, NONE
    return nearest_of_all(shared.ranks, found.indices, found.distances, k)


def nearest_of_all(ranks: Ranks, indices: torch.Tensor, distances: torch.Tensor, k: int) -> Found:
    """The k nearest of what all ranks have found for the same rows, on all ranks. Collective.

    Parameters
    ----------
    ranks : Ranks
    indices, distances : int32 and float32 tensors (m, w)
        Of all rows' numbers; `NONE` at infinity where there are fewer.
    k : int
    """
    numbers, found = (
        gathered(ranks, part[None], [1] * ranks.size).transpose(0, 1).flatten(1).numpy()
        for part in (indices, distances)
    )
    nearest, away = smallest(found, numbers, k)
    return torch.from_numpy(nearest), torch.from_numpy(away)


def true_distances_of(
    shared: SharedRows, queries: torch.Tensor, candidates: torch.Tensor, k: int
) -> Found:
    """`fastparadime.ops.rerank` of queries and candidates among the rows of all ranks. Collective.

    Parameters
    ----------
    shared : SharedRows
    queries : float32 tensor (m, columns)
    candidates : int32 tensor (m, w)
        Numbers of rows, -1 for none. Both are the same on all ranks.
    k : int
    """
    shards = shared.shards
    with shared.ranks.together():
        own = among(candidates, shards.first, shards.count)
        indices, distances = ops.rerank(shared.rows, own, k, queries=queries)
        indices = torch.where(indices < 0, NONE, indices + shards.first)
    return nearest_of_all(shared.ranks, indices, distances, k)


def among(numbers: torch.Tensor, first: int, count: int) -> torch.Tensor:
    """Places among `count` rows from the number `first` on, -1 for others."""
    return torch.where((numbers >= first) & (numbers < first + count), numbers - first, -1)


def shared_plan(shared: SharedRows, k: int, recall: float, seed: int, sample: Sample) -> Plan:
    """`cluster_plan.make_plan` of the rows of all ranks; its rows are those of this rank. Collective.

    Parameters
    ----------
    shared : SharedRows
    k : int
    recall : float
    seed : int
    sample : Sample
        Of all rows.
    """
    n, ranks = shared.n, shared.ranks
    rows, width, kept = cluster_plan.compared(
        shared.rows,
        n,
        k,
        recall,
        lambda most: _subspace(shared, most, seed),
        lambda projected: _kept(shared, projected, k, sample),
    )
    mean, scale = _origin(shared, rows)

    def nearest(some: torch.Tensor, centers: torch.Tensor, count: int) -> torch.Tensor:
        return shared_out(
            ranks, some, lambda part: nearest_centers(part, centers, count, mean, scale)
        )

    count = cluster_plan.count_clusters(n)
    drawn = shared.at(
        drawn_numbers(n, count * cluster_plan.SAMPLED, seed), lambda places: rows[places]
    )
    centers, sizes = moved_centroids(drawn, drawn[:count], cluster_plan.MOVES, nearest)
    centers = centers[cluster_plan.along_a_curve(centers)]
    del drawn
    groups = None
    if are_many(centers):
        numbers = drawn_numbers(n, TELLING_ROWS, derive(seed, "groups"))
        shown = shared.at(numbers, lambda places: rows[places])
        near = nearest(shown, centers, TELLING_NEAR)
        with ranks.together():
            groups = groups_of(centers, mean, scale, shown, near)
    crowding, unmet = cluster_plan.crowding_of(n, sizes), torch.empty(0, dtype=torch.int64)
    plan = Plan(rows, width, centers, mean, scale, groups, kept, crowding, unmet)

    def clusters_of(points: torch.Tensor, count: int) -> torch.Tensor:
        some = shared.at(points, lambda places: rows[places])
        return shared_out(ranks, some, lambda part: plan.nearest(part, count))

    met = cluster_plan.steps_to_meet(sample, clusters_of, len(centers))
    plan = dataclasses.replace(plan, met=met)
    plan = cluster_plan.predicted(plan, n, shared.rows.shape[1], k, recall)
    joined, work = ranks.told((plan.joined, plan.work))[0]
    return dataclasses.replace(plan, joined=joined, work=work)


def _origin(shared: SharedRows, rows: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A centre near the rows of all ranks and what they are multiplied with: those of rank 0.

    Torch's sums depend on its number of threads, which need not be the same on all ranks.
    """
    shown = shared.strided(SHOWN_ROWS, lambda places: rows[places])
    with shared.ranks.together():
        mean, spread = near_origin_centre(shown)
    return shared.ranks.from_first(mean), float(shared.ranks.told(scale_of(spread))[0])


def _subspace(shared: SharedRows, most: int, seed: int) -> Widened:
    """What widens projected rows, of a subspace that is fitted to rows of all ranks."""
    ranks = shared.ranks
    sample = shared.strided(SAMPLE, lambda places: shared.rows[places])
    scale = subspace_scale(torch.tensor(ranks.told(largest(shared.rows))))
    with ranks.together():
        space = ops.Subspace(shared.rows, most, derive(seed, "subspace"), (sample, scale))

    def widened(before: torch.Tensor | None, columns: int) -> torch.Tensor:
        with ranks.together():
            if before is None:
                return space.rows(0, columns)
            return torch.cat((before, space.rows(before.shape[1], columns)), dim=1)

    return widened


def _kept(shared: SharedRows, rows: torch.Tensor, k: int, sample: Sample) -> torch.Tensor:
    """`cluster_plan.kept_shares` by the projected rows of all ranks."""
    count = cluster_plan.listed_of(shared.n, k)
    mean, scale = _origin(shared, rows)
    queries = shared.at(sample.rows[: cluster_plan.SHOWN], lambda places: rows[places])
    with shared.ranks.together():
        table = ops.ProductTable(rows, mean, scale)
        indices, squares = table.nearest_to(queries, count)
        indices = torch.where(indices < 0, NONE, indices + shared.shards.first)
    return cluster_plan.kept_shares(
        sample, nearest_of_all(shared.ranks, indices, squares, count)[0]
    )
