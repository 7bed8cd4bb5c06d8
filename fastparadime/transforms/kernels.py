"""Low-dimensional kernels of the distance."""

from __future__ import annotations

import torch

from fastparadime import relationdata as rd
from fastparadime.layout.curve import find_ab
from fastparadime.relationdata import RelationData
from fastparadime.transforms.base import RelationTransform
from fastparadime.utils.validate import check_parameter


def _complete(reldata: RelationData) -> RelationData:
    # A kernel of the distance is not zero where a sparse container is silent.
    return reldata.to_square_array() if isinstance(reldata, rd.SparseRelationArray) else reldata


class StudentTTransform(RelationTransform):
    """Student's t kernel (1 + d^2 / alpha)^(-(alpha + 1) / 2).

    Parameters
    ----------
    alpha : float or tensor
        Degrees of freedom; a model's parameter is trained along.
    """

    def __init__(self, alpha: float | torch.Tensor) -> None:
        super().__init__()
        self.alpha = check_parameter(alpha, "alpha")

    def transform(self, reldata: RelationData) -> RelationData:
        reldata = _complete(reldata)
        base = 1.0 + reldata.values**2.0 / self.alpha
        return reldata.with_values(base ** (-(self.alpha + 1.0) / 2.0))


class ModifiedCauchyTransform(RelationTransform):
    """UMAP's low-dimensional kernel 1 / (1 + a d^(2b)).

    Parameters
    ----------
    min_dist, spread : float
        `a` and `b` are fitted to them where not given; see `find_ab`.
    a, b : float or tensor, optional
        The curve's parameters; a model's parameter is trained along.
    """

    def __init__(
        self,
        min_dist: float = 0.1,
        spread: float = 1.0,
        a: float | torch.Tensor | None = None,
        b: float | torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.min_dist = min_dist
        self.spread = spread
        fitted = find_ab(min_dist, spread) if a is None or b is None else (0.0, 0.0)
        self.a = fitted[0] if a is None else check_parameter(a, "a")
        self.b = fitted[1] if b is None else check_parameter(b, "b")

    def transform(self, reldata: RelationData) -> RelationData:
        reldata = _complete(reldata)
        return reldata.with_values(1.0 / (1.0 + self.a * reldata.values ** (2.0 * self.b)))
