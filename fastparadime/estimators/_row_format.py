"""How and where the rows of a fit are held, so that far from zero no digits are lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastparadime.estimators._rows import as_rows, taken
from fastparadime.neighbors import BINARY_METRICS, NATIVE_METRICS, Metric
from fastparadime.neighbors.metrics import PRECOMPUTED
from fastparadime.neighbors.sparse_table import warn_of_rounding as warn_of_sparse_rounding
from fastparadime.neighbors.table import (
    MISSING_METRICS,
    SHIFTED_METRICS,
    UNIT_METRICS,
    some_units,
)
from fastparadime.types import Array
from fastparadime.utils.centring import (
    centre_of,
    centred,
    compared_rows,
    difference,
    may_round,
    rounds,
    some_rows,
    warn_of_rounding,
)
from fastparadime.utils.convert import is_sparse, share, to_numpy
from fastparadime.utils.shards import stays
from fastparadime.utils.validate import check_finite

_SHIFTED = (*SHIFTED_METRICS, "seuclidean", "mahalanobis")


@dataclass(frozen=True)
class RowFormat:
    """How rows are held: in float32, minus a centre where that saves digits; or in float64.

    Attributes
    ----------
    metric : str or callable
    device : torch.device
        Where tensors of rows lie.
    centre : float64 array (d,) or None
        Subtracted from rows in float64, of metrics that do not change with a shift.
    wide : bool
        Whether rows are float64, for other metrics, where float32 would drop digits.
    narrow : bool
        Whether rows stay as they are, on the CPU, for `max_memory`.
    """

    metric: Metric
    device: torch.device
    centre: Array | None = None
    wide: bool = False
    narrow: bool = False

    @staticmethod
    def of(
        table: Any, metric: Metric, device: torch.device, max_memory: float | None = None
    ) -> RowFormat:
        """The format of a fit's rows: float32 as they are, unless that loses digits."""
        if not is_sparse(table) and stays(table, max_memory):
            return RowFormat(metric, device, narrow=True)
        as_it_is = callable(metric) or metric == PRECOMPUTED  # by functions in the data's own dtype
        if as_it_is or is_sparse(table) or not may_round(table):
            return RowFormat(metric, device)
        some = some_rows(table)
        if metric in UNIT_METRICS:
            tables = (some, some_units(some, str(metric)))
            wide = any(centre_of(rows) is not None for rows in tables)
        elif metric in _SHIFTED:
            return RowFormat(metric, device, centre_of(some))
        elif metric in NATIVE_METRICS:
            wide = centre_of(some) is not None
        else:
            wide = rounds(some)  # others are compared in float64
        return RowFormat(metric, device, wide=wide)

    def rows(self, table: Any) -> Any:
        """A checked table as rows of this format, on the device; see `as_rows`."""
        rows = self._rows(table)
        return rows.to(self.device) if isinstance(rows, torch.Tensor) else rows

    def _rows(self, table: Any) -> Any:
        if self.narrow:
            return share(table)
        if self.centre is None and not self.wide:
            return as_rows(table, self.metric)
        dense = table.toarray() if is_sparse(table) else table
        check_finite(dense, "X", missing_ok=self.metric in MISSING_METRICS)
        if self.centre is not None:
            return centred(dense, self.centre)
        if isinstance(dense, torch.Tensor):
            return dense.double().contiguous()
        return share(np.ascontiguousarray(dense, dtype=np.float64))

    def data(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of this format, float64 (m, d), as those of the data, with the digits that they have."""
        if self.centre is not None:
            return rows + torch.from_numpy(self.centre).to(rows.device)
        return rows if self.wide else rows.float()

    def warn_of_rounding(self, table: Any, rows: Any, indices: torch.Tensor) -> None:
        """Warns if even centred rows are too wide for float32; the search warns of others."""
        unrounded = callable(self.metric) or self.metric in (PRECOMPUTED, *BINARY_METRICS)
        if self.wide or unrounded or not may_round(table):
            return
        last = indices[:, -1]
        if is_sparse(table):
            warn_of_sparse_rounding(table, last, str(self.metric))
            return
        centre = np.zeros(table.shape[1]) if self.centre is None else self.centre
        numbers = compared_rows(len(last))
        compared, ends = (
            (to_numpy(difference(taken(table, part), centre)), to_numpy(taken(rows, part)))
            for part in (torch.from_numpy(numbers), last.cpu()[numbers].long())
        )
        warn_of_rounding(compared, ends, self.metric)
