"""Results of a device on their way to the host, while the next ones are computed."""

from __future__ import annotations

from typing import NamedTuple

import torch


class _Place(NamedTuple):
    """Pinned memory for a part of the results, and when it has arrived there."""

    memory: torch.Tensor
    arrived: torch.cuda.Event
    start: int
    rows: int


class Fetched:
    """Parts of a table, taken from where they are computed.

    Those of a CUDA device go through two places in pinned memory, on a stream of their own: one
    arrives while the other is copied on, and the device goes on computing.

    Parameters
    ----------
    out : tensor (n, ...)
        On the CPU; complete after `finish`.
    """

    def __init__(self, out: torch.Tensor) -> None:
        self._out = out
        self._stream: torch.cuda.Stream | None = None
        self._free: list[torch.Tensor] = []
        self._coming: list[_Place] = []

    def take(self, start: int, part: torch.Tensor) -> None:
        """Takes the rows from `start` on."""
        if not part.is_cuda:
            self._out[start : start + len(part)] = part
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(part.device)
        if len(self._coming) == 2:
            self._free.append(self._land())
        memory = self._free.pop() if self._free else None
        if memory is None or len(memory) < len(part):
            memory = torch.empty(part.shape, dtype=part.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream(part.device))
        with torch.cuda.stream(self._stream):
            memory[: len(part)].copy_(part, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
        part.record_stream(self._stream)  # its memory is not given away before
        self._coming.append(_Place(memory, arrived, start, len(part)))

    def _land(self) -> torch.Tensor:
        place = self._coming.pop(0)
        place.arrived.synchronize()
        self._out[place.start : place.start + place.rows] = place.memory[: place.rows]
        return place.memory

    def finish(self) -> None:
        """Waits for all parts."""
        while self._coming:
            self._land()
