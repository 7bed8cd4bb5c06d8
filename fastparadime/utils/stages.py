"""Seconds of stages, and whether progress bars are shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Adds the seconds of a `with` block to an entry of `stages`, unless the block raises."""
    start = time.perf_counter()
    yield
    stages[name] = stages.get(name, 0.0) + time.perf_counter() - start


def shows_bars(progress: bool | None, *, verbose: bool) -> bool:
    """`progress`, or where it is None: verbose on a terminal."""
    return verbose and sys.stderr.isatty() if progress is None else progress
