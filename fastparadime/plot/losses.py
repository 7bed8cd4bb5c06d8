"""Losses of training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastparadime.utils._palette import get_color_palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def history(trained: Any, ax: Axes | None = None) -> Axes:
    """Draws the loss of every epoch, a line for each phase.

    Parameters
    ----------
    trained : routine, ParametricUMAP or History
        What was trained, or its ``history`` or ``history_``.
    ax : matplotlib Axes, optional
        Drawn into; one of a new figure if None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError
        For what has no history.
    ValueError
        If no epoch was run.
    """
    runs = _runs_of(trained)
    if not any(run["losses"] for run in runs):
        raise ValueError("there is nothing to draw: no epoch was run")
    if ax is None:
        from matplotlib import pyplot as plt

        _, ax = plt.subplots()
    colors, first = list(get_color_palette().values()), 0
    for number, run in enumerate(runs):
        epochs = range(first, first + len(run["losses"]))
        name = f"phase {number}" if run["name"] is None else str(run["name"])
        ax.plot(epochs, run["losses"], color=colors[number % len(colors)], label=name, marker=".")
        first += len(run["losses"])
    # Phases differ in what they sum, and losses fall fast at first.
    if all(loss > 0 for run in runs for loss in run["losses"]):
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("sum of batch losses")
    ax.legend()
    return ax


def _runs_of(trained: Any) -> Sequence[dict[str, Any]]:
    for name in ("history_", "history"):
        trained = getattr(trained, name, trained)
    if not isinstance(trained, list):
        raise TypeError(
            "trained must be a routine, a fitted ParametricUMAP or a History, not "
            f"{type(trained).__name__}"
        )
    return trained
