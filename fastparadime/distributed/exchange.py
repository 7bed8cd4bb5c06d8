"""Numbers that every rank makes and all ranks get, step after step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from fastparadime.distributed.ranks import Ranks


class Exchange:
    """Blocks of float32 numbers that ranks make and all ranks get.

    An error in making them costs no message of its own: a mark goes with each block.

    Parameters
    ----------
    ranks : Ranks
    counts : sequence of int
        How many numbers each rank makes.
    """

    def __init__(self, ranks: Ranks, counts: Sequence[int]) -> None:
        self._ranks, self._counts = ranks, list(counts)
        self._own = torch.zeros(max(counts) + 1)
        self._all = torch.zeros(ranks.size, max(counts) + 1)

    def of(self, make: Callable[[], torch.Tensor]) -> list[torch.Tensor]:
        """The blocks of all ranks, whose memory the next call takes.

        Parameters
        ----------
        make : callable
            Gives the own block, float32 of any shape.

        Raises
        ------
        Exception
            What `make` raises on any rank, on all ranks; see `Ranks.fail`.
        """
        failure: BaseException | None = None
        try:
            self._own[: self._counts[self._ranks.rank]] = make().flatten()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  raised on all ranks
            failure = error
        self._own[-1] = failure is not None
        if self._ranks.size == 1:
            self._all[0] = self._own
        else:
            self._ranks.wire.blocks(self._all, self._own)
        try:
            if bool(self._all[:, -1].any()):
                self._ranks.fail(failure)
        finally:
            failure = None  # whose traceback has this frame, which would keep the group
        return [block[:count] for block, count in zip(self._all, self._counts, strict=True)]
