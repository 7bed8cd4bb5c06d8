"""The same 1,797 images of digits by several values of n_neighbors and min_dist.

    python docs/gallery/choosing.py [--small] [--plot MAP.png]

The images come with scikit-learn.
"""

import command_line
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, plot

# %% The data
options = command_line.arguments(__doc__)
X, labels = load_digits(return_X_y=True)
if options.small:
    X, labels = X[:400], labels[:400]

# %% The maps
COUNTS, DISTANCES = (5, 15, 50, 200), (0.0, 0.1, 0.5)
maps = {
    (count, distance): UMAP(n_neighbors=count, min_dist=distance, random_state=0).fit_transform(X)
    for distance in DISTANCES
    for count in COUNTS
}
trust = {key: trustworthiness(X, Y, n_neighbors=15) for key, Y in maps.items()}
print("trustworthiness at 15 neighbours")
print("min_dist", *(f"n_neighbors={count}" for count in COUNTS), sep="  ")
for distance in DISTANCES:
    print(f"{distance:8}", *(f"{trust[count, distance]:15.3f}" for count in COUNTS))

# %% The picture
if options.plot is not None:
    figure = command_line.new_figure(12, 9)
    axes = figure.subplots(len(DISTANCES), len(COUNTS))
    for ax, ((count, distance), Y) in zip(axes.flat, maps.items(), strict=True):
        plot.points(Y, labels, ax=ax, point_size=4, show_legend=False)
        ax.set_title(f"n_neighbors={count}, min_dist={distance}")
    command_line.save(figure, options.plot)
