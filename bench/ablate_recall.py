"""What the recall of the neighbours is worth to a map.

    python bench/ablate_recall.py --mnist mnist.npz --words words.npz --sentences sentences.npz
        [--data mnist words sentences cells] [--rows 20000] [--seeds 3] [--table recall.md]
    python bench/ablate_recall.py --sentences sentences.npz --data sentences --engine

UMAP of graphs of 14 neighbours, of which a share is true: trust15, preserve15 and acc5 as
`bench_fidelity.py` has them, and their paired differences from the map of the exact graph, with
standard errors. A seed draws the rows, the errors and the layout.

The errors are those of a forest of random projections: a row knows the nearest of those that have
shared a leaf with it, so that false neighbours are the next ones, and rows that lie far from all
others miss more. There are as many trees as a recall takes, the last one for a part of the rows, so
that it is met. `--engine` takes the lists of `neighbors.knn(recall=)` instead, and measures what
was reached; where it searches exactly that is 1.

Labels of words and sentences are 50 clusters by k-means. `cells` are drawn from the normal
distributions of the ten cell types of scanpy's `pbmc68k_reduced`, in its 50 principal components.
"""

import argparse
from pathlib import Path

import numpy as np
from bench_fidelity import Judge
from bench_fidelity import load as load_rows
from data import cells

from fastparadime import UMAP, neighbors

K = 14  # others: UMAP's 15 count the point itself
RECALLS = (0.80, 0.85, 0.90, 0.95, 1.0)
LEAF = 200
CLUSTERS = 50
MEASURES = ("trust15", "preserve15", "acc5")


def load(name, n, files, seed):
    if name == "cells":
        return cells(n, seed)
    if name == "mnist":
        X, labels, metric = load_rows("mnist70000", files, seed)
        drawn = np.sort(np.random.default_rng(seed).permutation(len(X))[:n])
        return X[drawn], labels[drawn], metric
    from sklearn.cluster import KMeans

    X, _, metric = load_rows(f"{name}{n}", files, seed)
    return X, KMeans(CLUSTERS, n_init=1, random_state=seed).fit_predict(X), metric


def leaves(X, rng):
    """A tree of random projections: the rows, in leaves of at most LEAF."""
    open_, closed = [np.arange(len(X))], []
    while open_:
        rows = open_.pop()
        if len(rows) <= LEAF:
            closed.append(rows)
            continue
        one, other = X[rng.choice(rows, 2, replace=False)]
        order = rows[np.argsort(X[rows] @ (one - other))]
        open_ += np.array_split(order, 2)
    return closed


class Forest:
    """The K nearest of those that have shared a leaf with each row, tree by tree."""

    def __init__(self, X, exact, seed):
        self.X, self.exact, self.rng = X, np.sort(exact, axis=1), np.random.default_rng(seed)
        self.lengths = np.einsum("nd,nd->n", X, X)
        self.lists = np.full(exact.shape, -1)
        self.nearness = np.full(exact.shape, np.inf, np.float32)
        self.recall = 0.0

    def grow(self):
        for leaf in leaves(self.X, self.rng):
            rows, lengths = self.X[leaf], self.lengths[leaf]
            found = lengths[:, None] + lengths - 2 * rows @ rows.T
            np.fill_diagonal(found, np.inf)
            found[(self.lists[leaf][:, :, None] == leaf).any(axis=1)] = np.inf
            both = np.hstack([self.nearness[leaf], found])
            best = np.argpartition(both, K, axis=1)[:, :K]
            names = np.hstack([self.lists[leaf], np.broadcast_to(leaf, found.shape)])
            self.lists[leaf] = np.take_along_axis(names, best, axis=1)
            self.nearness[leaf] = np.take_along_axis(both, best, axis=1)
        self.recall = recall_of(self.lists, self.exact)

    def until(self, recall):
        """Lists of this recall: of the forest as it is, and of one tree less for some rows."""
        while self.recall < recall:
            self.before = self.recall, self.lists.copy()
            self.grow()
        poorer, lists = self.before
        share = (recall - poorer) / (self.recall - poorer)
        newer = self.rng.permutation(len(lists)) < share * len(lists)
        return np.where(newer[:, None], self.lists, lists)


def recall_of(lists, exact):
    return np.mean([np.isin(a, b).sum() / K for a, b in zip(lists, exact, strict=True)])


def with_distances(X, lists, metric):
    """Lists nearest first, and their distances by differences."""
    squares = np.empty(lists.shape, np.float32)
    for begin in range(0, len(X), 500):
        block = slice(begin, begin + 500)
        squares[block] = np.square(X[lists[block]] - X[block, None]).sum(axis=2)
    order = np.argsort(squares, axis=1, kind="stable")
    squares = np.take_along_axis(squares, order, axis=1)
    distances = squares / 2 if metric == "cosine" else np.sqrt(squares)
    return np.take_along_axis(lists, order, axis=1), distances


def graphs(X, metric, seed, engine):
    """Of each recall: that reached, and indices and distances (n, K)."""
    graph = neighbors.knn(X, K, metric, recall=1.0)
    exact = graph.indices.numpy()
    forest = Forest(X, exact, seed)
    for recall in RECALLS:
        if recall == 1.0:
            yield recall, 1.0, (exact, graph.distances.numpy())
            continue
        if engine:
            found = neighbors.knn(X, K, metric, recall=recall, seed=seed)
            lists = found.indices.numpy(), found.distances.numpy()
        else:
            lists = with_distances(X, forest.until(recall), metric)
        yield recall, recall_of(lists[0], exact), lists


def ablate(name, arguments, files):
    """Rows of the table: recalls wanted and reached, then each measure and its difference."""
    reached = {recall: [] for recall in RECALLS}
    figures = {recall: [] for recall in RECALLS}
    for seed in range(arguments.seeds):
        X, labels, metric = load(name, arguments.rows, files, seed)
        judge = Judge(X, labels)
        for recall, got, lists in graphs(X, metric, seed, arguments.engine):
            mapper = UMAP(K + 1, metric=metric, precomputed_knn=lists, random_state=seed)
            found = judge(mapper.fit_transform(X))
            reached[recall].append(got)
            figures[recall].append([found[measure] for measure in MEASURES])
    exact = np.array(figures[1.0])
    for recall in RECALLS:
        of = np.array(figures[recall])
        row = [name, f"{np.mean(reached[recall]):.3f}"]
        for mean, differences in zip(of.mean(0), (of - exact).T, strict=True):
            row.append(f"{mean:.4f}")
            error = differences.std(ddof=1) / len(of) ** 0.5 if len(of) > 1 else np.nan
            row.append("" if recall == 1.0 else f"{differences.mean():+.4f}, {error:.4f}")
        yield row


def main():
    parser = argparse.ArgumentParser()
    for kind in ("mnist", "words", "sentences"):
        parser.add_argument(f"--{kind}", help="an .npz")
    choices = ["mnist", "words", "sentences", "cells"]
    parser.add_argument("--data", nargs="+", default=choices, choices=choices)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--engine", action="store_true", help="errors of neighbors.knn")
    parser.add_argument("--table", help="a file of Markdown to write")
    arguments = parser.parse_args()
    files = {kind: getattr(arguments, kind) for kind in ("mnist", "words", "sentences")}
    for name in arguments.data:
        if name in files and files[name] is None:
            parser.error(f"--data {name} needs --{name}")
    titles = [part for measure in MEASURES for part in (measure, "from exact")]
    lines = ["| data | recall | " + " | ".join(titles) + " |", "|---" * (2 + len(titles)) + "|"]
    print(*lines, sep="\n", flush=True)
    for name in arguments.data:
        for row in ablate(name, arguments, files):
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)
    if arguments.table:
        Path(arguments.table).write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
