"""A fit of UMAP to the rows of several processes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import torch

from fastparadime.distributed import Ranks, Shards, SharedCourse
from fastparadime.estimators import _rows
from fastparadime.estimators._constructor import UmapParameters
from fastparadime.estimators._fit import Embedding, FittedGraph, epochs_of, without_lone_points
from fastparadime.estimators._kinds import Kind, Results, as_known
from fastparadime.estimators._neighbors import neighbors_given
from fastparadime.estimators._parameters import Settings, check_parameters
from fastparadime.estimators._reporting import Report
from fastparadime.estimators._row_format import RowFormat
from fastparadime.estimators._shared_courses import begun, graph_in, neighbors_in
from fastparadime.estimators._shared_parameters import check_shared, compared_parameters
from fastparadime.graph.shared_edges import moved_edges, shared_simplicial_set
from fastparadime.layout.initialization import check_init
from fastparadime.layout.shared_layout import MOST_ALONE, optimize_shared, shared_start
from fastparadime.neighbors import NeighborGraph
from fastparadime.neighbors.precomputed import from_lists
from fastparadime.neighbors.shared_memory import search_bytes
from fastparadime.neighbors.shared_rows import SharedRows
from fastparadime.neighbors.shared_search import dealt_neighbors
from fastparadime.types import Array
from fastparadime.utils.centring import some_numbers
from fastparadime.utils.checkpoints import CheckpointLike, as_checkpoint
from fastparadime.utils.convert import is_sparse, to_numpy
from fastparadime.utils.progress import stage
from fastparadime.utils.warning import warn

_GIB = 2**30


@dataclass(frozen=True)
class SharedFit:
    """A layout of the rows of all ranks, and what this rank has of it.

    Attributes
    ----------
    ranks : Ranks
    shards : Shards
    table : array or tensor (n_local, d)
        The rows that this rank was given, as they came.
    settings : Settings
    graph : FittedGraph
        Of the rows that this rank was dealt.
    positions : float32 tensor (n, dim)
        Of all rows.
    results : Results
    course : SharedCourse
    """

    ranks: Ranks
    shards: Shards
    table: Any
    settings: Settings
    graph: FittedGraph
    positions: torch.Tensor
    results: Results
    course: SharedCourse

    def own_graph(self) -> FittedGraph:
        """The graph of the rows that this rank was given."""
        shards, graph = self.shards, self.graph
        orders = (self.ranks, shards.dealt, shards.given)

        def moved(values: torch.Tensor) -> torch.Tensor:
            return self.ranks.moved(values, shards.dealt, shards.given)

        nearest = replace(
            graph.nearest,
            indices=moved(graph.nearest.indices),
            distances=moved(graph.nearest.distances),
        )
        return replace(
            graph,
            edges=moved_edges(graph.edges, *orders),
            nearest=nearest,
            rho=moved(graph.rho),
            sigma=moved(graph.sigma),
            first_row=shards.given[shards.rank],
            points=shards.n,
        )

    def own_positions(self) -> torch.Tensor:
        """The positions of the rows that this rank was given, float32 (n_local, dim)."""
        return self.positions[self.shards.given[self.shards.rank] :][: self.table.shape[0]]


def fit_shared(estimator: Any, X: Any, process_group: Any, **others: Any) -> None:
    """`UMAP.fit` of the rows of all processes of a group, the own ones of which are `X`.

    Parameters
    ----------
    estimator : UMAP
    X : (n_local, d) array, tensor or data frame
    process_group : torch.distributed.ProcessGroup
    **others
        Other arguments of `lay_out`.
    """
    keep_shared(estimator, lay_out(estimator, X, Ranks(process_group), **others))


def keep_shared(estimator: Any, fit: SharedFit) -> None:
    """Has an estimator keep what this rank has of a fit. Collective."""
    graph, positions = fit.own_graph(), fit.own_positions()
    with fit.ranks.together():
        positions = without_lone_points(positions, graph.edges, fit.settings)
    estimator._keep_graph(graph, fit.settings)
    estimator._sparse_data = False
    estimator._metric_kwds = dict(estimator.metric_kwds or {})
    estimator._keep_positions(Embedding(positions, None, None), fit.results)


def lay_out(
    estimator: UmapParameters,
    X: Any,
    ranks: Ranks,
    *,
    checkpoint: CheckpointLike = None,
    owner: Any = None,
    **others: Any,
) -> SharedFit:
    """The layout of the rows of all ranks. Collective; what one rank raises, all do.

    Parameters
    ----------
    estimator : UMAP
    X : (n_local, d) array, tensor or data frame
    ranks : Ranks
    checkpoint : str, Path or Checkpoint, optional
    owner : estimator, optional
        Whose parameters decide about the whole fit, if the layout is a part of it.
    **others
        Arguments of `fit` that must be None.

    Raises
    ------
    CheckpointError, TypeError, ValueError
        As `UMAP.fit`, for parameters that differ between ranks, and for what is not done with
        process_group.
    """
    with ranks.together():
        if checkpoint is not None:
            as_checkpoint(checkpoint)
        for name, value in others.items():
            if value is not None:
                raise ValueError(f"{name} must be None with process_group, not given")
        kind, known = Kind.of(X, estimator.output_type), as_known(_rows.named(X, estimator.metric))
        settings = check_parameters(estimator, known)
        check_shared(estimator, settings)
        table = _rows.validated(estimator, known, settings.metric, ensure_min_samples=0)
        if is_sparse(table):
            raise ValueError("X must be dense with process_group: take X.toarray()")
    kept = None if checkpoint is None else "given"
    ranks.agree({**compared_parameters(estimator), "checkpoint": kept})
    settings = replace(settings, seed=ranks.told(settings.seed)[0])
    shards, report = ranks.shards(table), Report(estimator.verbose, estimator.tqdm_kwds)
    with ranks.together():
        check_init(settings.init, table, settings.n_components)
    wanted, n = settings.n_neighbors, shards.n
    if wanted > n:
        warn(f"n_neighbors is lowered from {wanted} to the {n} points there are", UserWarning)
        wanted = n
    _tell_memory(report, ranks, n, table.shape[1], wanted, settings)
    known_of = estimator.precomputed_knn
    given = _given(known_of, wanted - 1, ranks, shards) if neighbors_given(known_of) else None
    course, seed = begun(checkpoint, owner or estimator, table, settings, given, ranks, shards)
    settings = replace(settings, seed=seed)
    report.say("UMAP: nearest neighbors")
    with stage("neighbors"):
        nearest = given or neighbors_in(
            course, lambda: _found(table, wanted - 1, settings, ranks, shards)
        )
    graph = _graph(nearest, wanted, settings, ranks, shards, report, course)
    positions = _positions(graph, ranks, shards, settings, report, course)
    results = Results(kind, _rows.dtype_of_results(known), None, settings.output)
    return SharedFit(ranks, shards, table, settings, graph, positions, results, course)


def _row_format(table: Any, settings: Settings, ranks: Ranks, shards: Shards) -> RowFormat:
    """The format that all rows have, by some of them."""

    def read(places: Array) -> Array:
        return to_numpy(table[places])

    some = ranks.rows_at(some_numbers(shards.n), shards.given, read)
    return RowFormat.of(some, settings.metric, settings.device)


def _found(table: Any, k: int, settings: Settings, ranks: Ranks, shards: Shards) -> NeighborGraph:
    """The neighbours of the rows that this rank was dealt."""
    row_format = _row_format(table, settings, ranks, shards)
    with ranks.together():
        rows = row_format.rows(table)
    shared = SharedRows(rows, settings.metric, settings.row_metric.p, ranks)
    return dealt_neighbors(shared, k, settings.recall)


def _given(knn: Any, k: int, ranks: Ranks, shards: Shards) -> NeighborGraph:
    """Those that each rank was given of its rows, by the numbers of all rows."""
    with ranks.together():
        if not isinstance(knn, (tuple, list, NeighborGraph)):
            raise TypeError(
                "precomputed_knn must be a pair (indices, distances) of the own rows with "
                f"process_group, not {type(knn).__name__}"
            )
        first, last = shards.given[ranks.rank : ranks.rank + 2]
        lists = tuple(
            as_known(part) for part in (knn if isinstance(knn, NeighborGraph) else knn[:2])
        )
        graph = from_lists(lists, k, "precomputed_knn", first_row=first, points=shards.n)
        if len(graph.indices) != last - first:
            raise ValueError(
                f"precomputed_knn must have a row for each of the {last - first} own rows, not "
                f"{len(graph.indices)}"
            )
    indices, distances = (ranks.moved(part, shards.given, shards.dealt) for part in graph)
    return replace(graph, indices=indices, distances=distances)


def _graph(
    nearest: NeighborGraph,
    wanted: int,
    settings: Settings,
    ranks: Ranks,
    shards: Shards,
    report: Report,
    course: SharedCourse,
) -> FittedGraph:
    report.say("UMAP: fuzzy graph")
    with stage("graph"):
        make = functools.partial(
            shared_simplicial_set,
            nearest,
            ranks,
            shards,
            set_op_mix_ratio=settings.set_op_mix_ratio,
            local_connectivity=settings.local_connectivity,
            disconnection_distance=settings.disconnection_distance,
        )
        edges, rho, sigma, removed = graph_in(course, shards, make)
    if removed:
        report.say(f"{removed} neighbors are at the disconnection distance or beyond")
    return FittedGraph(edges, nearest, rho, sigma, wanted)


def _positions(
    graph: FittedGraph,
    ranks: Ranks,
    shards: Shards,
    settings: Settings,
    report: Report,
    course: SharedCourse,
) -> torch.Tensor:
    report.say("UMAP: initial positions")
    edges = graph.edges
    n_epochs, kept = epochs_of(settings, shards.n), course.read("start")
    with stage("initial positions"):
        if kept is None:
            start, done = shared_start(
                edges, ranks, shards, settings.init, settings.n_components, settings, n_epochs
            )
            course.write("start", {"values": start}, {"epoch": done})
        else:
            start = kept.arrays["values"]
            done = kept.about.get("epoch", 0)  # which 0.2.0 did not write
    report.say("UMAP: layout")
    start = settings.output.start(start)
    with report.bar(n_epochs) as progress:
        return optimize_shared(
            start, edges, ranks, shards, settings, n_epochs,
            first_epoch=done, progress=progress, course=course,
        )  # fmt: skip


def shared_bytes(
    n: int, d: int, n_neighbors: int, dim: int, ranks: int, search: float
) -> tuple[float, float]:
    """What a rank takes at its peak, and what rank 0 takes with the edges of all, in bytes.

    A rank has 4 d of each of its rows, and what its search takes; or of the
    graph 12 of each neighbour sent and received, and 68 while it is symmetrized, 32 of each of all
    n points; it keeps 8 of each of at most twice as many edges, and all positions twice. Rank 0 has
    the edges of all, 12 of each, and 64 to solve them, and blocks of vectors.
    """
    own, k = n / ranks, n_neighbors - 1
    graph = 2 * own * k * (24 + 68) + 32 * n
    layout = 2 * own * k * 22 + n * (8 * dim + 4)
    start = 2 * n * k * (12 + 64) + 40 * n * (dim + 6)
    return 4 * d * own + max(search, graph, layout), 4 * d * own + start


def _tell_memory(
    report: Report, ranks: Ranks, n: int, d: int, n_neighbors: int, settings: Settings
) -> None:
    search = search_bytes(n, d, n_neighbors - 1, settings.metric, settings.recall, ranks.size)
    each, first = shared_bytes(n, d, n_neighbors, settings.n_components, ranks.size, search)
    whole = n <= MOST_ALONE or (isinstance(settings.init, str) and settings.init != "random")
    of_first = f", of rank 0 {max(each, first) / _GIB:.3g} GiB" if whole else ""
    report.say(
        f"UMAP: {n} rows by {ranks.size} processes, memory of each about {each / _GIB:.3g} GiB"
        f"{of_first}"
    )
