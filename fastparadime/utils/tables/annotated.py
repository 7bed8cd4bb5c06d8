"""AnnData: cells as rows, genes as columns, and what is known of the cells beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.utils.tables.arrays import damage_named, needed
from fastparadime.utils.tables.raw import Part, Raw, Reading


def read_anndata(path: Path, name: str, reading: Reading) -> Raw:
    """The matrix `X`, a layer, or an entry of `obsm`, with `obs` beside it.

    Raises
    ------
    FileNotFoundError
        If it has no such matrix, with the names of those there are.
    ValueError
        If it is no such file.
    ModuleNotFoundError
        Without anndata.
    """
    anndata = needed("anndata", name)
    with damage_named(name, "AnnData file"):
        data = anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path, backed="r")
        try:
            return _raw(data, name, reading)
        finally:
            if data.isbacked:
                data.file.close()


def _raw(data: Any, name: str, reading: Reading) -> Raw:
    import pyarrow as pa

    genes: tuple[str, ...] | None = tuple(map(str, data.var_names))
    if reading.obsm is not None:
        matrix, genes = _chosen(data.obsm, name, "obsm", reading.obsm), None
    elif reading.layer is not None:
        matrix = _chosen(data.layers, name, "layer", reading.layer)
    elif data.X is None:
        raise FileNotFoundError(f"{name} has no X: {_listed(data, reading)}")
    else:
        matrix = data.X
    matrix = matrix[:] if hasattr(matrix, "chunks") or not hasattr(matrix, "shape") else matrix
    matrix = matrix.to_memory() if hasattr(matrix, "to_memory") else matrix
    notes = []
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
        notes = [f"the sparse matrix of {name} is made dense; {_listed(data, reading)}"]
    obs = data.obs.reset_index(drop=True)
    obs.columns = [str(column) for column in obs.columns]
    frame = pa.Table.from_pandas(obs, preserve_index=False)
    ids = np.asarray(data.obs_names, dtype=str)
    return Raw(name, [Part(name, len(ids))], np.asarray(matrix), genes, frame, ids=ids, notes=notes)


def _chosen(matrices: Any, name: str, option: str, key: str) -> Any:
    if key not in matrices:
        there = ", ".join(map(str, matrices.keys())) or "none"
        raise FileNotFoundError(f"{name} has no {option} {key!r}; there are: {there}")
    return matrices[key]


def _listed(data: Any, reading: Reading) -> str:
    there = [reading.option("obsm", str(key)) for key in data.obsm]
    there += [reading.option("layer", str(key)) for key in data.layers]
    return f"other matrices are {', '.join(there)}" if there else "it has no other matrix"
