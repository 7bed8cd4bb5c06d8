"""Maps of several tables whose rows are related, with umap-learn's class and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fastparadime.estimators._aligned import (
    VARYING,
    Table,
    check_relation,
    check_relations,
    check_tables,
    given_for,
    positions_of,
    size_of,
)
from fastparadime.estimators._parameters import seed_of
from fastparadime.estimators._reporting import Report
from fastparadime.estimators.umap import UMAP
from fastparadime.layout import aligned
from fastparadime.neighbors.search import count_points
from fastparadime.types import Array
from fastparadime.utils.progress import memory_for
from fastparadime.utils.validate import check_integer, check_positive

_DEFAULT_EPOCHS = 200


class AlignedUMAP(BaseEstimator):  # type: ignore[misc]
    """UMAP of several tables, whose maps are held close where their rows are related.

    umap-learn's class: its parameters, their meanings and defaults. Each table has a map of its own;
    in each epoch of the layouts, rows are drawn towards the positions of those that they are in
    other maps.

    Parameters
    ----------
    n_neighbors, min_dist, spread, learning_rate, repulsion_strength, negative_sample_rate, \
local_connectivity, set_op_mix_ratio
        As of `UMAP`, or a list with one for each table.
    n_components, metric, metric_kwds, init, target_n_neighbors, target_metric, \
target_metric_kwds, target_weight, transform_seed, a, b, verbose
        As of `UMAP`, of all tables; `init` is a name.
    n_epochs : int, optional
        200 by default.
    alignment_regularisation : float
        How much rows are drawn, in units of the gradient.
    alignment_window_size : int
        How many tables before and after are drawn to; those t away by a factor exp(1 - t).
    random_state : int, RandomState, Generator or None
        None draws a seed, which `seed_` reports.
    unique : bool
        Only False, since relations are between all rows.
    low_memory, transform_queue_size, angular_rp_forest, force_approximation_algorithm
        Accepted and checked, without effect here.

    Attributes
    ----------
    embeddings_ : list of arrays (n_samples, n_components)
        float32, float64 for a table of float64. NaN for a point without any neighbour.
    mappers_ : list of UMAP
        The fit of each table, with its graph, and its map as `embedding_`: `transform` places new
        rows there.
    dict_relations_ : list of dict
    n_models_ : int
    seed_ : int
    """

    def __init__(
        self,
        n_neighbors: Any = 15,
        n_components: int = 2,
        metric: Any = "euclidean",
        metric_kwds: dict[str, Any] | None = None,
        n_epochs: int | None = None,
        learning_rate: Any = 1.0,
        init: str = "spectral",
        alignment_regularisation: float = 1.0e-2,
        alignment_window_size: int = 3,
        min_dist: Any = 0.1,
        spread: Any = 1.0,
        low_memory: bool = False,
        set_op_mix_ratio: Any = 1.0,
        local_connectivity: Any = 1.0,
        repulsion_strength: Any = 1.0,
        negative_sample_rate: Any = 5,
        transform_queue_size: float = 4.0,
        a: float | None = None,
        b: float | None = None,
        random_state: Any = None,
        angular_rp_forest: bool = False,
        target_n_neighbors: int = -1,
        target_metric: Any = "categorical",
        target_metric_kwds: dict[str, Any] | None = None,
        target_weight: float = 0.5,
        transform_seed: int = 42,
        force_approximation_algorithm: bool = False,
        verbose: bool = False,
        unique: bool = False,
    ) -> None:
        arguments = dict(locals())
        arguments.pop("self")
        self.__dict__.update(arguments)

    @memory_for("AlignedUMAP.fit")
    def fit(
        self, X: Sequence[Any], y: Sequence[Any] | None = None, **fit_params: Any
    ) -> AlignedUMAP:
        """Embeds the rows of all tables.

        Parameters
        ----------
        X : list of tables
            Each as `UMAP.fit` takes it.
        y : list, optional
            The labels of each table, or None.
        relations : list of dict, by keyword
            One fewer than tables: which row of the next table a row is.
        window_size : int, by keyword, optional
            Instead of `alignment_window_size`.

        Raises
        ------
        TypeError, ValueError
            For tables, relations or parameters that are not as described.
        """
        tables = check_tables(X, "X")
        labels = [None] * len(tables) if y is None else check_tables(y, "y", len(tables))
        relations, window = self._fit_parameters(fit_params)
        check_relations(relations, len(tables))
        sizes = [count_points(table) for table in tables]
        for number, relation in enumerate(relations):
            check_relation(relation, sizes[number], sizes[number + 1], f"relations[{number}]")
        self._check_parameters(len(tables))
        seed, report = seed_of(self.random_state), Report(self.verbose, None)
        made = []
        for number, (table, target) in enumerate(zip(tables, labels, strict=True)):
            report.say(f"AlignedUMAP: table {number}")
            made.append(Table.of(self._mapper(number, seed), table, target, report))
        kept = [dict(relation) for relation in relations]
        rows = aligned.related_rows(kept, sizes)
        starts = [made[0].start()]
        for table, onto, n in zip(made[1:], rows, sizes[1:], strict=True):
            back = aligned.inverse_rows(onto, n)
            starts.append(aligned.rotated_onto(table.start(), starts[-1], back))
        report.say("AlignedUMAP: layouts")
        mappers = [table.mapper for table in made]
        self._lay_out(mappers, starts, rows, window, dict(enumerate(made)))
        self.seed_, self.dict_relations_ = seed, kept
        return self

    def fit_transform(
        self, X: Sequence[Any], y: Sequence[Any] | None = None, **fit_params: Any
    ) -> list[Array]:
        """Embeds the rows of all tables, see `fit`, and gives `embeddings_`."""
        self.fit(X, y, **fit_params)
        return self.embeddings_

    @memory_for("AlignedUMAP.update")
    def update(self, X: Any, y: Any = None, **fit_params: Any) -> AlignedUMAP:
        """Adds a table after the last; the maps of the others stay.

        Parameters
        ----------
        X : table
        y : labels, optional
        relations : dict, by keyword
            Which row of `X` a row of the last table is.
        window_size : int, by keyword, optional
            Instead of `alignment_window_size`.
        **fit_params
            Parameters of this table instead of the estimator's own.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For a table, relations or parameters that are not as described.
        """
        check_is_fitted(self, "embeddings_")
        own = {name: fit_params.pop(name) for name in VARYING & fit_params.keys()}
        relation, window = self._fit_parameters(fit_params)
        number, last = self.n_models_, self.mappers_[-1]
        n = count_points(X)
        check_relation(relation, size_of(last), n, "relations")
        report = Report(self.verbose, None)
        table = Table.of(self._mapper(number, self.seed_, own), X, y, report)
        mappers = [*self.mappers_, table.mapper]
        kept = [*self.dict_relations_, dict(relation)]
        rows = aligned.related_rows(kept, [size_of(mapper) for mapper in mappers])
        back = aligned.inverse_rows(rows[-1], n)
        graph = table.mapper.graph_
        before = [positions_of(mapper) for mapper in self.mappers_]
        start = aligned.placed_by_relations(before[-1], graph, back, self.seed_)
        report.say("AlignedUMAP: layout")
        self._lay_out(mappers, [*before, start], rows, window, {number: table})
        self.dict_relations_ = kept
        return self

    def _lay_out(
        self,
        mappers: list[UMAP],
        starts: Sequence[torch.Tensor],
        rows: list[Array],
        window: int,
        moved: Mapping[int, Table],
    ) -> None:
        settings = [mapper._settings for mapper in mappers]
        pulls = {
            number: aligned.pull_of(
                number,
                [mapper.graph_ for mapper in mappers],
                rows,
                window,
                self.alignment_regularisation,
                settings[number].negative_sample_rate,
                starts[number].device,
            )
            for number in moved
        }
        found = aligned.aligned_layouts(
            starts,
            [mapper._fitted_graph.edges for mapper in mappers],
            settings,
            pulls,
            _DEFAULT_EPOCHS if self.n_epochs is None else self.n_epochs,
        )
        for number, table in moved.items():
            table.keep(found[number])
        self.mappers_, self.n_models_ = mappers, len(mappers)
        self.embeddings_ = [mapper.embedding_ for mapper in mappers]

    def _fit_parameters(self, fit_params: dict[str, Any]) -> tuple[Any, int]:
        unknown = sorted(fit_params.keys() - {"relations", "window_size"})
        if unknown:
            raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
        if "relations" not in fit_params:
            raise ValueError("relations between the tables must be given: relations=")
        window = fit_params.get("window_size", self.alignment_window_size)
        return fit_params["relations"], check_integer(window, "window_size", minimum=1)

    def _check_parameters(self, count: int) -> None:
        if self.n_epochs is not None:
            check_integer(self.n_epochs, "n_epochs", minimum=0)
        check_positive(self.alignment_regularisation, "alignment_regularisation", zero_ok=True)
        check_integer(self.alignment_window_size, "alignment_window_size", minimum=1)
        check_integer(self.n_components, "n_components", minimum=1)
        if not isinstance(self.init, str):
            raise ValueError(f"init must be the name of a start, not {type(self.init).__name__}")
        if self.unique is not False:
            raise ValueError(f"unique must be False: relations are between rows, not {self.unique}")
        for name in VARYING:
            for number in range(count):
                given_for(getattr(self, name), number, name)

    def _mapper(self, number: int, seed: int, own: Mapping[str, Any] | None = None) -> UMAP:
        """The estimator of a table."""
        same = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in ("alignment_regularisation", "alignment_window_size")
        }
        for name in VARYING:
            same[name] = given_for({**same, **(own or {})}[name], number, name)
        same.update(
            random_state=seed, n_epochs=_DEFAULT_EPOCHS if self.n_epochs is None else self.n_epochs
        )
        return UMAP(**same)
