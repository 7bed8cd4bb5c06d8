"""A guided embedding: a few points are given positions, the relations arrange all others.

python docs/examples/guided.py [--small] [--mnist FILE.npz] [--plot MAP.png]
"""

import math

import example_data
import torch

from fastparadime import dr, loss, relations, transforms

# %% The data
data = example_data.load(__doc__)

# %% Guide points: every twentieth image is to lie on a circle, ordered by its digit
angles = 2 * math.pi * data.labels / 10
circle = 5 * torch.stack((angles.cos(), angles.sin()), dim=1)
guides = torch.full_like(circle, torch.nan)  # no position
guides[::20] = circle[::20]


# %% PositionLoss compares all points of a batch; its function leaves out those without a guide
def squared_error(embedded: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    guided = positions.isfinite().all(dim=1)
    return (embedded[guided] - positions[guided]).square().sum() / guided.sum().clamp(min=1)


# %% The routine: first the guides alone, then the relations as well
routine = dr.ParametricDR(
    hidden_dims=[100, 50],
    global_relations=relations.NeighborBasedPDist(
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=15),
            transforms.Symmetrize(subtract_product=True),
        ]
    ),
    batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
    losses={
        "relations": loss.RelationLoss(loss.cross_entropy_loss),
        "guides": loss.PositionLoss(squared_error, position_key="guides"),
    },
    seed=0,
)
routine.add_training_phase(name="guides", loss_keys=["guides"], epochs=20, batch_size=100)
routine.add_training_phase(
    name="all",
    loss_keys=["relations", "guides"],
    loss_weights=[1.0, 0.05],
    sampling="negative_edge",
    epochs=30,
    batches_per_epoch=len(data.images) // 50,
    batch_size=100,
)
routine.train({"main": data.images, "guides": guides})

# %% How far from its place on the circle a point comes to lie that had no guide
embedding: torch.Tensor = routine.apply(data.images)
free = guides.isnan().any(dim=1)
distance = float((embedding[free] - circle[free]).norm(dim=1).median())
print(f"points without a guide lie {distance:.2f} from the place of their class (median)")

# %% The map
data.show(embedding, "Guided by a circle")
