"""A map of images by a network, and images that the network has not seen.

    python docs/gallery/images.py mnist.npz [--small] [--plot MAP.png]

The file holds "images" (n, 28, 28) and "labels" (n,). The network learns from the first six of
seven images, and places the others as a function of their pixels alone.
"""

import command_line
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from fastparadime import plot, routines

# %% The data, as rows of pixels
options = command_line.arguments(__doc__, data="mnist.npz")
with np.load(options.data) as stored:
    images, labels = stored["images"], stored["labels"]
if options.small:
    images, labels = images[:3500], labels[:3500]
X = images.reshape(len(images), -1).astype(np.float32) / 255
split = len(X) * 6 // 7

# %% The map
umap = routines.ParametricUMAP(n_neighbors=15, min_dist=0.1, quality="balanced", seed=0)
umap.train(X[:split])
seen, unseen = umap.apply(X[:split]).numpy(), umap.apply(X[split:]).numpy()

# %% How often the five nearest images in the map tell the digit of an image that was not seen
classifier = KNeighborsClassifier(n_neighbors=5).fit(seen, labels[:split])
accuracy = classifier.score(unseen, labels[split:])
print(f"{len(seen):,} images, and {len(unseen):,} that were not seen")
print(f"the five nearest tell the digit of {accuracy:.1%} of the images that were not seen")

# %% The picture
if options.plot is not None:
    figure = command_line.new_figure(11, 5.5)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    plot.points(seen, labels[:split], ax=left, show_legend=False)
    plot.points(unseen, labels[split:], ax=right)
    command_line.legend_beside(right)
    left.set_title(f"{len(seen):,} images, seen")
    right.set_title(f"{len(unseen):,} images, not seen")
    command_line.save(figure, options.plot)
