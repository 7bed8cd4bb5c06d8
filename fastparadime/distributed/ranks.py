"""The processes of a group: what they tell each other, and errors that all of them raise."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from fastparadime.distributed.shards import Shards, Starts, overlaps
from fastparadime.distributed.wire import Arrival, Wire
from fastparadime.types import Array

_MOST_ROWS = torch.iinfo(torch.int32).max


class Ranks:
    """The processes of a group.

    All methods but those of one's own rank are collective: every rank calls them, in one order.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
        Of gloo, which the CPU's memory suffices for, or of nccl, by each process's own GPU. Beyond
        16 processes the others give and get rows, and have none to work on: there are 16 slices.

    Attributes
    ----------
    rank, size : int
    wire : Wire

    Raises
    ------
    TypeError, ValueError
        For what is no group that this process belongs to; see `Wire` too.
    """

    def __init__(self, group: Any) -> None:
        if not dist.is_available() or not isinstance(group, dist.ProcessGroup):
            raise TypeError(
                "process_group must be a group of torch.distributed that this process belongs to, "
                f"or None, not {group!r}: torch.distributed.init_process_group('gloo') makes "
                "torch.distributed.group.WORLD"
            )
        self.group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        self.wire = Wire(group)

    def together(self) -> AbstractContextManager[None]:
        """A block of work of each rank alone, whose error on one rank all ranks raise."""
        return _Together(self)

    def fail(self, own: BaseException | None) -> None:
        """Raises the error of the first rank that has one, of its type, on all ranks."""
        told = None if own is None else (_told_type(own), str(own))
        rank, (kind, text) = next(
            (rank, error) for rank, error in enumerate(self.told(told)) if error is not None
        )
        try:
            error = kind(f"rank {rank}: {text}")
        except TypeError:  # one that is not made of a message
            error = RuntimeError(f"rank {rank}: {kind.__name__}: {text}")
        try:
            raise error from own
        finally:
            del error, own  # whose tracebacks have this frame, which would keep the group

    def told(self, value: Any) -> list[Any]:
        """A small object of each rank, in the order of ranks."""
        return self.wire.objects(value, self.size)

    def agree(self, settings: Mapping[str, Any]) -> None:
        """Raises ValueError where a setting is not the same on all ranks, naming it."""
        for rank, theirs in enumerate(told := self.told({k: repr(v) for k, v in settings.items()})):
            for name, value in theirs.items():
                if value != told[0].get(name):
                    raise ValueError(
                        f"{name} must be the same on all ranks, but is {told[0].get(name)} on rank "
                        f"0 and {value} on rank {rank}"
                    )

    def shards(self, X: Any) -> Shards:
        """The shards of tables (n, d) of one width and dtype.

        Raises
        ------
        ValueError
            For tables that do not fit together, naming the first rank that differs; for fewer than
            2 rows of all ranks together, and more than int32 counts.
        """
        told = self.told((*map(int, X.shape), str(X.dtype).removeprefix("torch.")))
        for rank, (_, columns, dtype) in enumerate(told):
            for what, value, usual in (
                ("columns", columns, told[0][1]),
                ("dtype", dtype, told[0][2]),
            ):
                if value != usual:
                    raise ValueError(
                        f"X must have the same {what} on all ranks, but has {usual} on rank 0 and "
                        f"{value} on rank {rank}"
                    )
        shards = Shards.of([rows for rows, _, _ in told], self.rank)
        if shards.n > _MOST_ROWS:
            raise ValueError(
                f"X may have at most {_MOST_ROWS} rows on all ranks together, whose indices are "
                f"int32, not {shards.n}: fit a part of them, and place the others by a network"
            )
        if shards.n < 2:
            raise ValueError(f"X must have at least 2 rows on all ranks together, not {shards.n}")
        return shards

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """The sums of tensors of whole numbers, which do not depend on their order."""
        return self.wire.sums(values)

    def rows_at(self, numbers: Array, starts: Starts, read: Callable[[Array], Array]) -> Array:
        """A few rows, wherever they are.

        Parameters
        ----------
        numbers : integer array (m,)
            Ascending.
        starts : tuple of int
            Of the ranges that ranks hold.
        read : callable (places) -> array
            Gives own rows by their places in the own range.
        """
        first, last = starts[self.rank : self.rank + 2]
        own = numbers[(numbers >= first) & (numbers < last)] - first
        return np.concatenate(
            [part for part in self.told(read(own) if len(own) else own) if len(part)]
        )

    def moved(self, rows: torch.Tensor, held: Starts, wanted: Starts) -> torch.Tensor:
        """Rows of one order that ranks hold in consecutive ranges, as other ranges want them."""
        mine, theirs = held[self.rank : self.rank + 2], wanted[self.rank : self.rank + 2]
        out = rows.new_empty((theirs[1] - theirs[0], *rows.shape[1:]))
        return self.sent(
            rows, out, overlaps((mine[0], mine[1]), wanted), overlaps((theirs[0], theirs[1]), held)
        )

    def sent(
        self, rows: torch.Tensor, out: torch.Tensor, given: Sequence[int], taken: Sequence[int]
    ) -> torch.Tensor:
        """Fills `out` with the rows that ranks give each other: so many to each, and from each."""
        if self.size == 1:
            return out.copy_(rows)
        self.wire.rows(rows, out, given, taken)
        return out

    def from_first(self, values: torch.Tensor) -> torch.Tensor:
        """The tensor of rank 0, of one shape and dtype on all ranks; others are overwritten."""
        self.wire.broadcast(values, 0)
        return values

    def pass_on(self, rows: torch.Tensor, out: torch.Tensor) -> Arrival:
        """Begins to send rows to the next rank of the ring, and to take those of the one before."""
        return self.wire.ring(rows, out, (self.rank + 1) % self.size, (self.rank - 1) % self.size)


class _Together(AbstractContextManager[None]):
    """What `Ranks.together` gives."""

    # No generator: from Python 3.13 on an error that is thrown into one is kept by that one's
    # frames, which it keeps itself, and they would keep the group.
    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, (Exception, KeyboardInterrupt)):
            failed = torch.tensor([error is not None], dtype=torch.int32)
            if int(self._ranks.sums(failed)):
                self._ranks.fail(error)


def _told_type(error: BaseException) -> type[BaseException]:
    """The type of an error, if others know it too."""
    try:
        pickle.dumps(type(error))
    except (pickle.PicklingError, AttributeError, TypeError):
        return RuntimeError
    return type(error)
