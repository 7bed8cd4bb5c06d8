"""Bytes and seconds of each stage of a fit by several processes, by arithmetic from given rates.

python bench/scale_model.py --rows 10_000_000 --columns 50 --machine cores
python bench/scale_model.py --rows 100_000_000 --columns 128 --processes 8 --machine gpus

A model, not a measurement: it says which stage is the bottleneck, and what would have to be faster.
Rates of ``--machine cores`` were measured on one machine of two cores (bench/README.md); those of
``gpus`` are assumed from data sheets of an H200, since no fit with process_group runs on GPUs.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass, replace

from fastparadime.layout.groups import MANY_POINTS, halfway
from fastparadime.neighbors.shared_memory import search_bytes

SAMPLED = 5.6  # edges of a point in an epoch, of 15 neighbours; 7 pairs are compared for each
PAIRS = 7
# Of a search among clusters: how often a row goes to owners, exchanges of about 12 rounds, and CPU
# time over that of one process without a group; two processes of bench_process_neighbors.py.
SENT, EXCHANGES, SHARED_WORK = 5.5, 12 * 11, 1.3
PER_STEP = 2 / 3  # of them in a step of the layout, of many points
GROUP = 8  # points of a group, as which they move in the first half of the epochs
GB = 1e9
RATES = ("flops", "memory", "network", "latency", "pairs", "start", "met")


@dataclass(frozen=True)
class Rates:
    """What one process does in a second, and where the figures are from."""

    flops: float  # of products
    memory: float  # bytes
    network: float  # bytes to and from all others together
    latency: float  # seconds of one exchange between all
    pairs: float  # pairs of points of the layout
    start: float  # rows of a spectral start
    met: float  # rows that a row is compared with where clusters are searched
    shared: bool  # whether all processes together do no more than one
    source: str

    def of_one(self, processes: int) -> Rates:
        """The rates of each of so many processes."""
        if not self.shared:
            return self
        rates = (self.flops, self.memory, self.pairs)
        flops, memory, pairs = (rate / processes for rate in rates)
        return replace(self, flops=flops, memory=memory, pairs=pairs)


MACHINES = {
    # 139 GFLOP/s, 24 to 48 GB/s; of a million rows of 50 columns 13.7 s of neighbours in clusters,
    # 33.3 s of 200 epochs, 6.6 s of a spectral start: bench/README.md. Gloo over the loopback takes
    # 0.43 ms for 0.4 MB between two processes, as torchft measured it.
    "cores": Rates(
        flops=139e9,
        memory=24e9,
        network=0.9e9,
        latency=2e-4,
        pairs=1e6 * 200 * SAMPLED * PAIRS / 33.3,
        start=1e6 / 6.6,
        met=13.7 * 139e9 / (2 * 1e6 * 50),
        shared=True,
        source="measured on two cores, which the processes share",
    ),
    "gpus": Rates(
        flops=111e12,
        memory=4.3e12,
        network=450e9,
        latency=2e-5,
        pairs=4.3e12 / 64,
        start=4.3e12 / 64 / 3000,
        met=262_144,
        shared=False,
        source="assumed, from data sheets of the H200 and NVLink",
    ),
}


@dataclass(frozen=True)
class Stage:
    """What a stage takes of the process that takes most."""

    name: str
    held: float  # bytes
    received: float  # bytes
    computed: float  # seconds
    waited: float  # seconds of exchanges
    note: str = ""

    @property
    def seconds(self) -> float:
        return self.computed + self.waited


def stages(n: int, d: int, k: int, processes: int, rates: Rates, asked: argparse.Namespace):
    """The stages of a fit of n rows of d columns."""

    def stage(name, held, received, computed, exchanges=1.0, note=""):
        waited = received / rates.network + exchanges * rates.latency if processes > 1 else 0.0
        return Stage(name, held, received if processes > 1 else 0.0, computed, waited, note)

    own, others = n / processes, 1 - 1 / processes
    rows, edges = 4 * d * own, 1.6 * n * k
    clustered = asked.search == "clusters"
    met = min(n, rates.met) * SHARED_WORK if clustered else n
    found = "clusters, recall 0.95" if clustered else "the ring, exact"
    flops = 2 * own * min(n, met) * d
    passed = rows * (processes - 1)  # of the ring, and of clusters for true distances
    sent = own * SENT * (4 * d + 20 + 8 * (k + 5)) * others if clustered else 0.0
    recall = 0.95 if clustered else 1.0
    grouped = halfway(asked.epochs) if n > MANY_POINTS else 0
    moves = n / rates.pairs * SAMPLED * PAIRS  # seconds of an epoch
    steps = round(SAMPLED / PER_STEP) * (asked.epochs - grouped)
    widths = [d, *asked.hidden_dims, asked.components]
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    batches = asked.passes * -(-n // asked.batch_size)
    positions = 4 * asked.components * n
    return [
        stage("deal rows", 2 * rows, rows * others, rows / rates.memory),
        stage("neighbors", rows + search_bytes(n, d, k, "euclidean", recall, processes),
              passed + sent, flops / rates.flops, processes + EXCHANGES * clustered, found),
        stage("graph", 92 * 2 * own * k + 32 * n, 12 * own * k * others,
              5 * 68 * 2 * own * k / rates.memory, 3),
        stage("spectral start", 76 * edges + 320 * n, 12 * edges * others, n / rates.start, 3,
              "by rank 0 alone"),
        stage("groups", 76 * edges + 80 * n, positions, grouped * moves / GROUP, 1,
              f"{grouped} epochs, by rank 0 alone"),
        stage("layout", 22 * edges / processes + 2 * positions, steps * positions * others,
              (asked.epochs - grouped) * moves / processes, steps),
        stage("regression", rows + 4 * weights * processes,
              batches * 4 * weights * (processes - 1),
              6 * weights * asked.passes * own / rates.flops, batches,
              f"{batches:,} steps of {asked.batch_size} rows"),
    ]  # fmt: skip


def report(found: list[Stage], title: str) -> str:
    """The table, and which stage takes most."""
    lines = [title, f"{'stage':<16}{'held GB':>10}{'received GB':>13}{'work s':>11}{'wait s':>10}"]
    for part in found:
        lines.append(
            f"{part.name:<16}{part.held / GB:>10.2f}{part.received / GB:>13.1f}"
            f"{part.computed:>11.1f}{part.waited:>10.1f}  {part.note}".rstrip()
        )
    worst, widest = max(found, key=lambda s: s.seconds), max(found, key=lambda s: s.held)
    kind = "work" if worst.computed > worst.waited else "exchanges"
    total = sum(part.seconds for part in found)
    lines.append(
        f"bottleneck: {worst.name}, {worst.seconds:.0f} of {total:.0f} s, by its {kind}; "
        f"most memory: {widest.name}, {widest.held / GB:.1f} GB of a process"
    )
    return "\n".join(lines)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--neighbors", type=int, default=14)
    parser.add_argument("--components", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--machine", choices=MACHINES, default="cores")
    parser.add_argument("--search", choices=("exact", "clusters"), default="clusters")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--passes", type=int, default=40, help="of the regression")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--hidden-dims", type=int, nargs="+", default=[256, 256, 256])
    for rate in RATES:
        parser.add_argument(f"--{rate}", type=float, help="of a process, instead of the machine's")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    asked = parsed(arguments)
    rates = MACHINES[asked.machine]
    given = {name: getattr(asked, name) for name in RATES}
    changed = {name: value for name, value in given.items() if value is not None}
    rates = replace(rates.of_one(asked.processes), **changed)
    n, d = asked.rows, asked.columns
    found = stages(n, d, asked.neighbors, asked.processes, rates, asked)
    print(report(found, f"{n:,} x {d} by {asked.processes} processes; rates: {rates.source}"))


if __name__ == "__main__":
    main()
