"""A map to pan, zoom and select in, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastparadime.plot._arguments import (
    Colors,
    Map,
    Values,
    check_alpha,
    check_pixels,
    load,
    map_of,
)
from fastparadime.plot._columns import hover_columns
from fastparadime.types import Array
from fastparadime.utils._classes import check_labels
from fastparadime.utils._legends import unknown_name
from fastparadime.utils._limits import Limits
from fastparadime.utils.validate import check_option, check_positive

_PADDING = 1.06  # around the map, so that points on its border are whole
_OWN_COLUMNS = ("x", "y", "label", "value")


def interactive(
    embedding: Any,
    labels: Values | None = None,
    values: Values | None = None,
    *,
    hover_data: Any = None,
    cmap: Any = None,
    color_key: Mapping[Any, Any] | Sequence[Any] | None = None,
    color_key_cmap: Any = None,
    background: Any = "white",
    width: int = 700,
    height: int = 500,
    show_legend: bool = True,
    subset_points: Values | None = None,
    point_size: float | None = None,
    alpha: float | None = None,
) -> Any:
    """A jupyter-scatter widget of a map, good for millions of points.

    Parameters
    ----------
    embedding, labels, cmap, color_key, color_key_cmap, background, show_legend, subset_points
        As of `points`.
    values : (n,) array, tensor or list, optional
        As of `points`, but finite: the widget has no colour for missing ones.
    hover_data : list of n names, mapping of columns or data frame, optional
        What is shown of the point under the pointer, beside its label or value. A list becomes
        the column ``"name"``.
    width, height : int
        Pixels; by default what a laptop shows at once. All but strays is in view at first.
    point_size : float, optional
        Diameter in pixels; by default from the number of points.
    alpha : float, optional
        Opacity in (0, 1]; by default from the density of what is in view.

    Returns
    -------
    jscatter.Scatter
        A notebook shows it as the last value of a cell; its `selection()` are rows of the embedding.

    Raises
    ------
    ImportError
        If jupyter-scatter is not installed.
    TypeError, ValueError
        For arguments that are not as described.
    """
    colors = Colors(labels, values, cmap, color_key, color_key_cmap, background)
    shown = map_of(embedding, colors, subset_points)
    hovered = _told_columns(hover_data, shown.drawn)
    size, alpha = check_pixels(width, height), check_alpha(alpha)
    check_option(show_legend, (True, False), "show_legend")
    if point_size is not None:
        check_positive(point_size, "point_size")
    jscatter = load("jscatter", "interactive", "")
    import pandas as pd

    columns: dict[str, Any] = {"x": shown.points[:, 0], "y": shown.points[:, 1]}
    options = _coloring_options(shown, columns, labels if values is None else values)
    columns |= hovered
    frame = pd.DataFrame(columns, index=np.flatnonzero(shown.drawn))
    x_scale, y_scale = _scales(shown.limits, size)
    told = [name for name in frame.columns if name not in ("x", "y")]
    if told:
        options |= {"tooltip": True, "tooltip_properties": told, "tooltip_histograms": False}
    if alpha is not None:
        options |= {"opacity": alpha, "opacity_by": None}
    return jscatter.Scatter(
        data=frame,
        data_use_index=True,
        x="x",
        y="y",
        x_scale=x_scale,
        y_scale=y_scale,
        width=size[0],
        height=size[1],
        size=point_size or float(np.clip(300 / np.sqrt(len(frame)), 1, 8)),
        background_color=background,
        axes=False,
        legend=show_legend and "color_by" in options,
        **options,
    )


def _told_columns(hover_data: Any, drawn: Array) -> dict[str, Array]:
    columns = hover_columns(hover_data, drawn, "hover_data")
    taken = [name for name in columns if name in _OWN_COLUMNS]
    if taken:
        raise ValueError(f"hover_data has a column {taken[0]!r}, which the plot's own is named")
    return columns


def _coloring_options(shown: Map, columns: dict[str, Any], values: Any) -> dict[str, Any]:
    """The widget's colours; adds the column that they go by."""
    import pandas as pd

    coloring = shown.coloring
    if coloring.entries:
        names = [name for name, _ in coloring.entries]
        if coloring.unknown is not None:  # the widget has no colour for what has no name
            names.append(unknown_name(coloring))
        columns["label"] = pd.Categorical.from_codes(coloring.codes, names)
        return {
            "color_by": "label",
            "color_map": dict(zip(names, _hex(coloring.table), strict=True)),
        }
    if coloring.limits is not None:
        given, known = check_labels(values, len(shown.drawn), "values")
        numbers = np.where(known, given.astype(np.float64), np.nan)[shown.drawn]
        if not np.isfinite(numbers).all():
            raise ValueError(
                "values must be finite in the widget, which has no colour for missing ones: leave "
                "such points out by subset_points"
            )
        columns["value"] = numbers
        return {
            "color_by": "value",
            "color_map": _hex(coloring.table[:256]),
            "color_norm": coloring.limits,
        }
    return {"color": _hex(coloring.table)[0]}


def _hex(table: Array) -> list[str]:
    from matplotlib.colors import to_hex

    return [to_hex(tuple(rgb)) for rgb in table.tolist()]


def _scales(limits: Limits, size: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    """Domains of one length for both axes, so that circles stay circles.

    The widget shows all of the vertical one, and as much of the horizontal one as its shape has.
    """
    spans = limits.high - limits.low
    half = max(float(max(spans[1], spans[0] * size[1] / size[0])) / 2 * _PADDING, 1e-12)
    middle = (limits.low + limits.high) / 2
    return tuple((float(m - half), float(m + half)) for m in middle)
