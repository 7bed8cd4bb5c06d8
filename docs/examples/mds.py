"""Metric multidimensional scaling: distances in the embedding follow those of the data.

python docs/examples/mds.py [--small] [--mnist FILE.npz] [--plot MAP.png]
"""

import example_data
import torch

from fastparadime import dr, loss, relations, transforms

# %% The data
data = example_data.load(__doc__)

# %% Relations: all pairwise distances, those of a batch with gradients, both as square matrices
global_relations = relations.PDist(transform=transforms.ToSquareTensor())
batch_relations = relations.DifferentiablePDist(transform=transforms.ToSquareTensor())


# %% A loss function takes both matrices of a batch
def stress(distances: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
    """Kruskal's stress without its root: 0 for equal distances."""
    return (distances - embedded).square().sum() / distances.square().sum()


# %% The routine; distances are compared as they are, so nothing is normalized
routine = dr.ParametricDR(
    hidden_dims=[100, 50],
    global_relations=global_relations,
    batch_relations=batch_relations,
    losses=loss.RelationLoss(stress, normalize_sub=False),
    seed=0,
)
routine.add_training_phase(name="mds", epochs=40, batch_size=100, learning_rate=0.005)
routine.train(data.images)

# %% The map
embedding: torch.Tensor = routine.apply(data.images)
final_stress = float(
    stress(torch.cdist(data.images, data.images), torch.cdist(embedding, embedding))
)
print(f"stress {final_stress:.3f}")
data.show(embedding, "Metric MDS")
