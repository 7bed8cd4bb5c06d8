"""Seconds of stages, whether progress bars are shown, and who is told of stages."""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import torch

from fastparadime import exceptions

_ADVICE = "a smaller batch_size or fewer neighbors need less, as does device='cpu'"

# Takes a stage's name and its number of steps, and gives what is told the steps that are done.
Watcher = Callable[[str, int | None], AbstractContextManager[Callable[[int], object] | None]]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Has a watcher told of all stages that run within a `with` block."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


@contextmanager
def stage(name: str, steps: int | None = None) -> Iterator[Callable[[int], object] | None]:
    """A stage that takes a while: tells the watcher, if there is one.

    Gives a function that is to be called with the number of steps done, or None.
    """
    watcher = _watcher.get()
    if watcher is None:
        yield None
        return
    with watcher(name, steps) as advance:
        yield advance


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Adds the seconds of a `with` block to an entry of `stages`, unless the block raises.

    Raises
    ------
    DeviceMemoryError
        As of `memory_for`.
    """
    start = time.perf_counter()
    with memory_for(name), stage(name):
        yield
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def memory_for(stage: str, advice: str = _ADVICE, *, total: float | None = None) -> Iterator[None]:
    """Names a stage, and what to do, where torch finds too little memory. Also a decorator.

    Parameters
    ----------
    stage : str
        The start of the message.
    advice : str
        What the caller may set.
    total : float, optional
        Bytes that the whole stage takes, by its formula.

    Raises
    ------
    DeviceMemoryError
        If the device's memory did not suffice; what the stage had taken is freed.
    MemoryError
        If the host's did not.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # they keep the stage's tensors alive
        raise exceptions.DeviceMemoryError(_explained(stage, str(error), advice, total)) from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # as torch says of the host's
            raise
        traceback.clear_frames(error.__traceback__)
        report = str(error).partition("can't allocate memory: ")[2]
        raise MemoryError(f"{stage} ran out of memory: {report}") from None


def _explained(stage: str, report: str, advice: str, total: float | None) -> str:
    """What to know and to do about an error of torch's allocator."""
    needed = re.search(r"Tried to allocate ([\d.]+ \w+)", report)
    free = re.search(r"of which ([\d.]+ \w+) is free", report)
    sizes = [
        f"{found[1]} {what}"
        for found, what in ((needed, "more were needed"), (free, "free"))
        if found
    ]
    whole = [] if total is None else [f"about {total / 2**30:.2f} GiB in all"]
    told = ", ".join([*whole, *(sizes or [report.splitlines()[0]])])
    return f"{stage} ran out of the device's memory ({told}): {advice}"


def shows_bars(progress: bool | None, *, verbose: bool) -> bool:
    """`progress`, or where it is None: verbose on a terminal."""
    return verbose and sys.stderr.isatty() if progress is None else progress
