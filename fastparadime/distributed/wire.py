"""How tensors of the CPU reach other processes: by gloo as they are, by nccl by way of the GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.distributed as dist


class Wire:
    """The messages of a group, of tensors of the CPU; all but a ring's are collective.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup

    Attributes
    ----------
    device : torch.device or None
        By which tensors go, as bytes: of a group of nccl the GPU that it is bound to, or else that
        of ``torch.cuda.set_device``. None where the group takes them as they are.

    Raises
    ------
    ValueError
        For a group with a backend for neither the CPU nor a GPU that is here.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self.device: torch.device | None = None
        self._current: AbstractContextManager[None] = nullcontext()
        backends = dist.get_backend_config(group)
        if "cpu:" not in backends:
            if "cuda:" not in backends or not torch.cuda.is_available():
                raise ValueError(
                    "process_group must have a backend for the CPU, or for a GPU that is here, not "
                    f"{backends!r} alone: torch.distributed.new_group(backend='gloo') makes one"
                )
            bound = group.bound_device_id
            self.device = bound or torch.device("cuda", torch.cuda.current_device())
            self._current = torch.cuda.device(self.device)

    def objects(self, value: Any, size: int) -> list[Any]:
        """A small object of each rank, in the order of ranks."""
        values: list[Any] = [None] * size
        with self._current:  # by which torch sends what is pickled
            dist.all_gather_object(values, value, group=self._group)
        return values

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """The sums of tensors of whole numbers, which do not depend on their order."""
        total = values.clone() if self.device is None else values.to(self.device, copy=True)
        dist.all_reduce(total, group=self._group)
        return total.to(values.device)

    def blocks(self, out: torch.Tensor, own: torch.Tensor) -> None:
        """Fills row after row of `out` with the block of each rank, of one length on all."""
        there = self._room(out)
        blocks = list(there.view(len(out), -1))
        dist.all_gather(blocks, self._given(own), group=self._group)
        self._take(there, out)

    def broadcast(self, values: torch.Tensor, rank: int) -> None:
        """Overwrites a tensor with that of a rank."""
        there = self._given(values)
        dist.broadcast(there, dist.get_global_rank(self._group, rank), self._group)
        self._take(there, values)

    def rows(
        self, rows: torch.Tensor, out: torch.Tensor, given: Sequence[int], taken: Sequence[int]
    ) -> None:
        """Fills `out` with the rows that ranks give each other: so many to each, and from each."""
        there = self._room(out)
        # Of tensors that go as they are a row counts as one, of others as its bytes.
        each = 1 if self.device is None else math.prod(rows.shape[1:]) * rows.element_size()
        to, of = ([each * count for count in counts] for counts in (given, taken))
        dist.all_to_all_single(there, self._given(rows), of, to, group=self._group)
        self._take(there, out)

    def ring(self, rows: torch.Tensor, out: torch.Tensor, to: int, of: int) -> Arrival:
        """Begins to send rows to one rank, and to take those of another; none need be on the way."""
        there, begun = self._room(out), []
        if len(rows):
            begun.append(self._message(dist.isend, self._given(rows), to))
        if len(out):
            begun.append(self._message(dist.irecv, there, of))
        # Together: nccl's messages wait for each other in the order in which they begin.
        return Arrival(dist.batch_isend_irecv(begun) if begun else [], begun, self, there, out)

    def _message(self, what: Any, tensor: torch.Tensor, rank: int) -> dist.P2POp:
        return dist.P2POp(what, tensor, dist.get_global_rank(self._group, rank), self._group)

    def _given(self, tensor: torch.Tensor) -> torch.Tensor:
        """What is sent of a tensor: itself, or its bytes on the device, of whatever dtype it is."""
        tensor = tensor.contiguous()
        if self.device is None:
            return tensor
        return tensor.view(-1).view(torch.uint8).to(self.device, copy=True)

    def _room(self, out: torch.Tensor) -> torch.Tensor:
        """Where what comes for a tensor is put: into itself, or as bytes on the device."""
        if self.device is None:
            return out
        size = out.numel() * out.element_size()
        return torch.empty(size, dtype=torch.uint8, device=self.device)

    def _take(self, there: torch.Tensor, out: torch.Tensor) -> None:
        if self.device is not None:
            there = there.cpu().view(out.dtype).view(out.shape)
        if there is not out:
            out.copy_(there)


class Arrival(NamedTuple):
    """Rows on their way round a ring."""

    works: list[Any]
    messages: list[dist.P2POp]  # which keep what is sent
    wire: Wire
    there: torch.Tensor
    out: torch.Tensor

    def wait(self) -> None:
        """Returns when they are here, and those that were sent are gone."""
        for work in self.works:
            work.wait()
        self.wire._take(self.there, self.out)
