"""Programs of the kinds of paraDime's notebooks run by the import alone, with its package and ours.

paraDime's own runs where it can be imported, which its requirements of 2023 make rare.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import sklearn.datasets
import sklearn.decomposition
import torch

NAMES = ("dr", "loss", "models", "relations", "routines", "transforms", "utils", "utils.plotting")


@pytest.fixture(params=["fastparadime", "paradime"])
def paradime(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package of paraDime's names."""
    mpl.use("Agg")
    try:
        package = importlib.import_module(request.param)
    except ImportError:
        pytest.skip("paradime is not installed")
    for name in NAMES:
        importlib.import_module(f"{request.param}.{name}")
    # paraDime's function switches torch to deterministic algorithms for the whole process.
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda _: None)
    state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    package.utils.seed.seed_all(42)
    yield package
    torch.random.set_rng_state(state[0])
    np.random.set_state(state[1])  # noqa: NPY002


@pytest.fixture
def ax() -> Iterator[Any]:
    from matplotlib import pyplot as plt

    figure = plt.figure()
    yield figure.add_subplot()
    plt.close(figure)


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    return torch.tensor(images[:300] / 16).float(), torch.tensor(labels[:300])


def pca(x: Any) -> Any:
    return sklearn.decomposition.PCA(n_components=2).fit_transform(x)


def mse(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.sum((a - b) ** 2)


def test_predefined(paradime: Any, digits: Any, ax: Any) -> None:
    images, labels = digits
    routine = paradime.routines.ParametricTSNE(
        in_dim=64, perplexity=20, epochs=3, init_epochs=2, batch_size=100
    )
    routine.train(images)
    reduced = routine.apply(images)
    assert reduced.shape == (300, 2)
    paradime.utils.plotting.scatterplot(reduced, labels, ax=ax)


# A column of this data has two values and the rounding of them.
@pytest.mark.filterwarnings("ignore::fastparadime.exceptions.PrecisionWarning")
def test_pca_and_mds(paradime: Any, ax: Any) -> None:
    data = sklearn.datasets.load_diabetes()["data"]
    true = sklearn.decomposition.PCA().fit(data)
    torch.manual_seed(0)
    routine = paradime.dr.ParametricDR(
        model=torch.nn.Linear(10, 10, bias=False),
        losses=paradime.loss.PositionLoss(position_key="pca", embedding_method="forward"),
    )
    routine.add_training_phase(epochs=60, batch_size=50, report_interval=2)
    routine.train({"main": data, "pca": true.transform(data)})
    weight = routine.model.weight.detach().numpy()
    # Components of little variance are learned slowly: they hardly move the coordinates.
    found, scores = routine.apply(data, "forward").numpy(), true.transform(data)
    assert np.abs(found - scores).max() < 0.1 * np.abs(scores).max()
    ax.imshow(weight, cmap=paradime.utils.plotting.get_colormap())

    mds = paradime.dr.ParametricDR(
        model=torch.nn.Linear(10, 2, bias=False),
        global_relations=paradime.relations.PDist(
            transform=[
                paradime.transforms.ToSquareTensor(),
                paradime.transforms.Functional(lambda x: x.float()),
            ]
        ),
        batch_relations=paradime.relations.DifferentiablePDist(
            transform=paradime.transforms.ToSquareTensor()
        ),
        losses=paradime.loss.RelationLoss(
            loss_function=mse, embedding_method="forward", normalize_sub=False
        ),
    )
    mds.add_training_phase(epochs=30, batch_size=len(data), learning_rate=0.01, report_interval=50)
    mds.train(data)
    losses = mds.training_phases[0].loss.history
    assert losses[-1] < 0.5 * losses[0]


def hybrid_model(paradime: Any) -> torch.nn.Module:
    class HybridEmbeddingModel(paradime.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(64, 50)
            self.emb_layer, self.class_layer = torch.nn.Linear(50, 2), torch.nn.Linear(50, 10)

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return self.emb_layer(torch.nn.functional.softplus(self.hidden(x)))

        def classify(self, x: torch.Tensor) -> torch.Tensor:
            return self.class_layer(torch.nn.functional.softplus(self.hidden(x)))

    return HybridEmbeddingModel()


def test_hybrid(paradime: Any, digits: Any, ax: Any) -> None:
    images, labels = digits
    tsne = paradime.routines.ParametricTSNE(in_dim=64)
    _, main_phase = tsne.training_phases
    losses = {"tsne": main_phase.loss, "class": paradime.loss.ClassificationLoss()}
    accuracies = []
    for weight in (0.0, 50.0):
        hybrid = paradime.dr.ParametricDR(
            model=hybrid_model(paradime),
            global_relations=tsne.global_relations,
            batch_relations=tsne.batch_relations,
            losses=losses,
        )
        hybrid.add_training_phase(
            epochs=30,
            batch_size=100,
            learning_rate=0.01,
            loss_keys=["tsne", "class"],
            loss_weights=[weight, 1.0],
        )
        hybrid.train({"main": images, "labels": labels})
        found = torch.argmax(hybrid.apply(images, "classify"), dim=1)
        accuracies.append(float((found == labels).float().mean()))
        embedded = hybrid.apply(images, "embed")
    assert accuracies[0] > 0.9
    paradime.utils.plotting.scatterplot(embedded, labels=labels, ax=ax, legend_options={"loc": 3})
    palette = paradime.utils.plotting.get_color_palette()
    ax.plot([0, 50], accuracies, c=palette["petrol"])
    ax.plot([0, 50], accuracies, c=palette["aqua"])


def test_the_palette_has_paradimes_names_and_colors(paradime: Any) -> None:
    assert paradime.utils.plotting.get_color_palette() == {
        "petrol": "#1c5c60", "yellow": "#ffcc00", "aqua": "#23c7a2", "red": "#ed3d3d",
        "pink": "#f7a3bf", "green": "#9d6700", "brown": "#91907e", "grey": "#579d04",
        "purple": "#a35c80", "orange": "#fd771e",
    }  # fmt: skip


def tsne_parts(paradime: Any) -> dict[str, Any]:
    transforms = paradime.transforms
    return {
        "global_relations": paradime.relations.NeighborBasedPDist(
            transform=[
                transforms.PerplexityBasedRescale(perplexity=20, bracket=[0.001, 1000]),
                transforms.Symmetrize(),
                transforms.Normalize(),
            ]
        ),
        "batch_relations": paradime.relations.DifferentiablePDist(
            transform=[
                transforms.StudentTTransform(alpha=1.0),
                transforms.Normalize(),
                transforms.ToSquareTensor(),
            ]
        ),
        "derived_data": {"pca": paradime.dr.DerivedData(pca)},
    }


def init_phase(paradime: Any) -> Any:
    return paradime.dr.TrainingPhase(
        name="pca_init", loss_keys=["init"], batch_size=100, epochs=3, learning_rate=0.01
    )


def test_supervised(paradime: Any, digits: Any, ax: Any) -> None:
    images, labels = digits

    class TripletLoss(paradime.loss.Loss):
        def forward(self, model: Any, _global: Any, _batch: Any, batch: Any, device: Any) -> Any:
            data = batch["from_to_data"].to(device)
            ends = model(data[0, ::2]), model(data[1, ::2]), model(data[1, 1::2])
            return torch.nn.TripletMarginLoss(margin=1.0)(*ends)

    same_label = np.equal.outer(labels.numpy(), labels.numpy()).astype(float)
    parts = tsne_parts(paradime)
    routine = paradime.dr.ParametricDR(
        in_dim=64,
        out_dim=2,
        hidden_dims=[30],
        losses={
            "init": paradime.loss.PositionLoss(position_key="pca"),
            "embedding": paradime.loss.RelationLoss(
                loss_function=paradime.loss.kullback_leibler_div, global_relation_key="tsne"
            ),
            "triplet": TripletLoss(),
        },
        **{
            **parts,
            "global_relations": {
                "tsne": parts["global_relations"],
                "same_label": paradime.relations.Precomputed(same_label),
            },
        },
    )
    routine.add_training_phase(init_phase(paradime))
    routine.add_training_phase(
        name="embedding",
        loss_keys=["embedding", "triplet"],
        loss_weights=[70, 1],
        sampling="negative_edge",
        neg_sampling_rate=1,
        edge_rel_key="same_label",
        batch_size=50,
        epochs=5,
        learning_rate=0.02,
    )
    routine.train(images)
    assert len(routine.training_phases[1].loss.history) == 5
    names = [f"digit {label}" for label in labels]
    paradime.utils.plotting.scatterplot(
        routine.apply(images), labels=names, legend_options={"loc": 1}, ax=ax
    )


def test_guided(paradime: Any, digits: Any, ax: Any) -> None:
    images, _ = digits

    class GuidingLoss(paradime.loss.Loss):
        def forward(self, model: Any, _global: Any, _batch: Any, batch: Any, device: Any) -> Any:
            data = batch["main"].to(device)
            pair = data[:, 20], model.embed(data)[:, 0]
            covariance = torch.cov(torch.stack(pair))[0, 1]
            return 1 - (covariance / (pair[0].std() * pair[1].std())) ** 2

    routine = paradime.dr.ParametricDR(
        in_dim=64,
        hidden_dims=[30],
        losses={
            "init": paradime.loss.PositionLoss(position_key="pca"),
            "embedding": paradime.loss.RelationLoss(
                loss_function=paradime.loss.kullback_leibler_div
            ),
            "guiding": GuidingLoss(),
        },
        **tsne_parts(paradime),
    )
    routine.add_training_phase(init_phase(paradime))
    routine.add_training_phase(
        paradime.dr.TrainingPhase(
            name="embedding",
            loss_keys=["embedding", "guiding"],
            loss_weights=[10, 1],
            batch_size=100,
            epochs=10,
            learning_rate=0.02,
        )
    )
    routine.train(images)
    assert len(routine.training_phases[1].loss.detailed_history()) == 2
    cmap = paradime.utils.plotting.get_colormap()
    paradime.utils.plotting.scatterplot(routine.apply(images), c=images[:, 20], cmap=cmap, ax=ax)
    routine.model.zero_grad()
    routine.model.forward(images[0])[0].backward()
    assert routine.model.layers[0].weight.grad.sum(dim=0).shape == (64,)


def test_exaggeration(paradime: Any, digits: Any) -> None:
    images, _ = digits
    routine = paradime.routines.ParametricTSNE(in_dim=64, hidden_dims=[30], perplexity=20, epochs=4)
    routine.losses["exag"] = paradime.loss.RelationLoss(
        loss_function=paradime.loss.kullback_leibler_div, global_relation_key="exag"
    )
    non_exag = copy.deepcopy(routine.global_relations["rel"])
    non_exag.transform.append(paradime.transforms.Functional(lambda x: 20 * x))
    routine.global_relations["exag"] = non_exag
    routine.training_phases[1].epochs = 3
    exaggerated = paradime.dr.TrainingPhase(
        name="exag", epochs=2, batch_size=100, loss_keys=["exag"], learning_rate=0.001
    )
    first, last = routine.training_phases
    routine.training_phases = [first, exaggerated, last]
    routine.training_phases[1]._determine_loss(routine.losses)
    routine.train(images)
    assert [len(phase.loss.history) for phase in routine.training_phases] == [10, 2, 3]


def test_clipped_gradients(paradime: Any, digits: Any) -> None:
    images, _ = digits
    routine = paradime.routines.ParametricUMAP(
        in_dim=64, hidden_dims=[20], n_neighbors=10, batch_size=50, epochs=3, init_epochs=2
    )
    largest = []

    def clip(grad: torch.Tensor) -> torch.Tensor:
        largest.append(float(grad.abs().max()))
        return torch.clamp(grad, -4.0, 4.0)

    for parameter in routine.model.parameters():
        parameter.register_hook(clip)
    routine.train(images)
    assert len(largest) > 10


def test_an_autoencoder_beside_the_embedding(paradime: Any, digits: Any) -> None:
    images, _ = digits

    class Autoencoder(paradime.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = torch.nn.Sequential(
                torch.nn.Unflatten(1, (1, 8, 8)),
                torch.nn.Conv2d(1, 4, 3, stride=2, padding=1),
                torch.nn.BatchNorm2d(4),
                torch.nn.ReLU(inplace=True),
                torch.nn.Flatten(),
                torch.nn.Linear(64, 10),
            )
            self.decoder = torch.nn.Sequential(
                torch.nn.Linear(10, 64), torch.nn.BatchNorm1d(64), torch.nn.Linear(64, 64)
            )
            self.embedder = torch.nn.Linear(10, 2)

        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return self.encoder(x)

        def decode(self, x: torch.Tensor) -> torch.Tensor:
            return self.decoder(x)

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return self.embedder(self.encoder(x))

    tsne = paradime.routines.ParametricTSNE(in_dim=64)
    routine = paradime.dr.ParametricDR(
        model=Autoencoder(),
        global_relations=tsne.global_relations,
        batch_relations=tsne.batch_relations,
        losses={
            "tsne": tsne.training_phases[1].loss,
            "ae": paradime.loss.ReconstructionLoss(),
        },
    )
    routine.add_training_phase(
        epochs=5, batch_size=100, loss_keys=["tsne", "ae"], loss_weights=[5.0, 1.0]
    )
    routine.train({"main": images})
    history = routine.training_phases[0].loss.losses[1].history
    assert history[-1] < history[0]
    assert routine.apply(images, "embed").shape == (300, 2)
