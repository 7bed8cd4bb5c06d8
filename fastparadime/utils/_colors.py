"""Colours of points: the palette, the colour map, and which label gets which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils.labels import known_labels

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

# Okabe and Ito's eight, two of Tol's, then those that stay farthest from all before them in normal
# vision, deuteranopia and protanopia.
_PALETTE = {
    "blue": "#0072b2", "orange": "#e69f00", "green": "#009e73", "vermillion": "#d55e00",
    "sky": "#56b4e9", "pink": "#cc79a7", "yellow": "#f0e442", "black": "#000000",
    "indigo": "#332288", "wine": "#882255", "sand": "#ddcc77", "mint": "#a8e0b0",
    "forest": "#117733", "olive": "#999933", "salmon": "#f4a582", "slate": "#566573",
    "cyan": "#88ccee", "purple": "#aa4499", "lilac": "#d9a8d8", "teal": "#0b4f4a",
}  # fmt: skip
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in brightness, ITU-R BT.601
_MISSING = (0.75, 0.75, 0.75)  # of points whose label is unknown
_MAX_FLOAT_CLASSES = 20  # more distinct floats than this are a continuous scale
_MAX_CLASSES = 3 * len(_PALETTE)  # each colour, darker, lighter; more integers are a scale too


@dataclass
class Coloring:
    """Colours of points: rows of `table` by `codes`, and what explains them."""

    table: Array  # float (colours, 3)
    codes: Array  # int (n,)
    entries: list[tuple[str, Array]] = field(default_factory=list)  # of the legend
    limits: tuple[float, float] | None = None  # of the colour bar


def get_colormap() -> ListedColormap:
    """The colour map of continuous labels: viridis without the end that fades on white."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.93, 256)), name="fastparadime")


def coloring_of(
    labels: TensorLike | Sequence[Any] | None,
    n: int,
    colormap: Sequence[Any] | None = None,
    labels_to_index: Mapping[Any, int] | None = None,
) -> Coloring:
    """Colours by labels, whose kind and number say whether they are classes or a scale."""
    given = None if colormap is None else color_table(colormap)
    if labels is None:
        return one_color(n, None if given is None else given[0])
    values, known = check_labels(labels, n)
    classes, codes = classes_of(values, known)
    most = {"f": _MAX_FLOAT_CLASSES, "i": _MAX_CLASSES, "u": _MAX_CLASSES}.get(values.dtype.kind, n)
    if labels_to_index is None and len(classes) > most:
        return color_scale(np.where(known, values, np.nan), given)
    return color_classes(classes, codes, given, labels_to_index)


def color_table(colors: Sequence[Any]) -> Array:
    """Colours of any of matplotlib's forms as rows of red, green and blue, in [0, 1]."""
    from matplotlib.colors import to_rgba_array

    table: Array = to_rgba_array(list(colors))[:, :3]
    return table


def one_color(n: int, color: Any = None) -> Coloring:
    """The same colour for all points, the palette's first unless given."""
    from matplotlib.colors import to_rgb

    return Coloring(
        np.array([to_rgb(_PALETTE["blue"] if color is None else color)]), np.zeros(n, np.intp)
    )


def color_classes(
    classes: Array,
    codes: Array,
    table: Array | None = None,
    labels_to_index: Mapping[Any, int] | None = None,
) -> Coloring:
    """A colour for each class, from the palette unless a table is given; grey for codes of -1."""
    count = len(classes)
    if labels_to_index is not None:
        count = 1 + max(labels_to_index.values(), default=0)
        indices = _look_up(classes, labels_to_index)
    else:
        indices = np.arange(count)
    if table is None:
        table = _class_colors(count)
    if indices.max(initial=0) >= len(table) or indices.min(initial=0) < 0:
        raise ValueError(f"colormap has {len(table)} colours, but the labels need more")
    colors = table[indices]
    entries = [(str(c), rgb) for c, rgb in zip(classes, colors, strict=True)]
    if (codes < 0).any():
        codes, colors = np.where(codes < 0, len(colors), codes), np.vstack([colors, _MISSING])
    return Coloring(colors, codes, entries)


def lightened(coloring: Coloring) -> Coloring:
    """The same classes for a dark background, on which the darkest colours would be lost."""
    dark = (coloring.table @ LUMA < 0.3)[:, None]
    table = np.where(dark, 0.5 + 0.5 * coloring.table, coloring.table)
    entries = [(name, table[i]) for i, (name, _) in enumerate(coloring.entries)]
    return replace(coloring, table=table, entries=entries)


def check_labels(
    labels: TensorLike | Sequence[Any], n: int, name: str = "labels"
) -> tuple[Array, Array]:
    """One value for each of n points, an array (n,) that can be sorted, and which are known."""
    values, known = known_labels(labels)
    if values.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name} must have one value for each of the {n} points, but have shape {values.shape}"
        )
    # Objects of several types have no order, but their names do.
    return values.ravel().astype(str) if values.dtype.kind == "O" else values.ravel(), known.ravel()


def classes_of(values: Array, known: Array) -> tuple[Array, Array]:
    """The distinct values that are known, and which of them each point has: -1 if none."""
    classes, found = np.unique(values[known], return_inverse=True)
    codes = np.full(len(values), -1)
    codes[known] = found
    return classes, codes


def _look_up(classes: Array, labels_to_index: Mapping[Any, int]) -> Array:
    missing = [label for label in classes.tolist() if label not in labels_to_index]
    if missing:
        raise ValueError(f"labels_to_index has no entry for the label {missing[0]!r}")
    return np.array([labels_to_index[label] for label in classes.tolist()], dtype=np.intp)


def _class_colors(count: int) -> Array:
    from matplotlib.colors import to_rgba_array

    base = to_rgba_array(list(_PALETTE.values()))[:, :3]
    rounds = np.concatenate([base, 0.1 + 0.5 * base, 0.5 + 0.5 * base])
    return np.resize(rounds, (max(count, 1), 3))


def color_scale(values: Array, table: Array | None = None) -> Coloring:
    """Colours along a scale, through those of a table unless by `get_colormap`; NaN is grey."""
    from matplotlib.colors import LinearSegmentedColormap

    cmap = get_colormap() if table is None else LinearSegmentedColormap.from_list("given", table)
    known = np.isfinite(values)
    low, high = (
        float(f(values[known], initial=np.inf * s)) for f, s in ((np.min, 1), (np.max, -1))
    )
    position = (np.where(known, values, low) - low) / ((high - low) or 1.0)
    codes = np.where(known, np.minimum(position * 256, 255), 256).astype(np.intp)
    return Coloring(np.vstack([cmap(np.arange(256))[:, :3], _MISSING]), codes, limits=(low, high))
