"""Static maps: points by matplotlib, or as images of their density and of a graph's edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.plot._arguments import (
    Colors,
    Map,
    Values,
    check_alpha,
    check_color,
    check_pixels,
    check_text,
    load,
    map_of,
    parameters_of,
)
from fastparadime.types import Array
from fastparadime.utils._drawing import (
    RASTER_FROM,
    Grid,
    add_up,
    draw_points,
    draw_raster,
    grid_of,
    new_axes,
    show_image,
)
from fastparadime.utils._legends import add_caption, add_title, explain, ink_on, strays_note
from fastparadime.utils.validate import check_option, check_positive

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 100
_DATASHADER_FROM = 1_000_000  # points: before, starting it takes longer than it saves
_BACKGROUND = "#fcfcfc"


def points(
    embedding: Any,
    labels: Values | None = None,
    values: Values | None = None,
    *,
    cmap: Any = None,
    color_key: Mapping[Any, Any] | Sequence[Any] | None = None,
    color_key_cmap: Any = None,
    background: Any = _BACKGROUND,
    width: int = 800,
    height: int = 800,
    show_legend: bool = True,
    subset_points: Values | None = None,
    point_size: float | None = None,
    alpha: float | None = None,
    renderer: str | None = None,
    title: str | None = None,
    caption: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a map of points.

    A few strays far outside, at most one in a thousand on each side, do not shrink the map: it ends
    where the others do, and the caption tells how many lie outside.

    Parameters
    ----------
    embedding : (n, 2) array or tensor, or estimator
        Of a fitted estimator, its `embedding_`. Points without a position, NaN, are left out.
    labels : (n,) array, tensor or list, optional
        Classes, explained by a legend: categories in their order, words in the natural one ("c2"
        before "c10"), unknown ones grey and last. Where a legend would take more than a quarter of
        the width, the classes' names are on the map instead. More than 20 distinct floats, or 60
        distinct integers, are values.
    values : (n,) array, tensor or list, optional
        Numbers on a scale, explained by a colour bar; NaN is grey.
    cmap : str or Colormap, optional
        Of `values`; by default viridis.
    color_key : mapping or sequence, optional
        Colours by label, or of the labels in the legend's order.
    color_key_cmap : str or Colormap, optional
        Whose colours, evenly spaced, are those of the labels in the legend's order.
    background : colour
    width, height : int
        Pixels of a new figure.
    show_legend : bool
        Whether labels or values are explained.
    subset_points : (n,) bool array, optional
        Which points are drawn. They keep the colours that they have among all.
    point_size : float, optional
        Area in square points, for single points; by default from their density.
    alpha : float, optional
        Opacity in (0, 1].
    renderer : {"scatter", "image", "datashader"}, optional
        How: each point by itself, an image of their density by numpy, or the same by datashader.
        By default the first up to 50,000 points or with a `point_size`, the second up to 1,000,000.
    title : str, optional
    caption : str, optional
        Small print below; by default the parameters of an estimator. "" for none.
    ax : Axes, optional
        To draw into, instead of a new pyplot figure.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If datashader is needed and not installed, with how to go on.
    TypeError, ValueError
        For arguments that are not as described; nothing is drawn then.
    """
    colors = Colors(labels, values, cmap, color_key, color_key_cmap, background)
    shown = map_of(embedding, colors, subset_points)
    size, alpha = check_pixels(width, height), check_alpha(alpha)
    check_option(show_legend, (True, False), "show_legend")
    if point_size is not None:
        check_positive(point_size, "point_size")
    renderer = _renderer(renderer, len(shown.points), point_size)
    if renderer == "datashader":
        _load_datashader(f" draws {len(shown.points):,} points; renderer='image' goes without")
    title, caption = check_text(title, "title"), check_text(caption, "caption")
    beside = ax is None
    ax = _axes(ax, size, background)
    _draw(ax, shown, renderer, background, point_size, alpha)
    notes = [parameters_of(embedding) if caption is None else caption]
    notes.append(strays_note(shown.points, shown.limits.holds(shown.points)))
    if title:
        add_title(ax, title, background)
    if show_legend:
        explain(
            ax, shown.points, shown.coloring, {}, beside=beside, background=background, notes=notes
        )
    add_caption(ax, notes, background)
    return ax


def connectivity(
    estimator: Any,
    *,
    edge_color: Any = None,
    show_points: bool = False,
    labels: Values | None = None,
    values: Values | None = None,
    cmap: Any = None,
    color_key: Mapping[Any, Any] | Sequence[Any] | None = None,
    color_key_cmap: Any = None,
    background: Any = _BACKGROUND,
    width: int = 800,
    height: int = 800,
    show_legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draws the edges of an estimator's graph as an image, darker where their weights add up.

    Parameters
    ----------
    estimator
        Fitted, with `embedding_` (n, 2) and a sparse symmetric `graph_` (n, n).
    edge_color : colour, optional
        By default black, or white on dark backgrounds.
    show_points : bool
        Whether points are drawn over the edges.
    labels, values, cmap, color_key, color_key_cmap, show_legend
        Of the points, as of `points`.
    background, width, height, ax
        As of `points`.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If datashader is not installed.
    TypeError, ValueError
        For arguments that are not as described; nothing is drawn then.
    """
    colors = Colors(labels, values, cmap, color_key, color_key_cmap, background)
    shown = map_of(estimator, colors)
    edges = _edges(estimator, shown)
    size = check_pixels(width, height)
    ink = ink_on(background)
    edge_color = (ink or "black") if edge_color is None else edge_color
    check_color(edge_color, "edge_color")
    check_option(show_points, (True, False), "show_points")
    check_option(show_legend, (True, False), "show_legend")
    _load_datashader(" draws edges")
    beside = ax is None
    ax = _axes(ax, size, background)
    _draw_edges(ax, shown, edges, edge_color)
    if show_points:
        _draw(ax, shown, "scatter", background, None, None)
        if show_legend:
            notes: list[str] = []
            explain(
                ax, shown.points, shown.coloring, {},
                beside=beside, background=background, notes=notes,
            )  # fmt: skip
            add_caption(ax, notes, background)
    return ax


def _renderer(renderer: str | None, n: int, point_size: float | None) -> str:
    if renderer is None:
        if n <= RASTER_FROM or point_size is not None:
            return "scatter"
        return "image" if n <= _DATASHADER_FROM else "datashader"
    check_option(renderer, ("scatter", "image", "datashader"), "renderer")
    if point_size is not None and renderer != "scatter":
        raise ValueError(f"point_size is for renderer='scatter', not {renderer!r}")
    return renderer


def _load_datashader(use: str) -> Any:
    return load("datashader", "plot", use)


def _axes(ax: Axes | None, size: tuple[int, int], background: Any) -> Axes:
    if ax is None:
        ax = new_axes((size[0] / _DPI, size[1] / _DPI), background, _DPI)
    ax.set_facecolor(background)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def _draw(
    ax: Axes,
    shown: Map,
    renderer: str,
    background: Any,
    point_size: float | None,
    alpha: float | None,
) -> None:
    if renderer == "scatter":
        options = {"s": point_size, "alpha": alpha}
        given = {key: value for key, value in options.items() if value is not None}
        draw_points(ax, shown.points, shown.coloring, background, given, shown.limits)
        return
    add = add_up if renderer == "image" else _add_by_datashader
    draw_raster(ax, shown.points, shown.coloring, shown.limits, alpha=alpha or 1.0, add=add)


def _canvas(grid: Grid) -> Any:
    left, right, bottom, top = grid.extent
    return _load_datashader("").Canvas(grid.columns, grid.rows, (left, right), (bottom, top))


def _add_by_datashader(grid: Grid, points: Array, values: Array) -> Array:
    import datashader as ds
    import pandas as pd

    names = [f"v{i}" for i in range(values.shape[1])]
    columns = dict(zip(names, values.astype(np.float32).T, strict=True))
    frame = pd.DataFrame({"x": points[:, 0], "y": points[:, 1], **columns})
    sums = ds.summary(count=ds.count(), **{name: ds.sum(name) for name in names})
    added = _canvas(grid).points(frame, "x", "y", agg=sums)
    return np.stack([np.nan_to_num(added[name].values) for name in ("count", *names)])


def _edges(estimator: Any, shown: Map) -> tuple[Array, Array, Array]:
    """Heads, tails and weights of the edges between drawn points, each of them once."""
    n = len(shown.drawn)
    graph = getattr(estimator, "graph_", None)
    if graph is None or not hasattr(graph, "tocoo"):
        raise TypeError(
            "estimator must be fitted and have a sparse graph_, as UMAP has, but "
            f"{type(estimator).__name__} has none"
        )
    if graph.shape != (n, n):
        raise ValueError(
            f"graph_ must join the {n} points of embedding_, but has shape {graph.shape}"
        )
    pairs = graph.tocoo()
    kept = (pairs.row < pairs.col) & shown.drawn[pairs.row] & shown.drawn[pairs.col]
    place = np.cumsum(shown.drawn) - 1
    return place[pairs.row[kept]], place[pairs.col[kept]], pairs.data[kept]


def _draw_edges(ax: Axes, shown: Map, edges: tuple[Array, Array, Array], color: Any) -> None:
    import datashader as ds
    import pandas as pd
    from matplotlib.colors import to_rgb

    heads, tails, weights = edges
    grid = grid_of(ax, shown.limits)
    (x0, y0), (x1, y1) = shown.points[heads].T, shown.points[tails].T
    frame = pd.DataFrame({"x0": x0, "x1": x1, "y0": y0, "y1": y1, "weight": weights})
    sums = _canvas(grid).line(frame, ["x0", "x1"], ["y0", "y1"], agg=ds.sum("weight"), axis=1)
    totals = np.nan_to_num(sums.values)
    image = np.zeros((grid.rows, grid.columns, 4))
    image[..., :3] = to_rgb(color)
    seen = totals > 0
    if seen.any():
        dense = np.log1p(np.quantile(totals[seen], 0.99))
        image[..., 3] = np.clip(np.log1p(totals) / dense, 0, 1)
    show_image(ax, grid, image, shown.limits)
