"""Recorded steps: the same training as step by step, on the CPU by repetition, on CUDA by graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, relations, transforms
from fastparadime.exceptions import TrainingDivergedError
from fastparadime.training import cuda_graphs, early_stopping, optim

N, DIM = 150, 6


def table() -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = 4 * rng.standard_normal((3, DIM))
    return (centres[np.arange(N) % 3] + rng.standard_normal((N, DIM))).astype(np.float32)


def edge_phase(**settings: Any) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        **{
            "name": "edges", "epochs": 4, "batch_size": 20, "batches_per_epoch": 6,
            "sampling": "negative_edge", "neg_sampling_rate": 3, "learning_rate": 2.0**-7,
            "loss": loss.RelationLoss(loss.cross_entropy_loss), **settings,
        }
    )  # fmt: skip


def item_phase(**settings: Any) -> dr.TrainingPhase:
    # 150 items are 4 batches of 32 and one of 22.
    return dr.TrainingPhase(
        **{
            "name": "items", "epochs": 6, "batch_size": 32, "learning_rate": 2.0**-7,
            "loss": loss.PositionLoss(position_key="start"), **settings,
        }
    )  # fmt: skip


class OwnNetwork(models.FullyConnectedEmbeddingModel):
    """Not one of the package's classes, so that its steps are torch's on the CPU too."""


def network(*hidden_dims: int) -> OwnNetwork:
    return OwnNetwork(DIM, 2, hidden_dims, generator=torch.Generator().manual_seed(7))


def trained(
    phase: dr.TrainingPhase, device: torch.device | str = "cpu", model: Any = None
) -> tuple[list[float], list[torch.Tensor]]:
    """The phase's history and the weights after it."""
    X = table()
    routine = dr.ParametricDR(
        model=network(16) if model is None else model,
        dataset={"main": X, "start": X[:, :2].copy(), "labels": np.arange(N) % 2},
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=8),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=transforms.ModifiedCauchyTransform(min_dist=0.1)
        ),
        training_phases=[phase],
        device=device,
        seed=7,
    )
    routine.train()
    return phase.loss.history, [p.detach().cpu() for p in routine.model.parameters()]


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps are recorded on the CPU too, where a replay repeats them; how many steps at a time."""
    counts: list[int] = []
    record = cuda_graphs.record

    def counting(step: Callable[[], None], times: int, device: torch.device) -> Any:
        counts.append(times)
        return record(step, times, device)

    monkeypatch.setattr(cuda_graphs, "DEVICES", {"cpu", "cuda"})
    monkeypatch.setattr(cuda_graphs, "record", counting)
    return counts


def assert_same(
    found: tuple[list[float], list[torch.Tensor]],
    expected: tuple[list[float], list[torch.Tensor]],
    *,
    bits: bool,
) -> None:
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    # The loss of edges is blind to translation, so Adam moves the last bias by rounding alone.
    kept = None if bits else -1
    for one, other in zip(found[1][:kept], expected[1][:kept], strict=True):
        torch.testing.assert_close(one, other, rtol=0 if bits else 1e-3, atol=0 if bits else 1e-5)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("make", [edge_phase, item_phase])
def test_recorded_equals_step_by_step(make: Any, schedule: str, on_cpu: list[int]) -> None:
    expected = trained(make(schedule=schedule, cuda_graph=False))
    assert on_cpu == []
    # Rates are float32 on the device: those of a cosine are rounded.
    assert_same(trained(make(schedule=schedule)), expected, bits=schedule == "constant")
    assert len(on_cpu) == (1 if make is edge_phase else 2)


@pytest.mark.parametrize(
    "chosen",
    [
        loss.PositionLoss(position_key="start"),
        loss.ClassificationLoss(classification_method="embed"),
    ],
)
def test_losses_of_items(chosen: loss.Loss, on_cpu: list[int]) -> None:
    results = []
    for recorded in (False, True):
        chosen.history = []
        history, weights = trained(item_phase(loss=chosen, cuda_graph=recorded))
        results.append((list(history), weights))
    assert_same(results[1], results[0], bits=True)
    assert on_cpu == [1, 1]


def test_noise_goes_by_the_number_of_the_step(on_cpu: list[int]) -> None:
    noisy, again = (trained(item_phase(noise=0.5, cuda_graph=graph)) for graph in (False, True))
    assert_same(again, noisy, bits=True)
    assert noisy[0][0] > trained(item_phase())[0][0]
    assert len(on_cpu) == 4


def test_several_steps_in_a_graph(on_cpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "_STEPS_PER_RECORDED", 4)
    # The short batch at the end of an epoch is recorded alone.
    for make, counts in ((edge_phase, [6]), (item_phase, [4, 1])):
        phase = make(cuda_graph=False)
        assert_same(trained(make()), trained(phase), bits=True)
        assert on_cpu == counts
        on_cpu.clear()


def test_a_plateau_leaves_no_gradients(on_cpu: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_stopping, "_FEWEST", 100)  # edges, of which the graph has few
    model = network(16)
    phase = edge_phase(epochs=200, patience=1, learning_rate=2.0**-20)
    assert len(trained(phase, model=model)[0]) < 200
    assert on_cpu == [1]
    assert all(p.grad is None for p in model.parameters())


class Capture:
    """Ends as a graph does whose capture is sound or broken, and tells what was done."""

    def __init__(self, *, sound: bool) -> None:
        self.done: list[str] = []
        self._sound = sound

    def capture_end(self) -> None:
        self.done.append("end")
        if not self._sound:
            raise RuntimeError("operation failed due to a previous error during capture")

    def work(self) -> None:
        self.done.append("work")

    def abandon(self) -> None:
        self.done.append("abandon")


def test_a_capture_is_ended_however_it_goes() -> None:
    def waits() -> None:
        raise ValueError("the step waits")

    sound, broken = Capture(sound=True), Capture(sound=False)
    cuda_graphs.capture(sound, sound.work, sound.abandon)
    assert sound.done == ["work", "end"]
    with pytest.raises(ValueError, match="the step waits"):
        cuda_graphs.capture(sound, waits, sound.abandon)
    assert sound.done == ["work", "end", "end"]
    with pytest.raises(ValueError, match="the step waits"):
        cuda_graphs.capture(broken, waits, broken.abandon)
    assert broken.done == ["end", "abandon"]
    with pytest.raises(RuntimeError, match="previous error during capture"):
        cuda_graphs.capture(broken, broken.work, broken.abandon)
    assert broken.done == ["end", "abandon", "work", "end", "abandon"]


@pytest.mark.cuda
def test_a_capture_that_fails_leaves_nothing_behind(cuda: torch.device) -> None:
    value = torch.ones(1000, device=cuda)

    def waits() -> None:
        (value * 2).sum().item()

    def add() -> None:
        value.add_(1.0)

    with (
        cuda_graphs.own_stream(cuda),
        pytest.raises(RuntimeError, match="captur"),
    ):
        cuda_graphs.record(waits, 1, cuda)
    torch.cuda.empty_cache()
    assert torch.randn(10, device=cuda).isfinite().all()
    with cuda_graphs.own_stream(cuda):
        replay = cuda_graphs.record(add, 2, cuda)
        replay()
    assert float(value[0]) == 3.0


@pytest.mark.parametrize(
    ("steps", "per_epoch", "count"),
    [(600, 10, 1), (3000, 10, 2), (5000, 10, 5), (10**6, 10, 10), (10**6, 7, 7), (10**6, 13, 1)],
)
def test_steps_per_graph(steps: int, per_epoch: int, count: int) -> None:
    assert cuda_graphs.steps_per_graph(steps, per_epoch) == count


@pytest.mark.parametrize(("epochs", "batches"), [(0, 1), (1, 1), (1, 2), (1, 3)])
def test_fewer_steps_than_the_warm_up(epochs: int, batches: int, on_cpu: list[int]) -> None:
    settings = {"epochs": epochs, "batches_per_epoch": batches}
    expected = trained(edge_phase(cuda_graph=False, **settings))
    assert_same(trained(edge_phase(**settings)), expected, bits=True)
    assert on_cpu == []


def test_sgd_keeps_its_state_where_the_weights_are(on_cpu: list[int]) -> None:
    settings = {"optimizer": torch.optim.SGD, "momentum": 0.9, "schedule": "linear"}
    expected = trained(edge_phase(cuda_graph=False, **settings))
    assert_same(trained(edge_phase(**settings)), expected, bits=False)
    assert on_cpu == [1]


class OwnSGD(torch.optim.SGD):
    pass


@pytest.mark.parametrize(
    ("kind", "options", "needed"),
    [
        (torch.optim.Adam, {}, {}),
        (torch.optim.Adam, {"eps": 1e-6}, {"eps": 1e-6, "capturable": True}),
        (torch.optim.AdamW, {}, {"capturable": True}),
        (torch.optim.RMSprop, {"capturable": False}, None),
        (torch.optim.SGD, {"momentum": 0.5}, {"momentum": 0.5, "fused": True}),
        (torch.optim.SGD, {"fused": False}, None),
        (torch.optim.Adagrad, {}, None),
        (torch.optim.LBFGS, {}, None),
        (OwnSGD, {}, None),
    ],
)
def test_recordable_options(kind: Any, options: dict[str, Any], needed: Any) -> None:
    model = torch.nn.Linear(2, 2)
    assert optim.recordable_options(kind, model, options) == needed


def test_an_optimizer_with_host_state_says_so(on_cpu: list[int]) -> None:
    settings = {"optimizer": OwnSGD}
    expected = trained(edge_phase(cuda_graph=False, **settings))
    with pytest.warns(UserWarning, match="not replayed from a CUDA graph.*OwnSGD keeps state"):
        found = trained(edge_phase(**settings))
    assert_same(found, expected, bits=True)
    assert on_cpu == []


@pytest.mark.usefixtures("on_cpu")
def test_what_cannot_be_recorded_runs_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    expected = trained(edge_phase(cuda_graph=False))
    monkeypatch.setattr(cuda_graphs, "record", refusing)
    with pytest.warns(UserWarning, match="not permitted when stream is capturing. Train") as found:
        result = trained(edge_phase())
    assert len(found) == 1
    assert_same(result, expected, bits=True)


def test_other_losses_are_not_recorded(on_cpu: list[int]) -> None:
    class Own(loss.PositionLoss):
        pass

    trained(item_phase(loss=Own(position_key="start")))
    trained(edge_phase(loss=loss.RelationLoss(lambda p, q: (p - q).square().mean())))
    assert on_cpu == []


@pytest.mark.usefixtures("on_cpu")
def test_recorded_phases_stop_when_they_diverge() -> None:
    phase = item_phase(epochs=100, learning_rate=1e30, optimizer=torch.optim.SGD)
    with pytest.raises(TrainingDivergedError, match=r"in step .* of training phase 'items'"):
        trained(phase)


@pytest.mark.usefixtures("on_cpu")
def test_reports_of_recorded_phases(capsys: pytest.CaptureFixture[str]) -> None:
    phase = edge_phase(report_interval=2)
    routine = dr.ParametricDR(
        dataset=table(), hidden_dims=[4], seed=1, verbose=True, progress=False,
        global_relations=relations.NeighborBasedPDist(
            5, transform=[transforms.ConnectivityBasedRescale(5), transforms.Symmetrize()]
        ),
        batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
        training_phases=[phase],
    )  # fmt: skip
    routine.train()
    lines = capsys.readouterr().out.splitlines()
    found = [line.split(": ", 1)[1] for line in lines if "Loss after epoch" in line]
    assert found == [f"Loss after epoch {e}: {phase.loss.history[e]}" for e in (0, 2)]


@pytest.mark.cuda
@pytest.mark.parametrize("settings", [{}, {"tf32": False}, {"tf32": True}])
@pytest.mark.parametrize("make", [edge_phase, item_phase])
def test_a_graph_gives_the_bits_of_its_steps(
    make: Any, settings: dict[str, Any], cuda: torch.device
) -> None:
    runs = [
        trained(make(cuda_graph=graph, **settings), cuda, network(16, 12))
        for graph in (True, True, False)
    ]
    for run in runs[1:]:
        assert_same(runs[0], run, bits=True)
    # Rounding aside, it is the training of the CPU.
    expected = trained(make(cuda_graph=False), model=network(16, 12))[0]
    exact = settings.get("tf32") is False
    np.testing.assert_allclose(runs[0][0], expected, rtol=1e-4 if exact else 1e-2)


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("settings", [{}, {"optimizer": torch.optim.AdamW}])
@pytest.mark.parametrize("make", [edge_phase, item_phase])
def test_no_step_waits_for_the_device(
    make: Any, settings: dict[str, Any], cuda: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = cuda_graphs.RecordedStep.advance
    counts: list[int] = []

    def watched(self: cuda_graphs.RecordedStep, most: int) -> int:
        # Where the host waits within a step, torch raises now.
        torch.cuda.set_sync_debug_mode("error")
        try:
            counts.append(advance(self, most))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return counts[-1]

    monkeypatch.setattr(cuda_graphs.RecordedStep, "advance", watched)
    history, _ = trained(make(schedule="cosine", **settings), cuda)
    assert len(history) == make().epochs
    assert sum(counts) == (24 if make is edge_phase else 30)


@pytest.mark.cuda
def test_dropout_draws_anew_at_each_replay(cuda: torch.device) -> None:
    class Noisy(models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(DIM, 2)
            self.drop = torch.nn.Dropout(0.5)

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.drop(x))

    phase = item_phase(batch_size=N, epochs=30, learning_rate=0.0, optimizer=torch.optim.SGD)
    history, _ = trained(phase, cuda, Noisy())
    assert len(set(history)) == 30


@pytest.mark.cuda
def test_a_model_that_waits_says_so_and_trains(cuda: torch.device) -> None:
    class Waiting(models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(DIM, 2)

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) * float(x.abs().max() > 0)

    with pytest.warns(UserWarning, match="not replayed from a CUDA graph"):
        history, _ = trained(item_phase(), cuda, Waiting())
    assert history[-1] < history[0]
