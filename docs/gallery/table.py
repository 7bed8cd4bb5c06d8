"""A map of a table whose columns have units of their own, with and without scaling.

    python docs/gallery/table.py [--small] [--plot MAP.png]

569 tumours by 30 measurements, which come with scikit-learn. Areas go up to 4,254 and concavities to
0.4, so that without scaling distances are those of the areas alone.
"""

import command_line
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from fastparadime import UMAP, neighbors, plot

# %% The data, as a data frame
options = command_line.arguments(__doc__)
data = load_breast_cancer(as_frame=True)
X, kinds = data.data, data.target_names[data.target]
if options.small:
    X, kinds = X[:300], kinds[:300]
largest = X.max().sort_values()
print(f"largest values: {largest.iloc[0]:.2g} ({largest.index[0]}) to "
      f"{largest.iloc[-1]:,.0f} ({largest.index[-1]})")  # fmt: skip

# %% Two maps; in a pipeline, new rows are scaled as those of the fit were
maps = {
    "as measured": UMAP(random_state=0),
    "scaled": make_pipeline(RobustScaler(), UMAP(random_state=0)),
}
embeddings = {name: umap.fit_transform(X) for name, umap in maps.items()}
shares = {}
for name, Y in embeddings.items():
    nearest = neighbors.knn(Y, 10).indices.numpy()
    shares[name] = float((kinds[nearest] == kinds[:, None]).mean())
    print(f"{name}: {shares[name]:.1%} of the ten nearest tumours are of the same kind")

# %% The picture
if options.plot is not None:
    figure = command_line.new_figure(11, 5)
    for ax, (name, Y) in zip(figure.subplots(1, 2), embeddings.items(), strict=True):
        plot.points(Y, kinds, ax=ax, point_size=14, show_legend=name == "scaled")
        ax.set_title(name)
    command_line.legend_beside(ax)
    command_line.save(figure, options.plot)
