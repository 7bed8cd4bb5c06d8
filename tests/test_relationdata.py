"""Containers: conversions between all of them, subsets, and the factory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import relationdata as rd

N = 7
KINDS = (
    "flat_array", "flat_tensor", "square_array", "square_tensor", "triangular_array",
    "triangular_tensor", "sparse_array",
)  # fmt: skip


def square(seed: int = 0, n: int = N) -> np.ndarray:
    """Symmetric float32 relations without diagonal, all others distinct and positive."""
    values = np.random.default_rng(seed).random((n, n)).astype(np.float32) + np.float32(0.1)
    values = values + values.T
    np.fill_diagonal(values, 0)
    return values


def container(kind: str) -> rd.RelationData:
    D = square()
    upper = D[np.triu_indices(N, 1)]
    if kind == "neighbor_tuple":
        indices = np.array([[j for j in range(N) if j != i] for i in range(N)])
        return rd.NeighborRelationTuple((indices, np.take_along_axis(D, indices, 1)))
    return {
        "square_array": lambda: rd.SquareRelationArray(D),
        "square_tensor": lambda: rd.SquareRelationTensor(torch.from_numpy(D)),
        "triangular_array": lambda: rd.TriangularRelationArray(upper),
        "triangular_tensor": lambda: rd.TriangularRelationTensor(torch.from_numpy(upper)),
        "sparse_array": lambda: rd.SparseRelationArray(scipy.sparse.csr_matrix(D)),
    }[kind]()


def as_square(reldata: rd.RelationData) -> np.ndarray:
    """The full matrix of any container with a form, worked out here."""
    data = reldata.data
    if isinstance(reldata, rd.NeighborRelationTuple):
        D = np.zeros((N, N), np.float32)
        np.put_along_axis(D, data[0], data[1], 1)
        return D
    if isinstance(reldata, rd.SparseRelationArray):
        return np.asarray(data.todense())
    array = data.numpy() if isinstance(data, torch.Tensor) else data
    if array.ndim == 2:
        return array
    if len(array) == N * N:
        return array.reshape(N, N)
    D = np.zeros((N, N), array.dtype)
    D[np.triu_indices(N, 1)] = array
    return D + D.T


PROPER = [
    "square_array", "square_tensor", "triangular_array", "triangular_tensor", "sparse_array",
    "neighbor_tuple",
]  # fmt: skip


@pytest.mark.parametrize("target", [*KINDS, "neighbor_tuple"])
@pytest.mark.parametrize("source", PROPER)
def test_conversions_are_exact(source: str, target: str) -> None:
    given = container(source)
    before = as_square(given).copy()
    converted = getattr(given, f"to_{target}")()
    classes = {
        "flat_array": rd.FlatRelationArray, "flat_tensor": rd.FlatRelationTensor,
        "square_array": rd.SquareRelationArray, "square_tensor": rd.SquareRelationTensor,
        "triangular_array": rd.TriangularRelationArray,
        "triangular_tensor": rd.TriangularRelationTensor,
        "sparse_array": rd.SparseRelationArray, "neighbor_tuple": rd.NeighborRelationTuple,
    }  # fmt: skip
    assert type(converted) is classes[target]
    np.testing.assert_array_equal(as_square(converted), square())
    np.testing.assert_array_equal(as_square(given), before)
    if target == source:
        assert converted is given


@pytest.mark.parametrize("source", PROPER)
def test_sub_is_the_square_of_some_points(source: str) -> None:
    rows = [4, 0, 6, 2]
    wanted = torch.from_numpy(square()[np.ix_(rows, rows)])
    for indices in (rows, np.array(rows), torch.tensor(rows)):
        part = container(source).sub(indices)
        assert isinstance(part, torch.Tensor)
        assert torch.equal(part, wanted)


def test_flat_containers_have_no_square() -> None:
    for flat in (rd.FlatRelationArray(np.ones(3)), rd.FlatRelationTensor(torch.ones(3))):
        for call in (flat.to_square_array, flat.to_sparse_array, flat.to_triangular_tensor):
            with pytest.raises(TypeError, match="no square form"):
                call()
        with pytest.raises(TypeError, match="no square form"):
            flat.sub([0])
    flat = rd.FlatRelationTensor(torch.ones(3))
    assert flat.to_flat_tensor() is flat
    assert flat.to_flat_array().data.tolist() == [1.0] * 3


def test_gradients_pass_through_conversions() -> None:
    values = torch.rand(N * (N - 1) // 2, requires_grad=True)
    rd.TriangularRelationTensor(values).to_square_tensor().data.sum().backward()
    assert values.grad.tolist() == [2.0] * len(values)


@pytest.mark.parametrize("source", PROPER)
def test_with_values_keeps_the_places(source: str) -> None:
    given = container(source)
    doubled = given.with_values(2 * given.values)
    assert type(doubled) is type(given)
    np.testing.assert_array_equal(as_square(doubled), 2 * square())
    np.testing.assert_array_equal(as_square(given), square())


@pytest.mark.parametrize(
    ("relations", "kind"),
    [
        (np.ones((3, 3)), rd.SquareRelationArray),
        (torch.ones(3, 3), rd.SquareRelationTensor),
        (np.ones(6), rd.TriangularRelationArray),
        (torch.ones(6), rd.TriangularRelationTensor),
        (np.ones(5), rd.FlatRelationArray),
        (torch.ones(5), rd.FlatRelationTensor),
        (scipy.sparse.csr_matrix(np.eye(3)), rd.SparseRelationArray),
        (scipy.sparse.coo_array(np.eye(3)), rd.SparseRelationArray),
        ((np.array([[1], [0]]), np.ones((2, 1))), rd.NeighborRelationTuple),
    ],
)
def test_factory(relations: Any, kind: type) -> None:
    assert type(rd.relation_factory(relations)) is kind


def test_factory_forced_flat_and_refusals() -> None:
    assert type(rd.relation_factory(np.ones(6), force_flat=True)) is rd.FlatRelationArray
    assert type(rd.relation_factory(torch.ones(6), force_flat=True)) is rd.FlatRelationTensor
    for wrong in (np.ones((2, 3)), torch.ones(2, 2, 2), [1.0, 2.0], "relations", None):
        with pytest.raises(TypeError, match="relations must be"):
            rd.relation_factory(wrong)
    with pytest.raises(ValueError, match="square SciPy sparse matrix"):
        rd.relation_factory(scipy.sparse.csr_matrix(np.ones((2, 3))))


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (rd.SquareRelationArray, np.ones((2, 3))),
        (rd.SquareRelationTensor, torch.ones(4)),
        (rd.FlatRelationArray, np.ones((2, 2))),
        (rd.TriangularRelationArray, np.ones((2, 2))),
        (rd.SparseRelationArray, np.ones((2, 2))),
    ],
)
def test_containers_refuse_other_forms(kind: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=kind.__name__):
        kind(wrong)


@pytest.mark.parametrize("length", [2, 4, 5, 7])
def test_triangular_containers_refuse_other_lengths(length: int) -> None:
    for kind, values in (
        (rd.TriangularRelationArray, np.ones(length)),
        (rd.TriangularRelationTensor, torch.ones(length)),
    ):
        with pytest.raises(ValueError, match=rf"{length} .*triangle|Triangular.*{length}"):
            kind(values)


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_neighbour_tuples_are_sorted_on_request(order: Any) -> None:
    indices = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
    values = np.array([[3.0, 1, 2], [1, 2, 3], [2, 2, 1], [9, 8, 7]])
    kept = indices.copy(), values.copy()
    data = rd.NeighborRelationTuple((indices, values), sort=order).data
    sign = 1 if order == "ascending" else -1
    by_value = np.argsort(sign * values, axis=1, kind="stable")
    np.testing.assert_array_equal(data[0], np.take_along_axis(indices, by_value, 1))
    np.testing.assert_array_equal(data[1], np.take_along_axis(values, by_value, 1))
    np.testing.assert_array_equal(indices, kept[0])
    np.testing.assert_array_equal(values, kept[1])
    unsorted = rd.NeighborRelationTuple((indices, values)).data
    np.testing.assert_array_equal(unsorted[0], indices)


def test_neighbour_tuples_refuse_what_is_none() -> None:
    with pytest.raises(ValueError, match="sort must be None, 'ascending' or 'descending'"):
        rd.NeighborRelationTuple((np.array([[0]]), np.ones((1, 1))), sort="up")
    with pytest.raises(ValueError, match=r"tuple \(indices, values\)"):
        rd.NeighborRelationTuple((np.array([[0]]),))
    with pytest.raises(ValueError, match="one shape"):
        rd.NeighborRelationTuple((np.array([[0]]), np.ones((1, 2))))


def test_self_relations_are_removed_where_every_row_has_one() -> None:
    indices = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 2]])
    values = np.arange(9.0).reshape(3, 3)
    without = rd.NeighborRelationTuple((indices, values)).without_self().data
    assert without[0].tolist() == [[1, 2], [2, 0], [0, 1]]
    assert without[1].tolist() == [[1, 2], [3, 5], [6, 7]]
    none = rd.NeighborRelationTuple((indices[:, :0], values[:, :0]))
    assert none.without_self() is none


def test_self_relations_of_some_rows_stay_with_a_warning() -> None:
    given = rd.NeighborRelationTuple((np.array([[0, 1], [0, 2], [0, 1]]), np.ones((3, 2))))
    with pytest.warns(UserWarning, match="does not include all self-relations"):
        assert given.without_self() is given


def test_rows_of_unequal_counts_are_filled_up_with_zeros() -> None:
    D = np.array([[0, 2, 3, 0], [2, 0, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    indices, values = rd.SparseRelationArray(scipy.sparse.csr_matrix(D)).to_neighbor_tuple().data
    assert values.tolist() == [[2, 3], [2, 0], [3, 0], [0, 0]]
    assert indices[0].tolist() == [1, 2]
    for i, row in enumerate(indices):
        assert len({i, *row.tolist()}) == 3
    filled = rd.NeighborRelationTuple((indices, values))
    np.testing.assert_array_equal(filled.to_square_array().data, D)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_filled_rows_are_the_same_relations(n: int) -> None:
    rng = np.random.default_rng(n)
    D = np.where(rng.random((n, n)) < 0.4, rng.random((n, n)), 0).astype(np.float32)
    given = rd.SparseRelationArray(scipy.sparse.csr_matrix(D))
    indices, _ = given.to_neighbor_tuple().data
    assert all(len(set(row)) == len(row) for row in indices.tolist())
    np.testing.assert_array_equal(given.to_neighbor_tuple().to_square_array().data, D)


def test_dense_relations_keep_zeros_as_neighbours() -> None:
    D = square()
    D[1, 4] = D[4, 1] = 0  # a repeated point
    for given in (rd.SquareRelationArray(D), rd.SquareRelationTensor(torch.from_numpy(D))):
        indices, values = given.to_neighbor_tuple().data
        assert indices.tolist() == [list(range(N))] * N
        np.testing.assert_array_equal(values, D)


def test_dense_conversions_keep_the_dtype() -> None:
    D = square().astype(np.float64) + np.ldexp(1.0, -40)
    np.fill_diagonal(D, 0)
    array = rd.SquareRelationArray(D)
    for dense in (array.to_square_tensor(), array.to_triangular_array(),
                  array.to_triangular_tensor().to_square_array()):  # fmt: skip
        np.testing.assert_array_equal(as_square(dense), D)


def test_asymmetric_relations_have_no_triangle() -> None:
    D = square()
    D[2, 5] += 1
    for given in (rd.SquareRelationArray(D), rd.SquareRelationTensor(torch.from_numpy(D)),
                  rd.SparseRelationArray(scipy.sparse.csr_matrix(D))):  # fmt: skip
        for convert in (given.to_triangular_array, given.to_triangular_tensor):
            with pytest.raises(ValueError, match=r"symmetric.*\((2, 5|5, 2)\)"):
                convert()


def test_sparse_duplicates_are_summed_and_the_input_kept() -> None:
    rows, columns, values = [0, 0, 1], [1, 1, 0], [1.0, 2.0, 3.0]
    matrix = scipy.sparse.coo_matrix((values, (rows, columns)), shape=(2, 2))
    reldata = rd.SparseRelationArray(matrix)
    assert reldata.data.toarray().tolist() == [[0, 3], [3, 0]]
    assert matrix.nnz == 3
    assert reldata.data.has_sorted_indices


def test_the_representation_names_what_is_held() -> None:
    text = repr(container("square_array"))
    assert text.startswith("SquareRelationArray(")
