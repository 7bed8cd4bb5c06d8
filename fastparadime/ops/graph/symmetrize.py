"""The symmetrized graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_indices,
    as_non_negative,
    as_row_starts,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils import disk
from fastparadime.utils.convert import value_range
from fastparadime.utils.progress import memory_for
from fastparadime.utils.validate import check_option

_SEGMENT = 2**14  # points of a range at the least
_TOGETHER = 2**22  # entries that are counted at a time
_SCRATCH = 28  # bytes of an entry: as it is transposed, and joined before and after it is moved
_SCRATCH_SHARE = 8  # of a limit, for these
_OPERATIONS = ("union", "intersection", "mix", "mean")


class Edges(NamedTuple):
    """A sparse graph sorted by head, then tail, as `symmetrize` gives it.

    ``indptr`` int64 (n + 1,), ``heads`` and ``tails`` int32 (edges,), ``weights`` float32 (edges,).
    """

    indptr: torch.Tensor
    heads: torch.Tensor
    tails: torch.Tensor
    weights: torch.Tensor


def symmetrize(
    indices: TensorLike,
    weights: TensorLike,
    operation: str = "union",
    *,
    mix_ratio: float = 1.0,
    indptr: TensorLike | None = None,
) -> Edges:
    """A directed graph joined with its transpose, in time linear in its edges.

    Parameters
    ----------
    indices, weights : (n, k) arrays, or (edges,) arrays with `indptr`
        Neighbours of each point, distinct within a row and in any order, and their weights. A
        negative index in (n, k) is no neighbour.
    operation : {"union", "intersection", "mix", "mean"}
        union w + w' - w w', intersection w w', their blend by `mix_ratio`, or (w + w') / 2.
    mix_ratio : float
        ``"mix"`` only: 1 is the union, 0 the intersection.
    indptr : (n + 1,) array, optional
        Row starts, if rows differ in length.

    Returns
    -------
    Edges
        Every edge in both directions; edges of weight zero are left out.

    Raises
    ------
    ValueError
        For shapes that disagree, indices that are no points or not distinct within a row, negative
        or NaN weights, n >= 2^31.
    """
    check_option(operation, _OPERATIONS, "operation")
    if operation == "mix" and not 0 <= mix_ratio <= 1:
        raise ValueError(f"mix_ratio must lie in [0, 1], not {mix_ratio}")
    ratio = {"union": 1.0, "intersection": 0.0}.get(operation, float(mix_ratio))
    ndim = 2 if indptr is None else 1
    weights = as_non_negative(weights, "weights", ndim)
    starts, longest = _row_starts(weights, indptr)
    n = len(starts) - 1
    if n >= MAX_POINTS:
        raise ValueError(f"a graph may have fewer than 2^31 - 1 points, not {n}")
    indices = as_indices(indices, "indices", ndim, n, negative_ok=indptr is None)
    if indices.shape != weights.shape:
        raise ValueError(
            f"indices and weights must have one shape, not {tuple(indices.shape)} and "
            f"{tuple(weights.shape)}"
        )
    check_same_device(indices=indices, weights=weights, indptr=starts)
    if indptr is None and indices.numel() and value_range(indices)[0] < 0:
        there = indices >= 0
        starts[1:] = there.sum(dim=1).cumsum(0)
        indices, weights = indices[there], weights[there]
    joined = _Join(starts, indices, weights, longest, 1 if operation == "mean" else 0, ratio)
    advice = "fewer neighbors take less, and the graph of a CPU tensor is built on the CPU"
    total = 68 * indices.numel() + 24 * n
    with on_device(weights), memory_for("symmetrize", advice, total=total):
        edges = joined.whole() if disk.limit() is None or weights.is_cuda else joined.by_ranges()
    if edges.tails.is_cuda:  # on the CPU the core looks
        _check_distinct(edges.heads, edges.tails)
    return edges


@dataclass(frozen=True)
class _Join:
    """A checked graph, and how its edges are joined with their transposes."""

    starts: torch.Tensor
    indices: torch.Tensor
    weights: torch.Tensor
    longest: int
    code: int
    ratio: float

    @property
    def points(self) -> int:
        return len(self.starts) - 1

    def whole(self) -> Edges:
        """The edges of all points at once."""
        size = _core.symmetrize_scratch(self.points, self.indices.numel(), target_of(self.weights))
        return self._edges(_core.HeadRange(0, 0, 0), self.points, size)

    def by_ranges(self) -> Edges:
        """The same edges, of so many points at a time as `disk.limit` leaves scratch for."""
        parts = [disk.Appended(part.dtype) for part in (self.indices, self.indices, self.weights)]
        lengths = []
        for first, last, transposed in self._ranges():
            forward = int(self.starts[last] - self.starts[first])
            span = _core.HeadRange(first, last, transposed)
            size = _core.symmetrize_range_scratch(self.points, span, forward)
            indptr, *arrays = self._edges(span, last - first, size)
            lengths.append(indptr.diff())
            for part, array in zip(parts, arrays, strict=True):
                part.add(array)
        indptr = torch.zeros(self.points + 1, dtype=torch.int64)
        torch.cumsum(torch.cat(lengths), 0, out=indptr[1:])
        return Edges(indptr, *(part.whole() for part in parts))

    def _ranges(self) -> Iterator[tuple[int, int, int]]:
        """Points first ... last - 1 that are joined at a time, and the edges to them."""
        n, most = self.points, int((disk.limit() or math.inf) / _SCRATCH_SHARE / _SCRATCH)
        counts = torch.zeros(-(-n // _SEGMENT), dtype=torch.int64)
        for part in self.indices.flatten().split(_TOGETHER):
            counts += (part // _SEGMENT).bincount(minlength=len(counts))
        first = held = met = 0
        for segment, transposed in enumerate(counts.tolist()):
            begin, end = segment * _SEGMENT, min(n, (segment + 1) * _SEGMENT)
            both = transposed + int(self.starts[end] - self.starts[begin])
            if held and held + both > most:
                yield first, begin, met
                first = begin
                held = met = 0
            held, met = held + both, met + transposed
        yield first, n, met

    def _edges(self, span: _core.HeadRange, rows: int, scratch_bytes: int) -> Edges:
        indices, weights, target = self.indices, self.weights, target_of(self.weights)
        n, nnz = self.points, indices.numel()
        scratch = torch.empty(scratch_bytes, dtype=torch.uint8, device=weights.device)
        out = torch.zeros(rows + 1, dtype=torch.int64, device=weights.device)
        graph = (self.starts.data_ptr(), indices.data_ptr(), weights.data_ptr(), n, nnz)
        _core.symmetrize_plan(
            out.data_ptr(), scratch.data_ptr(), *graph, self.longest, self.code, self.ratio, span,
            target,
        )  # fmt: skip
        count = int(out[-1])
        heads = indices.new_empty(count)
        tails, joined = torch.empty_like(heads), weights.new_empty(count)
        _core.symmetrize_fill(
            out.data_ptr(), heads.data_ptr(), tails.data_ptr(), joined.data_ptr(),
            scratch.data_ptr(), self.starts.data_ptr(), n, nnz, self.code, self.ratio, span, target,
        )  # fmt: skip
        return Edges(out, heads, tails, joined)


def _check_distinct(heads: torch.Tensor, tails: torch.Tensor) -> None:
    """Raises for a graph that has an edge twice, one beside the other."""
    twice = ((heads[1:] == heads[:-1]) & (tails[1:] == tails[:-1])).nonzero()
    if len(twice):
        row, tail = int(heads[twice[0]]), int(tails[twice[0]])
        raise ValueError(
            f"indices must be distinct within a row, but row {row} or {tail} has the other more "
            "than once"
        )


def _row_starts(weights: torch.Tensor, indptr: TensorLike | None) -> tuple[torch.Tensor, int]:
    """Where rows start, and a bound of how many entries one has."""
    if indptr is None:
        n, k = weights.shape
        return torch.arange(n + 1, dtype=torch.int64, device=weights.device) * k, k
    starts = as_row_starts(indptr, "indptr", len(weights))
    return starts, int(value_range(starts.diff())[1]) if len(starts) > 1 else 0
