"""Predefined routines: known techniques composed of the parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from fastparadime import dataset as datasets
from fastparadime import dr, loss, relations, transforms
from fastparadime.types import Device
from fastparadime.utils.validate import check_option

_INITIALIZATIONS = ("spectral", "pca", None)


class ParametricUMAP(dr.ParametricDR):
    """Parametric UMAP (Sainburg et al. 2021, arXiv 2009.12981) with paraDime's parameters.

    Global relations are rescaled distances to nearest neighbours, joined by the fuzzy union. A
    first phase regresses the model onto spectral positions of them, the main phase minimises the
    cross-entropy of negative-sampled edges.

    Parameters
    ----------
    n_neighbors : int
        Neighbours of a point, itself not counted.
    min_dist, spread : float
        Scales of the embedding; `a` and `b` are fitted to them where not given.
    a, b : float, optional
    model, in_dim, out_dim, hidden_dims
        As for `fastparadime.dr.ParametricDR`.
    initialization : {"spectral", "pca", None}
        Positions that the first phase regresses onto; no first phase if None.
    epochs, init_epochs : int
    batch_size : int
        Positive edges of a batch of the main phase.
    negative_sampling_rate : int
        Negative edges to each positive one.
    init_batch_size : int
    learning_rate, init_learning_rate : float
    data_key : str
        The dataset entry to embed.
    dataset : array, tensor, mapping of them or Dataset, optional
    use_cuda, verbose : bool
    batches_per_epoch : int
        -1 for about as many items an epoch as the dataset has.
    metric : str or callable, optional
        Any metric of `fastparadime.neighbors.knn`, euclidean if None.
    device, seed, progress
        As for `fastparadime.dr.ParametricDR`.
    """

    def __init__(
        self,
        n_neighbors: int = 30,
        min_dist: float = 0.01,
        spread: float = 1.0,
        a: float | None = None,
        b: float | None = None,
        model: torch.nn.Module | None = None,
        in_dim: int | None = None,
        out_dim: int = 2,
        hidden_dims: Sequence[int] | None = None,
        initialization: str | None = "spectral",
        epochs: int = 30,
        init_epochs: int = 5,
        batch_size: int = 10,
        negative_sampling_rate: int = 5,
        init_batch_size: int = 100,
        learning_rate: float = 0.005,
        init_learning_rate: float = 0.05,
        data_key: str = "main",
        dataset: dr.Data | dr.Dataset | None = None,
        use_cuda: bool = False,
        verbose: bool = False,
        *,
        batches_per_epoch: int = -1,
        metric: Callable[..., float] | str | None = None,
        device: Device | None = None,
        seed: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.initialization = check_option(initialization, _INITIALIZATIONS, "initialization")
        main_phase = dr.TrainingPhase(
            name="embedding",
            loss_keys=["embedding"],
            sampling="negative_edge",
            neg_sampling_rate=negative_sampling_rate,
            epochs=epochs,
            batch_size=batch_size,
            batches_per_epoch=batches_per_epoch,
            learning_rate=learning_rate,
        )
        first = _first_phase(initialization, init_epochs, init_batch_size, init_learning_rate)
        curve = transforms.ModifiedCauchyTransform(min_dist, spread, a, b)
        super().__init__(
            model=model,
            in_dim=in_dim,
            out_dim=out_dim,
            hidden_dims=hidden_dims,
            derived_data=_initial_positions(initialization, out_dim, data_key),
            global_relations=_fuzzy_neighbors(n_neighbors, metric, data_key),
            batch_relations=relations.DistsFromTo(transform=curve, data_key=data_key),
            losses=_losses(initialization, data_key),
            training_phases=[*first, main_phase],
            use_cuda=use_cuda,
            verbose=verbose,
            dataset=dataset,
            device=device,
            seed=seed,
            progress=progress,
        )


def _first_phase(
    initialization: str | None, epochs: int, batch_size: int, learning_rate: float
) -> list[dr.TrainingPhase]:
    phase = dr.TrainingPhase(
        name=f"{initialization}_init",
        loss_keys=["init"],
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    return [] if initialization is None else [phase]


def _losses(initialization: str | None, data_key: str) -> dict[str, loss.Loss]:
    return {
        "init": loss.PositionLoss(data_key=data_key, position_key=str(initialization)),
        "embedding": loss.RelationLoss(loss_function=loss.cross_entropy_loss),
    }


def _fuzzy_neighbors(
    n_neighbors: int, metric: Callable[..., float] | str | None, data_key: str
) -> relations.NeighborBasedPDist:
    return relations.NeighborBasedPDist(
        metric=metric,
        data_key=data_key,
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=n_neighbors),
            transforms.Symmetrize(subtract_product=True),
        ],
    )


def _initial_positions(
    initialization: str | None, out_dim: int, data_key: str
) -> dict[str, dr.DerivedData]:
    if initialization is None:
        return {}
    if initialization == "pca":
        entry = dr.DerivedData(datasets.pca_positions, [("data", data_key)], n_components=out_dim)
    else:
        entry = dr.DerivedData(datasets.spectral_positions, [("rels", "rel")], n_components=out_dim)
    return {initialization: entry}
