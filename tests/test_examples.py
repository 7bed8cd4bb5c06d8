"""The guide's examples, each at its small size."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
IMAGES = 500

# The share of neighbours of the same class that an example's map must exceed, 0.1 by chance.
SHARES = {
    "autoencoder": 0.6,
    "convolutional": 0.5,
    "guided": 0.6,
    "hybrid_classification": 0.6,
    "mds": 0.4,
    "routines": 0.5,
    "supervised": 0.5,
    "umap": 0.6,
}


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch, set_threads: Any) -> Any:
    """Runs an example as Python runs a script, and returns what it leaves behind."""
    set_threads(1)  # steps this small gain nothing from more
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def run(name: str, *arguments: str) -> dict[str, Any]:
        script = str(EXAMPLES / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [script, "--small", *arguments])
        with torch.random.fork_rng(devices=[]):  # some seed torch for their own models
            return runpy.run_path(script, run_name="__main__")

    return run


def test_every_example_is_listed() -> None:
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"example_data", "shapes"}
    assert scripts == set(SHARES)


@pytest.mark.parametrize(
    "name",
    sorted(SHARES),
)
def test_losses_fall_and_classes_stay_together(
    name: str, run_example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_example(name, "--plot", str(tmp_path / "map.png"))
    embedding, labels = found["embedding"], found["data"].labels
    assert embedding.shape == (IMAGES, 2)
    assert torch.isfinite(embedding).all()
    for phase in found["routine"].training_phases:
        history = phase.loss.history
        assert len(history) == phase.epochs
        assert sum(history[-3:]) < sum(history[:3])
    share = found["example_data"].same_class(embedding, labels)
    assert share > SHARES[name]
    assert f"{share:.0%} of neighbours share the class" in capsys.readouterr().out
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    check = CHECKS.get(name)
    if check is not None:
        check(found)


def check_mds(found: dict[str, Any]) -> None:
    # Two principal components, scaled to fit best, have 0.155.
    assert found["final_stress"] < 0.15


def check_supervised(found: dict[str, Any]) -> None:
    assert found["unseen_share"] > 0.4


def check_hybrid(found: dict[str, Any]) -> None:
    assert found["accuracy"] > 0.9


def check_guided(found: dict[str, Any]) -> None:
    # Places of neighbouring classes are 3.1 apart, the circle's radius is 5.
    assert found["distance"] < 2.5
    guided = ~found["free"]
    assert int(guided.sum()) == IMAGES // 20
    gaps = (found["embedding"] - found["circle"])[guided].norm(dim=1)
    assert float(gaps.median()) < 2.5


def check_autoencoder(found: dict[str, Any]) -> None:
    assert found["error"] < 0.7 * found["baseline"]


CHECKS = {
    "autoencoder": check_autoencoder,
    "guided": check_guided,
    "hybrid_classification": check_hybrid,
    "mds": check_mds,
    "supervised": check_supervised,
}


def test_images_of_mnist(run_example: Any, tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    file = tmp_path / "mnist.npz"
    images = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    np.savez(file, images=images, labels=np.arange(60) % 10)
    found = run_example("supervised", "--mnist", str(file))
    assert found["data"].side == 28
    assert found["embedding"].shape == (60, 2)
    assert float(found["data"].images.max()) == images.max() / np.float32(255)
