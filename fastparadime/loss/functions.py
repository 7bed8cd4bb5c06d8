"""Functions that compare relations."""

from __future__ import annotations

import torch


def _check_pair(p: torch.Tensor, q: torch.Tensor) -> None:
    if p.shape != q.shape:
        raise ValueError(f"p and q must have one shape, not {tuple(p.shape)} and {tuple(q.shape)}")


def kullback_leibler_div(p: torch.Tensor, q: torch.Tensor, epsilon: float = 1.0e-7) -> torch.Tensor:
    """Kullback-Leibler divergence of square relations, divided by the number of points.

    Parameters
    ----------
    p, q : tensors (n, n)
        Probabilities; the diagonal is left out.
    epsilon : float
        Added to both within the logarithm.

    Raises
    ------
    ValueError
        If the shapes differ or are not square.
    """
    _check_pair(p, q)
    if p.ndim != 2 or p.shape[0] != p.shape[1]:
        raise ValueError(
            f"p and q must be square, as ToSquareTensor makes them, not of shape {tuple(p.shape)}"
        )
    terms = p * (torch.log(p + epsilon) - torch.log(q + epsilon))
    return terms.fill_diagonal_(0.0).sum() / len(p)


def cross_entropy_loss(p: torch.Tensor, q: torch.Tensor, epsilon: float = 1.0e-7) -> torch.Tensor:
    """UMAP's cross-entropy, divided by the length of the first dimension.

    Parameters
    ----------
    p, q : tensors of one shape
        Probabilities.
    epsilon : float
        Lower bound of q and 1 - q within the logarithms.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _check_pair(p, q)
    attraction = p * torch.log(torch.clamp(q, min=epsilon, max=1.0))
    repulsion = (1.0 - p) * torch.log(torch.clamp(1.0 - q, min=epsilon, max=1.0))
    return -(attraction + repulsion).sum() / len(p)
