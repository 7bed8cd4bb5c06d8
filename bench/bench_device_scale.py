"""Training and applying a network at sizes that want a GPU.

    python bench/run.py device_scale [--device cuda] [--json figures.jsonl]

10,000 steps of 2,000 positive edges with 5 negative ones each on 1 million rows of 128, and the
coordinates of 10 million rows of 128 that are on the device, beside the time that reading them or
their products take; through 128-100-50-2. Rows and edges are random.
"""

import argparse
import itertools
import pathlib
import statistics

import torch
from timing import Case, floor_of, keep, knn_graph, seconds_of

from fastparadime import dr, loss, models, ops, relations, training, transforms
from fastparadime.relationdata import relation_factory

DIM, HIDDEN = 128, (100, 50)
NEGATIVES, BATCHES = 5, 500
REPEATS = 5


def network(device):
    generator = torch.Generator().manual_seed(0)
    model = models.FullyConnectedEmbeddingModel(DIM, 2, HIDDEN, generator=generator)
    return model.to(device)


def training_seconds(rows, steps, edges, device):
    """Seconds of the steps, their recording included."""
    indices, distances = knn_graph(rows, 15, device)
    table = relation_factory((indices, ops.smooth_knn(distances).weights))
    curve = transforms.ModifiedCauchyTransform(min_dist=0.1)
    data = training.TrainingData(
        {"main": torch.rand(rows, DIM, device=device)},
        {"rel": transforms.Symmetrize()(table)},
        {"rel": relations.DistsFromTo(transform=curve)},
        device,
        seed=0,
    )
    batches = min(steps, BATCHES)
    phase = dr.TrainingPhase(
        "edges",
        epochs=steps // batches,
        batches_per_epoch=batches,
        batch_size=edges,
        neg_sampling_rate=NEGATIVES,
        sampling="negative_edge",
        loss=loss.RelationLoss(loss.cross_entropy_loss),
    )
    model = network(device)
    return seconds_of(lambda: training.run_phase(model, phase, data), device, REPEATS)


def applying(rows, device):
    """Seconds of `apply`, coordinates on the host, and their floor."""
    X, model = torch.rand(rows, DIM, device=device), network(device)
    widths = (DIM, *HIDDEN, 2)
    products = 2 * rows * sum(a * b for a, b in itertools.pairwise(widths))
    call = lambda: models.embed_in_chunks(model, X)
    floor = floor_of(Case("", call, 4 * rows * (DIM + 2), products), device)
    return seconds_of(call, device, REPEATS), floor


def report(path, case, found, floor=None):
    median = statistics.median(found)
    print(
        f"{case:<44}{median:9.3f} s" + ("" if floor is None else f", {median / floor:.1f} x floor")
    )
    floors = {} if floor is None else {"floor_ms": 1e3 * floor}
    keep(path, case=case, ms=[1e3 * s for s in found], **floors)


def main():
    parser = argparse.ArgumentParser()
    count = lambda text: int(float(text))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=count, default=1_000_000)
    parser.add_argument("--steps", type=count, default=10_000)
    parser.add_argument("--edges", type=count, default=2_000)
    parser.add_argument("--applied", type=count, default=10_000_000)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    device = ops.resolve_device(arguments.device)
    case = f"train {arguments.rows:,} x {DIM}, {arguments.steps:,} steps"
    found = training_seconds(arguments.rows, arguments.steps, arguments.edges, device)
    report(arguments.json, case, found)
    report(
        arguments.json, f"apply {arguments.applied:,} x {DIM}", *applying(arguments.applied, device)
    )


if __name__ == "__main__":
    main()
