"""What the routines have in common: a first phase that regresses onto given positions."""

from __future__ import annotations

from typing import Any

from fastparadime import dr, loss
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

    def _width_of(self, position_key: str) -> tuple[int, str] | None:
        if position_key in self.derived_data and position_key == self.initialization:
            return self.out_dim, f"out_dim is {self.out_dim}"
        return super()._width_of(position_key)

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


def item_phase(
    loss_key: str, epochs: int, batch_size: int, learning_rate: float
) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        loss_keys=[loss_key], epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
