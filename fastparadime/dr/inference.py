"""Applying a routine's model: coordinates, files, and programs for other runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime import exceptions, models
from fastparadime.dr import exporting, saving
from fastparadime.types import TensorLike
from fastparadime.utils import sources
from fastparadime.utils.convert import to_torch
from fastparadime.utils.masks import without_mask
from fastparadime.utils.progress import memory_for
from fastparadime.utils.seed import derive
from fastparadime.utils.sources import Source
from fastparadime.utils.validate import check_data, check_integer, check_type


class Inference:
    """Holds the model and applies it; `ParametricDR` trains it.

    Parameters
    ----------
    model : torch.nn.Module, optional
        Moved to `device`; a default one is built by `_build_model` if None.
    out_dim : int
    hidden_dims : sequence of int, optional
    seed : int
        Of the default model's weights.
    device : device
    """

    def __init__(
        self,
        model: torch.nn.Module | None,
        out_dim: int,
        hidden_dims: Sequence[int] | None,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.seed = seed
        self.out_dim = check_integer(out_dim, "out_dim", minimum=1)
        self.hidden_dims = models.check_widths([100, 50] if hidden_dims is None else hidden_dims)
        self.history: list[dict[str, Any]] = []
        self.trained = False
        self._device = device
        self._model: torch.nn.Module | None = None
        if model is not None:
            self.model = model

    @property
    def model(self) -> torch.nn.Module:
        """The model; a default one is built as soon as the width of the data is known."""
        if self._model is None:
            raise exceptions.NoDatasetRegisteredError(
                "the default model is built from the data: give in_dim, a dataset or a model"
            )
        return self._model

    @model.setter
    def model(self, model: torch.nn.Module) -> None:
        self._model = check_type(model, torch.nn.Module, "model").to(self._device)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._device if self._model is None else models.device_of(self._model)

    @property
    def use_cuda(self) -> bool:
        """Whether the model is on a CUDA device."""
        return self.device.type == "cuda"

    def __call__(self, X: TensorLike) -> torch.Tensor:
        return self.embed(X)

    @property
    def _model_class(self) -> type[models.FullyConnectedEmbeddingModel]:
        """Of the default model."""
        return models.FullyConnectedEmbeddingModel

    def _build_model(self, in_dim: int) -> None:
        generator = torch.Generator().manual_seed(derive(self.seed, "model"))
        self.model = self._model_class(in_dim, self.out_dim, self.hidden_dims, generator=generator)

    def _call_model(self, method: str, X: TensorLike) -> torch.Tensor:
        self._check_trained()
        models.check_width(self.model, X)
        rows = models.as_input(self.model, to_torch(without_mask(X, "X")))
        result: torch.Tensor = models.method_of(self.model, method)(rows)
        return result

    def _check_trained(self) -> None:
        if not self.trained:
            raise exceptions.NotTrainedError(
                "DR instance is not trained yet. Call 'train' with appropriate arguments before "
                "calling the model."
            )

    @memory_for("apply")
    def apply(
        self, X: TensorLike | Sequence[Any] | Source, method: str | None = None
    ) -> torch.Tensor:
        """The model's output for `X` (n, ...) without gradients, on the CPU, chunk by chunk.

        Parameters
        ----------
        X : array, tensor, list or data frame, memory maps included, or source of rows
            Such as a dataset of HDF5 or Zarr, which is read chunk by chunk.
        method : str, optional
            The model's method; its call if None.

        Raises
        ------
        NotTrainedError
            Before training.
        ValueError
            For rows of another width than the model's.
        OSError, ValueError
            If a source cannot be read, or ends before its shape says.
        """
        self._check_trained()
        return models.embed_in_chunks(self.model, self._checked_rows(X), method)

    def _checked_rows(self, X: Any) -> TensorLike | Source:
        X = without_mask(X, "X")
        known = isinstance(X, (np.ndarray, torch.Tensor)) or sources.is_source(X)
        rows: TensorLike | Source = X if known else check_data(X, min_rows=1)
        if rows.ndim == 1 and models.input_width(self.model) is not None:
            raise ValueError(
                f"X must have rows of values, but has shape {tuple(rows.shape)}: "
                "X.reshape(1, -1) is a single row"
            )
        return rows

    def embed(self, X: TensorLike) -> torch.Tensor:
        """Coordinates of `X` (n, ...) in the embedding, with gradients, on the model's device."""
        return self._call_model("embed", X)

    def classify(self, X: TensorLike) -> torch.Tensor:
        """Class scores of `X` (n, ...), with gradients, on the model's device."""
        return self._call_model("classify", X)

    def save(self, path: str | Path) -> None:
        """Writes the trained model to a safetensors file, for `fastparadime.dr.ParametricDR.load`.

        The weights are stored with the model's class, and with `seed`, `out_dim`, `hidden_dims` and
        `history`. Data, relations, losses, phases and the optimizer's state are not.

        Raises
        ------
        NotTrainedError
            Before training.
        TypeError
            If the model's state dict holds anything but tensors.
        """
        self._check_trained()
        saving.write(
            path,
            self.model,
            seed=self.seed,
            out_dim=self.out_dim,
            hidden_dims=self.hidden_dims,
            history=self.history,
        )

    def export(
        self, path: str | Path, X: TensorLike | None = None, method: str | None = None
    ) -> None:
        """Writes the trained model's program for other runtimes: ``.onnx``, or ``.pt2`` for torch.

        The program takes any number of rows, on the CPU, in evaluation mode.

        Parameters
        ----------
        path : str or Path
            Its extension says what is written: ``.onnx`` or ``.pt2``.
        X : (n, ...) array or tensor, optional
            Whose shape and dtype show what the model takes. Needed where the model does not say how
            wide its input is.
        method : str, optional
            The model's method; its call if None.

        Raises
        ------
        NotTrainedError
            Before training.
        AttributeError
            If the model has no such method.
        ModuleNotFoundError
            For ONNX without its packages.
        ValueError
            For another extension, or rows that are missing or of another width.
        """
        self._check_trained()
        exporting.export(self.model, path, without_mask(X, "X"), method)
