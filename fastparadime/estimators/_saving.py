"""Files of fitted UMAPs: arrays as safetensors, parameters as JSON in their header; nothing of a file
is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.dr import saving
from fastparadime.estimators._fit import Embedding, FittedGraph
from fastparadime.estimators._kinds import Kind, Results
from fastparadime.estimators._parameters import check_parameters
from fastparadime.estimators._row_format import RowFormat
from fastparadime.estimators._transform import FittedRows
from fastparadime.exceptions import SpecificationError
from fastparadime.neighbors import NeighborGraph
from fastparadime.utils.convert import is_sparse, share, to_numpy
from fastparadime.utils.digests import check_digests, with_digests
from fastparadime.utils.files import replacing

FORMAT = 1
_EDGES = ops.Edges._fields
_OF_NO_FIT = ("sample", "output_type")  # about all rows, or about what comes out
_SEARCH = ("engine", "recall_estimate", "recall_bound")


def write(path: str | Path, estimator: Any, beside: Mapping[str, Any] | None = None) -> None:
    """Writes a fitted UMAP: its rows, positions, graph and parameters, and what others keep beside.

    Raises
    ------
    ValueError
        For fits that a file does not hold, and parameters that are no numbers or text.
    """
    fitted_rows: FittedRows = estimator._of_rows("save")
    settings = fitted_rows.settings
    refused = {
        "unique=True": settings.unique,
        "transform_mode='graph'": settings.graph_alone,
        "output_dens=True": settings.output_dens,
        "a list of n_epochs": settings.kept_epochs is not None,
    }
    for name, is_so in refused.items():
        if is_so:
            raise ValueError(f"save is not available for a fit with {name}")
    content = {
        "format": FORMAT,
        "version": metadata.version("fastparadime"),
        "parameters": _plain_parameters(estimator),
        "seed": estimator.seed_,
        "wide": fitted_rows.row_format.wide,
        "supervised": bool(estimator._supervised),
        "weighted": bool(estimator._weighted),
        "double": estimator.embedding_.dtype in (np.float64, torch.float64),
        "n_neighbors": estimator._fitted_graph.n_neighbors,
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": [str(name) for name in getattr(estimator, "feature_names_in_", ())],
        **{name: getattr(estimator._fitted_graph.nearest, name) for name in _SEARCH},
        **(beside or {}),
    }
    arrays = {name: _kept(value) for name, value in _arrays(estimator, fitted_rows).items()}
    described = json.dumps(with_digests(content, arrays))
    from safetensors.torch import save

    with replacing(path) as part:
        part.write_bytes(save(arrays, metadata={saving.UMAP_KEY: described}))


def _plain_parameters(estimator: Any) -> dict[str, Any]:
    """The parameters of the fit but for those of its run."""
    now = estimator.get_params(deep=False)
    given = {**estimator._settings.given, **{name: now[name] for name in _OF_NO_FIT}}
    for name, value in given.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"save is not available for {name}={value!r}: a file holds numbers and text"
            ) from None
    return given


def _arrays(estimator: Any, fitted_rows: FittedRows) -> dict[str, Any]:
    fitted: FittedGraph = estimator._fitted_graph
    rows = fitted_rows.rows
    arrays: dict[str, Any] = dict(zip(_EDGES, fitted.edges, strict=True))
    arrays.update(positions=fitted_rows.positions, rho=fitted.rho, sigma=fitted.sigma)
    arrays.update(indices=fitted.nearest.indices, distances=fitted.nearest.distances)
    if is_sparse(rows):
        arrays.update(row_data=rows.data, row_indices=rows.indices, row_indptr=rows.indptr)
    else:
        arrays["rows"] = rows
    if fitted_rows.row_format.centre is not None:
        arrays["centre"] = fitted_rows.row_format.centre
    return arrays


def _kept(value: Any) -> torch.Tensor:
    """A contiguous copy on the host, since safetensors refuses tensors that share memory."""
    return torch.from_numpy(np.ascontiguousarray(to_numpy(value))).clone()


def read(path: str | Path, kind: type[Any], device: Any = None) -> Any:
    """The fitted estimator of a file that `write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If it is no such file, damaged, or of a format that is not known.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if saving.KEY in metadata:
                raise ValueError("it holds a network, which ParametricUMAP.load reads")
            content = json.loads(metadata[saving.UMAP_KEY])
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']}, not {FORMAT}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not check_digests(content, arrays):
            raise ValueError("it has no digests")
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SpecificationError(f"{path} is not the file of a fitted UMAP: {error}") from error
    estimator = _built(kind, content, device, path)
    try:
        return _restored(estimator, content, arrays)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise SpecificationError(f"{path} is not the file of a fitted UMAP: {error}") from error


def _built(kind: type[Any], content: dict[str, Any], device: Any, path: str | Path) -> Any:
    try:
        estimator = kind(**content["parameters"], random_state=content["seed"])
    except (KeyError, TypeError) as error:
        raise SpecificationError(f"{path} is not the file of a fitted UMAP: {error}") from error
    estimator.device = device
    ops.resolve_device(device)
    return estimator


def _restored(estimator: Any, content: dict[str, Any], arrays: dict[str, torch.Tensor]) -> Any:
    rows = _rows_of(arrays, content["n_features_in"])
    settings = check_parameters(estimator, rows)
    shapes = {"rows": tuple(rows.shape), "positions": tuple(arrays["positions"].shape)}
    dim = settings.output.start(torch.zeros(2, settings.n_components)).shape[1]
    expected = (len(arrays["rho"]), dim)
    if shapes["positions"] != expected or shapes["rows"] != (expected[0], content["n_features_in"]):
        raise ValueError(f"its arrays have shapes {shapes}")
    where = settings.device
    moved = {name: value.to(where) for name, value in arrays.items()}
    rows = rows.to(where) if isinstance(rows, torch.Tensor) else rows
    centre = arrays["centre"].numpy() if "centre" in arrays else None
    row_format = RowFormat(settings.metric, where, centre, content["wide"])
    search = {name: content[name] for name in _SEARCH}
    fitted = FittedGraph(
        ops.Edges(*(moved[name] for name in _EDGES)),
        NeighborGraph(moved["indices"], moved["distances"], **search),
        moved["rho"],
        moved["sigma"],
        content["n_neighbors"],
    )
    estimator.n_features_in_ = content["n_features_in"]
    if content["feature_names_in"]:
        estimator.feature_names_in_ = np.array(content["feature_names_in"], dtype=object)
    estimator._keep_graph(fitted, settings)
    space = settings.row_metric.space(rows)
    kept = FittedRows(rows, moved["positions"], settings, space, row_format)
    estimator._keep_rows(kept, supervised=content["supervised"], weighted=content["weighted"])
    dtype = np.float64 if content["double"] else np.float32
    results = Results(Kind(np), dtype, None, settings.output)
    estimator._keep_positions(Embedding(moved["positions"], None, None), results)
    return estimator


def _rows_of(arrays: dict[str, torch.Tensor], width: int) -> Any:
    if "rows" in arrays:
        return share(arrays["rows"].numpy())
    import scipy.sparse

    data, indices, indptr = (
        arrays[f"row_{part}"].numpy() for part in ("data", "indices", "indptr")
    )
    return scipy.sparse.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, width))
