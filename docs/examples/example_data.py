"""What the examples share: their command line, their data and what they report."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fastparadime import neighbors
from fastparadime.utils.plotting import save_map


@dataclass(frozen=True)
class Example:
    """Images of digits, flattened, in [0, 1], and where their map goes."""

    images: torch.Tensor  # float32 (n, side^2)
    labels: torch.Tensor  # int64 (n,)
    plot: Path | None

    @property
    def side(self) -> int:
        """Pixels of an image's side."""
        return round(self.images.shape[1] ** 0.5)

    def show(self, embedding: torch.Tensor, title: str) -> None:
        """Reports how well classes stay together, and draws the map if --plot asks for it."""
        print(f"{title}: {same_class(embedding, self.labels):.0%} of neighbours share the class")
        if self.plot is not None:
            save_map(self.plot, embedding, self.labels, title)
            print(f"wrote {self.plot}")


def load(description: str | None) -> Example:
    """The data that the command line asks for: scikit-learn's digits, or MNIST from a file."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="the first 500 images only")
    parser.add_argument("--mnist", metavar="FILE.npz", help="'images' and 'labels' of MNIST")
    parser.add_argument("--plot", metavar="MAP.png", type=Path, help="draw the map")
    arguments = parser.parse_args()
    if arguments.mnist is None:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = images / 16
    else:
        with np.load(arguments.mnist) as stored:
            images, labels = stored["images"][:5000], stored["labels"][:5000]
        images = images.reshape(len(images), -1) / 255
    count = 500 if arguments.small else len(images)
    return Example(
        torch.from_numpy(images[:count].astype(np.float32)),
        torch.from_numpy(labels[:count].astype(np.int64)),
        arguments.plot,
    )


def same_class(embedding: torch.Tensor, labels: torch.Tensor, k: int = 10) -> float:
    """Share of the k nearest neighbours in the embedding that have the class of their point."""
    nearest = neighbors.knn(embedding, k).indices.long()
    return float((labels[nearest] == labels[:, None]).double().mean())
