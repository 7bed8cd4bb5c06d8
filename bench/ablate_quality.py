"""What each choice of `ParametricUMAP(quality=...)` is worth: one changed at a time.

    python bench/ablate_quality.py --mnist mnist.npz [--seeds 3] [--only NAME ...]

The base is a network of 100, 100, 100 that sees each row 50 times, without noise. Prints, for each
variant and data set, trustworthiness and the share of neighbours that stay at 15,
and the accuracy of 5 nearest neighbours of the training rows and of held-out ones, as means over
seeds. The layout is computed once for a data set and seed and shared by its variants.
"""

import argparse
import dataclasses
import functools
import statistics
import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from fastparadime import dr, loss, models, neighbors, routines
from fastparadime.routines import quality


def data_sets(path):
    """Training rows and labels, and held-out ones, by name."""
    with np.load(path) as archive:
        images = archive["images"].reshape(len(archive["images"]), -1) / np.float32(255)
        labels = archive["labels"]
    yield "MNIST 5,000 x 784", images[:5000], labels[:5000], images[60_000:], labels[60_000:]
    X, y = load_digits(return_X_y=True)
    X, order = X.astype(np.float32), np.random.default_rng(0).permutation(len(X))
    train, held = order[:1500], order[1500:]
    yield "digits 1,500 x 64", X[train], y[train], X[held], y[held]
    rng = np.random.default_rng(0)
    centres, axes = 2 * rng.standard_normal((20, 50)), rng.standard_normal((20, 5, 50))
    y = rng.integers(20, size=7000)
    X = centres[y] + np.einsum("nk,nkd->nd", rng.standard_normal((7000, 5)), axes[y])
    X = (X + 0.3 * rng.standard_normal(X.shape)).astype(np.float32)
    yield "mixture 5,000 x 50", X[:5000], y[:5000], X[5000:], y[5000:]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A change of the base: of the network, the phase, or what comes after it."""

    model: object = None
    phase: object = None
    after: object = None


def plain(activation):
    return lambda X: models.FullyConnectedEmbeddingModel(
        X.shape[1], 2, (100, 100, 100), activation=activation
    )


def scaled(activation):
    return lambda X: models.ScaledEmbeddingModel(
        X.shape[1], 2, (100, 100, 100), activation=activation
    )


def residual(X):
    class Residual(models.ScaledEmbeddingModel):
        def _from_first(self, x):
            for layer in self.layers[1:-1]:
                x = x + layer(torch.nn.functional.silu(x))
            return self.layers[-1](torch.nn.functional.silu(x))

    return Residual(X.shape[1], 2, (100, 100, 100))


def refined(routine):
    """Two hundred steps of the edge loss after the regression."""
    routine.run_training_phase(
        dr.TrainingPhase(
            epochs=1, batches_per_epoch=200, batch_size=500, sampling="negative_edge",
            loss=loss.RelationLoss(loss.cross_entropy_loss), learning_rate=1e-3, schedule="cosine",
        )
    )  # fmt: skip


def edges_alone(routine):
    """As many steps of the edge loss as the regression has, from the spectral positions."""
    routine.run_training_phase(
        dr.TrainingPhase(
            epochs=1, batches_per_epoch=1000, batch_size=500, sampling="negative_edge",
            loss=loss.RelationLoss(loss.cross_entropy_loss), learning_rate=5e-3, schedule="cosine",
        )
    )  # fmt: skip


def to_spectral(routine, phase):
    edges = routine.global_relation_data["rel"]
    from fastparadime.dr.dataset import spectral_positions

    routine.dataset.data["layout"] = 5 * spectral_positions(edges)
    phase.epochs = 20
    phase.batch_size = 500


def mean_squared(_, phase):
    phase.loss.loss_function = torch.nn.MSELoss()


def constant_rate(_, phase):
    phase.schedule = "constant"


def at_rate(rate):
    def change(_, phase):
        phase.learning_rate = rate

    return change


def noise_of(share):
    def change(_, phase):
        phase.noise = share

    return change


def decayed_weights(_, phase):
    phase.optimizer = torch.optim.AdamW
    phase.kwargs = {"weight_decay": 0.1}


class ClippedAdam(torch.optim.Adam):
    """Adam on gradients of norm 1 at most."""

    def step(self, closure=None):
        torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 1.0)
        return super().step(closure)


class AveragedAdam(torch.optim.Adam):
    """Adam that keeps a running mean of the weights, of about the last hundred steps."""

    means = ()

    def step(self, closure=None):
        super().step(closure)
        weights = [weight.detach() for weight in self.param_groups[0]["params"]]
        if not hasattr(self, "started"):
            self.started = True
            AveragedAdam.means = [weight.clone() for weight in weights]
        torch._foreach_lerp_(AveragedAdam.means, weights, 0.01)


def with_optimizer(optimizer, **changes):
    def change(_, phase):
        phase.optimizer = optimizer
        for name, value in changes.items():
            setattr(phase, name, value)

    return change


@torch.no_grad()
def take_means(routine):
    for weight, mean in zip(routine.model.parameters(), AveragedAdam.means, strict=True):
        weight.copy_(mean)


def small_batches(_, phase):
    phase.batch_size, phase.schedule = 125, "constant"
    phase.epochs //= 5


def larger_batches(routine):
    """As many rows again at each size of batch, at one learning rate."""
    (phase,) = routine.training_phases
    for size in (250, 500, 1000, 2000):
        phase.batch_size = size
        routine.run_training_phase(phase)


def hard_rows(_, phase):
    """Rows count by their own error beside the batch's mean."""
    plain_loss = phase.loss.loss_function

    def weighted(found, wanted):
        errors = plain_loss(found, wanted, reduction="none").mean(dim=1)
        return (errors * (errors / errors.mean()).detach()).mean()

    phase.loss.loss_function = weighted


VARIANTS = {
    "base": Variant(),
    "mean squared error instead of Huber's": Variant(phase=mean_squared),
    "constant learning rate": Variant(phase=constant_rate),
    "learning rate 0.003": Variant(phase=at_rate(0.003)),
    "learning rate 0.02": Variant(phase=at_rate(0.02)),
    "softplus": Variant(model=scaled("softplus")),
    "relu": Variant(model=scaled("relu")),
    "no scaling": Variant(model=plain("silu")),
    "no scaling, softplus": Variant(model=plain("softplus")),
    "residual blocks": Variant(model=residual),
    "weight decay 0.1": Variant(phase=decayed_weights),
    "gradients clipped to norm 1": Variant(phase=with_optimizer(ClippedAdam)),
    "averaged weights": Variant(phase=with_optimizer(AveragedAdam), after=take_means),
    "averaged weights, constant learning rate": Variant(
        phase=with_optimizer(AveragedAdam, schedule="constant"), after=take_means
    ),
    "batches of 125 growing to 2,000, constant rate": Variant(
        phase=small_batches, after=larger_batches
    ),
    "noise of 0.25": Variant(phase=noise_of(0.25)),
    "noise of 0.5": Variant(phase=noise_of(0.5)),
    "noise of 1": Variant(phase=noise_of(1.0)),
    "rows weighted by their error": Variant(phase=hard_rows),
    "200 steps on edges after": Variant(after=refined),
    "1,000 steps on edges instead": Variant(phase=to_spectral, after=edges_alone),
}


def scores(routine, X, y, held, held_y):
    coords, other = routine.apply(X).numpy(), routine.apply(held).numpy()
    kept = neighbors.knn(X, 15).indices.numpy(), neighbors.knn(coords, 15).indices.numpy()
    shared = [len(set(a) & set(b)) / 15 for a, b in zip(*kept, strict=True)]
    labels = np.eye(y.max() + 1)[y[neighbors.knn(coords, 5).indices.numpy()]].sum(1)
    votes = KNeighborsClassifier(5).fit(coords, y)
    return {
        "trust15": trustworthiness(X, coords, n_neighbors=15),
        "preserve15": statistics.mean(shared),
        "acc5": float((labels.argmax(1) == y).mean()),
        "held-out": votes.score(other, held_y),
    }


BASE = quality.Quality((100, 100, 100), passes=50, steps=1000, noise=0.0)


def run(variant, X, seed, layout):
    torch.manual_seed(seed)
    model = (variant.model or scaled("silu"))(X)
    routine = routines.ParametricUMAP(
        n_neighbors=15, min_dist=0.1, quality="balanced", model=model, seed=seed, dataset=X
    )
    relation_data, positions = layout
    routine.global_relation_data["rel"], routine._global_relations_computed = relation_data, True
    routine.add_data({"layout": positions})
    (phase,) = routine.training_phases
    phase.epochs, phase.noise = BASE.epochs(len(X)), BASE.noise
    if variant.phase is not None:
        variant.phase(routine, phase)
    routine._prepare_model()
    start = time.perf_counter()
    routine.run_training_phase(phase)
    if variant.after is not None:
        variant.after(routine)
    return routine, time.perf_counter() - start


@functools.cache
def layout_of(name, seed):
    X = ROWS[name]
    routine = routines.ParametricUMAP(
        n_neighbors=15, min_dist=0.1, quality="balanced", seed=seed, dataset=X
    )
    routine.compute_global_relations()
    relation_data = routine.global_relation_data["rel"]
    return relation_data, routine._layout(relation_data)


ROWS = {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    for name, X, y, held, held_y in data_sets(arguments.mnist):
        ROWS[name] = X
        print(f"\n{name}")
        for label in arguments.only:
            found, seconds = [], []
            for seed in range(arguments.seeds):
                routine, spent = run(VARIANTS[label], X, seed, layout_of(name, seed))
                found.append(scores(routine, X, y, held, held_y))
                seconds.append(spent)
            means = {key: statistics.mean(f[key] for f in found) for key in found[0]}
            spread = statistics.stdev(f["acc5"] for f in found) if len(found) > 1 else 0.0
            figures = "".join(f"{key} {value:.4f}  " for key, value in means.items())
            print(f"  {label:<40}{figures}acc5 sd {spread:.4f}  {statistics.mean(seconds):.1f} s",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
