"""Shapes whose maps are known beforehand, by UMAP and by a network.

    python docs/examples/shapes.py [--small] [--plot SHAPES.png]

`--small` takes 900 points of each instead of 3,000. Reported is the share of a point's 15 nearest in
the map that are of its class, or, where there are none, the map's trustworthiness at 15.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, neighbors, plot, routines


@dataclass(frozen=True)
class Shape:
    """Points, and what colours them: classes, or a place along the shape."""

    X: np.ndarray
    labels: np.ndarray | None = None
    values: np.ndarray | None = None

    def quality(self, embedding: np.ndarray) -> float:
        """The neighbours that share the class, or the trustworthiness."""
        if self.labels is None:
            return trustworthiness(self.X, embedding, n_neighbors=15)
        nearest = neighbors.knn(embedding, 15).indices.numpy()
        return float((self.labels[nearest] == self.labels[:, None]).mean())


# %% The shapes
def concentric_circles(n: int, rng: np.random.Generator) -> Shape:
    """Two circles in the plane, a little noise."""
    angle, outer = rng.uniform(0, 2 * np.pi, n), np.arange(n) % 2
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) * (0.5 + 0.5 * outer)[:, None]
    return Shape(circle + rng.normal(scale=0.01, size=(n, 2)), labels=outer)


def swiss_roll_with_hole(n: int, rng: np.random.Generator) -> Shape:
    """A rolled sheet without the middle of it."""
    t, height = 1.5 * np.pi * (1 + 2 * rng.random(2 * n)), 21 * rng.random(2 * n)
    kept = np.flatnonzero((abs(t - 3 * np.pi) > 1.5) | (abs(height - 10.5) > 3.5))[:n]
    t, height = t[kept], height[kept]
    return Shape(np.column_stack([t * np.cos(t), height, t * np.sin(t)]), values=t)


def separate_blobs(n: int, rng: np.random.Generator) -> Shape:
    """20 clusters in 10 dimensions, far from one another."""
    kind = np.arange(n) % 20
    centers = rng.normal(scale=10, size=(20, 10))
    return Shape(centers[kind] + rng.normal(size=(n, 10)), labels=kind)


def disconnected_components(n: int, rng: np.random.Generator) -> Shape:
    """Five lines, rings and clusters between which no neighbour is."""
    kind, t = np.arange(n) % 5, 2 * np.pi * rng.random(n)
    forms = [
        (t, 0 * t, 0 * t),
        (np.cos(t), np.sin(t), 0 * t),
        tuple(rng.normal(size=(3, n))),
        (np.cos(t), np.sin(2 * t) / 2, np.sin(t) / 4),
        (t, np.sin(2 * t), 0 * t),
    ]
    X = np.stack(forms)[kind, :, np.arange(n)]
    X[:, 2] += 100 * kind
    return Shape(X + rng.normal(scale=0.02, size=(n, 3)), labels=kind)


def duplicates(n: int, rng: np.random.Generator) -> Shape:
    """A cloud, and one of its points as a third of all rows: a thousand times."""
    X = rng.normal(size=(n, 5))
    same = np.arange(n) < n // 3
    X[same] = 1.0
    return Shape(X, labels=same.astype(int))


def winding_line(n: int, rng: np.random.Generator) -> Shape:
    """A curve through ten dimensions."""
    t = rng.random(n)
    turns = 2 * np.pi * t[:, None] * rng.uniform(0.5, 1.5, 10) + rng.uniform(0, 6, 10)
    return Shape(np.sin(turns), values=t)


SHAPES = [
    concentric_circles,
    swiss_roll_with_hole,
    separate_blobs,
    disconnected_components,
    duplicates,
    winding_line,
]


# %% Their maps
def by_umap(X: np.ndarray) -> np.ndarray:
    """Free coordinates."""
    return UMAP(random_state=0).fit_transform(X)


def by_network(X: np.ndarray) -> np.ndarray:
    """A function of the row: equal rows land on one place."""
    routine = routines.ParametricUMAP(quality="fast", seed=0)
    routine.train(X)
    return routine.apply(X).numpy()


METHODS = {"UMAP": by_umap, 'ParametricUMAP(quality="fast")': by_network}


# %% All of them in one picture
def draw(maps: dict[str, dict[str, np.ndarray]], shapes: dict[str, Shape], path: Path) -> None:
    figure = Figure(figsize=(2.6 * len(shapes), 2.8 * len(METHODS)), facecolor="#fcfcfc")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(METHODS), len(shapes), squeeze=False)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.9, 0.05, 0.12)
    for row, method in zip(axes, METHODS, strict=True):
        for ax, (name, shape) in zip(row, shapes.items(), strict=True):
            colors = {"labels": shape.labels, "values": shape.values}
            plot.points(
                maps[name][method], **colors, ax=ax, point_size=2, alpha=0.8, show_legend=False
            )
            ax.set_aspect("equal", adjustable="datalim")  # boxes of one size
            ax.set_title(f"{name}\n{method}", fontsize=8, color="#333333")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="900 points of each")
    parser.add_argument("--plot", metavar="SHAPES.png", type=Path, help="draw the maps")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # networks this small gain nothing from more

    shapes = {
        make.__name__.replace("_", " "): make(
            900 if arguments.small else 3000, np.random.default_rng(0)
        )
        for make in SHAPES
    }
    maps = {
        name: {method: embed(shape.X) for method, embed in METHODS.items()}
        for name, shape in shapes.items()
    }
    qualities = {
        (name, method): shapes[name].quality(embedding)
        for name, found in maps.items()
        for method, embedding in found.items()
    }
    for (name, method), quality in qualities.items():
        print(f"{name}, {method}: {quality:.3f}")
    if arguments.plot is not None:
        draw(maps, shapes, arguments.plot)
        print(f"wrote {arguments.plot}")
