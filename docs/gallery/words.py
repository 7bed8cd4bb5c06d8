"""A map of word vectors, and where a few words and their neighbours are in it.

    python docs/gallery/words.py words.npz [--small] [--plot MAP.png]

The file holds "vectors" (n, d) and "words" (n,), the most frequent first, of which the map takes
10,000. Angles between word vectors carry their meaning, so the metric is the cosine.
"""

import command_line
import numpy as np
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, plot

# %% The data
COUNT = 10_000
options = command_line.arguments(__doc__, data="words.npz")
with np.load(options.data) as stored:
    vectors, words = stored["vectors"][:COUNT].astype(np.float32), stored["words"][:COUNT]
if options.small:
    vectors, words = vectors[:3000], words[:3000]

# %% The map
Y = UMAP(metric="cosine", n_neighbors=15, min_dist=0.05, random_state=0).fit_transform(vectors)
sample = np.random.default_rng(0).choice(len(Y), 2000, replace=False)
trust = trustworthiness(vectors[sample], Y[sample], n_neighbors=15, metric="cosine")
print(f"{len(Y):,} words, trustworthiness {trust:.3f} among 2,000 of them")

# %% A few words, and which words have the most similar vectors
chosen = ["algorithm", "anger", "election", "guitar", "protein", "storm", "tax", "war"]
units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
labels = np.full(len(words), None, dtype=object)
for word in chosen:
    cosines = units @ units[np.flatnonzero(words == word)[0]]
    nearest = np.argsort(cosines)[::-1]
    labels[nearest[:100]] = word
    print(f"{word}: {', '.join(words[nearest[1:6]])}")

# %% The picture: those 100 words of each, among all
if options.plot is not None:
    figure = command_line.new_figure(9, 6)
    ax = plot.points(Y, labels, ax=figure.subplots(), point_size=5)
    command_line.legend_beside(ax)
    command_line.save(figure, options.plot)
