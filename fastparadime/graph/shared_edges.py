"""The fuzzy simplicial set of the rows of several processes, each of which has those of its own."""

from __future__ import annotations

import itertools
import math

import torch

from fastparadime import ops
from fastparadime.distributed import Ranks, Shards
from fastparadime.graph.fuzzy_simplicial_set import FuzzySimplicialSet
from fastparadime.neighbors import NeighborGraph
from fastparadime.utils.convert import sums_over


def shared_simplicial_set(
    found: NeighborGraph,
    ranks: Ranks,
    shards: Shards,
    *,
    set_op_mix_ratio: float = 1.0,
    local_connectivity: float = 1.0,
    disconnection_distance: float = math.inf,
) -> FuzzySimplicialSet:
    """The rows of `fuzzy_simplicial_set` that this rank was dealt; heads and tails are of all rows.

    Collective. `removed` counts the edges of all ranks.

    Parameters
    ----------
    found : NeighborGraph
        Of the rows that this rank was dealt.
    ranks : Ranks
    shards : Shards
    set_op_mix_ratio, local_connectivity, disconnection_distance
        As of `fuzzy_simplicial_set`.
    """
    indices, distances = found
    with ranks.together():
        too_long = (distances >= disconnection_distance) & (indices >= 0)
        if bool(too_long.any()):
            distances = distances.masked_fill(too_long, math.inf)
        parts = [distances[part] for part in shards.slices(shards.rank)]
        known = [part[part.isfinite()].double() for part in parts]
        sums = [(float(sums_over(part, 0)), len(part)) for part in known]
    told = list(itertools.chain.from_iterable(ranks.told(sums)))  # in the order of slices
    count = sum(number for _, number in told)
    mean = math.fsum(total for total, _ in told) / count if count else math.nan
    with ranks.together():
        weights, rho, sigma = ops.smooth_knn(
            distances,
            "umap",
            local_connectivity=local_connectivity,
            mean_distance=mean if count else 0.0,
        )
        outgoing, given = _by_owner(indices, weights, shards)
    triples = _received(outgoing, given, ranks)
    with ranks.together():
        edges = _own_rows(triples, shards, set_op_mix_ratio)
    return FuzzySimplicialSet(edges, rho, sigma, int(ranks.sums(too_long.sum())))


def _by_owner(
    indices: torch.Tensor, weights: torch.Tensor, shards: Shards
) -> tuple[torch.Tensor, list[int]]:
    """Edges as rows (head, tail, weight's bits) of int32, those for each rank in turn, and how many.

    A rank gets those that end at its rows; this one keeps all that begin at its own.
    """
    m, k = indices.shape
    heads = torch.arange(shards.first, shards.first + m, dtype=torch.int32)
    bits = weights.view(torch.int32)
    rows = torch.stack((heads[:, None].expand(m, k), indices, bits), dim=-1).view(-1, 3)
    if bool((indices < 0).any()):  # places of neighbours that are lacking
        rows = rows[rows[:, 1] >= 0]
    # Contiguous borders in int32, as the indices.
    borders = torch.tensor(shards.dealt[1:], dtype=torch.int32)
    owners = torch.bucketize(rows[:, 1].contiguous(), borders, right=True)
    parts = [rows if rank == shards.rank else rows[owners == rank] for rank in range(len(borders))]
    return torch.cat(parts), [len(part) for part in parts]


def _received(outgoing: torch.Tensor, given: list[int], ranks: Ranks) -> torch.Tensor:
    taken = [counts[ranks.rank] for counts in ranks.told(given)]
    return ranks.sent(outgoing, outgoing.new_empty((sum(taken), 3)), given, taken)


def _own_rows(triples: torch.Tensor, shards: Shards, mix_ratio: float) -> ops.Edges:
    """The symmetrized rows of this rank, of all edges that begin or end at them, sorted by head."""
    heads, tails, bits = (column.contiguous() for column in triples.T)
    indptr = torch.zeros(shards.n + 1, dtype=torch.int64)
    indptr[1:] = heads.bincount(minlength=shards.n).cumsum(0)
    # As a graph of all points, of which the own rows alone are whole.
    weights = bits.view(torch.float32)
    whole = ops.symmetrize(tails, weights, "mix", mix_ratio=mix_ratio, indptr=indptr)
    starts = whole.indptr[shards.first : shards.first + shards.count + 1]
    own = slice(int(starts[0]), int(starts[-1]))
    parts = (part[own].clone() for part in whole[1:])
    return ops.Edges(starts - starts[0], *parts)


def moved_edges(
    edges: ops.Edges, ranks: Ranks, held: tuple[int, ...], wanted: tuple[int, ...]
) -> ops.Edges:
    """Rows of a graph that ranks hold in consecutive ranges, as other ranges want them."""
    lengths = ranks.moved(edges.indptr.diff(), held, wanted)
    indptr = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    starts = [
        (0, *itertools.accumulate(ranks.told(int(ends[-1])))) for ends in (edges.indptr, indptr)
    ]
    return ops.Edges(indptr, *(ranks.moved(part, *starts) for part in edges[1:]))
