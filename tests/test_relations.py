"""Relations: what each computes, the rule for neighbours, and that transforms change no input."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import pdist

from fastparadime import relationdata as rd
from fastparadime import relations, transforms

N, DIM = 60, 4


def table(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, DIM)).astype(np.float32)


def perplexity(value: float) -> transforms.RelationTransform:
    return transforms.PerplexityBasedRescale(perplexity=value)


def connectivity(value: float) -> transforms.RelationTransform:
    return transforms.ConnectivityBasedRescale(n_neighbors=value)


@pytest.mark.parametrize(
    ("n_neighbors", "tfs", "expected", "warning"),
    [
        (None, [], 3, None),  # 5 percent of 60
        (7, [], 7, None),
        (None, [perplexity(5)], 15, None),
        (None, [connectivity(12)], 12, None),
        (None, [perplexity(5), connectivity(12)], 15, None),
        (None, [perplexity(3), connectivity(12)], 12, None),
        (None, [connectivity(4), connectivity(9)], 9, None),
        (20, [perplexity(5)], 20, None),
        (15, [perplexity(5)], 15, None),
        (6, [perplexity(5)], 15, r"6 too small for highest perplexity 5.* 15.* \(threefold"),
        (6, [connectivity(12)], 12, r"6 too small for highest 'n_neighbors' 12.* 12.* neighbors"),
        (6, [perplexity(3), connectivity(12)], 12, "'n_neighbors' 12"),
        (100, [], 59, "lowered from 100 to the 59 other points"),
        (None, [connectivity(80)], 59, "lowered from 80 to the 59 other points"),
        (None, [perplexity(25)], 59, None),  # all others will do
    ],
)
def test_number_of_neighbours(
    n_neighbors: int | None, tfs: list[Any], expected: int, warning: str | None
) -> None:
    relation = relations.NeighborBasedPDist(n_neighbors, transform=tfs)
    if warning is None:
        result = relation.compute_relations(table())
    else:
        with pytest.warns(UserWarning, match=warning):
            result = relation.compute_relations(table())
    assert result.data[0].shape == (N, expected)
    assert relation.n_neighbors == n_neighbors  # another table gets its own number


def test_neighbours_are_the_nearest() -> None:
    result = relations.NeighborBasedPDist(5, metric="manhattan").compute_relations(table())
    X = table().astype(float)
    D = np.abs(X[:, None] - X).sum(2)
    np.fill_diagonal(D, np.inf)
    np.testing.assert_allclose(result.data[1], np.sort(D, 1)[:, :5], rtol=1e-5)


def test_relations_are_the_same_twice_and_kept() -> None:
    relation = relations.NeighborBasedPDist(
        transform=[connectivity(8), transforms.Symmetrize(subtract_product=True)]
    )
    with pytest.raises(AttributeError, match="compute_relations"):
        _ = relation.relations
    first = relation.compute_relations(table())
    assert relation.relations is first
    kept = first.data.toarray()
    second = relation.compute_relations(torch.from_numpy(table()))
    np.testing.assert_array_equal(second.data.toarray(), kept)
    np.testing.assert_array_equal(first.data.toarray(), kept)


@pytest.mark.parametrize("metric", [None, "cityblock", lambda x, y: abs(x - y).max()])
def test_pdist(metric: Any) -> None:
    result = relations.PDist(metric=metric).compute_relations(table())
    assert isinstance(result, rd.TriangularRelationArray)
    wanted = pdist(table(), "euclidean" if metric is None else metric)
    np.testing.assert_allclose(result.data, wanted, rtol=1e-6)


def test_pdist_keeps_or_renews_its_result() -> None:
    keeping, fresh = relations.PDist(), relations.PDist(keep_result=False)
    for relation in (keeping, fresh):
        relation.compute_relations(table())
    assert keeping.compute_relations(2 * table()) is keeping.relations
    np.testing.assert_allclose(keeping.relations.data, pdist(table()), rtol=1e-6)
    np.testing.assert_allclose(
        fresh.compute_relations(2 * table()).data, 2 * pdist(table()), rtol=1e-6
    )


def raw_relations(kind: str) -> Any:
    D = np.abs(np.random.default_rng(1).standard_normal((8, 8))).astype(np.float32)
    D = D + D.T
    np.fill_diagonal(D, 0)
    indices = np.array([[j for j in range(8) if j != i] for i in range(8)])
    return {
        "array": D,
        "tensor": torch.from_numpy(D),
        "triangle": D[np.triu_indices(8, 1)],
        "sparse": scipy.sparse.csr_matrix(D),
        "tuple": (indices, np.take_along_axis(D, indices, 1)),
    }[kind]


def flat_copy(raw: Any) -> list[np.ndarray]:
    if isinstance(raw, tuple):
        return [part.copy() for part in raw]
    if isinstance(raw, torch.Tensor):
        return [raw.clone().numpy()]
    return [raw.toarray() if scipy.sparse.issparse(raw) else raw.copy()]


@pytest.mark.parametrize("kind", ["array", "tensor", "triangle", "sparse", "tuple"])
def test_precomputed_is_unchanged_by_its_transforms(kind: str) -> None:
    raw = raw_relations(kind)
    before = flat_copy(raw)
    relation = relations.Precomputed(
        raw,
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=4), transforms.Symmetrize(),
            transforms.ZeroDiagonal(), transforms.Normalize(),
        ],
    )  # fmt: skip
    first = relation.compute_relations().to_square_array().data.copy()
    second = relation.compute_relations(table()).to_square_array().data
    np.testing.assert_array_equal(first, second)
    assert first.sum() == pytest.approx(1, rel=1e-5)
    for old, new in zip(before, flat_copy(raw), strict=True):
        np.testing.assert_array_equal(old, new)


def test_precomputed_without_transforms_is_the_relations() -> None:
    raw = raw_relations("array")
    np.testing.assert_array_equal(relations.Precomputed(raw).compute_relations().data, raw)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_differentiable_pdist(p: float) -> None:
    X = torch.from_numpy(table(12)).double().requires_grad_()
    result = relations.DifferentiablePDist(p=p).compute_relations(X)
    assert isinstance(result, rd.TriangularRelationTensor)
    wanted = pdist(table(12).astype(float), "minkowski", p=p)
    np.testing.assert_allclose(result.data.detach(), wanted, rtol=1e-6)

    def distances(X: torch.Tensor) -> torch.Tensor:
        relation = relations.DifferentiablePDist(
            p=p, transform=[transforms.ToSquareTensor(), transforms.StudentTTransform(1.0)]
        )
        return relation.compute_relations(X).data.sum()

    assert torch.autograd.gradcheck(distances, (X,))


def test_differentiable_pdist_with_a_metric() -> None:
    def squared(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y).square().sum(-1)

    X = torch.from_numpy(table(12)).requires_grad_()
    result = relations.DifferentiablePDist(metric=squared).compute_relations(X)
    assert isinstance(result, rd.SquareRelationTensor)
    wanted = torch.cdist(X, X).detach() ** 2
    torch.testing.assert_close(result.data.detach(), wanted, rtol=1e-4, atol=1e-4)
    result.data[0].sum().backward()
    assert X.grad[0].abs().sum() > 0


def test_differentiable_pdist_warns_without_gradients() -> None:
    with pytest.warns(UserWarning, match="no gradients"):
        relations.DifferentiablePDist().compute_relations(torch.from_numpy(table(5)))


def test_dists_from_to() -> None:
    X = torch.from_numpy(np.stack((table(20), table(40)[20:]))).requires_grad_()
    result = relations.DistsFromTo().compute_relations(X)
    assert isinstance(result, rd.FlatRelationTensor)
    wanted = np.linalg.norm(X.detach()[0] - X.detach()[1], axis=1)
    np.testing.assert_allclose(result.data.detach(), wanted, rtol=1e-5)
    result.data.sum().backward()
    torch.testing.assert_close(X.grad[0], -X.grad[1])

    def manhattan(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y).abs().sum(1)

    own = relations.DistsFromTo(metric=manhattan).compute_relations(X).data
    torch.testing.assert_close(own, (X[0] - X[1]).abs().sum(1))


def test_dists_from_to_of_equal_points_has_finite_gradients() -> None:
    X = torch.zeros(2, 3, 2, requires_grad=True)
    curve = transforms.ModifiedCauchyTransform()
    relations.DistsFromTo(transform=curve).compute_relations(X).data.sum().backward()
    assert torch.isfinite(X.grad).all()


@pytest.mark.parametrize("shape", [(3, 5, 2), (1, 5, 2), (5, 2)])
def test_dists_from_to_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, n, dim\).*" + str(shape[0])):
        relations.DistsFromTo().compute_relations(torch.zeros(shape))


def test_missing_input_and_unfinished_relations() -> None:
    for relation in (relations.PDist(), relations.NeighborBasedPDist(),
                     relations.DifferentiablePDist(), relations.DistsFromTo()):  # fmt: skip
        with pytest.raises(ValueError, match="Missing input"):
            relation.compute_relations()
    with pytest.raises(NotImplementedError, match="Relations does not define"):
        relations.Relations().compute_relations(table())


def test_transforms_are_given_alone_or_in_order() -> None:
    assert relations.PDist().transform == []
    single = transforms.Normalize()
    assert relations.PDist(transform=single).transform == [single]
    given = [transforms.Symmetrize(), single]
    relation = relations.PDist(transform=given)
    given.clear()
    assert relation.transform[1] is single


def test_verbosity_reaches_relations_and_transforms(capsys: pytest.CaptureFixture[str]) -> None:
    relation = relations.NeighborBasedPDist(transform=connectivity(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relation.compute_relations(table())
    assert capsys.readouterr().out == ""
    relation._set_verbosity(verbose=True)
    relation.compute_relations(table())
    printed = capsys.readouterr().out
    assert "Indexing nearest neighbors." in printed
    assert "Calculating probabilities." in printed
