"""Maps of embeddings: scatter plots that stay readable from a hundred to millions of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils._colors import Coloring, coloring_of, get_colormap, is_dark
from fastparadime.utils._drawing import (
    RASTER_DPI,
    RASTER_FROM,
    draw_points,
    draw_raster,
    new_axes,
)
from fastparadime.utils._legends import add_caption, add_title, explain, strays_note
from fastparadime.utils._limits import limits_of
from fastparadime.utils._palette import get_color_palette
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_data, check_option

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    blended where classes overlap. A few strays far outside, at most one in a thousand on each side,
    do not shrink the map, and a caption tells how many lie outside.

    Parameters
    ----------
    coords : (n, 2) tensor or array
    labels : (n,) tensor, array or list, optional
        Classes, explained by a legend, or by names on the map where it would take more than a
        quarter of the width. More than 20 distinct floats, or 60 distinct integers, are taken as a
        continuous scale, explained by a colour bar.
    colormap : sequence of colours, optional
        Instead of colours that are told apart by colour-blind readers too, or of the map of
        `get_colormap`.
    labels_to_index : mapping, optional
        Positions of the labels' colours in the colour map; by default in the legend's order.
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
    background = bgcolor or "none"
    dark = is_dark(background)
    coloring = coloring_of(labels, len(points), colormap, labels_to_index, dark=dark)
    beside = ax is None  # a legend beside the map needs a figure of its own
    if ax is None:
        ax = new_axes(figsize, background)
    notes = _draw(ax, points, coloring, bgcolor, kwargs)
    if legend:
        options = dict(legend_options or {})
        explain(ax, points, coloring, options, beside=beside, background=background, notes=notes)
    add_caption(ax, notes, background)
    return ax


def _draw(
    ax: Axes, points: Array, coloring: Coloring, bgcolor: str | None, kwargs: dict[str, Any]
) -> list[str]:
    """Draws the points; returns what the caption says of them."""
    limits = limits_of(points)
    ax.set_facecolor(bgcolor or "none")
    ax.set_aspect("equal")
    ax.set_axis_off()
    if len(points) > RASTER_FROM and not kwargs:
        draw_raster(ax, points, coloring, limits)
    else:
        draw_points(ax, points, coloring, bgcolor, kwargs, limits)
    return [strays_note(points, limits.holds(points))]


_FORMATS = ("png", "svg", "pdf")


def save_map(
    path: str | Path,
    coords: TensorLike,
    labels: TensorLike | Sequence[Any] | None = None,
    title: str | None = None,
    *,
    caption: str | None = None,
    format: str | None = None,
) -> None:
    """Writes a map of points as a PNG, SVG or PDF file, without pyplot or any display.

    Parameters
    ----------
    path : str or path
    coords, labels
        As of `scatterplot`.
    title : str, optional
    caption : str, optional
        Small print below the map, such as the parameters that made it.
    format : {"png", "svg", "pdf"}, optional
        By default what `path` ends in, or PNG if that is none of them.

    Raises
    ------
    TypeError, ValueError
        As of `scatterplot`, and for another format; nothing is written then.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    ending = Path(path).suffix.lower().removeprefix(".")
    if format is None:
        format = ending if ending in _FORMATS else "png"
    check_option(format, _FORMATS, "format")
    points = _check_coords(coords)
    coloring = coloring_of(labels, len(points))
    background = "#fcfcfc"
    layout = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.2)
    figure = Figure(figsize=(10, 9), layout=layout, facecolor=background)
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    notes = [caption or "", *_draw(ax, points, coloring, background, {})]
    if title:
        add_title(ax, title, background)
    explain(ax, points, coloring, {}, beside=True, background=background, notes=notes)
    add_caption(ax, notes, background)
    # The same map is the same file: neither its date nor random names are in it.
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
    with mpl.rc_context({"svg.hashsalt": "fastparadime"}):
        figure.savefig(path, format=format, dpi=RASTER_DPI, metadata=undated)


def _check_coords(coords: TensorLike) -> Array:
    table = check_data(coords, "coords", min_rows=1)
    if table.shape[1] != 2:
        raise ValueError(
            f"coords must have two columns to be drawn, but has shape {tuple(table.shape)}"
        )
    return to_numpy(table).astype(np.float64)


__all__ = ["get_color_palette", "get_colormap", "save_map", "scatterplot"]
