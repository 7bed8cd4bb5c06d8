"""Exact Euclidean neighbours by matrix products, whole or tile by tile, on a device or beside one.

Unit rows in reduced precision give cosines, cosines lower bounds of distances. Each row keeps the
candidates of its lowest bounds; their distances in float32 from the data then show whether any
other point can be as near as the k-th of them. Rows where one can are compared with all points
by differences, so that the result is exact up to ties whatever the precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from fastparadime import ops
from fastparadime.exceptions import DeviceMemoryError
from fastparadime.neighbors.exact import differing_rows, near_origin_centre, scale_of
from fastparadime.neighbors.graph import NeighborGraph

_SPARE = 12  # candidates beyond k and the point itself; lists are filled up to their width
_TILE_BYTES = 64 * 2**20  # of cosines at a time
_LEAST_TILE_BYTES = 2**20
_STAGED_BYTES = 64 * 2**20  # of rows converted at a time
_TENSOR_CORE = 8  # columns and rows that products on tensor cores come in multiples of
# Relative, of float32: of a sum's terms, where tensor cores cut off instead of rounding; of unit
# rows and centred ones; of bounds, distances and squared norms.
_SUM_ERROR, _ROW_ERROR, _BOUND_ERROR, _NORM_ERROR = 2.0**-22, 2.0**-21, 2.0**-16, 2.0**-18
_TF32_ERROR = 2.0**-10


def takes(k: int, metric: str) -> bool:
    """Whether `tiled_knn` finds so many neighbours by this metric."""
    return metric in ("euclidean", "sqeuclidean") and k + 1 + _SPARE <= ops.MOST_CANDIDATES


@dataclass(frozen=True)
class Plan:
    """How the points are cut: panels that are on the device together, tiles of products.

    Attributes
    ----------
    panel : int
        Points whose unit rows are on the device at a time, twice if they are not all.
    rows, columns : int
        Of a tile.
    bytes : int
        What the search takes by it beside `X` and the result.
    """

    panel: int
    rows: int
    columns: int
    bytes: int


def make_plan(n: int, d: int, k: int, *, itemsize: int, limit: float | None = None) -> Plan:
    """The largest tiles and panels within `limit` bytes.

    Raises
    ------
    DeviceMemoryError
        If no plan is small enough.

    Notes
    -----
    A plan of panels of p points, tiles of r rows and c columns and lists of w candidates takes
    p (s d + 4) bytes of unit rows, d rounded up to 8 and s bytes an element, twice if p < n;
    8 w p of lists, 4 r c of cosines (counted where they are not written too) and 3 x 64 MiB (12 d at least) of rows being converted.
    """
    units, lists = _row_bytes(d, k, itemsize)
    for tile_bytes in (_TILE_BYTES, _LEAST_TILE_BYTES):
        side, fixed = _tile(n, d, tile_bytes)
        whole = n * (units + lists) + fixed
        if limit is None or whole <= limit:
            return Plan(n, side, side, whole)
        panel = int((limit - fixed) // (2 * units + lists)) // _TENSOR_CORE * _TENSOR_CORE
        if panel >= side:
            return Plan(panel, side, side, panel * (2 * units + lists) + fixed)
    raise DeviceMemoryError(
        f"the neighbour search has {max(limit or 0, 0):.4g} bytes for its tiles, but {k} neighbors "
        f"of {n} rows with {d} columns take at least {least_bytes(n, d, k, itemsize=itemsize):.4g} "
        "for them: free memory of the device, or use device='cpu'"
    )


def least_bytes(n: int, d: int, k: int, *, itemsize: int) -> int:
    """What the smallest plan takes."""
    units, lists = _row_bytes(d, k, itemsize)
    side, fixed = _tile(n, d, _LEAST_TILE_BYTES)
    return min(n * (units + lists), side * (2 * units + lists)) + fixed


def _row_bytes(d: int, k: int, itemsize: int) -> tuple[int, int]:
    """Bytes of a point's unit row and of its list."""
    return itemsize * _rounded_up(d) + 4, 8 * ops.candidate_width(k + 1 + _SPARE)


def _tile(n: int, d: int, most: int) -> tuple[int, int]:
    """The side of a square tile of at most so many bytes, and what there is beside panels."""
    side = min(_rounded_up(n), int((most / 4) ** 0.5))
    return side, 4 * side * side + 3 * max(min(_STAGED_BYTES, 4 * d * n), 4 * d)


def _rounded_up(count: int) -> int:
    return -(-count // _TENSOR_CORE) * _TENSOR_CORE


@dataclass(frozen=True)
class _Panel:
    """Unit rows of consecutive points, rows and columns filled up with zeros."""

    first: int
    units: torch.Tensor  # (rows, columns) in reduced precision
    norms: torch.Tensor  # float32 (rows,), infinite for rows that are no points
    error: float  # most distance of a unit row from the true one


class _Table:
    """The points as panels on the device, from a table that may be elsewhere."""

    def __init__(self, X: torch.Tensor, device: torch.device, precision: torch.dtype) -> None:
        self._X, self._device, self._precision = X, device, precision
        self._mean, spread = near_origin_centre(X)
        self.scale = scale_of(spread)

    def __len__(self) -> int:
        return len(self._X)

    def panels(self, size: int) -> Iterator[_Panel]:
        for first in range(0, len(self._X), size):
            yield self.panel(first, min(size, len(self._X) - first))

    def panel(self, first: int, count: int) -> _Panel:
        d = self._X.shape[1]
        shape = (_rounded_up(count), _rounded_up(d))
        units = torch.zeros(shape, dtype=self._precision, device=self._device)
        norms = torch.full(shape[:1], torch.inf, device=self._device)
        error = torch.zeros((), device=self._device)
        step = max(1, _STAGED_BYTES // (4 * d))
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            centred = self._moved(first + rows.start, first + rows.stop)
            lengths = torch.linalg.vector_norm(centred, dim=1, dtype=torch.float64)
            norms[rows] = (lengths * self.scale).float()
            unit = centred.div_(lengths.clamp_min(torch.finfo().tiny).float()[:, None])
            units[rows, :d] = unit.to(self._precision)
            lost = torch.linalg.vector_norm(unit.sub_(units[rows, :d]), dim=1)
            error = torch.maximum(error, lost.max())
        # Products of float32 may go through TF32 on a GPU.
        tf32 = self._device.type == "cuda" and self._precision == torch.float32
        return _Panel(first, units, norms, float(error) + (_TF32_ERROR if tf32 else _ROW_ERROR))

    def _moved(self, start: int, stop: int) -> torch.Tensor:
        rows = self._X[start:stop]
        if rows.device != self._device:
            # Pinned memory is copied while the host prepares the next rows.
            rows = rows.pin_memory() if self._device.type == "cuda" else rows
            rows = rows.to(self._device, non_blocking=True)
        return rows - self._mean.to(self._device)


def _cosines(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Products of unit rows, summed in float32."""
    if rows.is_cuda and rows.dtype != torch.float32:
        return torch.mm(rows, columns.T, out_dtype=torch.float32)
    return rows.float() @ columns.float().T


def default_precision(device: torch.device) -> torch.dtype:
    """Half precision where its products can be summed in float32 (torch 2.8), else float32."""
    summed = hasattr(torch.ops.aten.mm, "dtype") and not getattr(
        torch.backends.cuda.matmul, "allow_fp16_accumulation", False
    )
    return torch.float16 if device.type == "cuda" and summed else torch.float32


def tiled_knn(
    X: torch.Tensor,
    k: int,
    metric: str = "euclidean",
    *,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    limit: float | None = None,
) -> NeighborGraph:
    """Exact neighbours of all rows of `X` by Euclidean distance.

    Parameters
    ----------
    X : float32 tensor (n, d)
    k : int
    metric : {"euclidean", "sqeuclidean"}
    device : torch.device, optional
        Where products are taken, if not where `X` lives: its rows are then copied panel by panel.
    precision : torch.dtype, optional
        Of unit rows; `default_precision` unless given.
    limit : float, optional
        Most bytes on the device beside `X` and the result.

    Returns
    -------
    NeighborGraph
        Where `X` lives.
    """
    n, d = X.shape
    device = X.device if device is None else device
    precision = default_precision(device) if precision is None else precision
    plan = make_plan(n, d, k, itemsize=precision.itemsize, limit=limit)
    table = _Table(X, device, precision)
    indices = torch.empty((n, k), dtype=torch.int32, device=X.device)
    distances = torch.empty((n, k), device=X.device)
    doubtful = []
    for panel in table.panels(plan.panel):
        lists = _search(table, panel, plan, k)
        for start in range(0, min(plan.panel, n - panel.first), plan.rows):
            first = panel.first + start
            rows = slice(first, min(first + plan.rows, panel.first + plan.panel, n))
            part = lists.part(slice(start, start + rows.stop - first))
            found = ops.rerank(X, part.indices.to(X.device), k, first_row=first)
            indices[rows], distances[rows] = found
            sure = _is_sure(part.bounds[:, -1], part.norms, table.scale, found[1])
            doubtful.append((~sure).nonzero().flatten() + first)
    again = torch.cat(doubtful)
    if len(again):
        indices[again], distances[again] = differing_rows(X, again, k)
    if metric == "sqeuclidean":
        distances.square_()
    redone = f", {len(again)} rows by differences" if len(again) else ""
    return NeighborGraph(indices, distances, f"tiled products, exact{redone}")


def _search(table: _Table, panel: _Panel, plan: Plan, k: int) -> ops.Candidates:
    """The candidates of a panel's points among all."""
    lists, n = ops.Candidates(panel.norms, k + 1 + _SPARE), len(table)
    for first in range(0, n, plan.panel):
        count = min(plan.panel, n - first)
        other = panel if first == panel.first else table.panel(first, count)
        # The product of two errors beside their sum; sums of as many terms as there are columns.
        slack = (1 + panel.error) * (1 + other.error) - 1 + panel.units.shape[1] * _SUM_ERROR
        if _in_one_pass(panel.units):
            lists.update_from_units(panel.units, other.units, other.norms, first, slack=slack)
            continue
        for start in range(0, len(panel.units), plan.rows):
            rows = slice(start, start + plan.rows)
            part = lists.part(rows)
            for column in range(0, len(other.units), plan.columns):
                columns = slice(column, column + plan.columns)
                part.update(
                    _cosines(panel.units[rows], other.units[columns]),
                    other.norms[columns],
                    first + column,
                    slack=slack,
                )
    return lists


def _in_one_pass(units: torch.Tensor) -> bool:
    """Whether one operation takes products and candidates, without tiles in between."""
    return units.dtype == torch.float16 and units.shape[1] <= ops.MOST_UNIT_COLUMNS


def _is_sure(
    cutoffs: torch.Tensor, norms: torch.Tensor, scale: float, distances: torch.Tensor
) -> torch.Tensor:
    """Whether no point left out of a row's list can be nearer than the k-th found."""
    squared_norms = norms.double().square()
    least = (squared_norms + cutoffs) * (1 - _BOUND_ERROR) - _NORM_ERROR * squared_norms
    farthest = (distances[:, -1].double() * scale).square().to(cutoffs.device)
    # An empty place in the list says that no point was left out.
    return ((farthest <= least) | cutoffs.isinf()).to(distances.device)
