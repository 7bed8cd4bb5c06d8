"""A map as one file for a browser: to pan, zoom, search and look points up in, without a network."""

from __future__ import annotations

import html as markup
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from fastparadime.plot._arguments import (
    Colors,
    Map,
    Values,
    check_alpha,
    check_text,
    map_of,
    parameters_of,
)
from fastparadime.plot._columns import hover_columns
from fastparadime.plot._packing import Pack, as_codes
from fastparadime.types import Array
from fastparadime.utils._legends import strays_note, unknown_name
from fastparadime.utils._limits import filled_share
from fastparadime.utils.files import replacing
from fastparadime.utils.labels import drawable
from fastparadime.utils.validate import check_positive

_ASSETS = Path(__file__).parent / "assets"
_STEPS = 65535  # of a coordinate over the map's extent, in two bytes
_FINE_FROM = 2.0  # extents of the map without strays: beyond, coordinates are floats of four bytes


def html(
    embedding: Any,
    path: str | Path,
    *,
    labels: Values | None = None,
    values: Values | None = None,
    hover: Any = None,
    title: str | None = None,
    caption: str | None = None,
    cmap: Any = None,
    color_key: Mapping[Any, Any] | Sequence[Any] | None = None,
    color_key_cmap: Any = None,
    background: Any = "#fcfcfc",
    subset_points: Values | None = None,
    point_size: float | None = None,
    alpha: float | None = None,
) -> Path:
    """Writes a map as an HTML file that a browser opens by itself, good for a million points.

    The file holds the points, the columns and the program that draws them (regl-scatterplot, by
    WebGL), and loads nothing from a network. It pans and zooms, tells the columns of the point under
    the pointer, finds points by what their columns hold, and shows or hides classes, by pointer or
    keyboard.

    Parameters
    ----------
    embedding : (n, 2) array or tensor, or estimator
        As of `points`. Strays are in the file too, outside what is in view at first.
    path : str or path
        Of the file, which is replaced once the new one is complete.
    labels, values, cmap, color_key, color_key_cmap, background, subset_points
        As of `points`. Unknown labels and values are grey, beneath the others.
    hover : list of n names, mapping of columns or data frame, optional
        What is told of the point under the pointer, beside its label or value. A list becomes the
        column ``"name"``. Numbers are told with six digits.
    title, caption : str, optional
        Above the map; the caption is by default the parameters of an estimator.
    point_size : float, optional
        Diameter in pixels; by default from the density of the points.
    alpha : float, optional
        Opacity in (0, 1]; by default from the number of points.

    Returns
    -------
    Path
        That of the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError, ValueError
        For arguments that are not as described; nothing is written then.
    """
    colors = Colors(labels, values, cmap, color_key, color_key_cmap, background)
    shown = map_of(embedding, colors, subset_points)
    columns = _columns(shown, labels, values, hover)
    title, caption = check_text(title, "title"), check_text(caption, "caption")
    alpha = check_alpha(alpha)
    if point_size is not None:
        check_positive(point_size, "point_size")
    if caption is None:
        caption = parameters_of(embedding)
    outside = strays_note(shown.points, shown.limits.holds(shown.points))
    data = _data(shown, columns, colors, point_size, alpha)
    page = _asset("viewer.html").substitute(
        title=markup.escape(drawable(title or "Map")),
        caption=markup.escape(drawable(" · ".join(part for part in (caption, outside) if part))),
        theme="dark" if colors.dark else "light",
        background=_hex(background),
        style=(_ASSETS / "viewer.css").read_text(encoding="utf-8"),
        library=(_ASSETS / "scatterplot.js").read_text(encoding="utf-8"),
        viewer="\n".join(
            (_ASSETS / name).read_text(encoding="utf-8")
            for name in ("data.js", "view.js", "page.js")
        ),
        data=data,
    )
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8", newline="\n")
    return Path(path)


def _asset(name: str) -> Template:
    return Template((_ASSETS / name).read_text(encoding="utf-8"))


def _hex(color: Any) -> str:
    from matplotlib.colors import to_hex

    return str(to_hex(color))


def _columns(shown: Map, labels: Any, values: Any, hover: Any) -> dict[str, Array]:
    """The columns that are told: what colours the points, then those given."""
    given = hover_columns(hover, shown.drawn, "hover")
    own = {"label": labels, "value": values}
    first = {name: column for name, column in own.items() if column is not None}
    columns = hover_columns(first, shown.drawn, "labels") | given
    for name in first.keys() & given.keys():
        columns[name] = given[name]
    return columns


def _data(
    shown: Map,
    columns: Mapping[str, Array],
    colors: Colors,
    point_size: float | None,
    alpha: float | None,
) -> str:
    coloring, limits, n = shown.coloring, shown.limits, len(shown.points)
    pack = Pack()
    positions, low, step = _stored_positions(shown)
    header: dict[str, Any] = {
        "n": n,
        "low": low,
        "step": step,
        "view": [limits.low[0], limits.high[0], limits.low[1], limits.high[1]],
        "filled": filled_share(shown.points, limits),
        "positions": pack.add(positions),
        "colors": [_hex(rgb) for rgb in coloring.table],
        "unknown": -1 if coloring.unknown is None else coloring.unknown,
        "background": _hex(colors.background),
        "ink": "#ffffff" if colors.dark else "#000000",
        "size": point_size,
        "opacity": alpha or float(np.clip(1.1 - 0.11 * np.log10(n), 0.5, 0.9)),
        "scale": coloring.limits,
    }
    if len(coloring.table) > 1:
        header["codes"] = pack.add(as_codes(coloring.codes, len(coloring.table)))
    if coloring.entries:
        unknown = [] if coloring.unknown is None else [unknown_name(coloring)]
        header["classes"] = [name for name, _ in coloring.entries] + unknown
    if not shown.drawn.all():
        header["rows"] = pack.add(np.flatnonzero(shown.drawn).astype(np.uint32))
    header["columns"] = [pack.add_column(name, values) for name, values in columns.items()]
    return pack.encoded(header)


def _stored_positions(shown: Map) -> tuple[Array, list[float], list[float]]:
    """Coordinates in few bytes, and where and how far apart their steps are."""
    low, high = shown.points.min(axis=0), shown.points.max(axis=0)
    spans = np.maximum(high - low, 1e-300)
    if (spans > _FINE_FROM * shown.limits.side).any():
        middle = (shown.limits.low + shown.limits.high) / 2
        side = shown.limits.side
        return ((shown.points - middle) / side).astype(np.float32), middle.tolist(), [side, side]
    steps = np.rint((shown.points - low) / spans * _STEPS).astype(np.uint16)
    return steps, low.tolist(), (spans / _STEPS).tolist()
