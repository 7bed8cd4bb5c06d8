"""Relations between data points: what is computed from the data before transforms apply."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fastparadime import neighbors, ops, transforms
from fastparadime.neighbors.neighbor_graph import found_in
from fastparadime.relationdata import (
    FlatRelationTensor,
    NeighborRelationTuple,
    RelationData,
    SparseRelationArray,
    SquareRelationTensor,
    TriangularRelationTensor,
    relation_factory,
)
from fastparadime.types import BinaryTensorFun, Rels, TensorLike
from fastparadime.utils import ReprMixin
from fastparadime.utils.checkpoints import NOTHING, Course
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.logging import log
from fastparadime.utils.progress import stage
from fastparadime.utils.triangular import pairwise_distances
from fastparadime.utils.validate import (
    check_callable,
    check_data,
    check_integer,
    check_key,
    check_positive,
)
from fastparadime.utils.warning import warn

Transform = transforms.RelationTransform | Sequence[transforms.RelationTransform]


class Relations(ReprMixin):
    """Base class of relations; subclasses define `compute_relations`.

    Parameters
    ----------
    transform : RelationTransform or sequence of them, optional
        Applied to the relations in order.
    data_key : str
        The dataset entry to compute relations of.
    """

    def __init__(self, transform: Transform | None = None, data_key: str = "main") -> None:
        if transform is None:
            transform = []
        elif isinstance(transform, transforms.RelationTransform):
            transform = [transform]
        elif not isinstance(transform, Sequence):
            raise TypeError(
                f"transform must be a RelationTransform or a sequence of them, not {transform!r}"
            )
        self.transform = list(transform)
        for tf in self.transform:
            if not isinstance(tf, transforms.RelationTransform):
                raise TypeError(f"transform must hold RelationTransforms, not {type(tf).__name__}")
        self.data_key = check_key(data_key, "data_key")
        self._relations: RelationData | None = None

    @property
    def relations(self) -> RelationData:
        """The latest relations, after `compute_relations` was called."""
        if self._relations is None:
            raise AttributeError("Relations only available after calling 'compute_relations'.")
        return self._relations

    @relations.setter
    def relations(self, reldata: RelationData) -> None:
        self._relations = reldata

    def compute_relations(self, X: TensorLike | None = None, **kwargs: Any) -> RelationData:
        """The transformed relations between the rows of `X`."""
        raise NotImplementedError(f"{type(self).__name__} does not define compute_relations")

    def _set_verbosity(self, verbose: bool) -> None:
        if hasattr(self, "verbose"):
            self.verbose = verbose
            for tf in self.transform:
                tf._set_verbosity(verbose)

    def _transform(self, reldata: RelationData) -> RelationData:
        for tf in self.transform:
            reldata = tf(reldata)
        return reldata


def _required(X: TensorLike | None) -> TensorLike:
    if X is None:
        raise ValueError("Missing input for non-precomputed relations.")
    return X


class Precomputed(Relations):
    """Relations that are known beforehand.

    Parameters
    ----------
    X : array, tensor, sparse matrix or tuple (indices, values)
        In a form that `fastparadime.relationdata.relation_factory` takes.
    """

    def __init__(self, X: Rels, transform: Transform | None = None) -> None:
        super().__init__(transform=transform)
        self._raw_relations = relation_factory(X)

    def compute_relations(self, X: TensorLike | None = None, **kwargs: Any) -> RelationData:
        """The transformed relations; `X` is ignored."""
        self.relations = self._transform(self._raw_relations)
        return self.relations


class PDist(Relations):
    """All pairwise distances.

    Parameters
    ----------
    metric : str or callable, optional
        A SciPy metric, euclidean if None.
    keep_result : bool
        Whether later calls return the first result.
    verbose : bool
    """

    def __init__(
        self,
        metric: Callable[..., float] | str | None = None,
        transform: Transform | None = None,
        keep_result: bool = True,
        data_key: str = "main",
        verbose: bool = False,
    ) -> None:
        super().__init__(transform=transform, data_key=data_key)
        if not (metric is None or isinstance(metric, str) or callable(metric)):
            raise TypeError(f"metric must be a metric of SciPy or callable, not {metric!r}")
        self.metric = "euclidean" if metric is None else metric
        self.keep_result = keep_result
        self.verbose = verbose

    def compute_relations(self, X: TensorLike | None = None, **kwargs: Any) -> RelationData:
        """Distances between the rows of `X` (n, d), upper triangular before transforms."""
        from scipy.spatial.distance import pdist

        X = check_data(_required(X))
        if self._relations is not None and self.keep_result:
            if self.verbose:
                log("Using previously calculated distances.")
            return self._relations
        if self.verbose:
            log("Calculating pairwise distances.")
        distances = pdist(to_numpy(X), metric=self.metric)
        self.relations = self._transform(relation_factory(distances))
        return self.relations


def _device_of(X: Any) -> torch.device:
    return X.device if isinstance(X, torch.Tensor) else torch.device("cpu")


class NeighborBasedPDist(Relations):
    """Distances of each point to its nearest neighbours.

    Parameters
    ----------
    n_neighbors : int, optional
        Neighbours of a point, itself not counted. By default what the transforms need: three
        times the highest perplexity or the highest `n_neighbors` among them, else 5 percent of
        the points.
    metric : str or callable, optional
        Any metric of `fastparadime.neighbors.knn`, euclidean if None.
    verbose : bool
    recall : float
        In (0, 1]: the share of true neighbours that a search of much data must find; see
        `fastparadime.neighbors.knn`. 1 searches exactly.
    max_memory : float, optional
        Most bytes that the search may take beside the data; see `fastparadime.neighbors.knn`.
    """

    def __init__(
        self,
        n_neighbors: int | None = None,
        metric: Callable[..., float] | str | None = None,
        transform: Transform | None = None,
        data_key: str = "main",
        verbose: bool = False,
        recall: float = neighbors.DEFAULT_RECALL,
        max_memory: float | None = None,
    ) -> None:
        super().__init__(transform=transform, data_key=data_key)
        if n_neighbors is not None:
            n_neighbors = check_integer(n_neighbors, "n_neighbors", minimum=1)
        self.n_neighbors = n_neighbors
        self.metric = neighbors.check_metric("euclidean" if metric is None else metric)
        self.verbose = verbose
        self.recall = neighbors.check_recall(recall)
        self.max_memory = None if max_memory is None else check_positive(max_memory, "max_memory")
        self._neighbor_graph: neighbors.NeighborGraph | None = None

    @property
    def neighbor_graph(self) -> neighbors.NeighborGraph | None:
        """The neighbours that were found last, before transforms; None before any were."""
        return self._neighbor_graph

    def _neighbors_of(self, n: int) -> int:
        perplexity = connectivity = 0.0
        for tf in self.transform:
            if isinstance(tf, transforms.PerplexityBasedRescale):
                perplexity = max(perplexity, tf.perplexity)
            elif isinstance(tf, transforms.ConnectivityBasedRescale):
                connectivity = max(connectivity, tf.n_neighbors)
        needed = max(3 * perplexity, connectivity)
        if self.n_neighbors is None:
            wanted = int(needed) or max(1, int(0.05 * n))
        elif self.n_neighbors >= needed:
            wanted = self.n_neighbors
        else:
            reason = (
                f"highest perplexity {perplexity} found in transforms. Using {needed} neighbors "
                "(threefold perplexity)"
                if 3 * perplexity > connectivity
                else f"highest 'n_neighbors' {connectivity} found in transforms. Using {needed} "
                "neighbors"
            )
            warn(
                f"Number of neighbors {self.n_neighbors} too small for {reason} instead.",
                UserWarning,
            )
            wanted = int(needed)
        # All points there are will do for a perplexity; one alone is refused by the search.
        if max(self.n_neighbors or 0, connectivity) > n - 1 > 0:
            warn(
                f"n_neighbors is lowered from {wanted} to the {n - 1} other points there are",
                UserWarning,
            )
        return min(n - 1, wanted)

    def compute_relations(
        self, X: TensorLike | None = None, *, course: Course = NOTHING, **kwargs: Any
    ) -> RelationData:
        """Distances of each point to its neighbours, a tuple before transforms.

        `X` is a table (n, d) or anything else that `fastparadime.neighbors.knn` takes. `course`
        keeps the neighbours and a sparse result.
        """
        X = _required(X)
        n = neighbors.count_points(X)
        k = self._neighbors_of(n)
        if self.verbose:
            log("Indexing nearest neighbors.")
        with stage("neighbors"):
            options: dict[str, Any] = {"recall": self.recall, "max_memory": self.max_memory}
            search = functools.partial(neighbors.knn, X, k, self.metric, **options)
            graph = found_in(course, _device_of(X), search)
        self._neighbor_graph = graph
        if self.verbose:
            log(f"Found {k} neighbors of {n} points with {graph.engine}.")
        kept = course.read("graph")
        if kept is not None:
            parts = [kept.arrays[name].to(_device_of(X)) for name in ops.Edges._fields]
            self.relations = SparseRelationArray(ops.Edges(*parts))
            return self.relations
        self.relations = self._transform(NeighborRelationTuple((graph.indices, graph.distances)))
        if isinstance(self.relations, SparseRelationArray):
            course.write("graph", self.relations.edges._asdict())
        return self.relations


class DifferentiablePDist(Relations):
    """All pairwise distances within a batch, with gradients.

    Parameters
    ----------
    p : float
        Exponent of the norm; ignored with `metric`.
    metric : callable (n, n, d), (n, n, d) -> (n, n), optional
    """

    def __init__(
        self,
        p: float = 2,
        metric: BinaryTensorFun | None = None,
        transform: Transform | None = None,
        data_key: str = "main",
    ) -> None:
        super().__init__(transform=transform, data_key=data_key)
        self.metric = None if metric is None else check_callable(metric, "metric")
        self.p = p if p == math.inf else check_positive(p, "p", zero_ok=True)

    @property
    def metric_p(self) -> float:
        """paraDime's name of `p`."""
        return self.p

    def compute_relations(self, X: TensorLike | None = None, **kwargs: Any) -> RelationData:
        """Distances between the rows of the tensor `X` (n, d)."""
        X = _required(X)
        if not isinstance(X, torch.Tensor) or not X.requires_grad:
            warn(
                "Differentiable pdist operating on tensor for which no gradients are computed.",
                UserWarning,
            )
        X = to_torch(X)
        if X.ndim < 2:
            raise ValueError(f"X must have rows of values, but has shape {tuple(X.shape)}")
        reldata: RelationData
        if self.metric is None:
            distances = pairwise_distances(X, self.p)
            reldata = TriangularRelationTensor(distances)
        else:
            tiled = X.unsqueeze(1).expand(-1, len(X), *X.shape[1:])
            reldata = SquareRelationTensor(self.metric(tiled, tiled.transpose(0, 1)))
        self.relations = self._transform(reldata)
        return self.relations


def euclidean_rows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Euclidean distance of each row of `x` (m, d) to the same row of `y`."""
    distances: torch.Tensor = torch.linalg.vector_norm(x - y, dim=1)
    return distances


class DistsFromTo(Relations):
    """Distances between pairs of points, the batch relations of negative-edge sampling.

    Parameters
    ----------
    metric : callable (m, d), (m, d) -> (m,), optional
        Euclidean if None.
    """

    def __init__(
        self,
        metric: BinaryTensorFun | None = None,
        transform: Transform | None = None,
        data_key: str = "main",
    ) -> None:
        super().__init__(transform=transform, data_key=data_key)
        self.metric = euclidean_rows if metric is None else check_callable(metric, "metric")

    def compute_relations(self, X: TensorLike | None = None, **kwargs: Any) -> RelationData:
        """Distances between `X[0]` and `X[1]` for a tensor of shape (2, m, d)."""
        X = to_torch(_required(X))
        if len(X) != 2 or X[0].shape != X[1].shape:
            raise ValueError(
                "Expected input tensor of shape (2, n, dim), where n is the number of pairs of "
                f"data points, not {tuple(X.shape)}."
            )
        self.relations = self._transform(FlatRelationTensor(self.metric(X[0], X[1])))
        return self.relations
