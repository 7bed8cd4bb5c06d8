"""Native training steps: the same training as torch's, and where torch takes the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, ops, relations, training, transforms
from fastparadime.exceptions import TrainingDivergedError
from fastparadime.training import native_steps

N, DIM = 150, 6


def table() -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = 4 * rng.standard_normal((3, DIM))
    return (centres[np.arange(N) % 3] + rng.standard_normal((N, DIM))).astype(np.float32)


def network(
    activation: str = "softplus", *, scaled: bool = False
) -> models.FullyConnectedEmbeddingModel:
    kind = models.ScaledEmbeddingModel if scaled else models.FullyConnectedEmbeddingModel
    generator = torch.Generator().manual_seed(0)
    model = kind(DIM, 2, [40, 17], activation=activation, generator=generator)
    if isinstance(model, models.ScaledEmbeddingModel):
        model.fit_scales(torch.from_numpy(table()), torch.from_numpy(3 * table()[:, :2] + 1))
    return model


def phase_of(kind: str, **settings: Any) -> dr.TrainingPhase:
    if kind == "noisy positions":
        return phase_of("positions", noise=0.5, **settings)
    if kind == "positions":
        chosen = loss.PositionLoss(torch.nn.functional.smooth_l1_loss, position_key="pos")
        return dr.TrainingPhase(
            "fit", **{"epochs": 4, "batch_size": 64, "loss": chosen, **settings}
        )
    return dr.TrainingPhase(
        "fit",
        **{
            "epochs": 4,
            "batch_size": 20,
            "batches_per_epoch": 3,
            "sampling": "negative_edge",
            "neg_sampling_rate": 3,
            "loss": loss.RelationLoss(loss.cross_entropy_loss),
            **settings,
        },
    )


def routine_of(model: torch.nn.Module) -> dr.ParametricDR:
    return dr.ParametricDR(
        model=model,
        dataset={"main": table(), "pos": table()[:, :2]},
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=8),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=transforms.ModifiedCauchyTransform(min_dist=0.1)
        ),
        seed=7,
    )


def train(model: torch.nn.Module, phase: dr.TrainingPhase) -> tuple[list[float], torch.Tensor]:
    """The history, and the map about its mean: the edge loss is blind to translation."""
    routine = routine_of(model)
    routine.add_training_phase(phase)
    routine.train()
    embedded = routine.apply(table())
    return list(routine.training_phases[-1].loss.history), embedded - embedded.mean(0)


@pytest.fixture
def count_native(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many native steps of training there were."""
    calls, backward = [], ops.Mlp.backward

    def counted(*arguments: Any) -> None:
        calls.append(1)
        backward(*arguments)

    monkeypatch.setattr(ops.Mlp, "backward", counted)
    return lambda: len(calls)


# The edge loss is blind to translation, so the bias of a relu that is never cut has a gradient of
# rounding alone, which Adam makes whole steps of.
@pytest.mark.parametrize(
    ("kind", "activation"),
    [
        ("edges", "softplus"),
        ("edges", "silu"),
        *(("positions", activation) for activation in models.ACTIVATIONS),
        ("noisy positions", "silu"),
    ],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_trains_as_torch_does(
    kind: str,
    scaled: bool,
    activation: str,
    count_native: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"schedule": "cosine", "learning_rate": 0.005}
    history, embedded = train(network(activation, scaled=scaled), phase_of(kind, **settings))
    assert count_native() == 12
    monkeypatch.setattr(native_steps, "network_of", lambda *_: None)
    expected, plain = train(network(activation, scaled=scaled), phase_of(kind, **settings))
    assert count_native() == 12
    np.testing.assert_allclose(history, expected, rtol=1e-3)
    torch.testing.assert_close(embedded, plain, rtol=2e-3, atol=2e-3 * float(plain.std()))


def test_other_activations_than_the_cores_do_not_exist() -> None:
    assert set(models.ACTIVATIONS) == set(ops.MLP_ACTIVATIONS)


class Subclass(models.FullyConnectedEmbeddingModel):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def _subclass(_: torch.nn.Module) -> torch.nn.Module:
    return Subclass(DIM, 2, [5])


def _frozen(model: torch.nn.Module) -> torch.nn.Module:
    model.layers[0].weight.requires_grad_(requires_grad=False)
    return model


def _no_bias(model: torch.nn.Module) -> torch.nn.Module:
    model.layers[0] = torch.nn.Linear(DIM, 40, bias=False)
    return model


def _double(model: torch.nn.Module) -> torch.nn.Module:
    return model.double()


def _hooked(model: torch.nn.Module) -> torch.nn.Module:
    model.layers[1].register_forward_hook(lambda *_: None)
    return model


def _pre_hooked(model: torch.nn.Module) -> torch.nn.Module:
    model.register_forward_pre_hook(lambda *_: None)
    return model


def _replaced(model: torch.nn.Module) -> torch.nn.Module:
    model.embed = lambda x: model.forward(x)
    return model


def _other_layer(model: torch.nn.Module) -> torch.nn.Module:
    model.layers[1] = torch.nn.Sequential(model.layers[1])
    return model


@pytest.mark.parametrize(
    "change",
    [_subclass, _frozen, _no_bias, _double, _hooked, _pre_hooked, _replaced, _other_layer],
)
def test_other_models_are_torchs(
    change: Callable[[torch.nn.Module], torch.nn.Module], count_native: Callable[[], int]
) -> None:
    history, embedded = train(change(network()), phase_of("edges"))
    assert count_native() == 0
    assert np.isfinite(history).all()
    assert bool(embedded.isfinite().all())


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": torch.optim.AdamW},
        {"optimizer": torch.optim.SGD},
        {"weight_decay": 0.1},
        {"loss": loss.CompoundLoss([loss.RelationLoss(loss.cross_entropy_loss)])},
        {"loss": loss.RelationLoss(lambda p, q: loss.cross_entropy_loss(p, q))},
    ],
)
def test_other_phases_are_torchs(settings: dict[str, Any], count_native: Callable[[], int]) -> None:
    history, _ = train(network(), phase_of("edges", **settings))
    assert count_native() == 0
    assert np.isfinite(history).all()


@pytest.mark.parametrize("rows", [torch.float64, torch.int64])
def test_other_data_is_torchs(rows: torch.dtype) -> None:
    phase = phase_of("edges")
    data = torch.from_numpy(table())
    assert native_steps.network_of(network(), phase, "embed", data, 10) is not None
    for other in (data.to(rows), data.repeat(1, 2)[:, ::2], data[:, None]):
        assert native_steps.network_of(network(), phase, "embed", other, 10) is None
    assert native_steps.network_of(network(), phase, "encode", data, 10) is None


@pytest.mark.parametrize("kind", ["edges", "positions", "noisy positions"])
def test_threads_do_not_matter(kind: str, assert_same_bits: Callable[[Any], None]) -> None:
    def weights() -> list[torch.Tensor]:
        model = network(scaled=True)
        train(model, phase_of(kind))
        return list(model.parameters())

    assert_same_bits(weights)


def test_parameters_stay_and_move() -> None:
    model = network()
    before = [(p, p.data_ptr(), p.detach().clone()) for p in model.parameters()]
    train(model, phase_of("positions"))
    for (old, address, values), new in zip(before, model.parameters(), strict=True):
        assert new is old
        assert new.data_ptr() == address
        assert torch.equal(values, new) == (new is model.alpha)
        assert new.grad is None


def test_divergence_leaves_good_weights() -> None:
    routine = routine_of(network())
    phase = phase_of("positions", epochs=50, learning_rate=1e30)
    routine.compute_global_relations()
    before = [p.detach().clone() for p in routine.model.parameters()]
    with pytest.raises(TrainingDivergedError, match=r"of training phase 'fit'.* weights of step 0"):
        routine.run_training_phase(phase)
    for old, new in zip(before, routine.model.parameters(), strict=True):
        assert torch.equal(old, new)


def test_an_interrupt_leaves_a_model_that_works() -> None:
    calls = []

    def interrupted(embedded: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return (embedded - positions).square().mean()

    routine = routine_of(network())
    phase = phase_of("positions", loss=loss.PositionLoss(interrupted, position_key="pos"))
    routine.compute_global_relations()
    with pytest.raises(KeyboardInterrupt):
        routine.run_training_phase(phase)
    assert bool(routine.apply(table()).isfinite().all())


def test_losses_are_counted_by_epoch() -> None:
    values = []

    def recorded(embedded: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        value = (embedded - positions).square().mean()
        values.append(float(value.detach()))
        return value

    phase = phase_of("positions", loss=loss.PositionLoss(recorded, position_key="pos"))
    history, _ = train(network(scaled=True), phase)
    np.testing.assert_allclose(history, np.reshape(values, (4, 3)).sum(1), rtol=1e-6)


def test_no_steps() -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    train(model, phase_of("edges", epochs=0))
    assert all(map(torch.equal, before, model.parameters()))


def test_fused_curve_is_what_native_steps_take() -> None:
    phase = phase_of("edges")
    routine = routine_of(network())
    assert training.fused_curve(phase.loss, routine.batch_relations, phase) is not None
