"""Bad tables and neighbours: the error's type, the argument it names, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import dr, exceptions, neighbors, ops, relations, routines, transforms

N, DIM = 40, 5
Error = type[BaseException] | tuple[type[BaseException], ...]


def table() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)


def with_value(value: float, row: int) -> np.ndarray:
    X = table()
    X[row, 2] = value
    return X


BAD_TABLES: dict[str, tuple[Callable[[], Any], Error, str]] = {
    "empty": (lambda: np.empty((0, DIM), np.float32), ValueError, "empty"),
    "no columns": (lambda: np.empty((N, 0), np.float32), ValueError, "column"),
    "one row": (lambda: table()[:1], ValueError, "2 rows"),
    "1-D": (lambda: table()[:, 0], ValueError, r"two dimensions.*\(40,\)"),
    "object": (lambda: table().astype(object), TypeError, "object"),
    "complex": (lambda: table().astype(complex), TypeError, "complex"),
    "complex tensor": (lambda: torch.from_numpy(table()) * 1j, TypeError, "complex"),
    "strings": (lambda: table().astype(str), TypeError, "dtype"),
    "sparse": (lambda: scipy.sparse.csr_matrix(table()), TypeError, r"sparse.*toarray"),
    "sparse tensor": (lambda: torch.from_numpy(table()).to_sparse(), TypeError, r"sparse.*dense"),
    "NaN": (lambda: with_value(np.nan, 7), ValueError, "row 7"),
    "infinite": (lambda: with_value(-np.inf, 12), ValueError, "row 12"),
    "NaN tensor": (lambda: torch.from_numpy(with_value(np.nan, 3)), ValueError, "row 3"),
    "text": (lambda: "data.npy", TypeError, "str"),
    "nothing": (lambda: 3, TypeError, "int"),
}  # fmt: skip
THREE_D = (lambda: np.zeros((N, 3, 2), np.float32), ValueError, r"two dimensions.*\(40, 3, 2\)")


WITHOUT_SPARSE = [name for name in (*BAD_TABLES, "3-D") if name != "sparse"]  # which `knn` takes


@pytest.mark.parametrize("name", WITHOUT_SPARSE)
def test_tables_of_knn(name: str) -> None:
    make, error, match = {**BAD_TABLES, "3-D": THREE_D}[name]
    with pytest.raises(error, match=match) as caught:
        neighbors.knn(make(), 3)
    assert str(caught.value).startswith("X ")


@pytest.mark.parametrize("name", [*BAD_TABLES, "3-D"])
def test_tables_of_relations(name: str) -> None:
    make, error, match = {**BAD_TABLES, "3-D": THREE_D}[name]
    takes_sparse = [] if name == "sparse" else [relations.NeighborBasedPDist(3)]
    for relation in (*takes_sparse, relations.PDist()):
        with pytest.raises(error, match=match):
            relation.compute_relations(make())
        with pytest.raises(AttributeError, match="compute_relations"):
            _ = relation.relations


@pytest.mark.parametrize("name", BAD_TABLES)
def test_tables_of_datasets_and_routines(name: str) -> None:
    make, error, match = BAD_TABLES[name]
    if name in ("text", "nothing"):
        match = "(data|main.) must be a tensor"
    with pytest.raises(error, match=match):
        dr.Dataset(make())
    with pytest.raises(error, match=match):
        dr.ParametricDR(dataset=make())
    routine = dr.ParametricDR()
    for add in (routine.register_dataset, routine.train):
        with pytest.raises(error, match=match):
            add(make())
        with pytest.raises(exceptions.NoDatasetRegisteredError):
            _ = routine.dataset
    umap = routines.ParametricUMAP(n_neighbors=5)
    with pytest.raises(error, match=match):
        umap.train(make())


@pytest.mark.parametrize(
    ("k", "error"),
    [(0, ValueError), (-1, ValueError), (N, ValueError), (N + 5, ValueError), (2.5, ValueError),
     (float("nan"), ValueError), ("3", TypeError), (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_k_of_knn(k: Any, error: Error) -> None:
    with pytest.raises(error, match=r"k must be an integer in \[1, 39\], not"):
        neighbors.knn(table(), k)


@pytest.mark.parametrize(
    ("k", "error"), [(0, ValueError), (-3, ValueError), (1.5, ValueError), ("5", TypeError)]
)
def test_n_neighbors(k: Any, error: Error) -> None:
    with pytest.raises(error, match="n_neighbors"):
        relations.NeighborBasedPDist(n_neighbors=k)
    if k != 1.5:  # a transform takes any positive number
        with pytest.raises(error, match="n_neighbors"):
            transforms.ConnectivityBasedRescale(n_neighbors=k)
        with pytest.raises(error, match="n_neighbors"):
            routines.ParametricUMAP(n_neighbors=k)


EDGES = {"heads": [0, 1, 2], "tails": [1, 2, 0], "weights": [1.0, 0.5, 2.0]}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"weights": [1.0, -0.5, 2.0]}, r"weights .* -0.5 at \[1\]"),
        ({"weights": [1.0, 0.5, float("nan")]}, r"weights .* nan at \[2\]"),
        ({"weights": [1.0, float("inf"), 2.0]}, r"weights .* inf at \[1\]"),
        ({"weights": [0.0, 0.0, 0.0]}, "weights must hold a positive"),
        ({"weights": [1.0]}, "one length"),
        ({"heads": [0, 1, 3]}, r"heads must lie in \[0, 3\), but holds 3"),
        ({"tails": [0, -1, 2]}, r"tails must lie in \[0, 3\), but holds -1"),
    ],
)
def test_edges_of_the_sampler(change: dict[str, Any], match: str) -> None:
    parts = {name: np.asarray(value) for name, value in {**EDGES, **change}.items()}
    with pytest.raises(ValueError, match=match):
        ops.EdgeSampler(parts["heads"], parts["tails"], parts["weights"], 3)


@pytest.mark.parametrize(
    ("indices", "values", "match"),
    [
        ([[1], [0]], [[1.0], [-1.0]], "weights .* not negative"),
        ([[1], [0]], [[1.0], [float("nan")]], "weights .* nan"),
        ([[1], [2]], [[1.0], [1.0]], r"indices must lie in \[0, 2\)"),
        ([[1], [-2]], [[1.0], [1.0]], r"indices must lie in \[0, 2\), or be -1 .* hold -2"),
        ([[1], [0]], [[1.0, 2.0], [1.0, 2.0]], "indices and values must have one shape"),
    ],
)
def test_precomputed_neighbours(indices: Any, values: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        relations.Precomputed(
            (np.array(indices), np.array(values)), transform=transforms.Symmetrize()
        ).compute_relations()
