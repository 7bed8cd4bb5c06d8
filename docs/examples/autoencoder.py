"""An auto-encoder whose codes also keep the neighbours: reconstruction and relations together.

python docs/examples/autoencoder.py [--small] [--mnist FILE.npz] [--plot MAP.png]
"""

import example_data
import torch

from fastparadime import dr, loss, models, relations, transforms

# %% The data
data = example_data.load(__doc__)


# %% The model
class AutoEncoder(models.Model):
    """Two coordinates and back."""

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.encoder = torch.nn.Sequential(
            torch.nn.Linear(in_dim, 100), torch.nn.Softplus(), torch.nn.Linear(100, 2)
        )
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(2, 100), torch.nn.Softplus(),
            torch.nn.Linear(100, in_dim), torch.nn.Sigmoid(),
        )  # fmt: skip

    def encode(self, X: torch.Tensor) -> torch.Tensor:
        return self.encoder(X)

    def decode(self, X: torch.Tensor) -> torch.Tensor:
        return self.decoder(X)


# %% The routine: codes are compared as an embedding would be
torch.manual_seed(0)  # of the model's weights; the routine draws from its own seed
routine = dr.ParametricDR(
    model=AutoEncoder(data.images.shape[1]),
    global_relations=relations.NeighborBasedPDist(
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=15),
            transforms.Symmetrize(subtract_product=True),
        ]
    ),
    batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
    losses={
        "relations": loss.RelationLoss(loss.cross_entropy_loss, embedding_method="encode"),
        "images": loss.ReconstructionLoss(),
    },
    seed=0,
)
routine.add_training_phase(
    name="codes",
    loss_keys=["relations", "images"],
    loss_weights=[1.0, 10.0],
    sampling="negative_edge",
    epochs=30,
    batches_per_epoch=len(data.images) // 50,
    batch_size=100,
    learning_rate=0.02,
)
routine.train(data.images)

# %% What the codes keep of an image, beside the mean image for all
embedding: torch.Tensor = routine.apply(data.images, method="encode")
decoded = routine.apply(embedding, method="decode")
error = float((decoded - data.images).square().mean())
baseline = float(data.images.var(dim=0, correction=0).mean())
print(f"squared error {error:.4f} a pixel, {baseline:.4f} for the mean image")

# %% The map
data.show(embedding, "Auto-encoder with relations")
