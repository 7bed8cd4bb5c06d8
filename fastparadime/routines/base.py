"""What the routines have in common: a first phase that regresses onto given positions."""

from __future__ import annotations

from typing import Any, Literal

import torch

from fastparadime import dr, loss, models
from fastparadime.dr import dataset as datasets
from fastparadime.types import BinaryTensorFun

INITIALIZATIONS = ("spectral", "pca", None)


class InitializedRoutine(dr.ParametricDR):
    """Regresses the model onto given positions first; what the routines below have in common."""

    def __init__(
        self,
        initialization: str | None,
        first: dr.TrainingPhase,
        main: dr.TrainingPhase,
        comparison: BinaryTensorFun,
        data_key: str,
        out_dim: int,
        **parts: Any,
    ) -> None:
        self.initialization = initialization
        self.data_key = data_key
        first.name = f"{initialization}_init"
        main.name, main.loss_keys = "embedding", ["embedding"]
        self.epochs, self.init_epochs = main.epochs, first.epochs
        self.batch_size, self.init_batch_size = main.batch_size, first.batch_size
        self.learning_rate, self.init_learning_rate = main.learning_rate, first.learning_rate
        (first_key,) = first.loss_keys
        super().__init__(
            out_dim=out_dim,
            derived_data=self._initial_positions(out_dim),
            losses={
                first_key: loss.PositionLoss(data_key=data_key, position_key=str(initialization)),
                "embedding": loss.RelationLoss(loss_function=comparison),
            },
            training_phases=[main] if initialization is None else [first, main],
            **parts,
        )

    def _initial_positions(self, out_dim: int) -> dict[str, dr.DerivedData]:
        if self.initialization is None:
            return {}
        if self.initialization == "pca":
            entry = dr.DerivedData(
                datasets.pca_positions, [("data", self.data_key)], n_components=out_dim
            )
        else:
            entry = dr.DerivedData(
                datasets.spectral_positions, [("rels", "rel")], n_components=out_dim
            )
        return {self.initialization: entry}

    def compute_derived_data(self, only: Literal["rel_based", "other"] | None = None) -> None:
        key = self.initialization
        usual = None if key is None else self.derived_data.get(key)
        if key is None or usual is None or not self._continues:
            super().compute_derived_data(only)
            return
        self.derived_data[key] = self._continued(usual)
        try:
            super().compute_derived_data(only)
        finally:
            self.derived_data[key] = usual

    def _continued(self, usual: dr.DerivedData) -> dr.DerivedData:
        """The positions to start from where the model is trained already and the rows are new."""
        return dr.DerivedData(self._own_positions, [("data", self.data_key)])

    def _own_positions(self, X: torch.Tensor) -> torch.Tensor:
        """Where the trained model has the rows: to start there keeps the map."""
        return models.embed_in_chunks(self.model, X, "embed")


def item_phase(
    loss_key: str, epochs: int, batch_size: int, learning_rate: float
) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        loss_keys=[loss_key], epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
