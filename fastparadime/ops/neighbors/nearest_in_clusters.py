"""Nearest rows among those that share a cluster, for clusters that overlap."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_distances, as_floats, as_positive, target_of
from fastparadime.ops.neighbors.join_lists import halves
from fastparadime.ops.neighbors.nearest_by_products import COLUMNS_OF_LISTS
from fastparadime.ops.neighbors.nn_descent import descent_round, padded_rows
from fastparadime.ops.neighbors.subspace import stride_of
from fastparadime.types import TensorLike
from fastparadime.utils import disk
from fastparadime.utils.validate import check_integer

_PRODUCTS = 1e10  # multiply-adds between two looks for Ctrl-C, and of a task at the most
_TOGETHER = 2**16  # rows whose lists are renamed at a time


class ClusterSearch:
    """The nearest rows of each row among those that it has shared a cluster with so far.

    Squared distances are ``|x|^2 + |y|^2 - 2 <x, y>`` of rows less their cluster's centre, in
    float32, and no less than 2^-20 of ``|x|^2 + |y|^2``, which is their rounding.
    `fastparadime.ops.rerank` gives the true ones.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU; not copied.
    width : int
        Neighbours listed a row, at least 1.
    scale : float
        What differences are multiplied with, so that their squares are finite.
    within : (n,) array or tensor, optional
        The largest squares that join a row's list, at least 0; the fewer do, the faster.

    Raises
    ------
    TypeError, ValueError
        For a table that is not on the CPU, or a number outside its range.
    """

    def __init__(
        self, X: TensorLike, width: int, scale: float = 1.0, within: TensorLike | None = None
    ) -> None:
        self._X = as_floats(X, "X", 2)
        self._columns = self._X.shape[1]
        if self._X.device.type != "cpu":
            raise ValueError(f"X must be on the CPU, not on {self._X.device}")
        n = len(self._X)
        if n >= MAX_POINTS:
            raise ValueError(f"X may have fewer than 2^31 - 1 rows, not {n}")
        self._scale = as_positive(scale, "scale")
        width = check_integer(width, "width", minimum=1)
        self._keys = torch.full((n, width), _core.kNoNeighbor, dtype=torch.int64)
        if within is not None:
            bounds = as_distances(within, "within", 1)[0]
            if bounds.shape != (n,):
                raise ValueError(f"within must have a number a row, {n}, not {len(bounds)}")
            self._keys.view(torch.int32).view(n, width, 2)[:, :, 1] = bounds.view(torch.int32)[
                :, None
            ]

    def compare(
        self,
        members: torch.Tensor,
        sizes: torch.Tensor,
        centers: torch.Tensor,
        known: torch.Tensor | None = None,
    ) -> None:
        """Compares the rows of each cluster all with all.

        Parameters
        ----------
        members : integer tensor (m,)
            Rows of the clusters one after the other, none twice in a cluster.
        sizes : integer tensor (clusters,)
            How many of them each cluster has.
        centers : float tensor (clusters, d)
            Near the rows of each; products cancel the digits of close rows far from it.
        known : integer tensor (clusters,), optional
            How many of its first members were compared with each other before, and need not be
            again.

        Raises
        ------
        TypeError, ValueError
            For members that are no rows, counts that do not fit, or centres of another shape.
        """
        self._compare(self._X, members, None, sizes, centers, known)

    def _compare(
        self,
        X: torch.Tensor,
        members: torch.Tensor,
        names: torch.Tensor | None,
        sizes: torch.Tensor,
        centers: torch.Tensor,
        known: torch.Tensor | None,
    ) -> None:
        members = members.to(torch.int32).contiguous()
        sizes = sizes.to(torch.int64)
        known = torch.zeros_like(sizes) if known is None else known.to(torch.int64).contiguous()
        centers = as_floats(centers, "centers", 2)
        self._check(members, sizes, centers, known)
        starts = torch.zeros(len(sizes) + 1, dtype=torch.int64)
        torch.cumsum(sizes, 0, out=starts[1:])
        for tasks in _turns(sizes, known, X.shape[1]):
            _core.nearest_in_clusters(
                self._keys.data_ptr(),
                X.data_ptr(),
                centers.data_ptr(),
                self._scale,
                X.shape[1],
                self._keys.shape[1],
                members.data_ptr(),
                0 if names is None else names.data_ptr(),
                starts.data_ptr(),
                known.data_ptr(),
                tasks.data_ptr(),
                len(tasks),
                target_of(members),
            )

    def _check(
        self,
        members: torch.Tensor,
        sizes: torch.Tensor,
        centers: torch.Tensor,
        known: torch.Tensor,
    ) -> None:
        if len(sizes) and int(sizes.min()) < 0:
            raise ValueError(f"sizes must not be negative, but the least is {int(sizes.min())}")
        shape = (len(sizes), self._columns)
        if centers.shape != shape:
            raise ValueError(f"centers must have shape {shape}, not {tuple(centers.shape)}")
        if known.shape != sizes.shape or bool(((known < 0) | (known > sizes)).any()):
            raise ValueError("known must have a number a cluster, from 0 to its size")
        if int(sizes.sum()) != len(members):
            raise ValueError(f"sizes must add up to {len(members)} members, not {int(sizes.sum())}")
        n = len(self._keys)
        if len(members) and not 0 <= int(members.min()) <= int(members.max()) < n:
            raise ValueError(f"members must be rows of X, in [0, {n})")

    def refine(self, max_candidates: int, order: torch.Tensor) -> float:
        """Lists also what the neighbours of a row's neighbours show: a round of neighbour descent.

        Parameters
        ----------
        max_candidates : int
            How many neighbours, and how many of the rows that list a row, are looked through.
        order : integer tensor (n,)
            All rows, those that are close to each other near in it: fewer are fetched from far.

        Returns
        -------
        float
            New entries of lists, a row.

        Raises
        ------
        TypeError, ValueError
            For `max_candidates` below 1, or an order that does not name each row once.
        """
        n = len(self._keys)
        max_candidates = min(check_integer(max_candidates, "max_candidates", minimum=1), n)
        place = self._places(order)
        rows = padded_rows(self._X, order, self._scale)
        return self._refine(max_candidates, order, place, rows, order)

    def _refine(
        self,
        max_candidates: int,
        order: torch.Tensor,
        place: torch.Tensor,
        rows: torch.Tensor,
        own: torch.Tensor,
    ) -> float:
        """`refine` with padded rows in the order, where the lists of these are those of `own`."""
        n, width = self._keys.shape
        indices, squares = (
            disk.empty((n, width), torch.int32),
            disk.empty((n, width), torch.float32),
        )
        parts = [part.split(_TOGETHER) for part in (own, indices, squares)]
        for lists, named, away in zip(*parts, strict=True):
            found, away[:] = self.nearest(lists)
            named[:] = torch.where(found < 0, found, place[found.clamp_min(0).long()])
        rounds = disk.full((n, width), 0, torch.uint8)
        core = _core.NeighborLists(indices.data_ptr(), squares.data_ptr(), rounds.data_ptr(), width)
        points = _core.Points(rows.data_ptr(), n, rows.shape[1], self._columns)
        new = descent_round(core, points, n, max_candidates, 1)
        for lists, some, away in zip(*parts, strict=True):
            named = torch.where(some < 0, some, order[some.clamp_min(0).long()].to(torch.int32))
            halves = torch.stack((named, away.view(torch.int32)), dim=2)
            keys = halves.view(torch.int64).squeeze(2)
            tied = (keys[:, 1:] < keys[:, :-1]).any(dim=1)  # they were in the order of places
            keys[tied] = keys[tied].sort(dim=1).values
            self._keys[lists] = keys
        return new

    @staticmethod
    def refinement_bytes(n: int, columns: int, width: int, max_candidates: int) -> int:
        """What `refine` takes for a while, of n rows of so many columns."""
        return n * (4 * stride_of(columns) + 9 * width + 4 * max_candidates + 12)

    def _places(self, order: torch.Tensor) -> torch.Tensor:
        n = len(self._keys)
        if order.shape != (n,):
            raise ValueError(f"order must have shape ({n},), not {tuple(order.shape)}")
        place = torch.full((n,), -1, dtype=torch.int32)
        if n and 0 <= int(order.min()) <= int(order.max()) < n:
            place[order.long()] = torch.arange(n, dtype=torch.int32)
        if n and int(place.min()) < 0:
            raise ValueError("order must name each row once")
        return place

    def nearest(self, rows: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """What the lists hold.

        Parameters
        ----------
        rows : int64 tensor (m,), optional
            Whose lists, all if None.

        Returns
        -------
        indices, squares : int32 and float32 tensors (m, width)
            Ascending by (square, index), of scaled rows; where a row has met fewer, -1 and infinity
            or what it was searched within. The same bits for any number of threads.
        """
        return halves(self._keys if rows is None else self._keys[rows])


def _turns(sizes: torch.Tensor, known: torch.Tensor, dim: int) -> Iterator[torch.Tensor]:
    """Tasks (cluster, first member, last), int64 (m, 3), as many as a second allows at a time."""
    tasks = torch.stack((torch.arange(len(sizes)), torch.zeros_like(sizes), sizes), dim=1)
    columns = dim + COLUMNS_OF_LISTS
    products = (sizes.double().square() - known.double().square()) * (columns / 2)
    order = products.argsort(descending=True, stable=True)  # long ones first: none is left alone
    whole = order[products[order] <= _PRODUCTS]
    turns = (products[whole].cumsum(0) / _PRODUCTS).long()
    yield from tasks[whole].split(turns.unique_consecutive(return_counts=True)[1].tolist())
    threads = torch.get_num_threads()
    for cluster in order[products[order] > _PRODUCTS].tolist():
        size = int(sizes[cluster])
        blocks = int(_PRODUCTS / (size * columns * _core.kProductBlock * threads))
        step = _core.kProductBlock * max(1, blocks)
        firsts = torch.arange(0, size, step)
        lasts = (firsts + step).clamp_max(size)
        parts = torch.stack((torch.full_like(firsts, cluster), firsts, lasts), dim=1)
        yield from parts.split(threads)
