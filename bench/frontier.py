"""Draws the frontier of new rows: neighbours that a way keeps, against the time that a row takes.

    python bench/frontier.py [docs/new-rows.png]

It reads bench/results/new_rows.json, so that it can be drawn again as entries change: a panel for
each kind of data, a point for each way, with its seeds' least and most. A way is on the frontier,
which is the line, where no faster one keeps more.
"""

import argparse
import re

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from tables import ROOT, themes

LINE = 0.045  # of a panel's height, of a name
OWN, PEER = "#1f6f8b", "#c2571a"
PEERS = ("umap-learn", "parametric-umap", "ParamRepulsor", "NUMAP")


def points_of(entries):
    """The mean, least and most of both axes of each way, those without a time left out."""
    found = {}
    for entry in entries:
        figures = entry["figures"]
        if "row" not in figures:
            continue
        times, shares = (np.array(figures[name], dtype=float) for name in ("row", "recall15"))
        name = entry["what"].replace("`", "")
        found[name] = [(part.mean(), part.min(), part.max()) for part in (times, shares)]
    return found


def on_frontier(points):
    """Names of the ways that no faster one surpasses, by time."""
    kept, best = [], -np.inf
    for name in sorted(points, key=lambda name: points[name][0][0]):
        if points[name][1][0] > best:
            kept.append(name)
            best = points[name][1][0]
    return kept


def name_points(ax, points):
    """Writes names beside the points, those of near ones below each other."""
    low, high = ax.get_ylim()
    middle = np.prod(ax.get_xlim()) ** 0.5  # beyond it, names are on the left
    places = {name: (axes[1][0] - low) / (high - low) for name, axes in points.items()}
    last = 2.0
    for name in sorted(places, key=places.get, reverse=True):
        last = min(places[name], last - LINE)
        short = re.sub(r"ParametricUMAP\((.*)\)", r"\1", name)
        x = points[name][0][0]
        left = x > middle
        label = ax.annotate(short, (x, low + last * (high - low)), fontsize=7, va="center")
        label.set(position=(-7 if left else 7, 0), ha="right" if left else "left")
        label.set(anncoords="offset points", in_layout=False)


def draw(ax, data, entries):
    points = points_of(entries)
    frontier = on_frontier(points)
    ax.plot(*zip(*[[axis[0] for axis in points[n]] for n in frontier], strict=True), color="0.75")
    for name, axes in points.items():
        (x, *x_ends), (y, *y_ends) = axes
        color = PEER if name.startswith(PEERS) else OWN
        ax.plot([x, x], y_ends, color=color, linewidth=1)
        ax.plot(x_ends, [y, y], color=color, linewidth=1)
        ax.plot(x, y, "o", color=color, markersize=5)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.3, y=0.12)
    name_points(ax, points)
    ax.set_title(data, fontsize=10)
    ax.set_xlabel("µs a new row", fontsize=9)
    ax.set_ylabel("recall15 of new rows", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default=ROOT / "docs" / "new-rows.png")
    entries = themes()["new_rows"]["entries"]
    kinds = list(dict.fromkeys(entry["data"] for entry in entries))
    columns = min(2, len(kinds))
    rows = -(-len(kinds) // columns)
    figure = Figure(figsize=(5.5 * columns, 4 * rows), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for ax, data in zip(grid, kinds, strict=False):
        draw(ax, data, [entry for entry in entries if entry["data"] == data])
    for ax in list(grid)[len(kinds) :]:
        ax.remove()
    figure.savefig(parser.parse_args().path, dpi=80)


if __name__ == "__main__":
    main()
