"""Losses: values against their definitions, history, and compounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import loss, relationdata, relations, transforms
from fastparadime.exceptions import UnsupportedConfigurationError

CPU = torch.device("cpu")


class Net(torch.nn.Module):
    """Embeds by its first two columns times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        return self.weight * X[:, :2] if X.ndim == 2 else self.weight * X[..., :2]

    def encode(self, X: torch.Tensor) -> torch.Tensor:
        return self.weight * X

    def decode(self, X: torch.Tensor) -> torch.Tensor:
        return X / 4

    def classify(self, X: torch.Tensor) -> torch.Tensor:
        return self.weight * X


def batch(n: int = 6, dim: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "main": torch.randn(n, dim, generator=generator),
        "pos": torch.randn(n, 2, generator=generator),
        "labels": torch.arange(n) % dim,
        "indices": torch.arange(n) + 2,
    }


def symmetric(n: int = 10) -> torch.Tensor:
    values = torch.rand(n, n, generator=torch.Generator().manual_seed(1))
    return (values + values.T).fill_diagonal_(0)


def test_cross_entropy_is_its_definition() -> None:
    p = torch.tensor([1.0, 0.0, 0.3, 1.0, 0.0])
    q = torch.tensor([0.5, 0.5, 0.9, 0.0, 1.0])
    epsilon = 1e-7
    wanted = -sum(
        a * math.log(max(b, epsilon)) + (1 - a) * math.log(max(1 - b, epsilon))
        for a, b in zip(p.double().tolist(), q.double().tolist(), strict=True)
    )
    assert float(loss.cross_entropy_loss(p, q)) == pytest.approx(wanted / 5, rel=1e-6)
    square = loss.cross_entropy_loss(symmetric() / 2, symmetric() / 3)
    flat = loss.cross_entropy_loss(symmetric().flatten() / 2, symmetric().flatten() / 3)
    assert float(square) == pytest.approx(10 * float(flat), rel=1e-5)  # per row, per edge


def test_kullback_leibler_is_its_definition() -> None:
    p, q = symmetric() / symmetric().sum(), torch.full((10, 10), 0.01)
    off = ~np.eye(10, dtype=bool)
    a, b = p.double().numpy()[off], q.double().numpy()[off]
    wanted = (a * (np.log(a + 1e-7) - np.log(b + 1e-7))).sum() / 10
    assert float(loss.kullback_leibler_div(p, q)) == pytest.approx(wanted, rel=1e-5)
    assert float(loss.kullback_leibler_div(p, p)) == 0.0
    changed = q.clone().fill_diagonal_(0.5)  # the diagonal is left out
    assert torch.equal(loss.kullback_leibler_div(p, changed), loss.kullback_leibler_div(p, q))


def test_position_classification_and_reconstruction() -> None:
    model, data = Net(), batch()
    arguments = (model, {}, {}, data, CPU)
    X = data["main"]
    mse = torch.nn.functional.mse_loss
    torch.testing.assert_close(loss.PositionLoss()(*arguments), mse(2 * X[:, :2], data["pos"]))
    torch.testing.assert_close(loss.ReconstructionLoss()(*arguments), mse(X, X / 2))
    torch.testing.assert_close(
        loss.ClassificationLoss()(*arguments),
        torch.nn.functional.cross_entropy(2 * X, data["labels"]),
    )
    for missing in (loss.PositionLoss(embedding_method="place"),
                    loss.ClassificationLoss(classification_method="place"),
                    loss.ReconstructionLoss(decoding_method="place")):  # fmt: skip
        with pytest.raises(AttributeError, match="no place method"):
            missing(*arguments)


class Distances:
    """Relations of a batch: the products of its rows."""

    data_key = "main"

    def compute_relations(self, X: torch.Tensor) -> Any:
        return relationdata.SquareRelationTensor(X @ X.T)


@pytest.mark.parametrize("given", [torch.float32, torch.float64])
@pytest.mark.parametrize("network", [torch.float32, torch.float64])
@pytest.mark.parametrize("function", ["mse_loss", "smooth_l1_loss", "huber_loss"])
def test_torchs_losses_take_two_dtypes(
    function: str, network: torch.dtype, given: torch.dtype
) -> None:
    compare = getattr(torch.nn.functional, function)
    data = {**batch(), "soft": torch.full((6, 3), 1 / 3, dtype=given)}
    data["pos"] = data["pos"].to(given)
    square = relationdata.SquareRelationTensor(symmetric(8).to(given))
    embedded = 2 * data["main"][:, :2].to(network)
    wanted = compare(embedded.double(), data["pos"].double())
    parts = [
        loss.PositionLoss(compare),
        loss.ClassificationLoss(compare, label_key="soft"),
        loss.RelationLoss(compare, normalize_sub=False),
    ]
    for part in parts:
        model = Net().to(network)
        value = part(model, {"rel": square}, {"rel": Distances()}, data, CPU)
        value.backward()
        assert value.dtype == torch.promote_types(network, given)
        assert model.weight.grad.dtype == network
        assert float(model.weight.grad) != 0
        if isinstance(part, loss.PositionLoss):
            torch.testing.assert_close(value.double(), wanted, rtol=1e-6, atol=0)


def test_a_loss_function_sees_what_is_no_tensor() -> None:
    class Decoding(Net):
        def decode(self, X: torch.Tensor) -> tuple[torch.Tensor, int]:  # type: ignore[override]
            return X / 2, 3

    part = loss.ReconstructionLoss(lambda _, decoded: decoded[0].sum() * decoded[1])
    found = part(Decoding(), {}, {}, data := batch(), CPU)
    torch.testing.assert_close(found, 3 * data["main"].sum())


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_relation_loss_with_standard_sampling(normalize: bool, sparse: bool) -> None:
    square = relationdata.SquareRelationTensor(symmetric())
    rel = square.to_sparse_array() if sparse else square
    batch_relation = relations.DifferentiablePDist(
        transform=[transforms.ToSquareTensor(), transforms.StudentTTransform(1.0)]
    )
    seen: list[torch.Tensor] = []

    def function(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        seen.extend((p, q))
        return (p - q).square().sum()

    relation_loss = loss.RelationLoss(function, normalize_sub=normalize)
    model, data = Net(), batch()
    value = relation_loss(model, {"rel": rel}, {"rel": batch_relation}, data, CPU)
    p, q = seen
    part = symmetric()[2:8, 2:8]
    torch.testing.assert_close(p, part / part.sum() if normalize else part)
    distances = torch.cdist(2 * data["main"][:, :2], 2 * data["main"][:, :2])
    torch.testing.assert_close(q.detach(), 1 / (1 + distances**2), rtol=1e-5, atol=1e-5)
    value.backward()
    assert model.weight.grad != 0


def test_batch_without_relations_is_no_division_by_zero() -> None:
    rel = relationdata.SquareRelationTensor(torch.zeros(9, 9))
    batch_relation = relations.DifferentiablePDist(
        transform=[transforms.StudentTTransform(1.0), transforms.ToSquareTensor()]
    )
    kl = loss.RelationLoss(loss.kullback_leibler_div)
    assert kl(Net(), {"rel": rel}, {"rel": batch_relation}, batch(), CPU) == 0


def test_relation_loss_with_edges() -> None:
    data = batch()
    ends = torch.stack((data["main"][:4], data["main"][2:6]))
    edges = {"rel": torch.tensor([1.0, 0.0, 1.0, 0.0]), "from_to_data": ends}
    relation = relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform(a=1.0, b=1.0))
    value = loss.RelationLoss(loss.cross_entropy_loss)(Net(), {}, {"rel": relation}, edges, CPU)
    d = 2 * (ends[0] - ends[1])[:, :2].norm(dim=1)
    wanted = loss.cross_entropy_loss(edges["rel"], 1 / (1 + d**2))
    torch.testing.assert_close(value.detach(), wanted)


@pytest.mark.parametrize(
    ("sampling", "relation", "fits"),
    [
        ("negative_edge", relations.DistsFromTo(), True),
        ("standard", relations.DistsFromTo(), False),
        ("standard", relations.DifferentiablePDist(), True),
        ("negative_edge", relations.DifferentiablePDist(), True),
    ],
)
def test_sampling_and_relations_have_to_fit(sampling: Any, relation: Any, fits: bool) -> None:
    single = loss.RelationLoss(loss.cross_entropy_loss)
    for checked in (single, loss.CompoundLoss([loss.PositionLoss(), single])):
        if fits:
            assert checked.check(sampling, {"rel": relation}) is None
        else:
            with pytest.raises(UnsupportedConfigurationError, match="DistsFromTo"):
                checked.check(sampling, {"rel": relation})
    assert loss.PositionLoss().check(sampling, {}) is None


def test_history_is_the_sum_of_each_epoch() -> None:
    position = loss.PositionLoss()
    arguments = (Net(), {}, {}, batch(), CPU)
    assert position.history == []
    value = position(*arguments).item()
    position(*arguments)
    assert position.history == []
    position.checkpoint()
    position(*arguments)
    position.checkpoint()
    position.checkpoint()
    assert position.history == pytest.approx([2 * value, value, 0.0], rel=1e-6)
    assert all(type(entry) is float for entry in position.history)
    position.history = [4.0]
    position.checkpoint()
    assert position.history == [4.0, 0.0]


def test_losses_share_no_state() -> None:
    first, second = loss.PositionLoss(), loss.PositionLoss()
    assert first.name != second.name
    assert loss.PositionLoss(name="own").name == "own"
    first(Net(), {}, {}, batch(), CPU)
    first.checkpoint()
    assert second.history == []
    assert first.loss_function is not second.loss_function


@pytest.mark.parametrize("weights", [None, [0.5, 3.0], torch.tensor([0.5, 3.0])])
def test_compound_loss(weights: Any) -> None:
    parts = [loss.PositionLoss(), loss.ReconstructionLoss()]
    compound = loss.CompoundLoss(parts, weights)
    w = [1.0, 1.0] if weights is None else [0.5, 3.0]
    arguments = (Net(), {}, {}, batch(), CPU)
    values = [part(*arguments).item() for part in (loss.PositionLoss(), loss.ReconstructionLoss())]
    total = compound(*arguments)
    assert total.item() == pytest.approx(w[0] * values[0] + w[1] * values[1], rel=1e-6)
    compound.checkpoint()
    compound(*arguments)
    compound.checkpoint()
    np.testing.assert_allclose(
        compound.detailed_history(), np.outer(np.multiply(w, values), [1, 1]), rtol=1e-6
    )
    assert compound.history == pytest.approx([total.item()] * 2, rel=1e-6)
    assert parts[0].history == pytest.approx([values[0]] * 2, rel=1e-6)


def test_compound_loss_needs_a_weight_for_each() -> None:
    with pytest.raises(ValueError, match=r"losses \(1\) and weights \(2\)"):
        loss.CompoundLoss([loss.PositionLoss()], [1.0, 2.0])


def test_the_base_class_asks_for_forward() -> None:
    with pytest.raises(NotImplementedError, match="Loss does not define forward"):
        loss.Loss()(Net(), {}, {}, batch(), CPU)
