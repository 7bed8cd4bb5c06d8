"""The parts of a map: points or an image of their density, and what explains their colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils._colors import Coloring

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RASTER_FROM = 50_000  # points
RASTER_DPI = 150
_LEGEND_ROWS = 30


def new_axes(figsize: tuple[float, float], background: Any, dpi: float | None = None) -> Axes:
    """Axes of a new pyplot figure."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=figsize, dpi=dpi, layout="constrained", facecolor=background)
    return figure.add_subplot()


def _axes_inches(ax: Axes) -> Array:
    figure = ax.get_figure(root=True)
    assert figure is not None  # of every axes that can be drawn into
    box = ax.get_window_extent()
    return np.array([box.width, box.height]) / figure.dpi


def draw_points(
    ax: Axes, points: Array, coloring: Coloring, bgcolor: str | None, kwargs: dict[str, Any]
) -> None:
    """Draws every point, its size by their number; `kwargs` are matplotlib's `scatter`'s."""
    n = len(points)
    side = 72 * _axes_inches(ax).min()  # in points, as sizes of markers are
    width = np.clip(0.4 * side / np.sqrt(n), 0.003 * side, 0.014 * side)
    # In a random order, or the last class would cover the others; always the same one.
    order = np.random.default_rng(0).permutation(n)
    options: dict[str, Any] = {
        "s": width**2,
        "alpha": np.clip(1.1 - 0.11 * np.log10(n), 0.6, 0.9),
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
    ax.scatter(*points[order].T, **options)


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


def grid_of(ax: Axes, points: Array, margin: int = 0) -> Grid:
    """The pixels that show the points in these axes, and `margin` more on each side."""
    low, high = points.min(axis=0), points.max(axis=0)
    spans = np.maximum(high - low, max(1e-12, float((high - low).max()) * 1e-3))
    pixel = float((spans / (_axes_inches(ax) * RASTER_DPI)).max())
    columns, rows = (np.ceil(spans / pixel).astype(int) + 1 + 2 * margin).tolist()
    left, bottom = (low - (margin + 0.5) * pixel).tolist()
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
    *,
    alpha: float = 1.0,
    add: Callable[[Grid, Array, Array], Array] = add_up,
) -> None:
    """Draws the density of the points as an image; `add` is what counts them."""
    margin = int(len(points) < 20 * RASTER_FROM)  # single pixels are lost in sparse maps
    grid = grid_of(ax, points, margin)
    # Colours are mixed as light is: by their squares, about, and in proportion to the counts.
    planes = add(grid, points, (coloring.table**2)[coloring.codes])
    if margin:
        planes = _spread(planes)
    counts = planes[0]
    seen = counts > 0
    image = np.zeros((grid.rows, grid.columns, 4))
    image[seen, :3] = np.sqrt(np.clip(planes[1:, seen] / counts[seen], 0, 1)).T
    dense = np.log1p(np.quantile(counts[seen], 0.75))
    image[seen, 3] = alpha * np.clip(0.4 + 0.6 * np.log1p(counts[seen]) / dense, 0, 1)
    show_image(ax, grid, image)


def show_image(ax: Axes, grid: Grid, image: Array) -> None:
    """Puts an image (rows, columns, 4), its lowest row first, where its grid is."""
    ax.imshow(image, extent=grid.extent, origin="lower", interpolation="antialiased", zorder=1)
    ax.margins(0.02)
    ax.autoscale_view()


def _spread(planes: Array) -> Array:
    """Each pixel's values on it and its four neighbours."""
    spread = planes.copy()
    spread[:, 1:] += planes[:, :-1]
    spread[:, :-1] += planes[:, 1:]
    spread[:, :, 1:] += planes[:, :, :-1]
    spread[:, :, :-1] += planes[:, :, 1:]
    return spread


def explain(
    ax: Axes,
    coloring: Coloring,
    options: dict[str, Any],
    *,
    beside: bool,
    ink: str | None = None,
) -> None:
    """Adds the legend of classes, or the colour bar of a scale, in the colour `ink` or the usual."""
    if coloring.limits is not None:
        _add_colorbar(ax, coloring, ink)
        return
    if not coloring.entries:
        return
    from matplotlib.lines import Line2D

    entries = coloring.entries[: 2 * _LEGEND_ROWS]
    handles = [
        Line2D([], [], ls="", marker="o", ms=8, mew=0, color=tuple(rgb)) for _, rgb in entries
    ]
    names = [name for name, _ in entries]
    if len(coloring.entries) > len(entries):
        handles.append(Line2D([], [], ls=""))
        names.append(f"and {len(coloring.entries) - len(entries)} more")
    if beside and "loc" not in options:
        options = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), **options}
    columns = -(-len(names) // _LEGEND_ROWS)
    defaults = {
        "loc": "lower right",
        "frameon": False,
        "fontsize": 11,
        "ncols": columns,
        "handletextpad": 0.2,
        "labelcolor": ink,
    }
    ax.legend(handles, names, **{**defaults, **options})


def _add_colorbar(ax: Axes, coloring: Coloring, ink: str | None) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    low, high = coloring.limits or (0.0, 1.0)
    scale = ScalarMappable(Normalize(low, high), ListedColormap(coloring.table[:256]))
    bar = ax.figure.colorbar(scale, ax=ax, shrink=0.6, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    if ink is not None:
        bar.ax.tick_params(colors=ink)
