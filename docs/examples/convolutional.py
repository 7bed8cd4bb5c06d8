"""A convolutional encoder on data of the shape of images.

python docs/examples/convolutional.py [--small] [--mnist FILE.npz] [--plot MAP.png]
"""

import example_data
import torch

from fastparadime import dr, loss, models, relations, transforms
from fastparadime.layout import spectral

# %% The data: the model sees images, neighbours are found among flat rows
data = example_data.load(__doc__)
images = data.images.reshape(-1, 1, data.side, data.side)


# %% The model
class ConvolutionalEncoder(models.Model):
    """Two convolutions and a linear layer."""

    def __init__(self, side: int) -> None:
        super().__init__()
        width = -(-side // 4)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, stride=2, padding=1), torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 3, stride=2, padding=1), torch.nn.ReLU(),
            torch.nn.Flatten(), torch.nn.Linear(16 * width * width, 2),
        )  # fmt: skip

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        return self.layers(X)


def spectral_positions(rel):
    return spectral.spectral_positions(rel.edges)


# %% The routine: global relations are those of the entry "flat"
torch.manual_seed(0)  # of the model's weights; the routine draws from its own seed
routine = dr.ParametricDR(
    model=ConvolutionalEncoder(data.side),
    derived_data={"spectral": dr.DerivedData(spectral_positions, [("rels", "rel")])},
    global_relations=relations.NeighborBasedPDist(
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=15),
            transforms.Symmetrize(subtract_product=True),
        ],
        data_key="flat",
    ),
    batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
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
    epochs=30,
    batches_per_epoch=len(data.images) // 50,
    batch_size=100,
)
routine.train({"main": images, "flat": data.images})

# %% The map
embedding: torch.Tensor = routine.apply(images, method="embed")
data.show(embedding, "Convolutional encoder")
