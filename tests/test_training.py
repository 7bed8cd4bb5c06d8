"""Training phases: the fused path, settings, optimizers, and what a run leaves untouched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, relations, training, transforms
from fastparadime.exceptions import LossNotDeterminedError, TrainingDivergedError

N, DIM = 150, 6


def table(n: int = N, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 4 * rng.standard_normal((3, DIM))
    return (centres[np.arange(n) % 3] + rng.standard_normal((n, DIM))).astype(np.float32)


def umap_routine(**options: Any) -> dr.ParametricDR:
    return dr.ParametricDR(
        **{
            "dataset": table(),
            "hidden_dims": [16],
            "global_relations": relations.NeighborBasedPDist(
                transform=[
                    transforms.ConnectivityBasedRescale(n_neighbors=8),
                    transforms.Symmetrize(subtract_product=True),
                ]
            ),
            "batch_relations": relations.DistsFromTo(
                transform=transforms.ModifiedCauchyTransform(min_dist=0.1)
            ),
            "seed": 7,
            **options,
        }
    )


def edge_phase(chosen: loss.Loss, **settings: Any) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        **{
            "name": "edges",
            "epochs": 4,
            "batch_size": 20,
            "batches_per_epoch": 3,
            "sampling": "negative_edge",
            "neg_sampling_rate": 3,
            "loss": chosen,
            **settings,
        }
    )


def plain_cross_entropy(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return loss.cross_entropy_loss(p, q)


def run(routine: dr.ParametricDR, phase: dr.TrainingPhase) -> list[float]:
    routine.add_training_phase(phase)
    routine.train()
    return list(routine.training_phases[-1].loss.history)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.AdamW, {"weight_decay": 0.1}),
        (torch.optim.SGD, {"momentum": 0.5}),
    ],
)
def test_fused_path_equals_the_plain_one(
    device: torch.device, optimizer: type[torch.optim.Optimizer], options: dict[str, float]
) -> None:
    results = []
    for function in (loss.cross_entropy_loss, plain_cross_entropy):
        routine = umap_routine(device=device)
        phase = edge_phase(loss.RelationLoss(function), optimizer=optimizer, **options)
        curve = training.fused_curve(phase.loss, routine.batch_relations, phase)
        assert (curve is not None) == (function is loss.cross_entropy_loss)
        history, embedded = run(routine, phase), routine.apply(table())
        # The loss is blind to translation, so Adam moves the last bias by rounding alone.
        results.append((history, embedded - embedded.mean(0)))
    (fused, fused_map), (plain, plain_map) = results
    assert len(fused) == 4
    np.testing.assert_allclose(fused, plain, rtol=1e-4)
    torch.testing.assert_close(fused_map, plain_map, rtol=1e-3, atol=1e-3)


def _tensor_a(routine: dr.ParametricDR) -> None:
    routine.batch_relations["rel"].transform[0].a = torch.nn.Parameter(torch.tensor(1.5))


def _own_metric(routine: dr.ParametricDR) -> None:
    routine.batch_relations["rel"].metric = lambda x, y: (x - y).abs().sum(1)


def _more_transforms(routine: dr.ParametricDR) -> None:
    routine.batch_relations["rel"].transform.append(transforms.Identity())


@pytest.mark.parametrize("change", [_tensor_a, _own_metric, _more_transforms])
def test_other_batch_relations_take_the_plain_path(change: Any) -> None:
    routine = umap_routine()
    phase = edge_phase(loss.RelationLoss(loss.cross_entropy_loss))
    assert training.fused_curve(phase.loss, routine.batch_relations, phase) is not None
    change(routine)
    assert training.fused_curve(phase.loss, routine.batch_relations, phase) is None
    history = run(routine, phase)
    assert np.isfinite(history).all()
    assert len(history) == 4


def test_subclass_of_relation_loss_is_called() -> None:
    class Doubled(loss.RelationLoss):
        def forward(self, *args: Any) -> torch.Tensor:
            return 2 * super().forward(*args)

    plain = run(umap_routine(), edge_phase(loss.RelationLoss(plain_cross_entropy), epochs=1))
    routine = umap_routine()
    phase = edge_phase(Doubled(loss.cross_entropy_loss), epochs=1, optimizer=torch.optim.SGD)
    phase.learning_rate = 0.0
    single = edge_phase(
        loss.RelationLoss(plain_cross_entropy), epochs=1, optimizer=torch.optim.SGD, learning_rate=0
    )
    doubled, once = run(routine, phase), run(umap_routine(), single)
    np.testing.assert_allclose(doubled, [2 * value for value in once], rtol=1e-6)
    assert plain != once  # the optimizer step matters within the epoch


@pytest.mark.parametrize("function", [loss.cross_entropy_loss, plain_cross_entropy])
def test_convolutions_see_the_rows_of_both_paths(function: Any, device: torch.device) -> None:
    images = table().reshape(N, 1, 2, DIM // 2)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 2), torch.nn.BatchNorm2d(3), torch.nn.Flatten(),
        torch.nn.Linear(3 * (DIM // 2 - 1), 2),
    )  # fmt: skip
    data = {"main": images, "flat": table()}
    routine = umap_routine(dataset=data, model=model, device=device)
    routine.global_relations["rel"].data_key = "flat"
    chosen = loss.RelationLoss(function, embedding_method="forward")
    history = run(routine, edge_phase(chosen, epochs=10))
    assert np.mean(history[-3:]) < np.mean(history[:3])
    assert routine.apply(images).shape == (N, 2)


def test_custom_loss_gets_the_batch() -> None:
    seen: list[dict[str, Any]] = []

    class Watching(loss.Loss):
        def forward(self, model, global_relations, batch_relations, batch, device):
            seen.append({key: tuple(batch[key].shape) for key in batch})
            assert set(global_relations) == {"rel"}
            assert isinstance(batch_relations["rel"], relations.DistsFromTo)
            assert device == torch.device("cpu")
            return model.embed(batch["main"]).square().mean()

    labels = np.arange(N)
    routine = umap_routine(dataset={"main": table(), "labels": labels})
    assert len(run(routine, edge_phase(Watching(), epochs=2))) == 2
    assert len(seen) == 6
    for shapes in seen:
        (distinct,) = shapes["indices"]
        assert shapes["row"] == shapes["col"] == shapes["rel"] == (80,)
        assert shapes["from_to_data"] == (2, 80, DIM)
        assert shapes["main"] == (distinct, DIM)
        assert shapes["labels"] == (distinct,)


def test_standard_sampling_sees_every_item_once_an_epoch() -> None:
    seen: list[torch.Tensor] = []

    class Items(loss.Loss):
        def forward(self, model, global_relations, batch_relations, batch, device):
            seen.append(batch["indices"])
            torch.testing.assert_close(batch["main"], torch.from_numpy(table())[batch["indices"]])
            return model.embed(batch["main"]).square().mean()

    phase = dr.TrainingPhase(epochs=2, batch_size=40, loss=Items())
    run(umap_routine(), phase)
    assert [len(indices) for indices in seen] == [40, 40, 40, 30] * 2
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(N))
    assert first.tolist() != second.tolist()


def test_several_losses_are_weighted_and_summed(device: torch.device) -> None:
    parts = {
        "near": loss.PositionLoss(position_key="zero"),
        "edges": loss.RelationLoss(loss.cross_entropy_loss),
    }
    data = {"main": table(), "zero": np.zeros((N, 2), np.float32)}
    routine = umap_routine(dataset=data, losses=parts, device=device)
    routine.add_training_phase(
        sampling="negative_edge", epochs=3, batch_size=20, batches_per_epoch=2,
        loss_keys=["near", "edges"], loss_weights=[0.5, 2.0],
    )  # fmt: skip
    routine.train()
    total = routine.training_phases[0].loss
    assert isinstance(total, loss.CompoundLoss)
    detailed = total.detailed_history()
    assert detailed.shape == (2, 3)
    assert (detailed > 0).all()
    np.testing.assert_allclose(detailed.sum(0), total.history, rtol=1e-5)
    assert [part.history for part in parts.values()] == [[], []]  # the routine's own stay fresh


@pytest.mark.parametrize(("rate", "batch", "steps"), [(5, 10, 3), (0, 500, 1), (3, 20, 2)])
def test_default_batches_per_epoch(rate: int, batch: int, steps: int) -> None:
    # paraDime's rule: max(batch_size, ceil(n / (rate + 1))) positive edges an epoch.
    calls: list[int] = []

    class Counting(loss.Loss):
        def forward(self, model, global_relations, batch_relations, batch, device):
            calls.append(len(batch["rel"]))
            return model.embed(batch["main"]).mean()

    phase = edge_phase(
        Counting(), epochs=1, batches_per_epoch=-1, batch_size=batch, neg_sampling_rate=rate
    )
    run(umap_routine(), phase)
    assert calls == [batch * (1 + rate)] * steps


SETTINGS = {
    "name": "other",
    "epochs": 9,
    "batch_size": 17,
    "batches_per_epoch": 4,
    "sampling": "negative_edge",
    "edge_rel_key": "edges",
    "neg_sampling_rate": 2,
    "loss_keys": ["a"],
    "loss_weights": [2.0],
    "optimizer": torch.optim.SGD,
    "learning_rate": 0.5,
    "report_interval": 3,
    "schedule": "cosine",
    "cuda_graph": False,
    "tf32": True,
}


def settings_of(phase: dr.TrainingPhase) -> dict[str, Any]:
    return {key: getattr(phase, key) for key in SETTINGS}


@pytest.mark.parametrize("key", SETTINGS)
def test_each_default_is_set_alone(key: str) -> None:
    routine, untouched = dr.ParametricDR(), dr.ParametricDR()
    before = settings_of(routine.training_defaults)
    assert before[key] != SETTINGS[key]
    routine.set_training_defaults(**{key: SETTINGS[key]})
    assert settings_of(routine.training_defaults) == {**before, key: SETTINGS[key]}
    assert settings_of(untouched.training_defaults) == before
    assert settings_of(dr.TrainingPhase()) == before


def test_optimizer_options_join_the_defaults() -> None:
    routine = dr.ParametricDR(losses=loss.PositionLoss())
    routine.set_training_defaults(optimizer=torch.optim.SGD, momentum=0.5)
    routine.set_training_defaults(nesterov=True)
    routine.add_training_phase(momentum=0.7)
    assert routine.training_defaults.kwargs == {"momentum": 0.5, "nesterov": True}
    assert routine.training_phases[0].kwargs == {"momentum": 0.7, "nesterov": True}
    assert dr.ParametricDR().training_defaults.kwargs == {}


def test_defaults_are_not_shared() -> None:
    given = dr.TrainingPhase(loss_keys=["init"], loss=loss.PositionLoss(position_key="zero"))
    data = {"main": table(), "zero": np.zeros((N, 2), np.float32)}
    routine = dr.ParametricDR(dataset=data, training_defaults=given, seed=1)
    routine.set_training_defaults(epochs=2)
    assert given.epochs == 5
    routine.add_training_phase()
    routine.add_training_phase(epochs=3)
    first, second = routine.training_phases
    first.loss_keys.append("more")
    assert second.loss_keys == given.loss_keys == ["init"]
    routine.train()
    assert (len(first.loss.history), len(second.loss.history)) == (2, 3)
    assert given.loss.history == []


def test_loss_of_a_phase_before_it_is_determined() -> None:
    phase = dr.TrainingPhase()
    with pytest.raises(LossNotDeterminedError, match="loss"):
        _ = phase.loss


def test_zero_epochs_leave_the_weights() -> None:
    routine = umap_routine()
    before = [parameter.clone() for parameter in routine.model.parameters()]
    assert run(routine, edge_phase(loss.RelationLoss(loss.cross_entropy_loss), epochs=0)) == []
    for old, new in zip(before, routine.model.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=0)


class RateRecorder(torch.optim.SGD):
    """SGD that keeps the learning rate of each of its steps."""

    rates: list[float] = []  # noqa: RUF012

    def step(self, closure: Any = None) -> Any:
        self.rates.append(self.param_groups[0]["lr"])
        return super().step(closure)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ("cosine", [1, 0.853553, 0.5, 0.146447]),
    ],
)
def test_learning_rate_follows_the_schedule(
    schedule: str, shares: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateRecorder, "rates", [])
    data = {"main": table(), "zero": np.zeros((N, 2), np.float32)}
    routine = dr.ParametricDR(dataset=data, losses=loss.PositionLoss(position_key="zero"), seed=1)
    routine.add_training_phase(
        epochs=2,
        batch_size=-(-N // 2),
        optimizer=RateRecorder,
        learning_rate=0.02,
        schedule=schedule,
    )
    routine.train()
    np.testing.assert_allclose(RateRecorder.rates, 0.02 * np.array(shares), rtol=1e-5)


class Diverging(loss.Loss):
    """The sum of squared coordinates; what `bad` makes of it in a step."""

    def __init__(self, bad: Callable[[torch.Tensor], torch.Tensor], step: int) -> None:
        super().__init__()
        self.bad, self.last, self.step = bad, step, 0
        self.weights: dict[int, list[torch.Tensor]] = {}  # before each step, counted from 0

    def forward(self, model: Any, *arguments: Any) -> torch.Tensor:
        self.weights[self.step] = [p.detach().clone() for p in model.parameters()]
        self.step += 1
        value = model(arguments[2]["main"]).square().sum()
        return self.bad(value) if self.step == self.last else value


@pytest.mark.parametrize(("step", "good"), [(3, 0), (100, 0), (130, 100), (300, 200)])
@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (lambda value: value * float("nan"), "the loss is nan"),
        (lambda value: value * float("inf"), "the loss is inf"),
        (lambda value: (value * 0).sqrt(), "the (loss is nan|weights are not finite)"),
    ],
)
def test_diverging_loss_leaves_good_weights(
    bad: Callable[[torch.Tensor], torch.Tensor],
    what: str,
    step: int,
    good: int,
    device: torch.device,
) -> None:
    routine = dr.ParametricDR(dataset=table(), seed=1, device=device)
    phase = dr.TrainingPhase(
        "wild", epochs=100, batch_size=N // 3, loss=Diverging(bad, step), learning_rate=1e-3
    )
    routine.compute_global_relations()
    # A gradient that is not finite shows in the next loss, or at the end in the weights.
    found = rf"{what} in step ({step}|{step + 1}) of training phase 'wild'.* weights of step {good}"
    with pytest.raises(TrainingDivergedError, match=found):
        routine.run_training_phase(phase)
    assert isinstance(phase.loss, Diverging)
    for old, new in zip(phase.loss.weights[good], routine.model.parameters(), strict=True):
        assert torch.equal(old, new)
        assert bool(torch.isfinite(new).all())


def test_reports_follow_the_interval(
    capsys: pytest.CaptureFixture[str], device: torch.device
) -> None:
    routine = umap_routine(verbose=True, progress=False, device=device)
    history = run(
        routine,
        edge_phase(loss.RelationLoss(loss.cross_entropy_loss), epochs=5, report_interval=2),
    )
    lines = capsys.readouterr().out.splitlines()
    losses = [line.split(": ", 1)[1] for line in lines if "Loss after epoch" in line]
    assert losses == [f"Loss after epoch {epoch}: {history[epoch]}" for epoch in (0, 2, 4)]
    assert sum("Beginning training phase 'edges'." in line for line in lines) == 1
