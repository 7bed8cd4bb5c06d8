"""Which rows are whose: shards as they were given, and even slices that the ranks are dealt."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

SLICES = 16

Starts = tuple[int, ...]  # of consecutive ranges, and the end of the last one


@dataclass(frozen=True)
class Shards:
    """The rows of all ranks in one order: those of rank 0, then those of rank 1, and so on.

    The order is cut into 16 even slices, and each rank is dealt the same number of them, up to one;
    of more than 16 ranks some are dealt none.
    Work on slices is balanced, and what comes of it depends neither on how rows were given nor on
    how many ranks there are.

    Attributes
    ----------
    rank : int
        The own one.
    given, dealt : tuple of int
        Where the rows of each rank start, and the number of all rows.
    """

    rank: int
    given: Starts
    dealt: Starts

    @staticmethod
    def of(counts: Sequence[int], rank: int) -> Shards:
        """Of the numbers of rows that ranks were given."""
        given = (0, *itertools.accumulate(counts))
        ranks, n = len(counts), given[-1]
        firsts = [slices_of(r, ranks).start for r in range(ranks)]
        dealt = tuple(n * first // SLICES for first in (*firsts, SLICES))
        return Shards(rank, given, dealt)

    @property
    def n(self) -> int:
        """Rows of all ranks."""
        return self.given[-1]

    @property
    def first(self) -> int:
        """The number of the first row that this rank was dealt."""
        return self.dealt[self.rank]

    @property
    def count(self) -> int:
        """Rows that this rank was dealt."""
        return self.dealt[self.rank + 1] - self.first

    @property
    def by_first(self) -> Starts:
        """Where the rows of each rank start if rank 0 has all of them."""
        return (0, *(self.n for _ in self.given[1:]))

    def slices(self, rank: int) -> list[slice]:
        """The slices of a rank as places among the rows that it was dealt."""
        first = self.dealt[rank]
        starts = [self.n * s // SLICES - first for s in range(SLICES + 1)]
        return [slice(starts[s], starts[s + 1]) for s in slices_of(rank, len(self.dealt) - 1)]


def slices_of(rank: int, ranks: int) -> range:
    """The numbers of the slices that a rank of so many is dealt."""
    return range(SLICES * rank // ranks, SLICES * (rank + 1) // ranks)


def overlaps(own: tuple[int, int], starts: Starts) -> list[int]:
    """How many rows of a range lie in each of consecutive ranges."""
    return [max(0, min(own[1], b) - max(own[0], a)) for a, b in itertools.pairwise(starts)]
