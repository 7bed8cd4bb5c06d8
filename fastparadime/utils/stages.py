"""Seconds of stages, and whether progress bars are shown."""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fastparadime import exceptions


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Adds the seconds of a `with` block to an entry of `stages`, unless the block raises.

    Raises
    ------
    DeviceMemoryError
        If the device's memory did not suffice, with the name of the stage.
    """
    start = time.perf_counter()
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # they keep the stage's tensors alive
        raise exceptions.DeviceMemoryError(_explained(name, str(error))) from None
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - start


def _explained(stage: str, report: str) -> str:
    """What to know and to do about an error of torch's allocator."""
    needed = re.search(r"Tried to allocate ([\d.]+ \w+)", report)
    free = re.search(r"of which ([\d.]+ \w+) is free", report)
    sizes = [
        f"{found[1]} {what}"
        for found, what in ((needed, "more were needed"), (free, "free"))
        if found
    ]
    return (
        f"{stage} ran out of the device's memory ({', '.join(sizes) or report.splitlines()[0]}): "
        "a smaller batch_size or fewer neighbors need less, as does device='cpu'"
    )


def shows_bars(progress: bool | None, *, verbose: bool) -> bool:
    """`progress`, or where it is None: verbose on a terminal."""
    return verbose and sys.stderr.isatty() if progress is None else progress
