"""How near the layout is to umap-learn's: for each seed both from one graph and one start.

    python bench/run.py fidelity --mnist mnist.npz [--data digits garments mnist5000 mnist70000]
    python bench/run.py fidelity --words words.npz --sentences sentences.npz --seeds 10
        --data words6000 sentences6000 [--inputs umap-learn]
    python bench/run.py fidelity --mnist mnist.npz --densmap [--data digits clouds mnist5000]
    python bench/run.py fidelity --mnist mnist.npz --held-out

cross-entropy   what UMAP minimises, by point, without the terms that no position changes: the
                attraction of all edges, and the repulsion of all pairs that hold one of at most
                5,000 rows (of n, if there are more: then its standard error stands beside it)
trust15, preserve15, acc5   trustworthiness, share of 15 nearest neighbours kept, accuracy of 5
                nearest neighbours where there are labels, on at most 5,000 rows
far             the largest distance of a coordinate from its median, in interquartile ranges
radii           with `--densmap`: the correlation of the log local radii with those of the data

A seed has its own start, and its own rows where the program draws them: one graph favours one or
the other by more than the seeds of its layouts vary. Differences are paired, with standard errors.
Words and sentences are embeddings for the cosine, as many as the name says, drawn anew for a seed.

`--inputs` says whose graph and start both layouts take: those of this package, those of umap-learn,
or of `each` its own, which compares whole fits (without the cross-entropy, which is a graph's).
`--exact` gives umap-learn exact neighbours too, where it would look for them by pynndescent.
`--shuffle` adds umap-learn's layout of the edges in random order: it takes them row by row, so that
a point makes all of an epoch's moves in succession.

`--held-out` fits the first 60,000 images, or as many as it says, by `UMAP` and by `ParametricUMAP` of
each `--quality`, and places the last 10,000 by the first call of `transform` with each `placement`.
"""

import argparse
import copy
import re
import time
import warnings
from functools import partial

import numpy as np
import torch

from fastparadime import UMAP, ParametricUMAP, neighbors, ops
from fastparadime.layout import density
from fastparadime.transforms import find_ab

PACKAGES = ("umap-learn", "fastparadime")
PLACEMENTS = ("layout", "median", "mutual")
ROWS = 5_000
DENSE = 0.3  # densMAP's share of the epochs
A, B = find_ab(min_dist=0.1, spread=1.0)


def garments(seed, n=10_000, side=28, kinds=10):
    """A stand-in for Fashion-MNIST, which no package carries: ten kinds of warped silhouettes, two
    each of five outlines, filled with textures of low rank that the kinds share."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij"))

    def waves(count, frequency):
        directions = rng.normal(scale=frequency, size=(count, 2))
        phases = rng.uniform(0, 2 * np.pi, (count, 1, 1))
        return np.sin(np.einsum("cd,dxy->cxy", directions, grid) + phases)

    outlines, textures = waves(5 * 4, 2.5).reshape(5, 4, side, side).sum(1), waves(12, 6.0)
    details = waves(kinds, 4.0)
    labels = rng.integers(0, kinds, n)
    images = np.empty((n, side, side), np.float32)
    for i, kind in enumerate(labels):
        outline = outlines[kind // 2] + 0.3 * details[kind]
        shift = rng.integers(-2, 3, 2)
        inside = 1 / (1 + np.exp(-6 * (np.roll(outline, shift, (0, 1)) + 0.3 * rng.normal())))
        texture = np.tensordot(rng.normal(scale=0.25, size=len(textures)), textures, 1)
        images[i] = inside * (rng.uniform(0.4, 1) + 0.3 * texture)
    images += rng.normal(scale=0.02, size=images.shape).astype(np.float32)
    return np.clip(images, 0, 1).reshape(n, -1), labels


def clouds(seed, n=4_000, dim=20, kinds=8):
    """Normal clouds, the widest 25 times as wide as the narrowest."""
    rng = np.random.default_rng(seed)
    labels, widths = np.arange(n) % kinds, np.geomspace(0.2, 5, kinds)
    centres = rng.normal(scale=12, size=(kinds, dim))
    rows = centres[labels] + rng.normal(size=(n, dim)) * widths[labels, None]
    return rows.astype(np.float32), labels


def load(name, files, seed):
    """Rows, labels (or None) and the metric of the graph; rows of unit length for the cosine."""
    if name == "digits":
        from sklearn.datasets import load_digits

        X, labels = load_digits(return_X_y=True)
        return (X / 16).astype(np.float32), labels, "euclidean"
    if name in ("garments", "clouds"):
        return *(garments(seed) if name == "garments" else clouds(seed)), "euclidean"
    kind, n = re.fullmatch(r"([a-z]+)(\d+)", name).groups()
    with np.load(files[kind]) as archive:
        if kind == "mnist":
            images, labels = (archive[part][: int(n)] for part in ("images", "labels"))
            return images.reshape(len(images), -1).astype(np.float32) / 255, labels, "euclidean"
        vectors = archive["vectors" if kind == "words" else "embeddings"]
    drawn = np.sort(np.random.default_rng(seed).choice(len(vectors), int(n), replace=False))
    X = vectors[drawn].astype(np.float32)
    return X / np.linalg.norm(X, axis=1, keepdims=True), None, "cosine"


def fitted(X, metric, seed, densmap, package, exact):
    """A fit without epochs: its graph, its start and, of densMAP, its radii."""
    options = {"densmap": densmap, "output_dens": densmap}
    if exact:
        indices, distances = (part.numpy() for part in neighbors.knn(X, 14, metric, recall=1.0))
        own = np.arange(len(X), dtype=indices.dtype)[:, None]  # umap-learn's first neighbour
        lists = np.hstack((own, indices)), np.hstack((np.zeros_like(distances[:, :1]), distances))
        options["precomputed_knn"] = (*lists, None)
    estimator = UMAP
    if package == "umap-learn":
        import umap

        estimator = umap.UMAP
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value", UserWarning)
        return estimator(metric=metric, n_epochs=0, random_state=seed, **options).fit(X)


def own_layout(start, graph, epochs, seed, radii):
    indptr, tails = graph.indptr.astype(np.int64), graph.indices.astype(np.int32)
    heads = np.repeat(np.arange(len(start), dtype=np.int32), np.diff(indptr))
    edges = ops.Edges(*(torch.from_numpy(part) for part in (indptr, heads, tails, graph.data)))
    term = {}
    if radii is not None:
        sampled = density.sampled_edges(edges, epochs)
        term["density"] = ops.DensityTerm(sampled, radii, A, B)
        term["density_epochs"] = epochs - int(epochs * (1 - DENSE))
    return ops.sgd_layout(start, edges, A, B, epochs, seed=seed, **term).numpy()


def umap_layout(start, graph, epochs, seed, radii, *, shuffle=False):
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import make_epochs_per_sample

    edges = graph.tocoo()
    kept = np.flatnonzero(edges.data >= edges.data.max() / epochs)
    if shuffle:
        np.random.default_rng(seed).shuffle(kept)
    heads, tails = (part[kept].astype(np.int32) for part in (edges.row, edges.col))
    state = np.random.RandomState(seed).randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64)
    positions, term = start.copy(), {}
    if radii is not None:
        term = {"mu": edges.data[kept], "frac": DENSE, "var_shift": 0.1, "lambda": 2.0}
        term["mu_sum"] = 2 * np.bincount(heads, edges.data[kept], len(start))
        term["R"] = ((radii - radii.mean()) / radii.std()).astype(np.float32)
    return optimize_layout_euclidean(
        positions, positions, heads, tails, epochs, len(start),
        make_epochs_per_sample(edges.data[kept], epochs), A, B, state,
        move_other=True, tqdm_kwds={"disable": True}, densmap=radii is not None, densmap_kwds=term,
    )  # fmt: skip


def log_terms(d2):
    """-log q and -log(1 - q) of squared distances."""
    power = A * d2.clamp_min(1e-12) ** B
    return torch.log1p(power), torch.log1p(1 / power)


def cross_entropy(Y, graph, rows):
    """Attraction and repulsion by point, and the repulsion's standard error."""
    Y = torch.from_numpy(np.asarray(Y, np.float64))
    n, edges = len(Y), graph.tocoo()
    heads, tails = (torch.from_numpy(part.astype(np.int64)) for part in (edges.row, edges.col))
    weights = torch.from_numpy(edges.data.astype(np.float64))
    near, far = log_terms((Y[heads] - Y[tails]).square().sum(1))
    attraction = float((weights * near).sum()) / n
    of_rows = []
    for block in torch.from_numpy(rows).split(200):
        d2 = (Y[block, None] - Y[None]).square().sum(2)
        terms = log_terms(d2)[1]
        terms[torch.arange(len(block)), block] = 0.0
        of_rows.append(terms.sum(1))
    pairs = torch.cat(of_rows)
    error = float(pairs.std()) / len(rows) ** 0.5 if len(rows) < n else 0.0
    return attraction, float(pairs.mean()) - float((weights * far).sum()) / n, error


class Judge:
    """The measures of embeddings of one table, on the same rows for all: those of the labels, the
    graph and the radii that are there."""

    def __init__(self, X, labels=None, graph=None, radii=None):
        from sklearn.neighbors import NearestNeighbors

        self.X, self.labels, self.graph, self.radii = X, labels, graph, radii
        self.rows = np.sort(np.random.default_rng(0).permutation(len(X))[:ROWS])
        self._search = lambda data: NearestNeighbors(n_neighbors=16).fit(data)
        self.near = self._neighbors(X)

    def _neighbors(self, data):
        found = self._search(data).kneighbors(data[self.rows], return_distance=False)
        return [set(row[row != i][:15]) for i, row in zip(self.rows, found, strict=True)]

    def __call__(self, Y):
        from sklearn.manifold import trustworthiness
        from sklearn.model_selection import cross_val_score
        from sklearn.neighbors import KNeighborsClassifier

        rows, found = self.rows, {}
        if self.graph is not None:
            attraction, repulsion, error = cross_entropy(Y, self.graph, rows)
            found |= {"attraction": attraction, "repulsion": repulsion}
            found |= {"cross-entropy": attraction + repulsion, "standard error": error}
        kept = zip(self.near, self._neighbors(Y), strict=True)
        found["trust15"] = trustworthiness(self.X[rows], Y[rows], n_neighbors=15)
        found["preserve15"] = np.mean([len(a & b) / 15 for a, b in kept])
        if self.labels is not None:
            scores = cross_val_score(KNeighborsClassifier(5), Y[rows], self.labels[rows], cv=10)
            found["acc5"] = scores.mean()
        if self.radii is not None:
            found["radii"] = np.corrcoef(density.embedded_radii(Y, 15), self.radii)[0, 1]
        low, middle, high = np.percentile(Y, (25, 50, 75), axis=0)
        return found | {"far": float((np.abs(Y - middle) / (high - low)).max())}


def compare(name, files, arguments):
    layouts = {"umap-learn": umap_layout, "fastparadime": own_layout}
    if arguments.shuffle:
        layouts["umap-learn, shuffled"] = partial(umap_layout, shuffle=True)
    found = {label: [] for label in layouts}
    densmap, inputs = arguments.densmap, arguments.inputs
    for seed in range(arguments.seeds):
        X, labels, metric = load(name, files, seed)
        fits = {
            package: fitted(X, metric, seed, densmap, package, arguments.exact)
            for package in (PACKAGES if inputs == "each" else [inputs])
        }
        first = next(iter(fits.values()))
        radii = first.rad_orig_ if densmap else None
        # One graph would charge the other's own edges as repulsion.
        judge = Judge(X, labels, None if inputs == "each" else first.graph_, radii)
        epochs = (200 if len(X) > 10_000 else 500) + (200 if densmap else 0)
        for label, layout in layouts.items():
            fit = fits.get(label, first)
            found[label].append(judge(layout(fit.embedding_, fit.graph_, epochs, seed, radii)))
    print(f"\n{name}, {X.shape}, {epochs} epochs, mean of {arguments.seeds} seeds (least to most)")
    columns = {
        label: {measure: np.array([run[measure] for run in runs]) for measure in runs[0]}
        for label, runs in found.items()
    }
    for label, of in columns.items():
        shown = [f"{m} {of[m].mean():.4f} ({of[m].min():.4f} to {of[m].max():.4f})" for m in of]
        print(f"{label:<21}{'; '.join(shown)}")
    own = columns.pop("fastparadime")
    for label, theirs in columns.items():
        print(f"fastparadime less {label}: {differences(own, theirs)}", flush=True)


def differences(own, theirs):
    """Means and standard errors of paired differences, or of ratios."""
    found = {m: own[m] - theirs[m] for m in ("trust15", "preserve15", "acc5", "radii") if m in own}
    for measure in [m for m in ("cross-entropy", "attraction") if m in own]:
        found[f"{measure} ratio - 1"] = own[measure] / theirs[measure] - 1
    return "; ".join(
        f"{measure} {of.mean():+.4f} +- {of.std(ddof=1) / len(of) ** 0.5:.4f}"
        for measure, of in found.items()
    )


def held_out(files, seeds, rows, qualities):
    X, labels, _ = load("mnist70000", files, 0)
    known, new = X[:rows], X[60_000:]
    judge = Judge(known, labels[:rows], None, None)
    for seed in range(seeds):
        networks = [ParametricUMAP(random_state=seed, quality=quality) for quality in qualities]
        layouts = [UMAP(random_state=seed, placement=way) for way in PLACEMENTS]
        for estimator in (*layouts, *networks):
            clock = time.perf_counter()
            estimator.fit(known)
            seconds = time.perf_counter() - clock
            found = " ".join(f"{m} {v:.4f}" for m, v in judge(estimator.embedding_).items())
            name = f"held out, seed {seed}, {type(estimator).__name__}"
            if estimator in networks:
                name += f", {estimator.quality}"
            print(f"{name}: fit {seconds:.1f} s, {found}", flush=True)
            ways = ("network", *PLACEMENTS[1:]) if estimator in networks else [estimator.placement]
            for way in ways:
                placing = copy.copy(estimator).set_params(placement=way)
                place(f"{name}, {way}", placing, new, labels[:rows], labels[60_000:])


def place(name, estimator, new, labels, new_labels):
    """Reports how many labels of new rows their five nearest in the map tell."""
    from sklearn.neighbors import KNeighborsClassifier

    clock = time.perf_counter()
    placed = estimator.transform(new)
    seconds = time.perf_counter() - clock
    accuracy = KNeighborsClassifier(5).fit(estimator.embedding_, labels).score(placed, new_labels)
    print(f"{name}: held-out {accuracy:.4f}, transform {seconds:.2f} s", flush=True)


def check_data(parser, names, files):
    """Ends the program where a name is not known or its file is not given."""
    for name in names:
        known = re.fullmatch(r"digits|garments|clouds|(mnist|words|sentences)\d+", name)
        if known is None:
            parser.error(f"--data {name}: not digits, garments, clouds or a file's name and rows")
        if known[1] and files[known[1]] is None:
            parser.error(f"--data {name} needs --{known[1]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", help="an .npz with images and labels")
    parser.add_argument("--words", help="an .npz with vectors")
    parser.add_argument("--sentences", help="an .npz with embeddings")
    usual = ["digits", "garments", "mnist5000", "mnist70000"]
    parser.add_argument("--data", nargs="+", default=usual)
    parser.add_argument("--inputs", default="fastparadime", choices=[*PACKAGES, "each"])
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", nargs="?", type=int, const=60_000, help="images to fit")
    parser.add_argument("--quality", nargs="+", default=["balanced"])
    parser.add_argument("--densmap", action="store_true")
    arguments = parser.parse_args()
    files = {kind: getattr(arguments, kind) for kind in ("mnist", "words", "sentences")}
    if arguments.held_out:
        check_data(parser, ["mnist70000"], files)
        held_out(files, arguments.seeds, arguments.held_out, arguments.quality)
        return
    check_data(parser, arguments.data, files)
    for name in arguments.data:
        compare(name, files, arguments)


if __name__ == "__main__":
    main()
