"""Layouts of many points, whose first half moves groups of neighbours as one point each.

What the first half finds is where neighbourhoods lie beside each other, which a graph of a tenth of
the points tells as well. A group is a point and the neighbours that joined it, as in the coarser
graphs of the spectral start.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fastparadime.layout.spectral import CoarseGraph, coarsened
from fastparadime.ops import Edges, Segments
from fastparadime.utils import disk
from fastparadime.utils.seed import derive

MANY_POINTS = 1_000_000  # beyond which the first half is that of groups
_SPREAD = 0.1  # standard deviation of a group's points around it, as they part
_LEAST = 100  # groups that are made at least; fewer points have nothing to gain
_ROWS = 2**16  # groups whose edges are looked at together


@dataclass(frozen=True)
class Groups:
    """A graph whose points are groups of another's.

    Attributes
    ----------
    edges : Edges
        Between groups, without heads on the CPU: the weights between the points of two, over the
        geometric mean of their sizes, and at most the largest between points.
    owners : int tensor (n,)
        The group of each point.
    firsts : int64 tensor (groups,)
        A point of each.
    """

    edges: Edges
    owners: torch.Tensor
    firsts: torch.Tensor

    @staticmethod
    def of(edges: Edges, seed: int) -> Groups | None:
        """Those of a symmetric graph, None where they would hardly be fewer than its points."""
        n = len(edges.indptr) - 1
        whole = Segments([n], edges.weights.device)
        coarse = coarsened(edges, whole, _LEAST, derive(seed, "groups") % 2**32)
        if coarse is None:
            return None
        count = len(coarse.edges.indptr) - 1
        points = torch.arange(n, device=coarse.owners.device)
        firsts = points.new_full((count,), n).scatter_reduce_(0, coarse.owners, points, "amin")
        return Groups(_for_layout(coarse, float(edges.weights.max())), coarse.owners.int(), firsts)

    def spread(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions of the groups at all of their points, float32 (n, dim)."""
        return positions[self.owners]

    def parted(self, positions: torch.Tensor, seed: int) -> torch.Tensor:
        """The same with normal noise, drawn on the host, by which the points of a group part."""
        generator = torch.Generator().manual_seed(derive(seed, "parted groups"))
        shape = (len(self.owners), positions.shape[1])
        noise = torch.randn(shape, generator=generator).mul_(_SPREAD)
        return noise.to(positions.device).add_(self.spread(positions))


class GroupsOf:
    """The groups of a graph's points, found when they are first asked for.

    Parameters
    ----------
    edges : Edges
    seed : int
    """

    def __init__(self, edges: Edges, seed: int) -> None:
        self._edges, self._seed = edges, seed
        self._found: list[Groups | None] = []

    def get(self) -> Groups | None:
        """The groups, kept for another call; None where there are none."""
        if not self._found:
            self._found.append(Groups.of(self._edges, self._seed))
        return self._found[0]

    def taken(self) -> Groups | None:
        """The same, and let go of, for what follows needs the memory."""
        self.get()
        return self._found.pop()


def halfway(n_epochs: int) -> int:
    """The epochs of a layout that move groups, if any do."""
    return n_epochs // 2


def _for_layout(coarse: CoarseGraph, largest: float) -> Edges:
    """Weights by which a group moves as its points would on average, were they all there."""
    indptr, _, tails, sums = coarse.edges
    scale = coarse.owners.bincount(minlength=len(indptr) - 1).rsqrt()
    weights = disk.empty_like(sums)
    for first in range(0, len(scale), _ROWS):
        ends = indptr[first : first + _ROWS + 1]
        here = slice(int(ends[0]), int(ends[-1]))
        heads = scale[first : first + _ROWS].repeat_interleave(ends.diff())
        weights[here] = (sums[here] * heads * scale[tails[here]]).clamp_(max=largest)
    heads = coarse.edges.heads
    if weights.is_cuda:  # where components are found by them
        groups = torch.arange(len(scale), dtype=torch.int32, device=weights.device)
        heads = groups.repeat_interleave(indptr.diff())
    return Edges(indptr, heads, tails, weights)
