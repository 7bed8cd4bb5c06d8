"""Maps of embeddings: scatter plots that stay readable from a hundred to millions of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils._colors import Coloring, coloring_of, get_color_palette, get_colormap
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEGEND_ROWS = 30
_RASTER_FROM = 50_000  # points
_RASTER_DPI = 150


def scatterplot(
    coords: TensorLike,
    labels: TensorLike | Sequence[Any] | None = None,
    colormap: Sequence[Any] | None = None,
    labels_to_index: Mapping[Any, int] | None = None,
    figsize: tuple[float, float] = (10, 10),
    bgcolor: str | None = "#fcfcfc",
    legend: bool = True,
    legend_options: Mapping[str, Any] | None = None,
    ax: Axes | None = None,
    **kwargs: Any,
) -> Axes:
    """Draws a map of points, coloured by their labels.

    Beyond 50,000 points, and without `kwargs`, the map is an image of the density, its colours
    blended where classes overlap.

    Parameters
    ----------
    coords : (n, 2) tensor or array
    labels : (n,) tensor, array or list, optional
        Classes, explained by a legend. More than 20 distinct floats, or 60 distinct integers, are
        taken as a continuous scale, explained by a colour bar.
    colormap : sequence of colours, optional
        Instead of the palette of `get_color_palette`, or of the map of `get_colormap`.
    labels_to_index : mapping, optional
        Positions of the labels' colours in the colour map; by default in sorted order.
    figsize : (float, float)
        Inches, of a new figure.
    bgcolor : colour, optional
        Of the background and of thin outlines around the points; no outlines if None.
    legend : bool
        Whether labels are explained.
    legend_options : mapping, optional
        Passed on to matplotlib's `legend`.
    ax : Axes, optional
        To draw into, instead of a new pyplot figure.
    **kwargs
        Passed on to matplotlib's `scatter`; arrays of one value a point are understood.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        For coordinates that are not a finite (n, 2) table, labels of another length or missing
        from `labels_to_index`, and a colour map with too few colours.
    """
    points = _check_coords(coords)
    coloring = coloring_of(labels, len(points), colormap, labels_to_index)
    beside = ax is None  # a legend beside the map needs a figure of its own
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.figure(figsize=figsize, layout="constrained").add_subplot()
        ax.figure.set_facecolor(bgcolor or "none")
    ax.set_facecolor(bgcolor or "none")
    if len(points) > _RASTER_FROM and not kwargs:
        _draw_raster(ax, points, coloring)
    else:
        _draw_points(ax, points, coloring, bgcolor, kwargs)
    ax.set_aspect("equal")
    ax.set_axis_off()
    if legend:
        _explain(ax, coloring, dict(legend_options or {}), beside=beside)
    return ax


def save_map(
    path: str | Path,
    coords: TensorLike,
    labels: TensorLike | Sequence[Any] | None = None,
    title: str | None = None,
) -> None:
    """Writes a map of points as a PNG image, without pyplot or any display.

    Parameters
    ----------
    path : str or path
    coords, labels
        As of `scatterplot`.
    title : str, optional
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    background = "#fcfcfc"
    layout = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.2)
    figure = Figure(figsize=(10, 9), layout=layout, facecolor=background)
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    scatterplot(coords, labels, bgcolor=background, legend=False, ax=ax)
    _explain(ax, coloring_of(labels, len(coords)), {}, beside=True)
    if title:
        ax.set_title(title, loc="left", fontsize=15, color="#333333", pad=12)
    figure.savefig(path, format="png", dpi=_RASTER_DPI)


def _check_coords(coords: TensorLike) -> Array:
    table = check_data(coords, "coords", min_rows=1)
    if table.shape[1] != 2:
        raise ValueError(
            f"coords must have two columns to be drawn, but has shape {tuple(table.shape)}"
        )
    return to_numpy(table).astype(np.float64)


def _axes_inches(ax: Axes) -> Array:
    figure = ax.get_figure(root=True)
    assert figure is not None  # of every axes that can be drawn into
    box = ax.get_window_extent()
    return np.array([box.width, box.height]) / figure.dpi


def _draw_points(
    ax: Axes, points: Array, coloring: Coloring, bgcolor: str | None, kwargs: dict[str, Any]
) -> None:
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


def _draw_raster(ax: Axes, points: Array, coloring: Coloring) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    spans = np.maximum(high - low, max(1e-12, float((high - low).max()) * 1e-3))
    pixel = float((spans / (_axes_inches(ax) * _RASTER_DPI)).max())
    radius = int(len(points) < 20 * _RASTER_FROM)  # single pixels are lost in sparse maps
    columns, rows = (np.ceil(spans / pixel).astype(int) + 1 + 2 * radius).tolist()
    x, y = ((points - low) / pixel).astype(np.int64).T + radius
    cells = y * columns + x
    # Colours are mixed as light is: by their squares, about, and in proportion to the counts.
    light = (coloring.table**2)[coloring.codes].T
    planes = np.stack(
        [np.bincount(cells, weights, rows * columns) for weights in (None, *light)]
    ).reshape(4, rows, columns)
    if radius:
        planes = _spread(planes)
    counts = planes[0]
    seen = counts > 0
    image = np.zeros((rows, columns, 4))
    image[seen, :3] = np.sqrt(np.clip(planes[1:, seen] / counts[seen], 0, 1)).T
    dense = np.log1p(np.quantile(counts[seen], 0.75))
    image[seen, 3] = np.clip(0.4 + 0.6 * np.log1p(counts[seen]) / dense, 0, 1)
    left, bottom = low - (radius + 0.5) * pixel
    extent = (left, left + columns * pixel, bottom, bottom + rows * pixel)
    ax.imshow(image, extent=extent, origin="lower", interpolation="antialiased", zorder=1)
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


def _explain(ax: Axes, coloring: Coloring, options: dict[str, Any], *, beside: bool) -> None:
    if coloring.limits is not None:
        _add_colorbar(ax, coloring)
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
    }
    ax.legend(handles, names, **{**defaults, **options})


def _add_colorbar(ax: Axes, coloring: Coloring) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    low, high = coloring.limits or (0.0, 1.0)
    scale = ScalarMappable(Normalize(low, high), ListedColormap(coloring.table[:256]))
    bar = ax.figure.colorbar(scale, ax=ax, shrink=0.6, aspect=30, pad=0.02)
    bar.outline.set_visible(False)


__all__ = ["get_color_palette", "get_colormap", "save_map", "scatterplot"]
