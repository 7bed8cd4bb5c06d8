"""A parametric UMAP on one device, stage by stage, and the ways of making its training steps.

    python bench/run.py device_training [--mnist mnist.npz] [--device cuda] [--json figures.jsonl]

The sizes of paraDime's example: 5,000 rows of 784, 784-100-100-100-2, 600 steps of 500 edges with 3
negative ones each; without MNIST a mixture of Gaussians. Stages end when the device has ended them.
Steps are made from Python, from a CUDA graph, and from graphs with other settings of tf32; in plain
torch they are the loop that a user would write. Where there are labels, the map's quality stands beside.
"""

import argparse
import pathlib
import statistics
import time

import numpy as np
import torch
from timing import keep

from fastparadime import dr, loss, models, ops, relations, transforms
from fastparadime.dr.dataset import spectral_positions

N, DIM, EDGES, NEGATIVES, EPOCHS, BATCHES = 5000, 784, 500, 3, 60, 10
RUNS = 5


def load(path):
    if path is None:
        rng = np.random.default_rng(0)
        centres = rng.standard_normal((10, DIM))
        return centres[rng.integers(0, 10, N)] + rng.random((N, DIM)), None
    with np.load(path) as archive:
        return archive["images"][:N].reshape(N, -1) / 255.0, archive["labels"][:N]


class Clock:
    """Seconds since the last lap, all work of the device included."""

    def __init__(self, device):
        self.device = device
        self.lap()

    def lap(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        seconds = now - getattr(self, "start", now)
        self.start = now
        return seconds


def routine_of(X, device):
    return dr.ParametricDR(
        dataset=X,
        hidden_dims=[100, 100, 100],
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=30),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=transforms.ModifiedCauchyTransform(min_dist=0.1, spread=1)
        ),
        derived_data={"spectral": dr.DerivedData(spectral_positions, [("rels", "rel")])},
        device=device,
        seed=0,
    )


def edge_phase(**options):
    return dr.TrainingPhase(
        "edges",
        epochs=EPOCHS,
        batches_per_epoch=BATCHES,
        batch_size=EDGES,
        neg_sampling_rate=NEGATIVES,
        sampling="negative_edge",
        loss=loss.RelationLoss(loss.cross_entropy_loss),
        learning_rate=0.01,
        **options,
    )


def stages(X, device):
    """Seconds of each stage from the data on the device to the embedding on the host."""
    clock, found = Clock(device), {}
    routine = routine_of(X, device)
    routine.compute_global_relations()
    found["neighbors to graph"] = clock.lap()
    routine.compute_derived_data(only="rel_based")
    found["spectral"] = clock.lap()
    position = loss.PositionLoss(position_key="spectral")
    first = dr.TrainingPhase("start", epochs=10, batch_size=500, loss=position)
    for phase in (first, edge_phase()):
        routine.run_training_phase(phase)
        found[f"phase {phase.name}"] = clock.lap()
    routine.apply(X)
    found["apply"] = clock.lap()
    found["all"] = sum(found.values())
    return found


def quality(X, routine, labels):
    from sklearn.manifold import trustworthiness
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    embedding = routine.apply(X).numpy()
    accuracy = cross_val_score(KNeighborsClassifier(5), embedding, labels, cv=10).mean()
    return {"trust15": trustworthiness(X.cpu(), embedding, n_neighbors=15), "acc5": accuracy}


def steps_of(X, labels, device, options):
    """Medians: milliseconds a step of the main phase, its last loss, and the quality of the last map.

    And the milliseconds of the phase in each run.
    """
    routine, found = routine_of(X, device), []
    routine.compute_global_relations()
    for _ in range(RUNS):
        phase, routine.model = edge_phase(**options), fresh_model()
        clock = Clock(device)
        routine.run_training_phase(phase)
        found.append({"ms a step": 1e3 * clock.lap() / (EPOCHS * BATCHES)})
        found[-1]["last loss"] = phase.loss.history[-1] / BATCHES
    medians = {key: statistics.median(run[key] for run in found) for key in found[0]}
    if labels is not None:
        medians |= quality(X, routine, labels)  # of the last map: judging takes longer than a run
    return medians, [run["ms a step"] * EPOCHS * BATCHES for run in found]


def fresh_model():
    generator = torch.Generator().manual_seed(0)
    return models.FullyConnectedEmbeddingModel(DIM, 2, [100, 100, 100], generator=generator)


def plain_torch_steps(X, device):
    """The same steps as a user would write them, edges drawn by `torch.multinomial`."""
    routine = routine_of(X, device)
    routine.compute_global_relations()
    edges = routine.global_relation_data["rel"].to_sparse_array().edges
    heads, tails = edges.heads.long(), edges.tails.long()
    model = fresh_model().to(device)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    clock = Clock(device)
    for _ in range(EPOCHS * BATCHES):
        drawn = torch.multinomial(edges.weights, EDGES, replacement=True)
        rows = heads[drawn].repeat_interleave(1 + NEGATIVES)
        cols = torch.randint(N, (EDGES, 1 + NEGATIVES), device=device)
        cols[:, 0] = tails[drawn]
        near = torch.zeros_like(cols, dtype=torch.float32)
        near[:, 0] = 1.0
        distances = (model(X[rows]) - model(X[cols.flatten()])).norm(dim=1)
        likelihood = 1 / (1 + 1.577 * distances.clamp_min(1e-6) ** (2 * 0.895))
        value = torch.nn.functional.binary_cross_entropy(likelihood, near.flatten())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return {"ms a step": 1e3 * clock.lap() / (EPOCHS * BATCHES)}


WAYS = {
    "from Python": {"cuda_graph": False},
    "CUDA graph": {},
    "CUDA graph, tf32=False": {"tf32": False},
    "CUDA graph, tf32=True": {"tf32": True},
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=pathlib.Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    device = ops.resolve_device(arguments.device)
    rows, labels = load(arguments.mnist)
    X = torch.from_numpy(rows.astype(np.float32)).to(device)
    name = "MNIST" if arguments.mnist else "mixture"
    stages(X, device)  # libraries load
    runs = [stages(X, device) for _ in range(RUNS)]
    found = {f"{name} {N:,}, seconds": {k: statistics.median(r[k] for r in runs) for k in runs[0]}}
    keep(arguments.json, case=f"{name} {N:,}: all stages", ms=[1e3 * r["all"] for r in runs])
    for way, options in WAYS.items():
        found[f"{name}: steps {way}"], phases = steps_of(X, labels, device, options)
        if not options:
            keep(arguments.json, case=f"{name}: main phase, {way}", ms=phases)
    found[f"{name}: steps in plain torch"] = plain_torch_steps(X, device)
    for case, values in found.items():
        print(f"{case:<34}", ", ".join(f"{key} {value:.4g}" for key, value in values.items()))
        keep(arguments.json, case=case, **values)


if __name__ == "__main__":
    main()
