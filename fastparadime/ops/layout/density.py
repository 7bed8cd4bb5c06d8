"""densMAP's part of a layout: local radii of positions, and pulls that match them to given ones."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    as_floats,
    as_positive,
    check_form,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.ops.graph.symmetrize import Edges
from fastparadime.types import TensorLike
from fastparadime.utils.convert import mean_of

_NOTHING = 1e-8  # of a squared radius and a variance, so that logarithm and quotient are finite


class DensityTerm:
    """What moves a layout towards local radii that go with those of the data.

    `sgd_layout` takes it as ``density``.

    The objective is the correlation of both log radii over the points; a point's squared radius is
    the mean of the squared distances to its neighbours by their membership strengths.

    Parameters
    ----------
    edges : Edges
        The graph of n points, every edge in both directions with one positive weight.
    radii : (n,) array
        Log of the squared local radii of the data, not all of them equal.
    a, b : float
        The curve's parameters, positive.
    strength : float
        Of the term beside the attraction and repulsion of the layout.
    variance_shift : float
        Added to the variance of the embedding's log radii.

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, radii that are not finite or all equal, or parameters out of
        range.

    Notes
    -----
    Narayan, Berger and Cho, Nature Biotechnology 39, 2021.
    """

    def __init__(
        self,
        edges: Edges,
        radii: TensorLike,
        a: float,
        b: float,
        *,
        strength: float = 2.0,
        variance_shift: float = 0.1,
    ) -> None:
        check_form(edges)
        wanted = as_floats(radii, "radii", 1)
        n = len(edges.indptr) - 1
        if len(wanted) != n:
            raise ValueError(f"radii must have an entry for each of {n} points, not {len(wanted)}")
        if not bool(torch.isfinite(wanted).all()):
            raise ValueError("radii must be finite")
        check_same_device(weights=edges.weights, radii=wanted)
        centred = wanted.double() - mean_of(wanted)
        deviation = mean_of(centred.square()).sqrt()
        if n and not float(deviation) > 0:
            raise ValueError("radii must differ between points, but all are equal")
        self.edges = edges
        self.wanted = centred / deviation
        self.curve = (as_positive(a, "a"), as_positive(b, "b"))
        self.strength = as_positive(strength, "strength", zero_ok=True)
        self.shift = as_positive(variance_shift, "variance_shift", zero_ok=True)
        weights = edges.weights
        self.total = float(mean_of(weights)) * len(weights) if len(weights) else 0.0

    def radii(self, positions: TensorLike) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared local radii (n,) of positions and the sums of their strengths, float32."""
        points = self.check(positions)
        squares, strengths = points.new_empty(len(points)), points.new_empty(len(points))
        with on_device(points):
            graph = _core.DensityGraph(
                points.data_ptr(),
                self.edges.indptr.data_ptr(),
                self.edges.tails.data_ptr(),
                len(points),
                points.shape[1],
                *self.curve,
            )
            target = target_of(points)
            _core.density_radii(squares.data_ptr(), strengths.data_ptr(), graph, target)
        return squares, strengths

    def pulls(self, positions: TensorLike) -> tuple[torch.Tensor, float]:
        """The pulls (n, 2) of points on the slopes of their edges, float32, and the slopes' gain.

        With r the log radii, s the sums of strengths and z the wanted radii, standardised, a
        point's first pull is (z - cov(r, z) (r - mean r) / var r) / 2s, its second that over
        exp r. The gain is 2 strength (sum of the edges' weights) / (n sd(r)).
        """
        squares, strengths = (part.double() for part in self.radii(positions))
        n = max(1, len(squares))
        squares = squares + _NOTHING
        own = squares.log()
        centred = own - mean_of(own)
        variance = (mean_of(centred.square()) + self.shift).clamp_min(_NOTHING)
        # umap-learn sums strengths over both directions of an edge: twice the sum of a row.
        covariance = mean_of(own * self.wanted) * n / max(1, n - 1)
        by_strength = (self.wanted - covariance * centred / variance) / (2 * strengths)
        by_strength.masked_fill_(strengths == 0, 0.0)
        pulls = torch.stack([by_strength, by_strength / squares], dim=1)
        gain = 2 * self.strength * self.total / (float(variance.sqrt()) * n)
        return pulls.to(torch.float32).contiguous(), gain

    def check(self, positions: TensorLike) -> torch.Tensor:
        """Positions as a float32 tensor, or an error if they are not of these points."""
        points = as_floats(positions, "positions", 2)
        if len(points) != len(self.wanted):
            raise ValueError(
                f"positions must have a row for each of {len(self.wanted)} points, not "
                f"{len(points)}"
            )
        check_same_device(positions=points, radii=self.wanted)
        return points
