"""Transforms: values in every container, inputs untouched, rescaling and the curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import relationdata as rd
from fastparadime import transforms as tf

N = 9


def square() -> np.ndarray:
    values = np.random.default_rng(0).random((N, N)).astype(np.float32) + np.float32(0.1)
    values = values + values.T
    np.fill_diagonal(values, 0)
    return values


def neighbours() -> tuple[np.ndarray, np.ndarray]:
    indices = np.array([[j for j in range(N) if j != i] for i in range(N)])
    return indices, np.take_along_axis(square(), indices, 1)


CONTAINERS: dict[str, Callable[[], rd.RelationData]] = {
    "square array": lambda: rd.SquareRelationArray(square()),
    "square tensor": lambda: rd.SquareRelationTensor(torch.from_numpy(square())),
    "triangular array": lambda: rd.TriangularRelationArray(square()[np.triu_indices(N, 1)]),
    "triangular tensor": lambda: rd.TriangularRelationTensor(
        torch.from_numpy(square()[np.triu_indices(N, 1)])
    ),
    "sparse": lambda: rd.SparseRelationArray(scipy.sparse.csr_matrix(square())),
    "neighbours": lambda: rd.NeighborRelationTuple(neighbours()),
    "flat array": lambda: rd.FlatRelationArray(square().ravel()),
    "flat tensor": lambda: rd.FlatRelationTensor(torch.from_numpy(square().ravel())),
}
PROPER = [name for name in CONTAINERS if not name.startswith("flat")]

TRANSFORMS: dict[str, Callable[[], tf.RelationTransform]] = {
    "identity": tf.Identity,
    "student": lambda: tf.StudentTTransform(alpha=1.5),
    "cauchy": lambda: tf.ModifiedCauchyTransform(a=1.7, b=0.8),
    "symmetrize": tf.Symmetrize,
    "union": lambda: tf.Symmetrize(subtract_product=True),
    "rows": tf.NormalizeRows,
    "normalize": tf.Normalize,
    "diagonal": tf.ZeroDiagonal,
    "perplexity": lambda: tf.PerplexityBasedRescale(perplexity=3),
    "connectivity": lambda: tf.ConnectivityBasedRescale(n_neighbors=5),
    "adaptive": lambda: OwnKernel(),
    "functional": lambda: tf.Functional(lambda data: data, check_valid=True),
    **{
        name: getattr(tf, name)
        for name in ("ToFlatArray", "ToFlatTensor", "ToNeighborTuple", "ToSparseArray",
                     "ToSquareArray", "ToSquareTensor", "ToTriangularArray", "ToTriangularTensor")
    },
}  # fmt: skip
FOR_FLAT = {
    "identity",
    "student",
    "cauchy",
    "normalize",
    "functional",
    "ToFlatArray",
    "ToFlatTensor",
}


class OwnKernel(tf.AdaptiveNeighborhoodRescale):
    """A user's rescaling: values over their mean, times a constant."""

    def __init__(self) -> None:
        super().__init__(
            kernel=lambda values, mean: 3 * values / mean,
            find_param=lambda values, constant, offset: values.mean() * constant + offset,
            offset=0.0,
        )

    def _get_comparison_constant(self) -> float:
        return 1.0


def contents(reldata: rd.RelationData) -> list[np.ndarray]:
    data = reldata.data
    if isinstance(data, tuple):
        return [part.copy() for part in data]
    if scipy.sparse.issparse(data):
        return [data.indptr.copy(), data.indices.copy(), data.data.copy()]
    return [data.detach().clone().numpy() if isinstance(data, torch.Tensor) else data.copy()]


def as_square(reldata: rd.RelationData) -> np.ndarray:
    if isinstance(reldata, (rd.FlatRelationArray, rd.FlatRelationTensor)):
        return reldata.to_flat_array().data.reshape(N, N)
    return reldata.to_square_array().data


CASES = [
    (transform, name)
    for transform in TRANSFORMS
    for name in CONTAINERS
    if name in PROPER or transform in FOR_FLAT
]


@pytest.mark.parametrize(("transform", "name"), CASES)
def test_inputs_are_unchanged_and_a_second_call_is_the_same(transform: str, name: str) -> None:
    given, applied = CONTAINERS[name](), TRANSFORMS[transform]()
    before = contents(given)
    first = applied(given)
    for old, new in zip(before, contents(given), strict=True):
        np.testing.assert_array_equal(old, new)
    kept = contents(first)
    second = applied(given)
    assert type(second) is type(first)
    for old, new in zip(kept, contents(second), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (3.0, 1.0), (1.577, 0.895)])
def test_cauchy_uses_a_and_b_in_every_container(name: str, a: float, b: float) -> None:
    result = as_square(tf.ModifiedCauchyTransform(a=a, b=b)(CONTAINERS[name]()))
    wanted = 1 / (1 + a * square().astype(float) ** (2 * b))
    off = ~np.eye(N, dtype=bool)  # triangular containers and neighbours leave the diagonal out
    np.testing.assert_allclose(result[off], wanted[off], rtol=1e-5)


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_student_uses_alpha_in_every_container(name: str, alpha: float) -> None:
    result = as_square(tf.StudentTTransform(alpha)(CONTAINERS[name]()))
    wanted = (1 + square().astype(float) ** 2 / alpha) ** (-(alpha + 1) / 2)
    off = ~np.eye(N, dtype=bool)
    np.testing.assert_allclose(result[off], wanted[off], rtol=1e-5)


@pytest.mark.parametrize("name", ["square tensor", "triangular tensor", "flat tensor"])
@pytest.mark.parametrize(
    "make", [tf.StudentTTransform, lambda a: tf.ModifiedCauchyTransform(a=a, b=1)]
)
def test_trainable_parameters_get_gradients(name: str, make: Callable[..., Any]) -> None:
    given = CONTAINERS[name]()
    given.data = given.data.double()
    parameter = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: make(value)(given).data.sum(), (parameter,))


def directed() -> np.ndarray:
    values = np.random.default_rng(1).random((N, N)).astype(np.float32)
    values[values < 0.5] = 0
    np.fill_diagonal(values, 0)
    return values


@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize("form", ["array", "tensor", "sparse"])
def test_symmetrize(form: str, product: bool) -> None:
    M = directed()
    given = {
        "array": lambda: rd.SquareRelationArray(M),
        "tensor": lambda: rd.SquareRelationTensor(torch.from_numpy(M)),
        "sparse": lambda: rd.SparseRelationArray(scipy.sparse.csr_matrix(M)),
    }[form]()
    result = as_square(tf.Symmetrize(subtract_product=product)(given))
    wanted = M + M.T - M * M.T if product else (M + M.T) / 2
    np.testing.assert_allclose(result, wanted, rtol=1e-6)


def test_symmetrize_neighbours() -> None:
    indices = np.array([[1, 2], [2, 3], [0, 3], [0, 1]])
    values = np.array([[0.5, 1.0], [0.25, 0.5], [0.5, 1.0], [1.0, 0.125]])
    result = tf.Symmetrize(subtract_product=True)(rd.NeighborRelationTuple((indices, values)))
    assert isinstance(result, rd.SparseRelationArray)
    M = np.zeros((4, 4))
    np.put_along_axis(M, indices, values, 1)
    np.testing.assert_allclose(result.data.toarray(), M + M.T - M * M.T, rtol=1e-6)


@pytest.mark.parametrize("name", PROPER)
def test_normalisations_and_the_diagonal(name: str) -> None:
    total = as_square(tf.Normalize()(CONTAINERS[name]()))
    np.testing.assert_allclose(total, square() / square().sum(), rtol=1e-5)
    rows = as_square(tf.NormalizeRows()(CONTAINERS[name]()))
    np.testing.assert_allclose(rows, square() / square().sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(as_square(tf.ZeroDiagonal()(CONTAINERS[name]())), square())


def test_zero_diagonal_clears_it() -> None:
    M = square() + np.eye(N, dtype=np.float32)
    for given in (
        rd.SquareRelationArray(M),
        rd.SquareRelationTensor(torch.from_numpy(M)),
        rd.SparseRelationArray(scipy.sparse.csr_matrix(M)),
    ):
        np.testing.assert_array_equal(as_square(tf.ZeroDiagonal()(given)), square())


@pytest.mark.parametrize("name", PROPER)
def test_rescaled_rows_meet_their_targets(name: str) -> None:
    rescale = tf.ConnectivityBasedRescale(n_neighbors=5)
    strengths = rescale(CONTAINERS[name]())
    assert isinstance(strengths, rd.NeighborRelationTuple)
    sums = strengths.data[1].sum(1)
    assert (sums >= np.log2(5) * (1 - 1e-4)).all()
    assert np.isclose(sums, np.log2(5), rtol=1e-4).mean() > 0.5
    assert rescale.sigmas.shape == (N,)
    peaked = tf.PerplexityBasedRescale(perplexity=3)
    p = peaked(CONTAINERS[name]()).data[1].astype(float)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    entropy = -(p * np.log2(np.maximum(p, 1e-300))).sum(1)
    np.testing.assert_allclose(entropy, np.log2(3), rtol=1e-3)
    assert (peaked.betas > 0).all()


def test_parameters_only_after_a_call() -> None:
    for transform, name in (
        (tf.ConnectivityBasedRescale(), "sigmas"), (tf.PerplexityBasedRescale(), "betas"),
        (OwnKernel(), "param_values"),
    ):  # fmt: skip
        with pytest.raises(AttributeError, match="only available after"):
            getattr(transform, name)


def test_a_users_kernel() -> None:
    own = OwnKernel()
    result = own(CONTAINERS["neighbours"]())
    _, values = neighbours()
    np.testing.assert_allclose(own.param_values, values.mean(1), rtol=1e-6)
    np.testing.assert_allclose(
        result.data[1], 3 * values / values.mean(1, keepdims=True), rtol=1e-5
    )


@pytest.mark.parametrize("rule", ["paradime", "umap"])
def test_duplicates_do_not_raise(rule: str) -> None:
    indices, values = neighbours()
    values[:3, :5] = 0.0  # duplicates
    values[3] = 0.7  # all the same
    values[4] = 0.0  # identical points
    given = rd.NeighborRelationTuple((indices, values))
    strengths = tf.ConnectivityBasedRescale(n_neighbors=4, rule=rule)(given).data[1]
    assert np.isfinite(strengths).all()
    assert ((strengths >= 0) & (strengths <= 1)).all()
    np.testing.assert_allclose(strengths[3:5], 1.0)
    p = tf.PerplexityBasedRescale(perplexity=3)(given).data[1]
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(p[3:5], 1 / 8, rtol=1e-5)


@pytest.mark.parametrize(("min_dist", "spread"), [(0.1, 1.0), (0.0, 1.0), (0.5, 2.0), (0.99, 0.5)])
def test_find_ab_fits_the_curve(min_dist: float, spread: float) -> None:
    a, b = tf.find_ab(min_dist, spread)
    d = np.linspace(0, 3 * spread, 300)
    target = np.where(d < min_dist, 1.0, np.exp(-(d - min_dist) / spread))

    def error(a: float, b: float) -> float:
        return float(((1 / (1 + a * d ** (2 * b)) - target) ** 2).sum())

    least = error(a, b)
    for shift in (0.99, 1.01):  # the least squares of all nearby curves
        assert error(a * shift, b) > least
        assert error(a, b * shift) > least
    if (min_dist, spread) == (0.1, 1.0):  # as UMAP's documentation gives them
        assert (a, b) == pytest.approx((1.577, 0.895), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [((-0.1, 1.0), "min_dist"), ((3.0, 1.0), "min_dist"), ((float("nan"), 1.0), "min_dist"),
     ((0.1, 0.0), "spread"), ((0.1, -1.0), "spread"), ((0.1, float("inf")), "spread")],
)  # fmt: skip
def test_find_ab_refuses(arguments: tuple[float, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        tf.find_ab(*arguments)
    with pytest.raises(ValueError, match=match):
        tf.ModifiedCauchyTransform(*arguments)
    assert tf.ModifiedCauchyTransform(*arguments, a=1.0, b=1.0).a == 1.0


@pytest.mark.parametrize("name", CONTAINERS)
def test_functional(name: str) -> None:
    def double(data: Any) -> Any:
        if isinstance(data, tuple):
            return data[0], 2 * data[1]
        return 2 * data

    given = CONTAINERS[name]()
    for check in (True, False):
        result = tf.Functional(double, check_valid=check)(given)
        assert type(result) is type(given)
        np.testing.assert_allclose(as_square(result), 2 * as_square(given))
    whole = tf.Functional(lambda reldata: reldata.with_values(3 * reldata.values), in_place=False)
    np.testing.assert_allclose(as_square(whole(given)), 3 * as_square(given), rtol=1e-6)


@pytest.mark.parametrize("name", CONTAINERS)
def test_functional_checks_the_result(name: str) -> None:
    given = CONTAINERS[name]()
    with pytest.raises(ValueError, match=f"no longer compatible with type {type(given).__name__}"):
        tf.Functional(lambda _: "nothing", check_valid=True)(given)


def test_functional_cannot_change_its_input() -> None:
    def wipe(data: np.ndarray) -> np.ndarray:
        data[:] = 0
        return data

    given = rd.SquareRelationArray(square())
    assert tf.Functional(wipe)(given).data.max() == 0
    np.testing.assert_array_equal(given.data, square())


def test_unfinished_transforms() -> None:
    with pytest.raises(NotImplementedError, match="RelationTransform does not define transform"):
        tf.RelationTransform()(CONTAINERS["sparse"]())
