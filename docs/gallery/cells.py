"""A map of cells with scanpy: neighbours and map by fastparadime, all else as before.

    python docs/gallery/cells.py [--small] [--plot MAP.png]

The 700 blood cells come with scanpy: `pip install 'fastparadime[ecosystem]'`.
"""

import command_line
import scanpy as sc

from fastparadime import UMAP, KNNTransformer, neighbors, plot

# %% The data, with the principal components and the kinds of cells that scanpy stored
options = command_line.arguments(__doc__)
adata = sc.datasets.pbmc68k_reduced()
if options.small:
    adata = adata[:300].copy()
components, kinds = adata.obsm["X_pca"], adata.obs["bulk_labels"]

# %% Neighbours, for scanpy's clustering and trajectories as well
sc.pp.neighbors(adata, transformer=KNNTransformer(n_neighbors=15), use_rep="X_pca")

# %% The map, where scanpy's plots look for it
umap = UMAP(n_neighbors=15, min_dist=0.3, random_state=0)
adata.obsm["X_umap"] = umap.fit_transform(components)

nearest = neighbors.knn(adata.obsm["X_umap"], 10).indices.numpy()
share = float((kinds.to_numpy()[nearest] == kinds.to_numpy()[:, None]).mean())
print(f"{adata.n_obs} cells, {components.shape[1]} principal components")
print(f"{share:.0%} of the ten nearest cells in the map are of the same kind")

# %% The picture; scanpy's own is sc.pl.umap(adata, color="bulk_labels")
if options.plot is not None:
    figure = command_line.new_figure(9, 6)
    ax = plot.points(adata.obsm["X_umap"], kinds, ax=figure.subplots(), point_size=14)
    command_line.legend_beside(ax)
    command_line.save(figure, options.plot)
