"""The predefined routines, parametric UMAP and parametric t-SNE.

    python docs/examples/routines.py [--small] [--mnist FILE.npz] [--plot MAP.png]

The map is that of t-SNE.
"""

import example_data
import torch

from fastparadime import routines

# %% The data: the last tenth is only embedded, not trained on
data = example_data.load(__doc__)
seen = data.images[: 9 * len(data.images) // 10]

# %% Parametric UMAP; larger and more batches than by default make an epoch longer and faster
umap = routines.ParametricUMAP(
    n_neighbors=15,
    min_dist=0.1,
    epochs=30,
    batches_per_epoch=len(seen) // 50,
    batch_size=100,
    learning_rate=0.01,
    init_epochs=10,
    init_learning_rate=0.01,
    seed=0,
)
umap.train(seen)
umap_embedding: torch.Tensor = umap.apply(data.images)
umap_share = example_data.same_class(umap_embedding, data.labels)
print(f"Parametric UMAP: {umap_share:.0%} of neighbours share the class")

# %% Parametric t-SNE
routine = routines.ParametricTSNE(perplexity=20, epochs=40, batch_size=200, seed=0)
routine.train(seen)

# %% The map
embedding: torch.Tensor = routine.apply(data.images)
data.show(embedding, "Parametric t-SNE")
