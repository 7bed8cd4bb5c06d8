"""How well new rows are placed, for tests of networks."""

from __future__ import annotations

import numpy as np
import torch


def recall(X: np.ndarray, new: np.ndarray, positions: np.ndarray, placed: np.ndarray) -> float:
    """The share of new rows' 15 nearest rows that are among their 15 nearest in the map."""
    nearest = (
        torch.cdist(*map(torch.as_tensor, pair)).topk(15, largest=False).indices.tolist()
        for pair in ((new, X), (placed, positions))
    )
    shared = [len(set(a) & set(b)) / 15 for a, b in zip(*nearest, strict=True)]
    return float(np.mean(shared))
