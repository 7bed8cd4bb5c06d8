"""Names of classes on the map itself, where a legend would be too wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils._colors import Coloring
from fastparadime.utils._drawing import root_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_MOST = 300  # classes, the largest first, whose names are tried
_LONGEST = 28  # characters
_SIZES = (10.0, 7.0)  # of text, of the fewest and the most classes
_BINS = 40  # a side, in which a class's densest place is sought
_RINGS = 3  # how far from its place a name may go, in heights of a line
_SPOKES = 12
_GAP = np.array([-4.0, 0.0, 4.0, 0.0])  # pixels kept free beside a name


def put_names(
    ax: Axes, points: Array, coloring: Coloring, ink: str, background: Any
) -> tuple[int, int]:
    """Writes each class's name near where it is densest, none over another, the largest first.

    Returns how many had no room, of how many classes with points.
    """
    figure = root_figure(ax)
    figure.draw_without_rendering()  # so that the axes are where they will be
    counts = np.bincount(coloring.codes, minlength=len(coloring.entries))
    largest = np.argsort(-counts[: len(coloring.entries)], kind="stable")[:_MOST]
    largest = largest[counts[largest] > 0]
    size = float(np.interp(len(largest), (20, 120), _SIZES))
    frame = np.array(ax.get_window_extent().extents)
    taken = np.empty((0, 4))
    written = 0
    for code in largest.tolist():
        place = _densest_place(points[coloring.codes == code])
        text = _text(ax, coloring.entries[code][0], place, size, ink, background)
        box = np.array(text.get_window_extent().extents) + _GAP
        shift = _free_shift(box, taken, frame)
        if shift is None:
            text.remove()
            continue
        x, y = ax.transData.inverted().transform(ax.transData.transform(place) + shift)
        text.set_position((float(x), float(y)))
        taken = np.vstack([taken, box + np.tile(shift, 2)])
        written += 1
    named = int(np.count_nonzero(counts[: len(coloring.entries)]))
    return named - written, named


def _text(ax: Axes, name: str, place: Array, size: float, ink: str, background: Any) -> Text:
    from matplotlib.patheffects import withStroke

    return ax.text(
        float(place[0]),
        float(place[1]),
        shortened(name, _LONGEST),
        fontsize=size,
        color=ink,
        ha="center",
        va="center",
        zorder=5,
        parse_math=False,
        path_effects=[withStroke(linewidth=2.5, foreground=background, alpha=0.8)],
    )


def shortened(name: str, longest: int) -> str:
    """The name in one line, its end cut off if it is longer."""
    line = " ".join(name.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _densest_place(points: Array) -> Array:
    """The middle of the points in the fullest cell of a grid over them."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()), 1e-12)
    cells = np.minimum((points - low) / side * _BINS, _BINS - 1).astype(np.int64)
    counts = np.zeros((_BINS + 2, _BINS + 2))
    np.add.at(counts, tuple(cells.T + 1), 1)
    near = sum(
        counts[1 + i : _BINS + 1 + i, 1 + j : _BINS + 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)
    )
    best = np.array(np.unravel_index(np.argmax(near), (_BINS, _BINS)))
    middle: Array = points[(np.abs(cells - best) <= 1).all(axis=1)].mean(axis=0)
    return middle


def _free_shift(box: Array, taken: Array, frame: Array) -> Array | None:
    """The shortest tried way of a box, in pixels, to where it is in the frame and alone."""
    height = box[3] - box[1]
    angles = 2 * np.pi * np.arange(_SPOKES) / _SPOKES
    spokes = np.column_stack([np.cos(angles), np.sin(angles)])
    rings = [height * ring * spokes for ring in np.arange(1, 2 * _RINGS + 1) / 2]
    for shift in np.vstack([np.zeros((1, 2)), *rings]):
        left, bottom, right, top = box + np.tile(shift, 2)
        if left < frame[0] or bottom < frame[1] or right > frame[2] or top > frame[3]:
            continue
        apart = (
            (left >= taken[:, 2]) | (right <= taken[:, 0])
            | (bottom >= taken[:, 3]) | (top <= taken[:, 1])
        )  # fmt: skip
        if apart.all():
            return np.asarray(shift)
    return None
