"""Embedding and classification together: one model with two heads, two losses in one phase.

python docs/examples/hybrid_classification.py [--small] [--mnist FILE.npz] [--plot MAP.png]
"""

import example_data
import torch

from fastparadime import dr, loss, models, relations, transforms

# %% The data
data = example_data.load(__doc__)


# %% The model: losses call its methods by name
class TwoHeads(models.Model):
    """A shared trunk, one head for the positions and one for the classes."""

    def __init__(self, in_dim: int, classes: int) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.trunk = torch.nn.Sequential(
            torch.nn.Linear(in_dim, 100), torch.nn.Softplus(),
            torch.nn.Linear(100, 50), torch.nn.Softplus(),
        )  # fmt: skip
        self.positions = torch.nn.Linear(50, 2)
        self.classes = torch.nn.Linear(50, classes)

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        return self.positions(self.trunk(X))

    def classify(self, X: torch.Tensor) -> torch.Tensor:
        return self.classes(self.trunk(X))


# %% The routine: its phase sums both losses, weighted
torch.manual_seed(0)  # of the model's weights; the routine draws from its own seed
routine = dr.ParametricDR(
    model=TwoHeads(data.images.shape[1], classes=10),
    global_relations=relations.NeighborBasedPDist(
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=15),
            transforms.Symmetrize(subtract_product=True),
        ]
    ),
    batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
    losses={
        "embedding": loss.RelationLoss(loss.cross_entropy_loss),
        "classes": loss.ClassificationLoss(label_key="labels"),
    },
    seed=0,
)
routine.add_training_phase(
    name="both",
    loss_keys=["embedding", "classes"],
    loss_weights=[1.0, 0.2],
    sampling="negative_edge",
    epochs=30,
    batches_per_epoch=len(data.images) // 50,
    batch_size=100,
    learning_rate=0.02,
)
routine.train({"main": data.images, "labels": data.labels})

# %% What each loss came to, and the classes
both = routine.training_phases[0].loss
embedding_history, class_history = both.detailed_history()
scores = routine.apply(data.images, method="classify")
accuracy = float((scores.argmax(1) == data.labels).double().mean())
print(f"losses {embedding_history[-1]:.2f} and {class_history[-1]:.2f}, accuracy {accuracy:.0%}")

# %% The map
embedding: torch.Tensor = routine.apply(data.images, method="embed")
data.show(embedding, "Embedding and classes")
