"""Which clusters are compared where and when: owners of even work, and rounds of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_LEAST_ROOM = 2**16  # rows that come to an owner in a round, and go from a rank
TOGETHER = 2**16  # rows whose true distances are taken at a time
_SHARE = 0.5  # of the rows that a rank was dealt, which may be as many

Range = tuple[int, int]  # of clusters: the first, and one past the last


@dataclass(frozen=True)
class Members:
    """Which rows of a rank have joined which clusters.

    Attributes
    ----------
    places : int32 tensor (m,)
        Of the rows among those of the rank, cluster after cluster.
    codes : int32 tensor (m,)
        Twice the cluster, and 1 more of a row that has not been compared there yet.
    counts : int64 tensor (clusters,)
    """

    places: torch.Tensor
    codes: torch.Tensor
    counts: torch.Tensor

    @staticmethod
    def of(clusters: torch.Tensor, first: int, steps: Range, step: int, count: int) -> Members:
        """Of the nearest clusters (rows, joined) of rows from the number `first` on.

        Of `step` steps a row takes one to its first cluster, which one by its number, and so on;
        those before ``steps[0]`` have been compared, and those before ``steps[1]`` count.
        """
        turn = (torch.arange(len(clusters)) + first) % step
        places, codes = [], []
        for column in range(clusters.shape[1]):
            taken = (turn + column * step < steps[1]).nonzero().flatten()
            fresh = turn[taken] + column * step >= steps[0]
            places.append(taken.to(torch.int32))
            codes.append(2 * clusters[taken, column] + fresh)
        flat = torch.cat(codes)
        order = (flat >> 1).argsort(stable=True)
        counts = (flat >> 1).bincount(minlength=count)
        return Members(torch.cat(places)[order], flat[order], counts)

    def among(self, wanted: torch.Tensor) -> Members:
        """Of some clusters alone, bool (clusters,)."""
        if bool(wanted.all()):
            return self
        kept = wanted[(self.codes >> 1).long()]
        return Members(self.places[kept], self.codes[kept], self.counts * wanted)

    def within(self, clusters: Range) -> tuple[torch.Tensor, torch.Tensor]:
        """Places and codes of consecutive clusters."""
        first, last = clusters
        before, size = int(self.counts[:first].sum()), int(self.counts[first:last].sum())
        some = slice(before, before + size)
        return self.places[some], self.codes[some]


def room_of(n: int, ranks: int) -> int:
    """Rows that come to an owner in a round at the most, but for those of one larger cluster."""
    return max(_LEAST_ROOM, int(_SHARE * n / ranks))


def rounds_of(counts: torch.Tensor, room: int) -> list[list[Range]]:
    """Rounds, in each of which every rank takes some consecutive clusters of those that it owns.

    A rank owns as much of the work, by the squares of sizes, as any other. No rank takes or gives
    more than `room` members in a round, but where a single cluster of a rank has more.

    Parameters
    ----------
    counts : int64 tensor (ranks, clusters)
        Members that each rank has in each cluster.
    room : int

    Returns
    -------
    list of lists of (first, last)
        Of each round, the clusters of each rank.
    """
    ranks = len(counts)
    work = counts.sum(dim=0).double().square().cumsum(0)
    shares = work[-1] * torch.arange(1, ranks) / ranks
    cuts = torch.searchsorted(work, shares).tolist()
    nexts, ends = [0, *cuts], [*cuts, counts.shape[1]]
    rows = counts.T.numpy()
    rounds: list[list[Range]] = []
    while nexts != ends:
        given, ranges = 0 * rows[0], [(0, 0)] * ranks
        for turn in range(ranks):
            owner = (
                len(rounds) + turn
            ) % ranks  # each in turn is the first, whose cluster is large
            first = last = nexts[owner]
            taken = 0
            while last < ends[owner]:
                size = int(rows[last].sum())
                full = taken + size > room or (given + rows[last]).max() > room
                if full and given.any():
                    break
                given, taken, last = given + rows[last], taken + size, last + 1
            ranges[owner], nexts[owner] = (first, last), last
        rounds.append(ranges)
    return rounds
