"""How far a row's place in a map can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from fastparadime import ops
from fastparadime.estimators._fitted import FittedUmap
from fastparadime.estimators._kinds import as_known
from fastparadime.estimators._rows import is_precomputed, like, named, row_streams, validated
from fastparadime.estimators._transform import (
    STEPS,
    FittedRows,
    edges_to,
    transform_epochs,
)
from fastparadime.layout.landmarks import span_of
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.seed import derive

_NEIGHBORS = 15
_GHOSTS = 16  # copies of a row that are laid out
_STRIDE = 0x9E3779B1  # between the random streams of a row's ghosts
_BLOCK = 4096  # rows whose ghosts are laid out at a time


@dataclass(frozen=True)
class Confidence:
    """How far the place of each row can be trusted, one value of each row.

    Attributes
    ----------
    kept_neighbors : float32 array (n,)
        The share of the row's 15 nearest rows of the fit that are among the 15 nearest to it in the
        map.
    distance_ratio : float32 array (n,)
        The mean distance of the row from these, over their own mean distance from their neighbours:
        about 1 amid the data, larger for a row that is unlike it.
    stability : float32 array (n,)
        1 less how far copies of the row end from one another: their root mean square distance from
        their mean, as a share of half the map's span. Each copy starts at a neighbour, drawn by the
        strength that ties the row to it, and is laid out with draws of its own.
    """

    kept_neighbors: Array
    distance_ratio: Array
    stability: Array

    def __repr__(self) -> str:
        names = ("kept_neighbors", "distance_ratio", "stability")
        shown = (f"{name}≈{np.nanmedian(getattr(self, name)):.2f}" for name in names)
        n = len(self.stability)
        return f"Confidence({n} rows, medians {', '.join(shown)})" if n else "Confidence(0 rows)"


class ConfidentUmap(FittedUmap):
    """`confidence` of a fit of UMAP."""

    def confidence(self, X: Any) -> Confidence:
        """How far the places that `transform` gives rows can be trusted.

        A row of the fit is compared with the others.

        Parameters
        ----------
        X : (n_samples, n_features) array, data frame or sparse matrix

        Returns
        -------
        Confidence
            Arrays of `kept_neighbors`, `distance_ratio` and `stability`, NaN for a row without any
            neighbour.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described, and for fits of distances or of the graph alone.
        """
        fitted = self._of_rows("confidence")
        metric = fitted.row_format.metric
        refused = {
            "transform_mode='graph'": fitted.positions is None,
            "metric='precomputed'": is_precomputed(metric),
        }
        for name, is_so in refused.items():
            if is_so:
                raise ValueError(f"confidence is not available for a fit with {name}")
        known = as_known(named(X, metric))
        rows = fitted.row_format.rows(validated(self, known, metric, reset=False))
        nearest = self._fitted_graph.nearest
        return confidence_of(fitted, nearest.distances, rows, fitted.embed(rows))


def confidence_of(
    fitted: FittedRows, distances: torch.Tensor, rows: Any, places: torch.Tensor
) -> Confidence:
    """The confidence in the places (m, dim) of rows in the map of a fit.

    Parameters
    ----------
    fitted : FittedRows
        With the positions of its rows in that map.
    distances : tensor (n, k)
        Of its rows from their neighbours.
    rows : table
        As `FittedRows` takes them.
    places : float32 tensor (m, dim)
        In that map.
    """
    assert fitted.positions is not None
    there = fitted.positions.isfinite().all(dim=1)
    reached, queries = fitted.reached, like(rows, fitted.rows)
    if reached.rows.shape[0] < 2:  # no row has a neighbour
        nothing = np.full(rows.shape[0], np.nan, np.float32)
        return Confidence(nothing, nothing.copy(), nothing.copy())
    own = distances[there, :_NEIGHBORS]
    near = own.isfinite()
    lengths = own.masked_fill(~near, 0.0).double().sum(dim=1) / near.sum(dim=1)
    map_index = QueryIndex(reached.positions, Space("euclidean", 2.0))
    parts = []
    for start in range(0, rows.shape[0], _BLOCK):
        block = slice(start, start + _BLOCK)
        found = _data_neighbors(reached, queries[block])
        kept = _kept(found, map_index, places[block])
        ratio = found.distances.double().mean(dim=1) / lengths[found.indices].mean(dim=1)
        ratio = torch.where(found.distances.amax(dim=1) > 0, ratio, 1.0)
        parts.append((kept, ratio, _stability(reached, found, row_streams(queries[block]))))
    columns = zip(*parts, strict=True) if parts else ((torch.empty(0),),) * 3
    return Confidence(*(to_numpy(torch.cat(column).float()) for column in columns))


class _Neighbors(NamedTuple):
    """Of rows in the data, themselves left out where they are rows of the fit."""

    indices: torch.Tensor  # int64 (m, k)
    distances: torch.Tensor  # (m, k)
    itself: torch.Tensor  # int64 (m, 1), the row of the fit that each is, or -1


def _data_neighbors(reached: FittedRows, queries: Any) -> _Neighbors:
    n = reached.rows.shape[0]
    indices, distances = reached.index.nearest(queries, min(_NEIGHBORS + 1, n))
    indices = indices.long()
    itself = torch.where(distances[:, :1] == 0, indices[:, :1], -1)
    return _Neighbors(*_without(indices, distances, itself), itself)


def _without(
    indices: torch.Tensor, distances: torch.Tensor, itself: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lists (m, k) that are one shorter, by the entry `itself` or by their last one."""
    order = (indices == itself).int().sort(dim=1, stable=True).indices[:, :-1]
    return indices.gather(1, order), distances.gather(1, order)


def _kept(found: _Neighbors, index: QueryIndex, places: torch.Tensor) -> torch.Tensor:
    known = places.isfinite().all(dim=1)
    k = found.indices.shape[1]
    near, lengths = index.nearest(places.masked_fill(~known[:, None], 0.0), k + 1)
    near, _ = _without(near.long(), lengths, found.itself)
    shares = (found.indices[:, :, None] == near[:, None]).any(dim=2).double().mean(dim=1)
    return shares.masked_fill(~known, torch.nan)


def _stability(reached: FittedRows, found: _Neighbors, streams: torch.Tensor) -> torch.Tensor:
    """Of rows by the ends of their ghosts, after GhostUMAP2 (Jung et al., arXiv 2507.17174)."""
    settings, anchors = reached.settings, reached.positions
    assert anchors is not None
    weights = reached.strengths(found.distances)
    related = (weights != 0).any(dim=1)
    m, dim, span = len(weights), anchors.shape[1], span_of(anchors)
    starts = _starts(weights[related], found.indices[related], anchors)
    ghosts = torch.arange(_GHOSTS, device=anchors.device)
    own = streams.to(anchors.device)[related, None] + _STRIDE * ghosts
    ends = ops.sgd_layout(
        settings.output.means(starts.flatten(0, 1)).float(),
        edges_to(
            found.indices[related].int().repeat_interleave(_GHOSTS, dim=0),
            weights[related].repeat_interleave(_GHOSTS, dim=0),
        ),
        settings.a,
        settings.b,
        transform_epochs(settings),
        learning_rate=settings.learning_rate,
        repulsion_strength=settings.repulsion_strength,
        negative_sample_rate=settings.negative_sample_rate,
        seed=derive(settings.transform_seed, "ghosts"),
        anchors=anchors,
        streams=(own % 2**31).flatten(),
        largest_weight=1.0,
        steps_per_epoch=STEPS,
        metric=settings.output.layout_metric(),
    ).view(-1, _GHOSTS, dim)
    apart = (ends.double() - ends.double().mean(dim=1, keepdim=True)).square()
    spread = apart.sum(dim=2).mean(dim=1).sqrt() / (0.5 * span or 1.0)
    stability = torch.full((m,), torch.nan, dtype=torch.float64, device=anchors.device)
    stability[related] = (1 - spread).clamp_min(0.0)
    return stability


def _starts(weights: torch.Tensor, indices: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """The positions float64 (m, ghosts, dim) of neighbours, each for its share of the ghosts."""
    ends = weights.double().cumsum(dim=1)
    shares = (torch.arange(_GHOSTS, dtype=torch.float64, device=ends.device) + 0.5) / _GHOSTS
    places = torch.searchsorted(ends, shares * ends[:, -1:], right=True)
    chosen = indices.gather(1, places.clamp_max(indices.shape[1] - 1))
    return anchors[chosen].double()
