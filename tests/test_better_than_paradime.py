"""Where fastparadime does what paraDime does not; docs/paradime-names.md lists all such tests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fastparadime import dr, loss, relations, routines, transforms

PEAK = r"""
import json, re, sys
from pathlib import Path
import numpy as np
from fastparadime import routines

name, n = sys.argv[1], int(sys.argv[2])
options = {"hidden_dims": [8], "seed": 0, "epochs": 1, "init_epochs": 1}
if name == "ParametricUMAP":
    options |= {"n_neighbors": 5, "batches_per_epoch": 2, "init_batch_size": n}
else:
    options |= {"perplexity": 3, "batch_size": 200, "init_batch_size": n}
routine = getattr(routines, name)(**options)
X = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
routine.train(X)
status = Path("/proc/self/status").read_text()  # getrusage counts the parent's peak as well
peak = 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])
print(json.dumps([peak, bool(routine.apply(X).isfinite().all())]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("name", ["ParametricUMAP", "ParametricTSNE"])
def test_no_square_array_on_the_way(name: str) -> None:
    n = 40_000
    command = [sys.executable, "-c", PEAK, name, str(n)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak, finite = json.loads(printed)
    assert finite
    # A byte an entry would already take n^2; torch and scikit-learn take 0.5 GB.
    assert peak < n**2


class Copies(TorchDispatchMode):
    """Counts the floating-point values that are read from tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.count += args[0].is_floating_point()
        return func(*args, **(kwargs or {}))


def cloud(n: int = 300, dim: int = 4) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("kind", ["fused", "plain", "standard"])
def test_the_loss_is_not_read_every_batch(kind: str) -> None:
    def plain(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return loss.cross_entropy_loss(p, q)

    routine = dr.ParametricDR(
        dataset=cloud(),
        hidden_dims=[8],
        global_relations=relations.NeighborBasedPDist(
            transform=[transforms.ConnectivityBasedRescale(5), transforms.Symmetrize()]
        ),
        batch_relations={
            "rel": relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
            "all": relations.DifferentiablePDist(
                transform=[transforms.StudentTTransform(1.0), transforms.ToSquareTensor()]
            ),
        },
        seed=0,
    )
    routine.compute_global_relations()

    def reads(batches: int) -> int:
        if kind == "standard":
            chosen = loss.RelationLoss(loss.kullback_leibler_div, batch_relation_key="all")
            phase = dr.TrainingPhase(loss=chosen, epochs=2, batch_size=300 // batches)
        else:
            function = plain if kind == "plain" else loss.cross_entropy_loss
            phase = dr.TrainingPhase(
                loss=loss.RelationLoss(function), epochs=2, batch_size=20,
                batches_per_epoch=batches, sampling="negative_edge",
            )  # fmt: skip
        with Copies() as copies:
            routine.run_training_phase(phase)
        assert len(phase.loss.history) == 2
        return copies.count

    assert reads(1) == reads(20)


def test_phases_added_by_subclasses_run() -> None:
    class Late(dr.ParametricDR):
        def _prepare_training(self) -> None:
            self.add_training_phase(loss=loss.PositionLoss(position_key="pos"), epochs=2)

    routine = Late(dataset={"main": cloud(), "pos": cloud()[:, :2]}, seed=0)
    routine.train()
    assert [len(phase.loss.history) for phase in routine.training_phases] == [2]


def test_pairs_of_repeated_points_are_neighbours_of_dense_relations() -> None:
    X = np.repeat(cloud(30), 2, axis=0)
    rescaled = relations.PDist(transform=transforms.PerplexityBasedRescale(5)).compute_relations(X)
    indices, weights = rescaled.data
    assert indices.shape == (60, 59)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert (indices[::2] == np.arange(1, 60, 2)[:, None]).any(1).all()


def test_len_of_an_edge_dataset_is_its_edges() -> None:
    routine = routines.ParametricTSNE(perplexity=5, dataset=cloud(), seed=0)
    routine.compute_global_relations()
    relation = routine.global_relation_data["rel"]
    edges = dr.NegSampledEdgeDataset(routine.dataset, relation, neg_sampling_rate=2)
    assert len(edges) == relation.data.nnz > len(routine.dataset)
    last = edges[len(edges) - 1]
    assert last["row"].tolist() == [299] * 3


TABLE = Path(__file__).resolve().parent.parent / "docs" / "paradime-names.md"


def test_the_table_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE.read_text(encoding="utf-8"))
    assert len(named) > 10
    root = TABLE.parent.parent
    absent = [
        f"{path}::{test}"
        for path, test in named
        if f"def {test}(" not in (root / path).read_text(encoding="utf-8")
    ]
    assert absent == []
