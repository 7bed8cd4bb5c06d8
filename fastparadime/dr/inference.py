"""Applying a routine's model: coordinates, files, and programs for other runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from fastparadime import exceptions, models
from fastparadime.dr import exporting, saving
from fastparadime.dr.attribution import RegionAttribution, by_region, jacobian
from fastparadime.dr.dataset import expanded
from fastparadime.dr.encoder_decoder import apply_in_chunks
from fastparadime.dr.items import is_items
from fastparadime.types import Array, TensorLike
from fastparadime.utils import frames, sources
from fastparadime.utils.convert import to_torch, widened
from fastparadime.utils.digests import digest_of
from fastparadime.utils.masks import without_mask
from fastparadime.utils.progress import memory_for, shows_bars
from fastparadime.utils.resumable import results_into
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

    progress: bool | None = None  # whether bars are shown; as `verbose` on a terminal if None
    verbose: bool = False

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
        self._columns: tuple[str, ...] = ()  # that the model was trained on, if they have names
        self._amounts = False  # whether integers were amounts by the dataset's word
        self._saved_arrays: Mapping[str, torch.Tensor] = {}  # that a file kept beside the weights
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
    def feature_names_in_(self) -> Array:
        """Names of the columns that the model was trained on, an array of str (d,).

        Raises
        ------
        AttributeError
            If they had none.
        """
        if not self._columns:
            raise AttributeError("the model was not trained on columns with names")
        return np.array(self._columns, dtype=object)

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
        X = self._in_fitted_order(X)
        models.check_width(self.model, X)
        values = widened(to_torch(without_mask(X, "X")), amounts=self._amounts)
        rows = models.as_input(self.model, values)
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
        self,
        X: TensorLike | Sequence[Any] | Source,
        method: str | None = None,
        *,
        out: Any = None,
    ) -> Any:
        """The model's output for `X` (n, ...) without gradients, on the CPU, chunk by chunk.

        With one of the package's networks the bits of a row's output do not depend on the rows
        beside it.

        Parameters
        ----------
        X : array, tensor, list or data frame, memory maps included, or source of rows
            Sources, such as a dataset of HDF5 or Zarr, are read chunk by chunk. Columns with names
            are taken in the order that the model was trained on. A dataset or loader of torch is
            read as in training; what it gives beside the main entry is left out.
        method : str, optional
            The model's method; its call if None.
        out : str, Path or array (n, out_dim), optional
            A ``.npy`` file, or what takes slices of rows, such as a memory map: results go there
            chunk by chunk. A file takes its name once it is complete, and a run that was ended is
            gone on with: ``out.part`` and ``out.progress`` hold what is done.

        Returns
        -------
        tensor (n, out_dim)
            With `out` that array, or a read-only memory map of the file.

        Raises
        ------
        NotTrainedError
            Before training.
        TypeError, ValueError
            For rows of another width than the model's, columns that are missing or unknown, or
            frames with columns that are no numbers. If `out` is of another shape, or was begun with
            other rows or another model.
        OSError, ValueError
            If a source or a file cannot be read or written, or a source ends before its shape says.
        """
        self._check_trained()
        rows = self._checked_rows(X if method == "decode" else self._in_fitted_order(X))
        if out is not None:
            return results_into(
                out,
                rows,
                lambda part: self._applied(part, method).numpy(),
                lambda: self._digest(method),
                bar=shows_bars(self.progress, verbose=self.verbose),
            )
        return self._applied(rows, method)

    def _applied(self, rows: Any, method: str | None) -> torch.Tensor:
        found: torch.Tensor = apply_in_chunks(self.model, rows, method, amounts=self._amounts)
        return found

    def _digest(self, method: str | None) -> str:
        """Tells what `apply` gives from what others do."""
        name = type(self.model).__qualname__
        about = {"model": name, "method": method, "columns": self._columns, "n": self._amounts}
        state = {k: v.detach().cpu() for k, v in self.model.state_dict().items()}
        return digest_of(about, state)

    def _in_fitted_order(self, X: Any) -> Any:
        """Rows without names, of columns that are in the order that the model was trained on."""
        if is_items(X):
            X = expanded({"X": X})["X"]
        rows, columns = frames.rows_and_names(X)
        order = frames.order_of(columns, self._columns) if columns and self._columns else None
        if order is None:
            return rows
        ordered = rows[:, order]
        # numpy has columns one after another now, which would give sums other bits.
        return np.ascontiguousarray(ordered) if isinstance(ordered, np.ndarray) else ordered

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

    def attribution(self, X: TensorLike) -> torch.Tensor:
        """Which features move each row: the exact Jacobian of its coordinates.

        Parameters
        ----------
        X : (n, ...) array, tensor or data frame

        Returns
        -------
        float32 tensor (n, out_dim, in_dim)
            The derivative of each coordinate in each feature, on the CPU; features of a row of more
            dimensions are flat.

        Raises
        ------
        NotTrainedError
            Before training.
        TypeError, ValueError
            As `apply`, and for a model that looks up integers.
        """
        return jacobian(self.model, self._loaded_rows(X), amounts=self._amounts)

    def _loaded_rows(self, X: Any) -> TensorLike:
        self._check_trained()
        rows = self._checked_rows(self._in_fitted_order(X))
        return sources.load(rows, "X") if sources.is_source(rows) else cast(TensorLike, rows)

    def attribution_by_region(self, X: TensorLike, labels: Any) -> RegionAttribution:
        """Which features move the rows of each region: mean absolute values of `attribution`.

        Parameters
        ----------
        X : (n, ...) array, tensor or data frame
        labels : (n,) array
            Of a class or a cluster; rows whose label is unknown are left out.

        Returns
        -------
        RegionAttribution

        Raises
        ------
        NotTrainedError
            Before training.
        TypeError, ValueError
            As `attribution`, and for labels that are not one for each row.
        """
        return by_region(self.model, self._loaded_rows(X), labels, amounts=self._amounts)

    def classify(self, X: TensorLike) -> torch.Tensor:
        """Class scores of `X` (n, ...), with gradients, on the model's device."""
        return self._call_model("classify", X)

    def _without_data(self) -> Inference:
        """What applies the trained model and holds nothing else, for other processes.

        Raises
        ------
        NotTrainedError
            Before training.
        """
        self._check_trained()
        alone = Inference(
            self.model, self.out_dim, self.hidden_dims, seed=self.seed, device=self.device
        )
        alone._columns, alone._amounts, alone.trained = self._columns, self._amounts, True
        return alone

    def save(self, path: str | Path) -> None:
        """Writes the trained model to a safetensors file, for `fastparadime.dr.ParametricDR.load`.

        The weights are stored with the model's class, and with `seed`, `out_dim`, `hidden_dims`,
        `history` and the names of columns. Data, relations, losses, phases and the optimizer's
        state are not.

        Raises
        ------
        NotTrainedError
            Before training.
        TypeError
            If the model's state dict holds anything but tensors.
        """
        self._write(path)

    def _write(
        self,
        path: str | Path,
        beside: Mapping[str, Any] | None = None,
        arrays: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """`save`, with what others keep beside the description and the weights."""
        self._check_trained()
        saving.write(
            path,
            self.model,
            beside=beside,
            arrays=arrays,
            seed=self.seed,
            out_dim=self.out_dim,
            hidden_dims=self.hidden_dims,
            history=self.history,
            columns=list(self._columns),
            amounts=self._amounts,
        )

    def export(
        self, path: str | Path, X: TensorLike | None = None, method: str | None = None
    ) -> None:
        """Writes the trained model's program for other runtimes: ``.onnx``, or ``.pt2`` for torch.

        The program takes any number of rows, on the CPU, in evaluation mode. Names of columns, in
        the order that it takes them, go into its metadata.

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
        columns = () if method == "decode" else self._columns
        rows = None if X is None else self._in_fitted_order(without_mask(X, "X"))
        if rows is not None and self._amounts:
            rows = to_torch(rows[:1]).float()
        exporting.export(self.model, path, rows, method, columns=columns)
