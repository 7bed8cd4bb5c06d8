"""What a fit says while it runs, and the callback that is told of its epochs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from fastparadime.utils.logging import log


class Report:
    """What a fit says while it runs; nothing unless verbose."""

    def __init__(self, verbose: Any, tqdm_kwds: dict[str, Any] | None) -> None:
        self.verbose, self.tqdm_kwds = bool(verbose), tqdm_kwds or {}

    def say(self, text: str) -> None:
        if self.verbose:
            log(text)

    def bar(self, n_epochs: int) -> AbstractContextManager[Callable[[int], object] | None]:
        if not self.verbose:
            return nullcontext()
        from tqdm import tqdm

        @contextmanager
        def shown() -> Any:
            options = {"desc": "layout", "unit": "epoch", **self.tqdm_kwds}
            with tqdm(total=n_epochs, **options) as bar:
                yield lambda done: bar.update(done - bar.n)

        return shown()


def epoch_callback(
    callback: Callable[[int, float | None, Any], object] | None,
    as_array: Callable[[torch.Tensor], Any],
) -> Callable[[int, torch.Tensor], object] | None:
    """A layout's callback from that of an estimator, which gets arrays of the user's kind.

    Epochs are counted from 0, as those of routines are. The layout is optimised without its loss,
    which is None.
    """
    if callback is None:
        return None
    return lambda done, positions: callback(done - 1, None, as_array(positions))
