"""Data that the benchmarks of neighbours and maps share: easy and hard, read or drawn."""

import argparse
import warnings

import numpy as np


def rows_of(text):
    return int(float(text))


def data_parser(description=None):
    """A parser with the options that `load` reads; a mixture of a million rows without any."""
    parser = argparse.ArgumentParser(description=description)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--mnist", help="an .npz with images and labels")
    source.add_argument("--words", help="an .npz with vectors or an .npy: cosine, full rank")
    source.add_argument("--sentences", help="an .npz with embeddings: cosine, some of the rank")
    source.add_argument("--cells", type=rows_of, help="rows drawn as scanpy's pbmc68k_reduced are")
    source.add_argument("--mixture", type=rows_of, help="rows of Gaussians of low rank (1e6)")
    source.add_argument("--clouds", type=rows_of, help="rows of overlapping normal clouds")
    parser.add_argument("--rows", type=rows_of, help="of a file; more sentences are grown from it")
    parser.add_argument("--columns", type=int, help="of clouds (50), or of grown sentences")
    return parser


def load(arguments):
    """The table, float32, its labels or None, and the metric that it is meant for."""
    if arguments.clouds:
        return clouds(arguments.clouds, arguments.columns or 50), None, "euclidean"
    if arguments.cells:
        return cells(arguments.cells)
    if arguments.mnist:
        with np.load(arguments.mnist) as archive:
            images, labels = (archive[name][: arguments.rows] for name in ("images", "labels"))
        return images.reshape(len(images), -1).astype(np.float32) / 255, labels, "euclidean"
    if not (arguments.words or arguments.sentences):
        rows = arguments.mixture or arguments.rows or 1_000_000
        return mixture(rows), mixture_labels(rows), "euclidean"
    X = (
        read(arguments.words, "vectors")
        if arguments.words
        else read(arguments.sentences, "embeddings")
    )
    rows = arguments.rows or len(X)
    if rows > len(X) or (arguments.columns or X.shape[1]) != X.shape[1]:
        return grown(X, rows, arguments.columns or X.shape[1]), None, "cosine"
    return X[:rows], None, "cosine"


def read(path, name):
    stored = np.load(path, allow_pickle=False)
    return (stored if path.endswith(".npy") else stored[name]).astype(np.float32)


def mixture(n, columns=50, parts=200, rank=10):
    """Gaussians of low rank with a little noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, parts, n)  # those of mixture_labels
    X = np.empty((n, columns), np.float32)
    for part in range(parts):
        rows = np.flatnonzero(labels == part)
        directions = rng.standard_normal((rank, columns), dtype=np.float32)
        inside = rng.standard_normal((len(rows), rank), dtype=np.float32) @ directions
        noise = 0.1 * rng.standard_normal((len(rows), columns), dtype=np.float32)
        X[rows] = inside + noise + 4 * rng.standard_normal(columns, dtype=np.float32)
    return X


def mixture_labels(n, parts=200):
    """Which Gaussian each row of a mixture is of."""
    return np.random.default_rng(0).integers(0, parts, n)


def clouds(n, columns, parts=1000):
    """Normal rows of full rank in clouds whose centres are as far apart as their rows."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((parts, columns), dtype=np.float32)
    X = rng.standard_normal((n, columns), dtype=np.float32)
    X += centers[rng.integers(0, parts, n)]
    return X


def cells(n, seed=0):
    """Cells in 50 principal components, drawn from the normal distributions of scanpy's ten types."""
    import scanpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file's older format
        table = scanpy.datasets.pbmc68k_reduced()
    known, kinds = table.obsm["X_pca"], table.obs["bulk_labels"].cat.codes.to_numpy()
    rng = np.random.default_rng(seed)
    labels = rng.choice(kinds, n)
    X = np.empty((n, known.shape[1]), np.float32)
    for kind in np.unique(labels):
        of, rows = known[kinds == kind], labels == kind
        X[rows] = rng.multivariate_normal(of.mean(0), np.cov(of.T), rows.sum())
    return X, labels, "euclidean"


def grown(X, rows, columns):
    """More embeddings of the kind of `X`, of any number of columns.

    Each is a row of `X`, moved by the difference of two rows near it: about as far from the row as
    its neighbours are, in a direction that the data has there. More columns are a random rotation
    of the row that is left when the first ones are filled.
    """
    from fastparadime import neighbors

    rng = np.random.default_rng(0)
    near = neighbors.knn(X, 15, "cosine").indices.numpy()
    own, parts = rng.integers(0, len(X), rows), []
    while sum(part.shape[1] for part in parts) < columns:
        a, b = (near[own, rng.integers(0, 15, rows)] for _ in range(2))
        moved = X[own] + 0.7 * (X[a] - X[b])
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        rotation = np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0].astype(np.float32)
        parts.append(moved @ rotation)
    return np.hstack(parts)[:, :columns]
