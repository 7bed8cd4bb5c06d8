"""Parametric t-SNE."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from fastparadime import dr, loss, neighbors, relations, transforms
from fastparadime.routines.base import INITIALIZATIONS, InitializedRoutine, item_phase
from fastparadime.types import Device
from fastparadime.utils.callbacks import Callback
from fastparadime.utils.validate import check_option


class ParametricTSNE(InitializedRoutine):
    """Parametric t-SNE (van der Maaten 2009) with paraDime's parameters.

    Global relations are rescaled distances to nearest neighbours, averaged with their transpose.
    A first phase regresses the model onto principal components, the main phase minimises the
    Kullback-Leibler divergence of the relations within a batch.

    Parameters
    ----------
    perplexity : float
        A smooth count of the neighbours of a point; three times as many are looked for.
    alpha : float or tensor
        Degrees of freedom of Student's t kernel; a parameter of the model is trained along.
    model, in_dim, out_dim, hidden_dims
        As for `fastparadime.dr.ParametricDR`.
    initialization : {"pca", "spectral", None}
        Positions that the first phase regresses onto; no first phase if None.
    epochs, init_epochs : int
    batch_size, init_batch_size : int
        Points of a batch; that of the first phase is `batch_size` if None.
    learning_rate, init_learning_rate : float
        That of the first phase is `learning_rate` if None.
    data_key : str
        The dataset entry to embed.
    dataset : array, tensor, mapping of them or Dataset, optional
    use_cuda, verbose : bool
    metric : str or callable, optional
        Any metric of `fastparadime.neighbors.knn`, euclidean if None.
    recall : float
        In (0, 1]: the share of true neighbours that a search of much data must find; 1 is exact.
    device, seed, progress, callback
        As for `fastparadime.dr.ParametricDR`.

    Attributes
    ----------
    perplexity, initialization, epochs, init_epochs, batch_size, ...
        Parameters as given, to be read: `training_phases` holds what training follows.
    """

    def __init__(
        self,
        perplexity: float = 30.0,
        alpha: float | torch.Tensor = 1.0,
        model: torch.nn.Module | None = None,
        in_dim: int | None = None,
        out_dim: int = 2,
        hidden_dims: Sequence[int] | None = None,
        initialization: str | None = "pca",
        epochs: int = 30,
        init_epochs: int = 10,
        batch_size: int = 500,
        init_batch_size: int | None = None,
        learning_rate: float = 0.01,
        init_learning_rate: float | None = None,
        data_key: str = "main",
        dataset: dr.Data | dr.Dataset | None = None,
        use_cuda: bool = False,
        verbose: bool = False,
        *,
        metric: Callable[..., float] | str | None = None,
        recall: float = neighbors.DEFAULT_RECALL,
        device: Device | None = None,
        seed: int | None = None,
        progress: bool | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.perplexity, self.alpha = perplexity, alpha
        self.metric, self.recall = metric, recall
        if init_batch_size is None:
            init_batch_size = batch_size
        if init_learning_rate is None:
            init_learning_rate = learning_rate
        super().__init__(
            check_option(initialization, INITIALIZATIONS, "initialization"),
            item_phase("init", init_epochs, init_batch_size, init_learning_rate),
            item_phase("embedding", epochs, batch_size, learning_rate),
            loss.kullback_leibler_div,
            data_key,
            out_dim,
            model=model,
            in_dim=in_dim,
            hidden_dims=hidden_dims,
            global_relations=_probable_neighbors(perplexity, data_key, metric, recall),
            batch_relations=_student_t_distances(alpha, data_key),
            use_cuda=use_cuda,
            verbose=verbose,
            dataset=dataset,
            device=device,
            seed=seed,
            progress=progress,
            callback=callback,
        )


def _probable_neighbors(
    perplexity: float, data_key: str, metric: Callable[..., float] | str | None, recall: float
) -> relations.NeighborBasedPDist:
    return relations.NeighborBasedPDist(
        metric=metric,
        recall=recall,
        data_key=data_key,
        transform=[
            transforms.PerplexityBasedRescale(perplexity=perplexity),
            transforms.Symmetrize(),
            transforms.Normalize(),
        ],
    )


def _student_t_distances(
    alpha: float | torch.Tensor, data_key: str
) -> relations.DifferentiablePDist:
    return relations.DifferentiablePDist(
        data_key=data_key,
        transform=[
            transforms.StudentTTransform(alpha=alpha),
            transforms.Normalize(),
            transforms.ToSquareTensor(),
        ],
    )
