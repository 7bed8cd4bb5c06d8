"""How far to trust a map: rows that are unlike the data, and rows that could lie elsewhere.

    python docs/gallery/confidence.py [--small] [--plot MAP.png]

The images of digits come with scikit-learn; noise and means of two digits are planted among them.
"""

import command_line
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from fastparadime import UMAP, plot

# %% The data: 40 images of noise, and 40 that are halfway from one digit to another
options = command_line.arguments(__doc__)
X, labels = load_digits(return_X_y=True)
if options.small:
    X, labels = X[:600], labels[:600]
rng = np.random.default_rng(0)
noise = rng.uniform(0, 16, (40, X.shape[1]))
zeros, ones = (rng.choice(np.flatnonzero(labels == digit), 40) for digit in (0, 1))
halfway = (X[zeros] + X[ones]) / 2

# %% A map, and how far each row's place in it can be trusted
mapper = UMAP(random_state=0).fit(X)
rows = np.concatenate([X, noise, halfway])
kind = np.repeat(["digit", "noise", "halfway"], [len(X), len(noise), len(halfway)])
found = mapper.confidence(rows)
for name in ("kept_neighbors", "distance_ratio", "stability"):
    values = getattr(found, name)
    medians = (f"{part} {np.median(values[kind == part]):5.2f}" for part in np.unique(kind))
    print(f"{name:14}", *medians, sep="   ")
digits = kind == "digit"
auc = {
    "noise": roc_auc_score(
        kind[kind != "halfway"] == "noise", found.distance_ratio[kind != "halfway"]
    ),
    "halfway": roc_auc_score(kind[kind != "noise"] == "halfway", -found.stability[kind != "noise"]),
}
print(f"noise found by distance_ratio, AUC {auc['noise']:.3f}")
print(f"halfway found by stability, AUC {auc['halfway']:.3f}")

# %% The picture
if options.plot is not None:
    places = mapper.transform(rows)
    figure = command_line.new_figure(11, 5)
    for ax, name in zip(figure.subplots(1, 2), ("distance_ratio", "stability"), strict=True):
        plot.points(places, getattr(found, name), ax=ax, point_size=5)
        ax.set_title(name)
    command_line.save(figure, options.plot)
