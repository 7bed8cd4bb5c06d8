"""Writes the files of the installed version that later ones have to read, and what they gave.

    python tests/compatibility/make_files.py

makes the folder of the version beside this file; run it once for each release, from its wheel. The
specifications are those of docs/specifications at that time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import fastparadime
from fastparadime import dr, loss, models, routines

ROWS, DIM = 60, 5
FOLDER = Path(__file__).resolve().parent
QUICK: dict[str, Any] = {"epochs": 2, "init_epochs": 2, "hidden_dims": [6, 4], "seed": 5}


@models.register
class KeptEncoder(models.FullyConnectedEmbeddingModel):
    """Of a registered class, which a file names and builds."""

    def __init__(self, in_dim: int, width: int) -> None:
        super().__init__(in_dim, 3, [width], activation="relu")
        self.width = width

    def arguments(self) -> dict[str, Any]:
        return {"in_dim": self.in_dim, "width": self.width}


class OwnEncoder(models.Model):
    """Of a class that a file cannot build: buffers, an integer among them, and tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(DIM)
        self.head = torch.nn.Linear(DIM, 2)
        self.classes = torch.nn.Linear(DIM, 2)
        self.classes.weight = self.head.weight

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.norm(X))
        return out

    def classify(self, X: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.classes(self.norm(X))
        return out

    forward = embed


def table() -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(ROWS, DIM)) + 3 * (np.arange(ROWS) % 3)[:, None]).astype(np.float32)


def regressed(model: torch.nn.Module | None, out_dim: int, **options: Any) -> dr.ParametricDR:
    """A routine after two epochs of regression onto the first columns of the data."""
    phase = dr.TrainingPhase("start", epochs=2, loss=loss.PositionLoss(position_key="start"))
    routine = dr.ParametricDR(model, out_dim=out_dim, seed=5, training_phases=[phase], **options)
    routine.train({"main": table(), "start": table()[:, :out_dim].copy()})
    return routine


def trained_routines() -> dict[str, dr.ParametricDR]:
    """One of each kind that a file can hold."""
    torch.manual_seed(0)
    found: dict[str, dr.ParametricDR] = {
        "umap": routines.ParametricUMAP(n_neighbors=5, **QUICK),
        "tsne": routines.ParametricTSNE(perplexity=4.0, **QUICK),
    }
    for routine in found.values():
        routine.train(table())
    double = models.FullyConnectedEmbeddingModel(DIM, 2, [4], activation="silu").double()
    return {
        **found,
        "plain": regressed(None, 3, hidden_dims=[7]),
        "linear": regressed(None, 2, hidden_dims=[]),
        "double": regressed(double, 2),
        "registered": regressed(KeptEncoder(DIM, 6), 3),
        "own": regressed(OwnEncoder(), 2),
    }


def main() -> None:
    folder = FOLDER / fastparadime.__version__
    folder.mkdir()
    np.save(folder / "X.npy", table())
    expected = {}
    for name, routine in trained_routines().items():
        routine.save(folder / f"{name}.safetensors")
        expected[name] = routine.apply(table()).numpy()
        for number, run in enumerate(routine.history):
            expected[f"{name}.losses{number}"] = np.array(run["losses"])
            expected[f"{name}.phase{number}"] = np.array(run["name"])
    np.savez_compressed(folder / "expected.npz", **expected)
    np.save(folder / "embedding.npy", expected["umap"])
    for path in (FOLDER.parents[1] / "docs" / "specifications").iterdir():
        kept = folder / f"specification{path.suffix}"
        kept.write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
