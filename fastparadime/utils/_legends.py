"""What explains a map: legends of at most a quarter of it, colour bars, names on it, captions."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils._colors import UNKNOWN, Coloring, is_dark
from fastparadime.utils._drawing import axes_inches, root_figure
from fastparadime.utils._names import put_names, shortened
from fastparadime.utils.labels import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend
    from matplotlib.text import Text

_WIDEST = 0.25  # of the figure, or of the axes if the legend is within them
_HIGHEST = 0.97
# Sizes of text, numbers of columns and longest names, as they are tried until a legend fits.
_FORMS = (
    (11, 1, 40), (9.5, 1, 40), (11, 2, 40), (9.5, 2, 40), (8, 1, 40), (8, 2, 40), (8, 3, 40),
    (9.5, 1, 24), (8, 1, 24), (7, 1, 40), (8, 1, 16), (7, 1, 16), (7, 2, 16),
)  # fmt: skip
_NARROWEST = 0.2  # of a letter's size, the narrowest letter's width
_MOST_ENTRIES = 90  # three columns of the smallest text
_CAPTION_CHARACTERS_PER_INCH = 14


def explain(
    ax: Axes,
    points: Array,
    coloring: Coloring,
    options: dict[str, Any],
    *,
    beside: bool,
    background: Any,
    notes: list[str],
) -> None:
    """Adds the legend of classes, their names on the map if it is too wide, or a colour bar.

    `notes` are what the caption says so far; what is left to be said is appended.
    """
    ink = ink_on(background)
    if coloring.limits is not None:
        _add_colorbar(ax, coloring, ink)
        notes += ["grey: no value"] * (coloring.unknown is not None)
        return
    if not coloring.entries and coloring.unknown is None:
        return
    entries = list(coloring.entries)
    if coloring.unknown is not None:
        entries.append((unknown_name(coloring), coloring.table[coloring.unknown]))
    if beside and "loc" not in options:
        options = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), **options}
    defaults = {
        "loc": "lower right",
        "frameon": False,
        "handletextpad": 0.3,
        "handlelength": 1.0,
        "labelcolor": ink,
    }
    if {"fontsize", "prop", "ncols", "ncol", "title"} & options.keys():
        _add_legend(ax, entries, (11, 1, 10_000), {**defaults, **options})
        return
    if len(entries) <= _MOST_ENTRIES:
        for form in _FORMS:
            if len(entries) < form[1] or _is_hopeless(ax, entries, form, beside):
                continue
            legend = _add_legend(ax, entries, form, {**defaults, **options})
            if _fits(ax, legend, beside):
                return
            legend.remove()
    notes += ["grey: unknown"] * (coloring.unknown is not None)
    _add_names(ax, points, coloring, background, notes)


def _add_names(
    ax: Axes, points: Array, coloring: Coloring, background: Any, notes: list[str]
) -> None:
    """Puts names where they will not be over another once the caption has taken its room."""
    said = "{:,} of {:,} classes without room for a name".format
    count = len(coloring.entries)
    room = add_caption(ax, [*notes, said(count, count)], background)
    left_out, tried = put_names(ax, points, coloring, ink_on(background) or "#222222", background)
    room.remove()
    if left_out:
        notes.append(said(left_out, tried))


def unknown_name(coloring: Coloring) -> str:
    """The legend's word for points without a label, told from a class of that name."""
    taken = any(name == UNKNOWN for name, _ in coloring.entries)
    return f"({UNKNOWN})" if taken else UNKNOWN


def _add_legend(
    ax: Axes,
    entries: list[tuple[str, Array]],
    form: tuple[float, int, int],
    options: dict[str, Any],
) -> Legend:
    from matplotlib.lines import Line2D

    size, columns, longest = form
    handles = [
        Line2D([], [], ls="", marker="o", ms=0.7 * size, mew=0, color=tuple(rgb))
        for _, rgb in entries
    ]
    given = {"fontsize": size, "ncols": columns, "columnspacing": 0.8, "borderpad": 0.2}
    if "prop" in options:
        del given["fontsize"]
    if "ncol" in options:
        del given["ncols"]
    # Names come afterwards: matplotlib leaves out those that begin with "_", and "$" is no formula.
    legend = ax.legend(handles, ["name"] * len(handles), **{**given, **options})
    for text, (name, _) in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(shortened(name, longest))
    return legend


def _is_hopeless(
    ax: Axes, entries: list[tuple[str, Array]], form: tuple[float, int, int], beside: bool
) -> bool:
    """Whether a form is too large even with the narrowest letters, told without drawing it."""
    size, columns, longest = form
    width, height = _room(ax, beside)
    letters = max(len(shortened(name, longest)) for name, _ in entries)
    inch = size / 72
    rows = -(-len(entries) // columns)
    return columns * (letters * _NARROWEST + 1) * inch > width or rows * inch > height


def _room(ax: Axes, beside: bool) -> tuple[float, float]:
    """Width and height in inches that a legend may take."""
    within = np.array(root_figure(ax).get_size_inches()) if beside else axes_inches(ax)
    return _WIDEST * float(within[0]), _HIGHEST * float(within[1])


def _fits(ax: Axes, legend: Legend, beside: bool) -> bool:
    box, (width, height) = legend.get_window_extent(), _room(ax, beside)
    dpi = legend.figure.dpi
    return bool(box.width <= width * dpi and box.height <= height * dpi)


def _add_colorbar(ax: Axes, coloring: Coloring, ink: str | None) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    low, high = coloring.limits or (0.0, 1.0)
    scale = ScalarMappable(Normalize(low, high), ListedColormap(coloring.table[:256]))
    bar = ax.figure.colorbar(scale, ax=ax, shrink=0.6, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    if ink is not None:
        bar.ax.tick_params(colors=ink)


def ink_on(background: Any) -> str | None:
    """The colour of text on dark backgrounds; None, the usual, on light ones."""
    return "#f0f0f0" if is_dark(background) else None


def add_title(ax: Axes, title: str, background: Any) -> None:
    """Puts the title above the left end of the map."""
    color = ink_on(background) or "#333333"
    ax.set_title(drawable(title), loc="left", fontsize=15, color=color, pad=12, parse_math=False)


def add_caption(ax: Axes, sentences: list[str], background: Any) -> Text:
    """Puts the sentences below the map, in small print."""
    text = drawable(" · ".join(sentence for sentence in sentences if sentence))
    inches = ax.get_window_extent().width / root_figure(ax).dpi
    width = max(int(_CAPTION_CHARACTERS_PER_INCH * inches), 20)
    return ax.text(
        0.0,
        -0.01,
        "\n".join(textwrap.wrap(text, width)),
        transform=ax.transAxes,
        va="top",
        fontsize=8.5,
        color="#b4b4b4" if is_dark(background) else "#5c5c5c",
        parse_math=False,
    )


def strays_note(points: Array, inside: Array) -> str:
    """What a caption says of points outside the map's limits."""
    count = int(np.count_nonzero(~inside))
    if not count:
        return ""
    return f"{count:,} of {len(points):,} points {'lies' if count == 1 else 'lie'} outside"
