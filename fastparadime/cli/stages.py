"""What a command shows while it works, and the seconds of its stages for the closing summary."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

_DELAY = 1.0  # seconds after which a stage is shown
_TICK = 0.5


class _Shown:
    """One stage: after a second a bar on a terminal, a line elsewhere."""

    def __init__(self, name: str, steps: int | None, *, bar: bool) -> None:
        self.name, self.steps, self.with_bar = name, steps, bar
        self.bar: Any = None
        self.done, self.on_screen = threading.Event(), threading.Lock()

    def _wait_and_show(self) -> None:
        # What there is no memory to show is not shown: the stage itself tells of it.
        with suppress(MemoryError):
            if self.done.wait(_DELAY):
                return
            with self.on_screen:
                if not self.done.is_set():
                    self._show()

    def _show(self) -> None:
        if not self.with_bar:
            click.echo(f"{self.name} ...", err=True)
            return
        from tqdm.auto import tqdm

        look = {} if self.steps else {"bar_format": "{desc}: {elapsed}"}
        self.bar = tqdm(total=self.steps, desc=self.name, leave=False, **look)
        while not self.done.wait(_TICK):
            self.bar.refresh()
        self.bar.close()

    def advance(self, done: int) -> None:
        """Tells of the steps done."""
        if self.bar is not None and self.steps:
            self.bar.update(done - self.bar.n)

    def open(self) -> None:
        # Thread.start() would wait for ever for a thread that finds no memory to begin with.
        with suppress(RuntimeError):
            _thread.start_new_thread(self._wait_and_show, ())

    def close(self) -> None:
        self.done.set()
        with self.on_screen:  # until the bar is gone
            pass


@dataclass
class Report:
    """Seconds of what a command did, for its closing summary.

    Attributes
    ----------
    quiet, bars : bool
        Whether nothing is shown of stages that run, and whether bars are instead of lines.
    to_stderr : bool
        Whether the summary goes there, since the embedding goes to standard output.
    stages : dict of float
    """

    quiet: bool = False
    bars: bool = False
    to_stderr: bool = False
    stages: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)
    _running: list[_Shown] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times and shows what runs inside."""
        with self.watch(name, None):
            yield

    @contextmanager
    def watch(self, name: str, steps: int | None) -> Iterator[Callable[[int], object] | None]:
        """A stage of the work; of one that has parts these are shown, and it is timed as a whole."""
        start = time.perf_counter()
        if self._running:
            self._running[-1].close()
        shown = _Shown(name, steps, bar=self.bars)
        self._running.append(shown)
        try:
            if not self.quiet:
                shown.open()
            yield shown.advance
        finally:
            shown.close()
            self._running.pop()
        if not self._running:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start

    def note(self, text: str) -> None:
        """A line on standard error."""
        click.echo(f"Note: {text}", err=True)

    def show(self, facts: dict[str, Any], files: Sequence[Path]) -> None:
        """Prints facts, stages and the files written."""
        seconds = {**self.stages, "total": time.perf_counter() - self.start}
        width = 2 + max(len(name) for name in (*facts, *seconds))
        lines = [f"{name:<{width}}{value}" for name, value in facts.items()]
        lines += [f"{name:<{width}}{value:.2f} s" for name, value in seconds.items()]
        lines += [f"{'' if i else 'wrote':<{width}}{path}" for i, path in enumerate(files)]
        click.echo("\n".join(lines), err=self.to_stderr)
