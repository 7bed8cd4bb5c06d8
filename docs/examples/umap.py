"""Parametric UMAP from its parts.

    python docs/examples/umap.py [--small] [--mnist FILE.npz] [--plot MAP.png]

`routines.ParametricUMAP` composes the same parts.
"""

import example_data
import torch

from fastparadime import dr, loss, relations, transforms
from fastparadime.layout import spectral

# %% The data
data = example_data.load(__doc__)

# %% Relations of the data: strengths of the links to nearest neighbours, in both directions
global_relations = relations.NeighborBasedPDist(
    transform=[
        transforms.ConnectivityBasedRescale(n_neighbors=15),
        transforms.Symmetrize(subtract_product=True),
    ]
)

# %% Relations of the embedding: UMAP's curve of the distances between the ends of edges
batch_relations = relations.DistsFromTo(
    transform=transforms.ModifiedCauchyTransform(min_dist=0.1, spread=1.0)
)


# %% Positions to start from, computed from the relations before training
def spectral_positions(rel):
    return spectral.spectral_positions(rel.edges)


# %% The routine: the model first learns the positions, then the relations
routine = dr.ParametricDR(
    hidden_dims=[100, 100],
    derived_data={"spectral": dr.DerivedData(spectral_positions, [("rels", "rel")])},
    global_relations=global_relations,
    batch_relations=batch_relations,
    losses={
        "init": loss.PositionLoss(position_key="spectral"),
        "embedding": loss.RelationLoss(loss.cross_entropy_loss),
    },
    seed=0,
)
routine.add_training_phase(name="init", loss_keys=["init"], epochs=10, batch_size=100)
routine.add_training_phase(
    name="embedding",
    loss_keys=["embedding"],
    sampling="negative_edge",
    neg_sampling_rate=5,
    epochs=30,
    batches_per_epoch=len(data.images) // 50,
    batch_size=100,
)
routine.train(data.images)

# %% The map
embedding: torch.Tensor = routine.apply(data.images)
data.show(embedding, "Parametric UMAP")
