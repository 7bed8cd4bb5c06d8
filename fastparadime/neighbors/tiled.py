"""Exact Euclidean neighbours by matrix products, whole or tile by tile, on a device or beside one.

Unit rows in reduced precision give cosines, cosines lower bounds of distances. Each row keeps the
candidates of its lowest bounds; their distances in float32 from the data then show whether any
other point can be as near as the k-th of them. Rows where one can are searched again by products
of rows split in two, around centres of their own, and what is left of them by differences, so that
the result is exact up to ties whatever the precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from fastparadime import ops
from fastparadime.exceptions import DeviceMemoryError
from fastparadime.neighbors import unit_rows
from fastparadime.neighbors.doubtful_rows import (
    differing_rows,
    near_origin_centre,
    rows_by_tree,
    scale_of,
    solve_nearer,
)
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.unit_rows import (
    TENSOR_CORE,
    Panel,
    UnitTable,
    rounded_up,
)

_SPARE = 12  # candidates beyond k and the point itself; lists are filled up to their width
_TILE_BYTES = 64 * 2**20  # of cosines at a time
_LEAST_TILE_BYTES = 2**20
# Relative, of float32: of bounds and distances, and of squared norms.
_BOUND_ERROR, _NORM_ERROR = 2.0**-16, 2.0**-18
_FEW_COLUMNS = 8  # whose differences take no longer than products, and leave no row in doubt
_AGAIN = 4  # panels that one is worth where rows are split: two for rows, two for columns


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
        panel = int((limit - fixed) // (2 * units + lists)) // TENSOR_CORE * TENSOR_CORE
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
    return itemsize * rounded_up(d) + 4, 8 * ops.candidate_width(k + 1 + _SPARE)


def _tile(n: int, d: int, most: int) -> tuple[int, int]:
    """The side of a square tile of at most so many bytes, and what there is beside panels."""
    side = min(rounded_up(n), int((most / 4) ** 0.5))
    return side, 4 * side * side + 3 * max(min(unit_rows.STAGED_BYTES, 4 * d * n), 4 * d)


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
    engine: ops.ProductEngine | None = None,
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
    engine : {"mma", "wgmma"}, optional
        By which instructions a GPU multiplies, see `ops.Candidates.update_from_units`.

    Returns
    -------
    NeighborGraph
        Where `X` lives.
    """
    device = X.device if device is None else device
    if X.shape[1] <= _FEW_COLUMNS and X.device == device:
        indices, distances = differing_rows(X, torch.arange(len(X), device=device), k)
        name = "differences, exact"
    else:
        precision = default_precision(device) if precision is None else precision
        n, d = X.shape
        plan = make_plan(n, d, k, itemsize=precision.itemsize, limit=limit)
        search = _Search(X, k, device, precision, plan, engine)
        indices, distances, doubtful, differed = search.of_all()
        name = "tiled products, exact"
        if doubtful:
            name += f", {doubtful} rows again, {differed} of them by differences"
    if metric == "sqeuclidean":
        distances.square_()
    return NeighborGraph(indices, distances, name)


@dataclass(frozen=True)
class _Search:
    """What all parts of a search know."""

    X: torch.Tensor
    k: int
    device: torch.device
    precision: torch.dtype
    plan: Plan
    engine: ops.ProductEngine | None

    def of_all(self) -> tuple[torch.Tensor, torch.Tensor, int, int]:
        """Neighbours and distances of all points, how many were in doubt, and how many by differences."""
        n = len(self.X)
        found = self._empty(n)
        doubtful = self._by_whole_rows(found)
        left = doubtful
        if len(doubtful):
            everything = torch.arange(n, device=self.X.device)
            left = solve_nearer(self.X, everything, found, doubtful, self._by_split_rows)
        if len(left):
            many = differing_rows if self.X.device == self.device else rows_by_tree
            found[0][left], found[1][left] = many(self.X, left, self.k)
        return *found, len(doubtful), len(left)

    def _empty(self, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices = torch.empty((rows, self.k), dtype=torch.int32, device=self.X.device)
        return indices, torch.empty((rows, self.k), device=self.X.device)

    def _by_whole_rows(self, found: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Fills in what is found; returns the points in doubt."""
        centre, spread = near_origin_centre(self.X)
        table = UnitTable(self.X, self.device, self.precision, centre, scale_of(spread))
        n, plan, doubtful = len(self.X), self.plan, []
        for panel in table.panels(plan.panel):
            points = torch.arange(
                panel.first, min(panel.first + plan.panel, n), device=self.X.device
            )
            doubtful.append(points[self._search(table, panel, points, found, plan)])
        return torch.cat(doubtful)

    def _by_split_rows(
        self, points: torch.Tensor, centre: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Neighbours and distances of some points, and which of these are in doubt."""
        split = self.precision != torch.float32
        table = UnitTable(self.X, self.device, self.precision, centre, scale, split=split)
        size = max(TENSOR_CORE, self.plan.panel // _AGAIN)
        plan = replace(self.plan, panel=size, rows=max(TENSOR_CORE, self.plan.rows // 2))
        (indices, distances), doubts = self._empty(len(points)), []
        for start in range(0, len(points), size):
            some = points[start : start + size]
            panel = table.panel(0, len(some), some)
            part = indices[start : start + size], distances[start : start + size]
            doubts.append(self._search(table, panel, some, part, plan))
        return indices, distances, torch.cat(doubts)

    def _search(
        self,
        table: UnitTable,
        panel: Panel,
        points: torch.Tensor,
        found: tuple[torch.Tensor, torch.Tensor],
        plan: Plan,
    ) -> torch.Tensor:
        """Fills in what is found for a panel's points; returns which of them are in doubt."""
        lists = _candidates(table, panel, plan, self.k, self.engine)
        place = max(panel.first, 0)
        doubts = []
        for start in range(0, len(points), plan.rows):
            rows = slice(start, min(start + plan.rows, len(points)))
            part = lists.part(rows)
            candidates = part.indices.to(self.X.device)
            nearest = ops.rerank(self.X, candidates, self.k, points=points[rows])
            for whole, mine in zip(found, nearest, strict=True):
                whole[place + rows.start : place + rows.stop] = mine
            doubts.append(~_is_sure(part.bounds[:, -1], part.norms, table.scale, nearest[1]))
        return torch.cat(doubts)


def _candidates(
    table: UnitTable, panel: Panel, plan: Plan, k: int, engine: ops.ProductEngine | None
) -> ops.Candidates:
    """Of a panel's points among all."""
    lists, n = ops.Candidates(panel.norms, k + 1 + _SPARE), len(table)
    for first in range(0, n, plan.panel):
        count = min(plan.panel, n - first)
        other = panel if first == panel.first else table.panel(first, count)
        slack = panel.slack(other)
        if _in_one_pass(panel, engine):
            mine, theirs = panel.side_by_side(other)
            lists.update_from_units(mine, theirs, other.norms, first, slack=slack, engine=engine)
            continue
        for start in range(0, len(panel.units), plan.rows):
            rows = slice(start, start + plan.rows)
            part = lists.part(rows)
            for column in range(0, len(other.units), plan.columns):
                columns = slice(column, column + plan.columns)
                cosines = panel.cosines(rows, other, columns)
                part.update(cosines, other.norms[columns], first + column, slack=slack)
    return lists


def _in_one_pass(panel: Panel, engine: ops.ProductEngine | None) -> bool:
    """Whether one operation takes products and candidates, without tiles in between."""
    if panel.units.dtype != torch.float16:
        return False
    columns = panel.units.shape[1]
    if panel.rest is not None:  # whose slack counts on short sums
        return 3 * columns <= ops.MOST_UNIT_COLUMNS
    most = ops.most_unit_columns(panel.units.device, engine)
    return columns <= most or most == 0  # which is an error there


def _is_sure(
    cutoffs: torch.Tensor, norms: torch.Tensor, scale: float, distances: torch.Tensor
) -> torch.Tensor:
    """Whether no point left out of a row's list can be nearer than the k-th found."""
    squared_norms = norms.double().square()
    least = (squared_norms + cutoffs) * (1 - _BOUND_ERROR) - _NORM_ERROR * squared_norms
    farthest = (distances[:, -1].double() * scale).square().to(cutoffs.device)
    # Nothing is nearer than an equal row. An empty place in the list says that none was left out.
    sure = (farthest <= least) | (farthest == 0) | cutoffs.isinf()
    return sure.to(distances.device)
