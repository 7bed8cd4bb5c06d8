"""What the examples of the gallery share: their command line and how they report."""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def arguments(description: str | None, data: str | None = None) -> argparse.Namespace:
    """The options `small` and `plot`, and `data` where the example reads a file of that name."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if data is not None:
        parser.add_argument("data", metavar=data, type=Path, help="the file to read")
    parser.add_argument("--small", action="store_true", help="a small part of the data")
    parser.add_argument("--plot", metavar="MAP.png", type=Path, help="draw the map")
    return parser.parse_args()


def new_figure(width: float, height: float) -> Figure:
    """A figure that needs no display."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def legend_beside(ax: Axes) -> None:
    """Moves a map's legend to the right of it, away from the points."""
    legend = ax.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    ax.legend(
        legend.legend_handles, names, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False
    )


def save(figure: Figure, path: Path) -> None:
    """Writes the picture, of 256 colours where it is a PNG, which is a third of the size."""
    figure.savefig(path, dpi=80)
    if path.suffix == ".png":
        from PIL import Image

        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(
                256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            few.save(path, optimize=True)
