"""Parametric UMAP."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fastparadime import dr, layout, loss, models, neighbors, relations, transforms
from fastparadime.layout.landmarks import MAX_DRIFT
from fastparadime.relationdata import RelationData
from fastparadime.routines.base import INITIALIZATIONS, InitializedRoutine, item_phase
from fastparadime.routines.quality import (
    HELD_REPLACED,
    QUALITIES,
    Quality,
    layout_positions,
    noise_share,
    position_loss,
)
from fastparadime.routines.updates import Held, add_rows, landmarks_of
from fastparadime.types import Device
from fastparadime.utils.callbacks import Callback
from fastparadime.utils.seed import derive
from fastparadime.utils.validate import check_option

if TYPE_CHECKING:
    from typing_extensions import Self

# What a quality decides about.
_SETTLED = (
    "initialization", "epochs", "init_epochs", "batch_size", "negative_sampling_rate",
    "init_batch_size", "learning_rate", "init_learning_rate", "batches_per_epoch",
)  # fmt: skip


class ParametricUMAP(InitializedRoutine):
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
    quality : {None, "fast", "balanced", "best"}
        None trains as paraDime does. Else the points are laid out without a network first, as UMAP
        does, and a network is regressed onto their positions, which is closer to the data; see
        ``fastparadime.routines.quality``. The arguments from `initialization` to
        `init_learning_rate` and `batches_per_epoch` are then settled, so they must not be given.
    metric : str or callable, optional
        Any metric of `fastparadime.neighbors.knn`, euclidean if None.
    recall : float
        In (0, 1]: the share of true neighbours that a search of much data must find; 1 is exact.
    max_memory : float, optional
        Most bytes that the search of neighbours may take beside the data, and a table of it: rows of
        uint8, int8, float16 or float32 stay as they are, memory-mapped ones on the disk, and larger
        sources are copied to a temporary file. See docs/larger-than-memory.md.
    device, seed, progress, callback
        As for `fastparadime.dr.ParametricDR`.

    Attributes
    ----------
    n_neighbors, min_dist, initialization, epochs, batch_size, negative_sampling_rate, ...
        Parameters as given, to be read: `training_phases` holds what training follows.
    drift_ : Drift
        After `update`: how far the rows moved that were there before.
    """

    drift_: layout.Drift
    _landmarks: Held | None = None  # while it is updated
    _builds = False  # the model, which may grow with its rows
    _count = 2**31  # of rows, as far as there are any yet

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
        quality: str | None = None,
        metric: Callable[..., float] | str | None = None,
        recall: float = neighbors.DEFAULT_RECALL,
        max_memory: float | None = None,
        device: Device | None = None,
        seed: int | None = None,
        progress: bool | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.quality = check_option(quality, (None, *QUALITIES), "quality")
        self.n_neighbors, self.min_dist, self.spread = n_neighbors, min_dist, spread
        self.metric, self.recall, self.batches_per_epoch = metric, recall, batches_per_epoch
        self.negative_sampling_rate = negatives = negative_sampling_rate
        super().__init__(
            check_option(initialization, INITIALIZATIONS, "initialization"),
            item_phase("spectral_init", init_epochs, init_batch_size, init_learning_rate),
            _edge_phase(epochs, batch_size, batches_per_epoch, negatives, learning_rate),
            loss.cross_entropy_loss,
            data_key,
            out_dim,
            model=model,
            in_dim=in_dim,
            hidden_dims=_widths(quality) if hidden_dims is None else hidden_dims,
            global_relations=_fuzzy_neighbors(n_neighbors, data_key, metric, recall, max_memory),
            batch_relations=_curve_distances(min_dist, spread, a, b, data_key),
            use_cuda=use_cuda,
            verbose=verbose,
            dataset=dataset,
            device=device,
            seed=seed,
            progress=progress,
            callback=callback,
            max_memory=max_memory,
        )
        self._settle()

    def _settle(self) -> None:
        """With a quality, replaces paraDime's positions and phases by the layout and a regression."""
        if self.quality is None:
            return
        for name in _SETTLED:
            default = inspect.signature(ParametricUMAP).parameters[name].default
            if getattr(self, name) != default:
                raise ValueError(
                    f"quality settles {name}, so it must not be given, but is "
                    f"{getattr(self, name)!r}"
                )
        self.initialization = "layout"
        self.derived_data = {"layout": dr.DerivedData(self._layout, [("rels", "rel")])}
        curve: Any = self.batch_relations["rel"].transform[0]
        self._curve = (float(curve.a), float(curve.b))
        self._regression = dr.TrainingPhase(
            name="layout_regression",
            epochs=0,  # which wait for the number of points, as the loss does for the model
            batch_size=QUALITIES[self.quality].batch_size,
            loss=loss.PositionLoss(data_key=self.data_key, position_key="layout"),
            learning_rate=QUALITIES[self.quality].learning_rate,
            schedule="cosine",
        )
        self.training_phases = [self._regression]

    def _layout(self, reldata: RelationData) -> torch.Tensor:
        X = self.dataset.data[self.dataset.data.stored_name(self.data_key)]
        start = models.embed_in_chunks(self.model, X, "embed") if self._continues else None
        held = self._landmarks
        if held is not None and self._is_outgrown():
            held = replace(held, weight=max(held.weight, HELD_REPLACED))
        positions = layout_positions(
            reldata,
            self.out_dim,
            self._curve,
            self.seed,
            start,
            landmarks=None if held is None else held.landmarks(self._device),
            row_weights=self._row_weights,
            course=self._course,
        )
        return positions if held is None else held.blended(positions)

    def update(
        self,
        X: Any,
        y: Any = None,
        *,
        landmarks: Any = None,
        landmark_weight: float | None = None,
        max_drift: float | None = MAX_DRIFT,
    ) -> Self:
        """Goes on with more rows, beside those of the dataset, which are held in their places.

        The dataset then has both. Without a quality, phases take a quarter of their learning rate.
        `drift_` says how far the rows moved that were there before.

        Parameters
        ----------
        X : (m, ...) array, tensor or data frame
            Rows of the embedded entry.
        y : (m,) array, optional
            Of the entry "labels", where the dataset has one.
        landmarks : array, tensor or data frame, optional
            Rows that stay, instead of those of the dataset; after `load`, by default those that
            `save` was told to keep.
        landmark_weight : float, optional
            How much they stay: the weight of a row's squared distance from where it was, with a
            quality beside that from where the layout has it, else beside the cross-entropy. By
            default 0.1 with a quality, whose layout holds rows too, and 1 without.
        max_drift : float, optional
            With a quality: of the layout, as for `fastparadime.UMAP.update`.

        Raises
        ------
        NotTrainedError
            Before training.
        TypeError, ValueError
            For data that is not as described, after `load` without landmarks, for a dataset with
            further entries, and for `max_drift` without a quality.
        """
        add_rows(self, X, y, landmarks, landmark_weight, max_drift)
        return self

    def save(self, path: str | Path, *, landmarks: int = 0) -> None:
        """Writes the trained model; see `fastparadime.dr.ParametricDR.save`.

        Parameters
        ----------
        path : str or Path
        landmarks : int
            How many rows are kept, spread over the map, for `update` after `load`. They are in the
            file as they are.

        Raises
        ------
        NotTrainedError
            Before training.
        ValueError
            For landmarks of a routine that has no rows.
        """
        self._write(path, arrays=landmarks_of(self, landmarks))

    @property
    def _skips_first(self) -> bool:
        return self.quality is None and super()._skips_first

    @property
    def _model_class(self) -> type[models.FullyConnectedEmbeddingModel]:
        return super()._model_class if self.quality is None else models.ScaledEmbeddingModel

    def _check_against_model(self, dataset: dr.Dataset) -> None:
        self._count = len(dataset)
        super()._check_against_model(dataset)

    def _build_model(self, in_dim: int) -> None:
        self._builds = True
        anchors = self._wanted_anchors
        if not anchors:
            super()._build_model(in_dim)
            return
        generator = torch.Generator().manual_seed(derive(self.seed, "model"))
        widths = (in_dim, self.out_dim, self.hidden_dims)
        self.model = models.AnchorEmbeddingModel(*widths, anchors, generator=generator)

    def _prepare_training(self) -> None:
        if self.quality is not None:
            budget, phase = self._budget, self._regression
            phase.epochs, phase.learning_rate = budget.epochs(self._count), budget.learning_rate

    def _is_outgrown(self) -> bool:
        """Whether the network gives coordinates, as few rows had it, where many have anchors."""
        regresses = self._builds and self._regression in self.training_phases
        plain = type(self.model) is models.ScaledEmbeddingModel
        return regresses and plain and self.trained and self._wanted_anchors > 0

    @property
    def _wanted_anchors(self) -> int:
        if self.quality is None:
            return 0
        return QUALITIES[self.quality].anchors_of(self._count, self.out_dim)

    @property
    def _budget(self) -> Quality:
        """The quality's; prototypes of a model that was given do not start as rows."""
        quality = QUALITIES[str(self.quality)]
        if self._anchored is None:
            return quality
        return (quality.further(self.model) if self._continues else quality).of(self.model)

    @property
    def _anchored(self) -> models.AnchorEmbeddingModel | None:
        network = models.network_in(self.model)
        return network if isinstance(network, models.AnchorEmbeddingModel) else None

    def _prepare_model(self) -> None:
        if self.quality is None:
            return
        fresh, replaced = not self.trained, self._is_outgrown()
        if replaced:
            self._build_model(models.input_width(self.model) or 1)
        budget, phase = self._budget, self._regression
        if replaced:
            budget = QUALITIES[self.quality].of(self.model).exact()
            phase.epochs, phase.learning_rate = budget.epochs(self._count), budget.learning_rate
        key = self.dataset.data.stored_name(self.data_key)
        rows, graph = self.dataset.data[key], self.global_relation_data["rel"]
        phase.noise = noise_share(rows, graph, budget.noise)
        phase.loss = position_loss(self.model, self.spread, "layout", self.data_key)
        positions, anchored = self._entry_on_device("layout"), self._anchored
        # New scales would undo what was learned.
        if (fresh or replaced) and isinstance(self.model, models.ScaledEmbeddingModel):
            self.model.fit_scales(self._entry_on_device(key), positions)
        # Phases of the user's own go on with the anchors that are there: no regression would follow.
        if anchored is not None and (phase in self.training_phases or not anchored.is_placed):
            generator = torch.Generator().manual_seed(derive(self.seed, "anchors"))
            count = max(self._wanted_anchors, len(anchored.anchors)) if self._builds else None
            models.place_anchors(anchored, positions, generator, count=count)


def _widths(quality: str | None) -> Sequence[int] | None:
    return None if quality is None else QUALITIES[quality].hidden_dims


def _edge_phase(
    epochs: int, batch_size: int, batches_per_epoch: int, negatives: int, learning_rate: float
) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        sampling="negative_edge",
        epochs=epochs,
        batch_size=batch_size,
        batches_per_epoch=batches_per_epoch,
        neg_sampling_rate=negatives,
        learning_rate=learning_rate,
    )


def _curve_distances(
    min_dist: float, spread: float, a: float | None, b: float | None, data_key: str
) -> relations.DistsFromTo:
    curve = transforms.ModifiedCauchyTransform(min_dist, spread, a, b)
    return relations.DistsFromTo(transform=curve, data_key=data_key)


def _fuzzy_neighbors(
    n_neighbors: int,
    data_key: str,
    metric: Callable[..., float] | str | None,
    recall: float,
    max_memory: float | None,
) -> relations.NeighborBasedPDist:
    return relations.NeighborBasedPDist(
        metric=metric,
        recall=recall,
        max_memory=max_memory,
        data_key=data_key,
        transform=[
            transforms.ConnectivityBasedRescale(n_neighbors=n_neighbors),
            transforms.Symmetrize(subtract_product=True),
        ],
    )
