"""Lists of nearest neighbours that are found part by part, in any order."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_distances, as_indices, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer


class NearestLists:
    """The nearest so far of each point, by (distance, index), each index once.

    Parameters
    ----------
    n : int
        Points.
    width : int
        Neighbours listed a point, at least 1.

    Raises
    ------
    TypeError, ValueError
        For numbers outside their ranges.
    """

    def __init__(self, n: int, width: int) -> None:
        n = check_integer(n, "n", minimum=0, maximum=MAX_POINTS)
        width = check_integer(width, "width", minimum=1)
        self._keys = torch.full((n, width), _core.kNoNeighbor, dtype=torch.int64)

    def join(self, points: TensorLike, indices: TensorLike, distances: TensorLike) -> None:
        """Has the lists of some points keep what is nearer.

        Parameters
        ----------
        points : integer tensor (m,)
            Ascending, none twice.
        indices : integer tensor (m, w)
            Of neighbours, in any order; negative ones are none. Of one that is named again the
            smallest distance stays.
        distances : float tensor (m, w)
            At least 0.

        Raises
        ------
        TypeError, ValueError
            For arguments that are not as described, or not on the CPU.
        """
        points = as_indices(points, "points", 1, len(self._keys))
        indices = as_indices(indices, "indices", 2, MAX_POINTS, negative_ok=True)
        distances = as_distances(distances, "distances")[0]
        for name, part in (("points", points), ("indices", indices), ("distances", distances)):
            if part.device.type != "cpu":
                raise ValueError(f"{name} must be on the CPU, not on {part.device}")
        if len(points) and (int(points[0]) < 0 or bool((points[1:] <= points[:-1]).any())):
            raise ValueError("points must ascend, none twice")
        shape = (len(points), indices.shape[1])
        for name, part in (("indices", indices), ("distances", distances)):
            if part.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, not {tuple(part.shape)}")
        _core.join_lists(
            self._keys.data_ptr(),
            points.data_ptr(),
            indices.data_ptr(),
            distances.data_ptr(),
            self._keys.shape[1],
            *shape,
            target_of(points),
        )

    def nearest(self, points: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """What the lists hold.

        Parameters
        ----------
        points : int64 tensor (m,), optional
            Whose lists, all if None.

        Returns
        -------
        indices, distances : int32 and float32 tensors (m, width)
            Ascending by (distance, index); -1 and infinity where a point has fewer. The same bits
            whatever the order in which they were found.
        """
        return halves(self._keys if points is None else self._keys[points])

    def reach(self, points: torch.Tensor) -> torch.Tensor:
        """The distances within which others may still join the lists of some points, float32 (m,).

        Parameters
        ----------
        points : int64 tensor (m,)
        """
        return halves(self._keys[points, -1:])[1][:, 0]


def halves(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The indices, int32, and distances, float32, of keys (m, width)."""
    parts = keys.view(torch.int32).view(*keys.shape, 2)
    return parts[:, :, 0].contiguous(), parts[:, :, 1].contiguous().view(torch.float32)
