"""Colours of points: the palette, the colour maps, and which label gets which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils._classes import category_order, check_labels, classes_of
from fastparadime.utils.labels import drawable

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
# Of classes. The first three are Okabe and Ito's. The others were searched for: the first ten, and
# then all, keep the largest least distance (CIEDE2000) from one another that was found in normal
# vision, deuteranopia and protanopia, and are told from the background and the grey of unknown ones.
_ON_LIGHT = (
    "#0072b2", "#e69f00", "#009e73", "#5a3c0f", "#e196ff", "#782d4b", "#697800", "#2d2da5",
    "#ff2d5a", "#00f087", "#7878ff", "#00b4c3", "#008787", "#a55a78", "#ff8796", "#694b78",
    "#1e693c", "#c30f4b", "#d200b4", "#f069b4",
)  # fmt: skip
_ON_DARK = (
    "#56b4e9", "#e69f00", "#009e73", "#d21e96", "#d23c0f", "#b4ffb4", "#6969f0", "#f096a5",
    "#00ffff", "#fff01e", "#b4b478", "#f04b5a", "#ff69c3", "#69874b", "#2dd2b4", "#9669b4",
    "#2da5b4", "#e16900", "#ffd278", "#b46987",
)  # fmt: skip
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in brightness, ITU-R BT.601
_UNKNOWN_ON_LIGHT, _UNKNOWN_ON_DARK = (0.75, 0.75, 0.75), (0.4, 0.4, 0.4)
_MAX_FLOAT_CLASSES = 20  # more distinct floats than this are a continuous scale
_MAX_CLASSES = 3 * len(_ON_LIGHT)  # each colour, darker, lighter; more integers are a scale too
UNKNOWN = "unknown"  # the legend's word for points without a label


@dataclass
class Coloring:
    """Colours of points: rows of `table` by `codes`, and what explains them."""

    table: Array  # float (colours, 3)
    codes: Array  # int (n,)
    entries: list[tuple[str, Array]] = field(default_factory=list)  # of the legend
    limits: tuple[float, float] | None = None  # of the colour bar
    unknown: int | None = None  # the code of points without a label or value, if there are any


def get_colormap() -> ListedColormap:
    """The colour map of continuous labels: viridis without the end that fades on white."""
    return _viridis(0.0, 0.93)


def _viridis(low: float, high: float) -> ListedColormap:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(low, high, 256)), name="fastparadime")


def is_dark(color: Any) -> bool:
    """Whether light text is the readable one on it; not on what is transparent."""
    from matplotlib.colors import to_rgba

    *rgb, alpha = to_rgba(color)
    return bool(alpha > 0 and np.dot(rgb, _LUMA) < 0.5)


def coloring_of(
    labels: TensorLike | Sequence[Any] | None,
    n: int,
    colormap: Sequence[Any] | None = None,
    labels_to_index: Mapping[Any, int] | None = None,
    *,
    dark: bool = False,
) -> Coloring:
    """Colours by labels, whose kind and number say whether they are classes or a scale."""
    given = None if colormap is None else color_table(colormap)
    if labels is None:
        return one_color(n, None if given is None else given[0], dark=dark)
    values, known = check_labels(labels, n)
    classes, codes = classes_of(values, known, category_order(labels))
    if labels_to_index is None and is_scale(values, len(classes)):
        return color_scale(np.where(known, values, np.nan), given, dark=dark)
    return color_classes(classes, codes, given, labels_to_index, dark=dark)


def is_scale(values: Array, distinct: int) -> bool:
    """Whether numbers are too many to be classes."""
    most = {"f": _MAX_FLOAT_CLASSES, "i": _MAX_CLASSES, "u": _MAX_CLASSES}
    return distinct > most.get(values.dtype.kind, distinct)


def color_table(colors: Sequence[Any]) -> Array:
    """Colours of any of matplotlib's forms as rows of red, green and blue, in [0, 1]."""
    from matplotlib.colors import to_rgba_array

    table: Array = to_rgba_array(list(colors))[:, :3]
    return table


def one_color(n: int, color: Any = None, *, dark: bool = False) -> Coloring:
    """The same colour for all points, the first of classes unless given."""
    first = (_ON_DARK if dark else _ON_LIGHT)[0]
    return Coloring(color_table([first if color is None else color]), np.zeros(n, np.intp))


def color_classes(
    classes: list[Any],
    codes: Array,
    table: Array | None = None,
    labels_to_index: Mapping[Any, int] | None = None,
    *,
    dark: bool = False,
) -> Coloring:
    """A colour for each class, those for the background unless a table is given; grey for -1."""
    count = len(classes)
    if labels_to_index is not None:
        count = 1 + max(labels_to_index.values(), default=0)
        indices = _look_up(classes, labels_to_index)
    else:
        indices = np.arange(count)
    if table is None:
        table = _class_colors(count, dark)
    if indices.max(initial=0) >= len(table) or indices.min(initial=0) < 0:
        raise ValueError(f"colormap has {len(table)} colours, but the labels need more")
    colors = table[indices]
    entries = list(zip(_names(classes), colors, strict=True))
    if not (codes < 0).any():
        return Coloring(colors, codes, entries)
    unknown = len(colors)
    codes, colors = np.where(codes < 0, unknown, codes), np.vstack([colors, _grey(dark)])
    return Coloring(colors, codes, entries, unknown=unknown)


def _names(classes: list[Any]) -> list[str]:
    """What legends say: floats that are all whole are said as such."""
    if classes and all(isinstance(c, float) and c.is_integer() for c in classes):
        return [str(int(c)) for c in classes]
    return [drawable(str(c)) for c in classes]


def _grey(dark: bool) -> tuple[float, float, float]:
    return _UNKNOWN_ON_DARK if dark else _UNKNOWN_ON_LIGHT


def _look_up(classes: list[Any], labels_to_index: Mapping[Any, int]) -> Array:
    missing = [label for label in classes if label not in labels_to_index]
    if missing:
        raise ValueError(f"labels_to_index has no entry for the label {missing[0]!r}")
    return np.array([labels_to_index[label] for label in classes], dtype=np.intp)


def _class_colors(count: int, dark: bool) -> Array:
    base = color_table(_ON_DARK if dark else _ON_LIGHT)
    darker = 0.7 * base if dark else 0.1 + 0.5 * base
    rounds = np.concatenate([base, darker, 0.5 + 0.5 * base])
    return np.resize(rounds, (max(count, 1), 3))


def color_scale(values: Array, table: Array | None = None, *, dark: bool = False) -> Coloring:
    """Colours along a scale, through those of a table unless by `get_colormap`; NaN is grey."""
    from matplotlib.colors import LinearSegmentedColormap

    usual = _viridis(0.15, 1.0) if dark else get_colormap()
    cmap = usual if table is None else LinearSegmentedColormap.from_list("given", table)
    known = np.isfinite(values)
    low, high = (
        float(f(values[known], initial=np.inf * s)) for f, s in ((np.min, 1), (np.max, -1))
    )
    position = (np.where(known, values, low) - low) / ((high - low) or 1.0)
    codes = np.where(known, np.minimum(position * 256, 255), 256).astype(np.intp)
    colors = np.vstack([cmap(np.arange(256))[:, :3], _grey(dark)])
    return Coloring(colors, codes, limits=(low, high), unknown=None if known.all() else 256)
