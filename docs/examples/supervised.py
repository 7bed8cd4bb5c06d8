"""A supervised embedding: a loss of our own pulls points of a class together.

    python docs/examples/supervised.py [--small] [--mnist FILE.npz] [--plot MAP.png]

Labels of the first half are used; the map shows all images.
"""

import example_data
import torch

from fastparadime import dr, loss

# %% The data
data = example_data.load(__doc__)
half = len(data.images) // 2


# %% The loss: it gets the model, all relations and the batch, and reads what it needs
class TripletLoss(loss.Loss):
    """Mean margin violation of all triplets (anchor, same class, other class) of a batch."""

    def __init__(self, margin: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.margin = margin

    def forward(self, model, global_relations, batch_relations, batch, device):
        points, labels = model.embed(batch["main"]), batch["labels"]
        distances = torch.cdist(points, points)
        same = labels[:, None] == labels
        triplets = same[:, :, None] & ~same[:, None, :]
        violation = distances[:, :, None] - distances[:, None, :] + self.margin
        return violation[triplets].clamp(min=0).mean()


# %% The routine has no relations: the loss is all there is
routine = dr.ParametricDR(hidden_dims=[100, 50], losses=TripletLoss(), seed=0)
routine.add_training_phase(name="triplets", epochs=30, batch_size=50, learning_rate=0.005)
routine.train({"main": data.images[:half], "labels": data.labels[:half]})

# %% How images do whose labels were not seen
unseen = routine.apply(data.images[half:])
unseen_share = example_data.same_class(unseen, data.labels[half:])
print(f"unseen images: {unseen_share:.0%} of neighbours share the class")

# %% The map
embedding: torch.Tensor = routine.apply(data.images)
data.show(embedding, "Triplet loss")
