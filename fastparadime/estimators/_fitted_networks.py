"""What a fit of ParametricUMAP keeps: its networks, files and programs of them, and the routine."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from fastparadime import dr, models, routines
from fastparadime.dr import exporting, saving
from fastparadime.estimators._fitted import OF_A_FIT_BEFORE
from fastparadime.estimators._kinds import place_of
from fastparadime.estimators._parameters import kept_parameters
from fastparadime.estimators._parametric_constructor import (
    OF_THE_LAYOUT,
    PLACEMENTS,
    ParametricParameters,
)
from fastparadime.estimators._parametric_fit import check_network
from fastparadime.estimators._transform import FittedRows
from fastparadime.estimators.umap import UMAP
from fastparadime.exceptions import SpecificationError
from fastparadime.layout import Drift
from fastparadime.layout.landmarks import spread_rows
from fastparadime.training import History
from fastparadime.utils.convert import share, to_numpy, to_torch
from fastparadime.utils.shards import NARROW
from fastparadime.utils.validate import check_integer, check_option

if TYPE_CHECKING:
    from typing_extensions import Self

# Parameters that the routine takes under the same names.
_OF_THE_ROUTINE = (
    "min_dist", "spread", "a", "b", "quality", "metric", "recall", "device", "verbose", "callback",
    "max_memory",
)  # fmt: skip
# Parameters of a layout that say nothing of the map that it is.
_OF_NO_MAP = ("init", "precomputed_knn", "verbose", "device", "max_memory")
# Parameters that the networks are made with; others are asked for wherever they are used.
_OF_THE_NETWORKS = (
    "quality", "batch_size", "dims", "hidden_dims", "prototypes", "anchors", "n_training_epochs",
    "parametric_reconstruction", "parametric_reconstruction_loss_weight", "autoencoder_loss",
)  # fmt: skip
_COMPARED_BY = {"metric": "have a name", "metric_kwds": "hold numbers and text alone"}


class FittedNetworks(ParametricParameters):
    """The parameters of ParametricUMAP with the networks of a fit."""

    _n_features_out: Any  # which scikit-learn's mixin reads
    model_: torch.nn.Module
    umap_: UMAP | None
    drift_: Drift
    _landmarks: torch.Tensor | None = None  # rows that a file kept, while it holds no others
    _layout_of_file: Mapping[str, Any]  # its parameters in a file that was loaded
    _made_with: Mapping[str, Any]  # parameters of the networks
    _widths: Sequence[int]  # of their hidden layers
    _left_out: Sequence[str] = ()  # by what rows are compared, where the file did not hold it
    _mapped_rows: FittedRows | None = None  # where the network has them, once they are asked for
    _supervised: bool
    history_: History
    seed_: int

    def _keep(self, model: torch.nn.Module, history: History, seed: int) -> None:
        self.model_, self.history_, self.seed_ = model, history, seed
        self._mapped_rows = None
        for name in OF_A_FIT_BEFORE:
            self.__dict__.pop(name, None)
        self._n_features_out = getattr(model, "out_dim", self.n_components)

    @property
    def _layout_parameters(self) -> dict[str, Any]:
        """Those that the map was made with, whatever `set_params` says of the next fit."""
        given = self._layout_of_file if self.umap_ is None else self.umap_._settings.given
        return {
            name: given[name] if name in given else getattr(self, name) for name in OF_THE_LAYOUT
        }

    def _keep_parameters(self, widths: Sequence[int]) -> None:
        """Keeps what the networks were made with, as `_layout_parameters` are kept by the layout."""
        given = kept_parameters(self.get_params(deep=False))
        for name in ("dims", "hidden_dims"):  # JSON has no tuples
            given[name] = np.asarray(given[name]).tolist()
        self._made_with = {name: given[name] for name in _OF_THE_NETWORKS}
        self._widths, self._left_out = list(widths), ()

    @property
    def _parameters_of_fit(self) -> dict[str, Any]:
        """Those that the fit was made with, and of others what they are now."""
        of_map = {k: v for k, v in self._layout_parameters.items() if k not in _OF_NO_MAP}
        return {**self.get_params(deep=False), **self._made_with, **of_map}

    def _check_compared(self, method: str) -> None:
        """Raises ValueError where rows would be compared otherwise than by the fit."""
        for name in self._left_out:
            raise ValueError(
                f"{method} needs {name} as the fit had it, which the file does not hold: give it to "
                "load"
            )

    @property
    def encoder_(self) -> torch.nn.Module:
        """The trained network from rows to positions."""
        model = self.model_
        return model.encoder if isinstance(model, dr.EncoderDecoderModel) else model

    @property
    def decoder_(self) -> torch.nn.Module | None:
        """The trained network from positions to rows, None without one."""
        return getattr(self.model_, "decoder", None)

    @property
    def graph_(self) -> Any:
        """The fuzzy simplicial set of the rows of the fit, as `UMAP.graph_`."""
        if self.__dict__.get("umap_") is None:
            raise AttributeError("graph_ is there after fit alone")
        return self.umap_.graph_  # type: ignore[union-attr]

    def to_routine(self) -> routines.ParametricUMAP:
        """The trained routine with a copy of the network, for phases and losses of your own.

        It has the rows of the fit and the parameters of the fit that it shares; training it leaves
        the estimator as it is.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ValueError
            For a fit with `metric_kwds`, and where the file that was loaded does not hold its metric.
        """
        check_is_fitted(self, "model_")
        self._check_compared("to_routine")
        given = self._parameters_of_fit
        if given["metric_kwds"]:
            raise ValueError("routines take no metric_kwds: give metric a function that has them")
        rows = None if self.umap_ is None else self.umap_._rows  # processes share none
        routine = routines.ParametricUMAP(
            n_neighbors=max(1, given["n_neighbors"] - 1),  # which does not count the point itself
            model=copy.deepcopy(self.model_),
            out_dim=self._n_features_out,
            seed=self.seed_,
            dataset=None if rows is None else _tensor_of(rows.data, NARROW),
            **{name: given[name] for name in _OF_THE_ROUTINE},
        )
        routine.history, routine.trained = History(self.history_), True
        routine._columns = tuple(map(str, getattr(self, "feature_names_in_", ())))
        return routine

    def save(self, path: str | Path, *, landmarks: int = 0) -> None:
        """Writes the networks and the parameters to a safetensors file that `load` reads.

        The layout and what JSON does not hold, such as a function as metric, are not written, and
        of the rows only landmarks, but all with a `placement` among neighbours. What compares rows
        after `load` has to be given a metric there that the file does not hold.

        Parameters
        ----------
        path : str or Path
        landmarks : int
            How many rows are kept, spread over the map, so that `update` holds it in its place
            after `load` too. They are in the file as they are.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ValueError
            For rows of a fit that has none, such as one with `process_group`.
        """
        check_is_fitted(self, "model_")
        check_option(self.placement, PLACEMENTS, "placement")
        count = check_integer(landmarks, "landmarks", minimum=0)
        if count == 1:
            raise ValueError("landmarks must be 0, or 2 at least, of which a map is made, not 1")
        names = getattr(self, "feature_names_in_", None)
        given = self._parameters_of_fit
        held = {k: v for k, v in given.items() if k not in self._left_out and _is_plain(v)}
        estimator = {
            "class": type(self).__name__,
            "parameters": held,
            "n_features_in": self.n_features_in_,
        }
        saving.write(
            path,
            self.model_,
            seed=self.seed_,
            out_dim=self._n_features_out,
            hidden_dims=list(self._widths),
            history=list(self.history_),
            columns=[] if names is None else [str(name) for name in names],
            estimator=estimator,
            arrays=self._rows_of_file(count, given),
        )

    def _rows_of_file(self, count: int, given: Mapping[str, Any]) -> dict[str, torch.Tensor] | None:
        """The rows that a file has: all, or so many, or none."""
        if self.placement != "network":
            placement = f"placement={self.placement!r}"
            self._check_compared(placement)
            for name, wanted in _COMPARED_BY.items():
                if not _is_plain(given[name]):
                    raise ValueError(
                        f"{name} must {wanted} for a file of {placement}, which places rows by it, "
                        f"but it is {given[name]!r}: pickle the fit, or set placement='network'"
                    )
            return {"landmarks": self._rows_there(f"{placement} keeps")}
        return {"landmarks": self._spread_rows(count)} if count else None

    def _rows_there(self, what: str) -> torch.Tensor:
        """Those that the fit has or was loaded with, narrow ones and float64 as they are."""
        if self.umap_ is None:
            rows = self._landmarks
        else:
            rows = _tensor_of(self.umap_._kept_rows("save with rows").data, (np.float64, *NARROW))
        if rows is None:
            raise ValueError(f"{what} rows of the fit, of which there are none after load")
        return rows

    def _spread_rows(self, count: int) -> torch.Tensor:
        """Rows (count, d) chosen all over the map."""
        rows = self._rows_there("landmarks are")
        places = dr.apply_in_chunks(self.model_, rows, "embed")
        return spread_rows(rows, places, count, self.seed_)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        encoder: torch.nn.Module | None = None,
        decoder: torch.nn.Module | None = None,
        **parameters: Any,
    ) -> Self:
        """The fitted estimator of a file that `save` wrote, or of a routine's file.

        Parameters
        ----------
        path : str or Path
        encoder, decoder : torch.nn.Module, optional
            Copies of them take the weights; needed where the fit had such.
        **parameters
            Others that differ from those of the file, or that it does not hold.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SpecificationError
            If it is none of a model, or the networks do not fit it.
        """
        saved = saving.read(path)
        about = saved.description
        kept = about.estimator or {"parameters": {"n_components": about.out_dim}}
        given = {"encoder": encoder, "decoder": decoder, **parameters}
        arguments: dict[str, Any] = {**kept["parameters"], **given}
        self = cls(**arguments)
        instance = None
        if encoder is not None:
            width = int(kept.get("n_features_in", 0)) or models.input_width(encoder)
            shape = check_network(self, width).row_shape if width else None
            instance = dr.EncoderDecoderModel(
                copy.deepcopy(encoder),
                copy.deepcopy(decoder),
                in_dim=width or 1,
                out_dim=about.out_dim,
                row_shape=shape,
            )
        model = saved.model(instance)
        model.load_state_dict(saved.weights)
        model.to(place_of(None, self.device)).eval()
        self._keep(model, History(about.history), about.seed)
        self.umap_, self._supervised, self._landmarks = None, False, _landmarks_of(saved)
        self._layout_of_file = {name: getattr(self, name) for name in OF_THE_LAYOUT}
        self._keep_parameters(about.hidden_dims)
        if about.estimator is not None:  # of a routine's file all parameters are given anew
            self._left_out = [name for name in _COMPARED_BY if name not in arguments]
        self.n_features_in_ = kept.get("n_features_in", models.input_width(model))
        if about.columns:
            self.feature_names_in_ = np.array(about.columns, dtype=object)
        return self

    def export(self, path: str | Path, *, method: str = "embed") -> None:
        """Writes the program of the encoder, or of ``method="decode"``, for other runtimes.

        Parameters
        ----------
        path : str or Path
            ``.onnx``, or ``.pt2`` for torch.
        method : {"embed", "decode"}

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ModuleNotFoundError
            For ONNX without its packages.
        ValueError
            For another extension, and without a decoder.
        """
        check_is_fitted(self, "model_")
        if check_option(method, ("embed", "decode"), "method") == "embed":
            exporting.export(self.model_, path)
            return
        if self.decoder_ is None:
            raise ValueError("method 'decode' needs a decoder: parametric_reconstruction=True")
        exporting.export(self.decoder_, path, np.zeros((1, self._n_features_out), np.float32))

    def to_ONNX(self, path: str | Path) -> None:  # noqa: N802  umap-learn's name
        """The encoder as an ``.onnx`` file; see `export`."""
        self.export(path)


def _tensor_of(rows: Any, kinds: Sequence[Any]) -> torch.Tensor:
    """The tensor of rows; arrays stay as they are in some dtypes, else they become float32."""
    if isinstance(rows, torch.Tensor):
        return rows
    known = to_numpy(rows)
    return share(known) if known.dtype in kinds else to_torch(known)


def _landmarks_of(saved: saving.SavedRoutine) -> torch.Tensor | None:
    """The rows of a file, checked to be those that its model takes."""
    rows = saved.arrays.get("landmarks")
    width = (saved.description.estimator or {}).get("n_features_in")
    if rows is not None and (rows.ndim != 2 or rows.shape[1] != width):
        raise SpecificationError(
            f"{saved.path} has landmarks of shape {tuple(rows.shape)}, but its rows have {width} "
            "columns"
        )
    return rows


def _is_plain(value: Any) -> bool:
    """Whether JSON holds a value as it is."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
