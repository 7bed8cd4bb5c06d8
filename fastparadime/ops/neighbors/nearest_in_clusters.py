"""Nearest rows among those that share a cluster, for clusters that overlap."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_floats, as_positive, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer

_PRODUCTS = 2e10  # multiply-adds between two looks for Ctrl-C, and of a task at the most


class ClusterSearch:
    """The nearest rows of each row among those that it has shared a cluster with so far.

    Squared distances are |x|^2 + |y|^2 - 2 <x, y> of rows less the centre of their cluster, in
    float32, and no less than 2^-20 of |x|^2 + |y|^2, which is their rounding.
    `fastparadime.ops.rerank` gives the true ones.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU; not copied.
    width : int
        Neighbours listed a row, at least 1.
    scale : float
        What differences are multiplied with, so that their squares are finite.

    Raises
    ------
    TypeError, ValueError
        For a table that is not on the CPU, or a number outside its range.
    """

    def __init__(self, X: TensorLike, width: int, scale: float = 1.0) -> None:
        self._X = as_floats(X, "X", 2)
        if self._X.device.type != "cpu":
            raise ValueError(f"X must be on the CPU, not on {self._X.device}")
        n = len(self._X)
        if n >= MAX_POINTS:
            raise ValueError(f"X may have fewer than 2^31 - 1 rows, not {n}")
        self._scale = as_positive(scale, "scale")
        width = check_integer(width, "width", minimum=1)
        self._keys = torch.full((n, width), _core.kNoNeighbor, dtype=torch.int64)

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
        members = members.to(torch.int32).contiguous()
        sizes = sizes.to(torch.int64)
        known = torch.zeros_like(sizes) if known is None else known.to(torch.int64).contiguous()
        centers = as_floats(centers, "centers", 2)
        self._check(members, sizes, centers, known)
        starts = torch.zeros(len(sizes) + 1, dtype=torch.int64)
        torch.cumsum(sizes, 0, out=starts[1:])
        for tasks in _turns(sizes, known, self._X.shape[1]):
            _core.nearest_in_clusters(
                self._keys.data_ptr(),
                self._X.data_ptr(),
                centers.data_ptr(),
                self._scale,
                self._X.shape[1],
                self._keys.shape[1],
                members.data_ptr(),
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
        shape = (len(sizes), self._X.shape[1])
        if centers.shape != shape:
            raise ValueError(f"centers must have shape {shape}, not {tuple(centers.shape)}")
        if known.shape != sizes.shape or bool(((known < 0) | (known > sizes)).any()):
            raise ValueError("known must have a number a cluster, from 0 to its size")
        if int(sizes.sum()) != len(members):
            raise ValueError(f"sizes must add up to {len(members)} members, not {int(sizes.sum())}")
        if len(members) and not 0 <= int(members.min()) <= int(members.max()) < len(self._X):
            raise ValueError(f"members must be rows of X, in [0, {len(self._X)})")

    def nearest(self, rows: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """What the lists hold.

        Parameters
        ----------
        rows : int64 tensor (m,), optional
            Whose lists, all if None.

        Returns
        -------
        indices, squares : int32 and float32 tensors (m, width)
            Ascending by (square, index), of scaled rows; -1 and infinity where a row has met fewer.
            The same bits for any number of threads.
        """
        keys = self._keys if rows is None else self._keys[rows]
        halves = keys.view(torch.int32).view(*keys.shape, 2)
        return halves[:, :, 0].contiguous(), halves[:, :, 1].contiguous().view(torch.float32)


def _turns(sizes: torch.Tensor, known: torch.Tensor, dim: int) -> Iterator[torch.Tensor]:
    """Tasks (cluster, first member, last), int64 (m, 3), as many as a second allows at a time."""
    tasks = torch.stack((torch.arange(len(sizes)), torch.zeros_like(sizes), sizes), dim=1)
    products = (sizes.double().square() - known.double().square()) * (dim / 2)
    order = products.argsort(descending=True, stable=True)  # long ones first: none is left alone
    whole = order[products[order] <= _PRODUCTS]
    turns = (products[whole].cumsum(0) / _PRODUCTS).long()
    yield from tasks[whole].split(turns.unique_consecutive(return_counts=True)[1].tolist())
    threads = torch.get_num_threads()
    for cluster in order[products[order] > _PRODUCTS].tolist():
        size = int(sizes[cluster])
        blocks = int(_PRODUCTS / (size * dim * _core.kProductBlock * threads))
        step = _core.kProductBlock * max(1, blocks)
        firsts = torch.arange(0, size, step)
        lasts = (firsts + step).clamp_max(size)
        parts = torch.stack((torch.full_like(firsts, cluster), firsts, lasts), dim=1)
        yield from parts.split(threads)
