"""Maps of embeddings: scatter plots that stay readable from a hundred to millions of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils._colors import coloring_of, get_colormap
from fastparadime.utils._drawing import (
    RASTER_DPI,
    RASTER_FROM,
    draw_points,
    draw_raster,
    explain,
    new_axes,
)
from fastparadime.utils._palette import get_color_palette
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_data

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
    blended where classes overlap.

    Parameters
    ----------
    coords : (n, 2) tensor or array
    labels : (n,) tensor, array or list, optional
        Classes, explained by a legend. More than 20 distinct floats, or 60 distinct integers, are
        taken as a continuous scale, explained by a colour bar.
    colormap : sequence of colours, optional
        Instead of colours that are told apart by colour-blind readers too, or of the map of
        `get_colormap`.
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
        ax = new_axes(figsize, bgcolor or "none")
    ax.set_facecolor(bgcolor or "none")
    if len(points) > RASTER_FROM and not kwargs:
        draw_raster(ax, points, coloring)
    else:
        draw_points(ax, points, coloring, bgcolor, kwargs)
    ax.set_aspect("equal")
    ax.set_axis_off()
    if legend:
        explain(ax, coloring, dict(legend_options or {}), beside=beside)
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
    explain(ax, coloring_of(labels, len(coords)), {}, beside=True)
    if title:
        ax.set_title(title, loc="left", fontsize=15, color="#333333", pad=12)
    figure.savefig(path, format="png", dpi=RASTER_DPI)


def _check_coords(coords: TensorLike) -> Array:
    table = check_data(coords, "coords", min_rows=1)
    if table.shape[1] != 2:
        raise ValueError(
            f"coords must have two columns to be drawn, but has shape {tuple(table.shape)}"
        )
    return to_numpy(table).astype(np.float64)


__all__ = ["get_color_palette", "get_colormap", "save_map", "scatterplot"]
