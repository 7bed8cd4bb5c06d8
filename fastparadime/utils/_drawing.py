"""The parts of a map: points, or an image of their density, within its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils._colors import Coloring
from fastparadime.utils._limits import Limits, filled_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RASTER_FROM = 50_000  # points
RASTER_DPI = 150
_MARGIN = 0.02  # of the longer side, beyond the points themselves


def new_axes(figsize: tuple[float, float], background: Any, dpi: float | None = None) -> Axes:
    """Axes of a new pyplot figure."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=figsize, dpi=dpi, layout="constrained", facecolor=background)
    return figure.add_subplot()


def root_figure(ax: Axes) -> Figure:
    """The figure that has the canvas, of axes in a part of it too; `root=True` is matplotlib 3.10's."""
    if ax.figure is None:
        raise ValueError("ax must be in a figure, but was removed from it")
    root: Figure = ax.figure.canvas.figure
    return root


def axes_inches(ax: Axes) -> Array:
    """Width and height of axes."""
    box = ax.get_window_extent()
    return np.array([box.width, box.height]) / root_figure(ax).dpi


def show_limits(ax: Axes, limits: Limits, radius: float = 0.0) -> None:
    """Shows the box and, around it, what points on its border need; `radius` is in inches.

    What is in the axes already stays in view.
    """
    margin = limits.side * (_MARGIN + radius / max(float(axes_inches(ax).min()), 1e-3))
    low, high = limits.low - margin, limits.high + margin
    if ax.has_data():
        before = np.array([ax.get_xlim(), ax.get_ylim()])
        low, high = np.minimum(low, before.min(axis=1)), np.maximum(high, before.max(axis=1))
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def draw_points(
    ax: Axes,
    points: Array,
    coloring: Coloring,
    bgcolor: Any,
    kwargs: dict[str, Any],
    limits: Limits,
) -> None:
    """Draws every point, its size by their density; `kwargs` are matplotlib's `scatter`'s."""
    n = len(points)
    side = 72 * axes_inches(ax).min()  # in points, as sizes of markers are
    width = side * np.sqrt(filled_share(points, limits) / n)
    width = np.clip(width, 0.003 * side, 0.014 * side)
    # In a random order, or the last class would cover the others; always the same one, but for
    # those without a class, which lie beneath.
    order = np.random.default_rng(0).permutation(n)
    if coloring.unknown is not None:
        order = order[np.argsort(coloring.codes[order] != coloring.unknown, kind="stable")]
    options: dict[str, Any] = {
        "s": width**2,
        "alpha": np.clip(1.1 - 0.1 * np.log10(n), 0.65, 0.9),
        "linewidths": 0.08 * width,
        "edgecolors": "none" if bgcolor is None or n > 10_000 else bgcolor,
        "rasterized": n > 5_000,  # in vector formats
    }
    if not {"c", "color"} & kwargs.keys():
        options["c"] = coloring.table[coloring.codes[order]]
    aliases = {"edgecolor": "edgecolors", "linewidth": "linewidths", "size": "s"}
    for key, value in kwargs.items():
        each = n > 4 and not isinstance(value, str) and np.ndim(value) and len(value) == n
        options[aliases.get(key, key)] = np.asarray(value)[order] if each else value
    largest = float(np.max(options["s"])) if options["s"] is not None else width**2
    show_limits(ax, limits, np.sqrt(largest) / 2 / 72)
    view = ax.viewLim.frozen()
    ax.scatter(*points[order].T, **options)
    ax.set(xlim=view.intervalx, ylim=view.intervaly)


@dataclass(frozen=True)
class Grid:
    """Square pixels over the data: where they begin, their side and their number."""

    left: float
    bottom: float
    pixel: float
    columns: int
    rows: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top, as matplotlib's images take them."""
        right = self.left + self.columns * self.pixel
        return self.left, right, self.bottom, self.bottom + self.rows * self.pixel


def grid_of(ax: Axes, limits: Limits, margin: int = 0) -> Grid:
    """The pixels that show the limits in these axes, and `margin` more on each side."""
    spans = np.maximum(limits.high - limits.low, limits.side * 1e-3)
    pixel = float((spans / (axes_inches(ax) * RASTER_DPI)).max())
    columns, rows = (np.ceil(spans / pixel).astype(int) + 1 + 2 * margin).tolist()
    left, bottom = (limits.low - (margin + 0.5) * pixel).tolist()
    return Grid(left, bottom, pixel, columns, rows)


def add_up(grid: Grid, points: Array, values: Array) -> Array:
    """How many points each pixel holds, and the sums of their values (n, v): (1 + v, rows, columns)."""
    x, y = ((points - (grid.left, grid.bottom)) / grid.pixel).astype(np.int64).T
    cells = y * grid.columns + x
    size = grid.rows * grid.columns
    sums = [np.bincount(cells, weights, size) for weights in (None, *values.T)]
    return np.stack(sums).reshape(-1, grid.rows, grid.columns)


def draw_raster(
    ax: Axes,
    points: Array,
    coloring: Coloring,
    limits: Limits,
    *,
    alpha: float = 1.0,
    add: Callable[[Grid, Array, Array], Array] = add_up,
) -> None:
    """Draws the density of the points as an image; `add` is what counts them."""
    margin = int(len(points) < 20 * RASTER_FROM)  # single pixels are lost in sparse maps
    grid = grid_of(ax, limits, margin)
    inside = limits.holds(points)
    # Colours are mixed as light is: by their squares, about, and in proportion to the counts.
    planes = add(grid, points[inside], (coloring.table**2)[coloring.codes[inside]])
    if margin:
        planes = _spread(planes)
    counts = planes[0]
    seen = counts > 0
    image = np.zeros((grid.rows, grid.columns, 4))
    image[seen, :3] = np.sqrt(np.clip(planes[1:, seen] / counts[seen], 0, 1)).T
    dense = np.log1p(np.quantile(counts[seen], 0.75))
    image[seen, 3] = alpha * np.clip(0.4 + 0.6 * np.log1p(counts[seen]) / dense, 0, 1)
    show_image(ax, grid, image, limits)


def show_image(ax: Axes, grid: Grid, image: Array, limits: Limits) -> None:
    """Puts an image (rows, columns, 4), its lowest row first, where its grid is."""
    show_limits(ax, limits)
    view = ax.viewLim.frozen()
    ax.imshow(image, extent=grid.extent, origin="lower", interpolation="antialiased", zorder=1)
    ax.set(xlim=view.intervalx, ylim=view.intervaly)


def _spread(planes: Array) -> Array:
    """Each pixel's values on it and its four neighbours."""
    spread = planes.copy()
    spread[:, 1:] += planes[:, :-1]
    spread[:, :-1] += planes[:, 1:]
    spread[:, :, 1:] += planes[:, :, :-1]
    spread[:, :, :-1] += planes[:, :, 1:]
    return spread
