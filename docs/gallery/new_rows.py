"""Where two networks place rows that they have not seen: by coordinates, and by anchors.

    python docs/gallery/new_rows.py ROWS.npz [--small] [--plot MAP.png]

The file holds "images" (n, 28, 28) and "labels" (n,), or "embeddings" (n, d) of sentences, which are
compared by their angle and coloured by clusters.
"""

import command_line
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from fastparadime import ParametricUMAP, plot

# %% The data: rows that are fitted, and new ones
options = command_line.arguments(__doc__, data="ROWS.npz")
n, new = (1200, 300) if options.small else (5000, 1000)
with np.load(options.data) as stored:
    names = ("images", "labels") if "images" in stored else ("embeddings",)
    tables = [stored[name] for name in names]
some = np.random.default_rng(0).permutation(len(tables[0]))[: n + new]
X = tables[0][some].reshape(n + new, -1).astype(np.float32)
if len(tables) == 2:
    metric, labels = "euclidean", tables[1][some]
    X = PCA(50, random_state=0).fit(X[:n]).transform(X)
else:
    metric, labels = "cosine", KMeans(10, n_init=1, random_state=0).fit_predict(X)

# %% The share of a new row's 15 nearest rows that are among its 15 nearest in the map
NETWORKS = {"coordinates": {"anchors": 0}, "anchors": {}}


def nearest(rows, others, metric="euclidean"):
    search = NearestNeighbors(n_neighbors=15, metric=metric).fit(rows)
    return search.kneighbors(others, return_distance=False)


near, recall, maps = nearest(X[:n], X[n:], metric), {}, {}
for name, parameters in NETWORKS.items():
    network = ParametricUMAP(metric=metric, quality="balanced", random_state=0, **parameters)
    seen, placed = network.fit_transform(X[:n]), network.transform(X[n:])
    shared = [np.isin(*pair).sum() for pair in zip(near, nearest(seen, placed), strict=True)]
    recall[name], maps[name] = np.mean(shared) / 15, (seen, placed)
    print(f"{name:11} keep {recall[name]:.1%} of the neighbours of new rows")

# %% The picture: new rows coloured, upon those of the fit
if options.plot is not None:
    figure = command_line.new_figure(11, 5.5)
    for ax, (name, (seen, placed)) in zip(figure.subplots(1, 2), maps.items(), strict=True):
        ax.scatter(*seen.T, s=2, color="0.85", linewidths=0)
        plot.points(placed, labels[n:], ax=ax, point_size=5, show_legend=False)
        ax.set_title(name)
    command_line.save(figure, options.plot)
