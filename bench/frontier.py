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
        short = re.sub(r"ParametricUMAP\((.*)\)|UMAP\((.*)\)", r"\1\2", name)
        ax.annotate(short, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.3, y=0.12)
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
