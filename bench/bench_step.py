"""A training step by its parts, natively and in plain torch, beside its matrix products alone.

    python bench/bench_step.py [--steps 60] [--rounds 3]

Two networks on random rows and a random graph: 784-100-100-100-2 at 500 edges with 3 negatives,
2,500 rows, and 50-256-256-2 at 4,000 edges with 3 negatives, 20,000 rows. Both embed a point once
that a step holds several times. Medians over rounds of steps, the variants in turn in one process;
the products alone are torch's, of the same shapes and rows, into buffers that are there already.
"""

import argparse
import copy
import itertools
import statistics
import time

import torch

from fastparadime import models, ops
from fastparadime.training import optim

NETWORKS = {
    "784-100-100-100-2": ((784, 100, 100, 100, 2), 5_000, 500, 3),
    "50-256-256-2": ((50, 256, 256, 2), 100_000, 4_000, 3),
}
CURVE = (1.5769, 0.8951)  # of min_dist 0.1
RATE = 0.001


class Clock:
    """Seconds of each part of a step, and of the step."""

    def __init__(self):
        self.seconds, self.last = {}, time.perf_counter()

    def lap(self, part):
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self.last
        self.last = now


class Problem:
    """Rows, a sampler of random edges, and a network that both variants train copies of."""

    def __init__(self, widths, n, edges, negatives):
        generator = torch.Generator().manual_seed(0)
        self.widths, self.n, self.edges, self.negatives = widths, n, edges, negatives
        self.table = torch.rand(n, widths[0], generator=generator)
        ends = torch.randint(n, (2, 15 * n), generator=generator)
        self.sampler = ops.EdgeSampler(*ends, torch.rand(15 * n, generator=generator), n)
        self.model = models.FullyConnectedEmbeddingModel(
            widths[0], widths[-1], widths[1:-1], generator=generator
        )

    def draw(self, step):
        heads, tails = self.sampler.draw(self.edges, self.negatives, step)
        return ops.unique_nodes(torch.cat((heads, tails.flatten())))


def native(problem):
    layers = problem.model.layers
    network = ops.Mlp(
        [layer.weight.detach().clone() for layer in layers],
        [layer.bias.detach().clone() for layer in layers],
        problem.model.activation,
        problem.edges * (2 + problem.negatives),
    )
    adam = ops.Adam(network.parameters, network.gradients)

    def step(number, clock):
        nodes, places = problem.draw(number)
        clock.lap("sample")
        embedded = network.forward(problem.table, nodes)
        clock.lap("forward")
        ends = ops.gather_rows(embedded, places)
        _, gradient = ops.negative_edge_gradients(ends, problem.edges, *CURVE)
        gradient = ops.scatter_add(gradient, places, len(nodes))
        clock.lap("loss")
        network.backward(gradient)
        clock.lap("backward")
        adam.step(RATE)
        clock.lap("optimizer")

    return step


def torchs(problem):
    """The same step as torch's operations and our fused loss, as models of the user's take it."""
    model = copy.deepcopy(problem.model)
    adam = optim.Adam(model.parameters(), RATE)

    def step(number, clock):
        nodes, places = problem.draw(number)
        clock.lap("sample")
        rows = problem.table.index_select(0, nodes)
        clock.lap("gather")
        embedded = model(rows)
        clock.lap("forward")
        ends = embedded.index_select(0, places)
        heads, tails = ends.split((problem.edges, len(ends) - problem.edges))
        tails = tails.view(problem.edges, -1, heads.shape[1])
        value = ops.negative_edge_cross_entropy(heads, tails, *CURVE)
        clock.lap("loss")
        adam.zero_grad()
        value.backward()
        clock.lap("backward")
        adam.step()
        clock.lap("optimizer")

    return step


def plain(problem):
    """paraDime's step: all ends of edges in torch, torch.optim.Adam."""
    model = copy.deepcopy(problem.model)
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    a, b = CURVE

    def step(number, clock):
        heads, tails = problem.sampler.draw(problem.edges, problem.negatives, number)
        clock.lap("sample")
        rows = problem.table.index_select(0, torch.cat((heads, tails.flatten())))
        clock.lap("gather")
        embedded = model(rows)
        clock.lap("forward")
        tails = embedded[problem.edges :].view(problem.edges, -1, embedded.shape[1])
        squares = (embedded[: problem.edges, None] - tails).square().sum(2)
        q = 1 / (1 + a * squares.clamp_min(1e-12) ** b)
        terms = torch.cat((q[:, :1], 1 - q[:, 1:]), dim=1).clamp_min(1e-7).log()
        value = -terms.mean()
        clock.lap("loss")
        adam.zero_grad()
        value.backward()
        clock.lap("backward")
        adam.step()
        clock.lap("optimizer")

    return step


def products(problem):
    """A step's matrix products and nothing else."""
    rows = len(problem.draw(0)[0])
    pairs = list(itertools.pairwise(problem.widths))
    values = [torch.rand(rows, width) for width in problem.widths]
    gradients = [torch.rand(rows, width) for width in problem.widths]
    weights = [torch.rand(wide, narrow) for narrow, wide in pairs]
    weight_grads = [torch.empty_like(weight) for weight in weights]

    def step(_, clock):
        for layer, weight in enumerate(weights):
            torch.mm(values[layer], weight.t(), out=values[layer + 1])
        clock.lap("forward")
        for layer in reversed(range(len(weights))):
            torch.mm(gradients[layer + 1].t(), values[layer], out=weight_grads[layer])
            if layer > 0:
                torch.mm(gradients[layer + 1], weights[layer], out=gradients[layer])
        clock.lap("backward")

    return step


VARIANTS = {"native": native, "torch, fused loss": torchs, "plain torch": plain,
            "products alone, torch": products}  # fmt: skip
PARTS = ("sample", "gather", "forward", "loss", "backward", "optimizer")


def measure(problem, steps, rounds):
    """Median milliseconds of the parts of a step by variant."""
    takers = {name: make(problem) for name, make in VARIANTS.items()}
    found = {name: [] for name in takers}
    for each in range(rounds):
        for name, take in takers.items():
            for number in range(steps):
                clock = Clock()
                take(each * steps + number, clock)
                if number >= 5:  # the variant before has left its threads spinning
                    found[name].append(clock.seconds)
    medians = {}
    for name, laps in found.items():
        parts = {p: statistics.median(lap[p] for lap in laps) for p in PARTS if p in laps[0]}
        total = statistics.median(sum(lap.values()) for lap in laps)
        medians[name] = {"step": 1e3 * total, **{p: 1e3 * s for p, s in parts.items()}}
    return medians


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name, settings in NETWORKS.items():
        problem = Problem(*settings)
        rows = len(problem.draw(0)[0])
        pairs = list(itertools.pairwise(problem.widths))
        operations = 2 * rows * (3 * sum(i * o for i, o in pairs) - pairs[0][0] * pairs[0][1])
        ends = problem.edges * (2 + problem.negatives)
        print(
            f"\n{name}, {rows:,} distinct of {ends:,} rows, {torch.get_num_threads()} threads, ms"
        )
        print(f"{'':<24}{'step':>8}" + "".join(f"{part:>11}" for part in PARTS) + "  GFLOP/s")
        for variant, parts in measure(problem, arguments.steps, arguments.rounds).items():
            figures = "".join(f"{parts[p]:11.2f}" if p in parts else " " * 11 for p in PARTS)
            count = operations * (ends / rows if variant == "plain torch" else 1)
            rate = count / parts["step"] / 1e6
            print(f"{variant:<24}{parts['step']:8.2f}{figures}{rate:9.0f}")


if __name__ == "__main__":
    main()
