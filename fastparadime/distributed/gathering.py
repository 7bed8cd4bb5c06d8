"""Parts of a table that ranks make, and all ranks get as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch

from fastparadime.distributed.ranks import Ranks


def gathered(ranks: Ranks, own: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """The rows of all ranks, one rank's after the other's. Collective.

    Parameters
    ----------
    ranks : Ranks
    own : tensor (counts[rank], ...)
        Of one dtype and width on all ranks.
    counts : sequence of int
        The rows of each rank, known to all.
    """
    whole = own.new_empty((sum(counts), *own.shape[1:]))
    for rank, part in enumerate(whole.split(list(counts))):
        if rank == ranks.rank:
            part.copy_(own)
        if len(part) and ranks.size > 1:
            ranks.wire.broadcast(part, rank)
    return whole


def shared_out(
    ranks: Ranks, rows: torch.Tensor, make: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """`make(rows)`, of which each rank makes a part, row by row. Collective.

    Parameters
    ----------
    ranks : Ranks
    rows : tensor (m, ...)
        The same on all ranks.
    make : callable
        Gives a tensor with a row for each of those that it gets, whatever the others are.

    Raises
    ------
    Exception
        What `make` raises on any rank, on all ranks; see `Ranks.fail`.
    """
    starts = [len(rows) * rank // ranks.size for rank in range(ranks.size + 1)]
    counts = [last - first for first, last in itertools.pairwise(starts)]
    with ranks.together():
        own = make(rows[starts[ranks.rank] : starts[ranks.rank + 1]])
    return gathered(ranks, own, counts)
