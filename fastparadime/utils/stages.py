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
from fastparadime.utils.messages import lacks_memory

_ADVICE = "a smaller batch_size or fewer neighbors need less, as does device='cpu'"


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Adds the seconds of a `with` block to an entry of `stages`, unless the block raises.

    Raises
    ------
    DeviceMemoryError
        As of `memory_for`.
    """
    start = time.perf_counter()
    with memory_for(name):
        yield
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def memory_for(stage: str, advice: str = _ADVICE, *, total: float | None = None) -> Iterator[None]:
    """Names a stage, and on a GPU what to do, where it finds too little memory.

    Parameters
    ----------
    stage : str
        The start of the message.
    advice : str
        What the caller may set against an error of a GPU.
    total : float, optional
        Bytes that the whole stage takes, by its formula.

    Raises
    ------
    DeviceMemoryError
        If memory did not suffice, be it a GPU's or the machine's; what the stage took is freed.
    """
    try:
        yield
    except exceptions.DeviceMemoryError:  # of a stage within this one
        raise
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not lacks_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they keep the stage's tensors alive
        on_gpu = isinstance(error, torch.cuda.OutOfMemoryError)
        told = _sizes(str(error), total)
        whose, advised = ("the device's memory", f": {advice}") if on_gpu else ("memory", "")
        raise exceptions.DeviceMemoryError(
            f"{stage} ran out of {whose} ({told}){advised}"
        ) from None


def _sizes(report: str, total: float | None) -> str:
    """What an error of an allocator tells."""
    needed = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", report)
    free = re.search(r"of which ([\d.]+ \w+) is free", report)
    sizes = [
        f"{found[1]} {what}"
        for found, what in ((needed, "more were needed"), (free, "free"))
        if found
    ]
    whole = [] if total is None else [f"about {total / 2**30:.2f} GiB in all"]
    return ", ".join([*whole, *(sizes or report.splitlines()[:1])])


def shows_bars(progress: bool | None, *, verbose: bool) -> bool:
    """`progress`, or where it is None: verbose on a terminal."""
    return verbose and sys.stderr.isatty() if progress is None else progress
