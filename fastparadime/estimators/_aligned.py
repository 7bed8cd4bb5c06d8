"""One table of an `AlignedUMAP`, and the checks of what it is given."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fastparadime.estimators._fit import Embedding, fit_inputs, without_lone_points
from fastparadime.estimators._inputs import Inputs
from fastparadime.estimators._kinds import Results
from fastparadime.estimators._reporting import Report
from fastparadime.estimators.umap import UMAP
from fastparadime.layout import initial_positions

# Parameters that may differ between tables.
VARYING = frozenset({
    "n_neighbors", "min_dist", "spread", "learning_rate", "repulsion_strength",
    "negative_sample_rate", "local_connectivity", "set_op_mix_ratio",
})  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table whose estimator has its graph, still without positions."""

    mapper: UMAP
    rows: Any
    results: Results
    supervised: bool

    @staticmethod
    def of(mapper: UMAP, X: Any, y: Any, report: Report) -> Table:
        inputs = Inputs.checked(
            mapper,
            X,
            y,
            ensure_all_finite=True,
            knn_graph=None,
            convert_dtype=True,
            sample_weight=None,
        )
        fitted, rows = fit_inputs(inputs, report)
        mapper._keep_graph(fitted, inputs.settings)
        mapper._keep_rows(rows)
        return Table(mapper, inputs.rows, inputs.results, supervised=y is not None)

    def start(self) -> torch.Tensor:
        settings = self.mapper._settings
        edges = self.mapper._fitted_graph.edges
        return initial_positions(
            self.rows, edges, settings.init, settings.n_components, settings.seed
        )

    def keep(self, positions: torch.Tensor) -> None:
        """The positions become those of the estimator; NaN for points without an edge."""
        mapper = self.mapper
        kept = without_lone_points(positions, mapper._fitted_graph.edges, mapper._settings)
        assert mapper._rows is not None
        mapper._keep_rows(replace(mapper._rows, positions=kept), supervised=self.supervised)
        mapper._keep_positions(Embedding(kept, None, None), self.results)


def size_of(mapper: UMAP) -> int:
    return len(mapper._fitted_graph.edges.indptr) - 1


def positions_of(mapper: UMAP) -> torch.Tensor:
    assert mapper._rows is not None
    assert mapper._rows.positions is not None
    return mapper._rows.positions


def check_tables(X: Any, name: str, count: int | None = None) -> list[Any]:
    if not isinstance(X, (list, tuple)) and np.ndim(X) < 2 + (name == "X"):
        raise TypeError(
            f"{name} must be a list with one item for each table, not {type(X).__name__}"
        )
    tables = list(X)
    if not tables or (count is not None and len(tables) != count):
        wanted = "at least one" if count is None else f"{count}"
        raise ValueError(f"{name} must have {wanted} item for each table, not {len(tables)}")
    return tables


def check_relations(relations: Any, count: int) -> None:
    if not isinstance(relations, (list, tuple)):
        raise TypeError(f"relations must be a list of dictionaries, not {type(relations).__name__}")
    if len(relations) != count - 1:
        raise ValueError(
            f"relations must have one dictionary fewer than there are tables, {count - 1}, not "
            f"{len(relations)}"
        )


def check_relation(relation: Any, n: int, m: int, name: str) -> None:
    """Raises unless a relation leads from rows of a table of n to rows of one of m."""
    if not isinstance(relation, Mapping):
        raise TypeError(f"{name} must be a dictionary, not {type(relation).__name__}")
    for kind, rows, size in (("keys", relation.keys(), n), ("values", relation.values(), m)):
        for row in rows:
            whole = isinstance(row, numbers.Integral) and not isinstance(row, bool)
            if not whole or not 0 <= row < size:
                raise ValueError(f"{name} must have rows in [0, {size}) as {kind}, not {row!r}")


def given_for(value: Any, number: int, name: str) -> Any:
    """A parameter of a table: its own of a list, or that of all."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return value
    if number >= len(value):
        raise ValueError(
            f"{name} must have a value for each table, but has {len(value)}, and none for table "
            f"{number}"
        )
    found = value[number]
    return found.item() if isinstance(found, np.generic) else found
