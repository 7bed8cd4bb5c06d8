"""Ray: rows of a dataset placed batch by batch, by actors that hold the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.engines._placing import Fitted, Placing
from fastparadime.types import Array
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.tables.writing import coordinate_names


class Apply:
    """Places the rows of batches, as the class that ``ray.data.Dataset.map_batches`` takes.

    An actor makes one, and with it reads the model or gets it from Ray once. The bits are those of
    one call of `apply` or `transform` with all rows; a network of one's own is computed by torch,
    which may round by the number of rows.

    Parameters
    ----------
    model : path, routine, UMAP or ParametricUMAP
        Fitted, or the path of a saved one, which every node must be able to read.
    columns : str or sequence of str, optional
        The column of vectors, or those of numbers, in order. By default those that the model was
        fitted to, if they have names, or else the only column of vectors.
    device : torch.device or str, optional
        Where a saved model goes; the CPU if None.

    Raises
    ------
    FileNotFoundError, SpecificationError, TypeError, ValueError
        For a model that is not as described.
    """

    def __init__(
        self,
        model: str | Path | Fitted,
        columns: str | Sequence[str] | None = None,
        *,
        device: Any = None,
    ) -> None:
        self._placing = Placing.of(model, device)
        self._columns = [columns] if isinstance(columns, str) else list(columns or ())

    def __call__(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """A batch with columns projection_x, projection_y and so on in place of the rows.

        Parameters
        ----------
        batch : mapping of arrays (m, ...)
            Ray's format ``"numpy"``, its default.

        Raises
        ------
        TypeError
            For another format.
        ValueError
            For columns that are missing, and rows of another width than the model's.
        """
        if not isinstance(batch, Mapping):
            raise TypeError(
                f"batch must be a mapping of arrays, not {type(batch).__name__}: leave out "
                "batch_format, or set it to 'numpy'"
            )
        names = self._names_in(batch)
        coords = self._placing(self._rows(batch, names))
        beside = {name: values for name, values in batch.items() if name not in names}
        named = zip(coordinate_names(self._placing.out_dim), coords.T.copy(), strict=True)
        return {**beside, **dict(named)}

    def _names_in(self, batch: Mapping[str, Array]) -> list[str]:
        """The columns that are the rows."""
        names = self._columns or list(self._placing.columns)
        if not names:
            names = [name for name, values in batch.items() if np.ndim(values) > 1]
            if len(names) != 1:
                raise ValueError(
                    "columns must say which are the rows: the batch has the columns "
                    f"{list(batch)}, of which {len(names)} hold vectors"
                )
        missing = [name for name in names if name not in batch]
        if missing:
            raise ValueError(f"the batch lacks {missing}, and has {list(batch)}")
        return names

    def _rows(self, batch: Mapping[str, Array], names: list[str]) -> Any:
        columns = [np.asarray(batch[name]) for name in names]
        vectors = len(columns) == 1 and columns[0].ndim > 1
        rows = columns[0] if vectors else np.column_stack(columns)
        if rows.ndim == 2:
            self._placing.check_width(rows.shape[1])
        return NamedRows(rows, tuple(names)) if self._placing.columns == tuple(names) else rows
