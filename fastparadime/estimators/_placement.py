"""Where a fit of ParametricUMAP places rows: by its network alone, or by their neighbours in its map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from fastparadime import dr
from fastparadime.estimators._fitted_networks import FittedNetworks
from fastparadime.estimators._landmarks import inputs_of, layout_of
from fastparadime.estimators._parametric_constructor import PLACEMENTS
from fastparadime.estimators._transform import FittedRows
from fastparadime.utils.validate import check_option


class PlacingNetworks(FittedNetworks):
    """The networks of a fit, and how they place rows."""

    def _placed(self, table: Any) -> torch.Tensor:
        """Positions (m, dim) of the rows of a checked table, as `placement` asks.

        Raises
        ------
        ValueError
            For another placement, and for one among neighbours where no rows are known.
        """
        placement = check_option(self.placement, PLACEMENTS, "placement")
        if placement == "network":
            found: torch.Tensor = dr.apply_in_chunks(self.model_, table, "embed")
            return found
        known = self._of_rows(f"placement={placement!r}")
        if known.settings.placement != placement:
            settings = replace(known.settings, placement=placement)
            known = self._mapped_rows = replace(known, settings=settings)
        return known.embed(known.row_format.rows(table))

    def _of_rows(self, method: str) -> FittedRows:
        """The rows that are known, where the network has them; made once for a network.

        Raises
        ------
        ValueError
            After `load` of a file without rows, and for fits that keep none.
        """
        if self._mapped_rows is None:
            known = self._known_rows(method)
            positions = dr.apply_in_chunks(self.model_, known.data, "embed")
            settings = replace(known.settings, placement="median")
            self._mapped_rows = replace(
                known, positions=positions.to(settings.device), settings=settings
            )
        return self._mapped_rows

    def _known_rows(self, method: str) -> FittedRows:
        if self.umap_ is not None:
            return self.umap_._of_rows(method)
        if self._landmarks is None:
            raise ValueError(
                f"{method} needs rows of the fit, and the file that was loaded holds none: save a fit "
                "with placement='median' or 'mutual', which keep them"
            )
        inputs = inputs_of(layout_of(self), self._landmarks)
        space = inputs.settings.row_metric.space(inputs.rows)
        return FittedRows(inputs.rows, None, inputs.settings, space, inputs.row_format)
