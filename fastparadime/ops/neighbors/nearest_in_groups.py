"""Nearest rows of queries that come in groups, each of which meets some of the rows alone."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_floats, as_indices, as_positive, target_of
from fastparadime.utils.validate import check_integer

Found = tuple[torch.Tensor, torch.Tensor]


def nearest_in_groups(
    queries: torch.Tensor,
    groups: torch.Tensor,
    rows: torch.Tensor,
    met: torch.Tensor,
    sizes: torch.Tensor,
    width: int,
    *,
    mean: torch.Tensor,
    scale: float = 1.0,
) -> Found:
    """The `width` nearest to each query of the rows that its group meets, nearest first.

    Squared distances come from norms and products, as those of `fastparadime.ops.ProductTable`.

    Parameters
    ----------
    queries : float32 tensor (m, d)
        On the CPU, as all of these.
    groups : integer tensor (m,)
        The group of each query.
    rows : float32 tensor (n, d)
    met : integer tensor
        Numbers of rows, those that a group meets after those of the one before.
    sizes : integer tensor (groups,)
        How many each group meets.
    width : int
        At least 1.
    mean : float32 tensor (d,)
        What is subtracted from all rows.
    scale : float
        What they are multiplied with afterwards, so that their squares are finite.

    Returns
    -------
    indices, squares : int32 and float32 tensors (m, width)
        Ascending by (square, index), of scaled rows; -1 and infinity where a group meets fewer. The
        same bits for any number of threads, and whatever the other queries are.

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, or numbers of groups and rows that there are not.
    """
    queries, rows = as_floats(queries, "queries", 2), as_floats(rows, "rows", 2)
    d = rows.shape[1]
    if queries.shape[1] != d or mean.shape != (d,):
        raise ValueError(
            f"queries and mean must have {d} columns as rows, not {queries.shape[1]} and {len(mean)}"
        )
    met, groups = as_indices(met, "met", 1, len(rows)), as_indices(groups, "groups", 1, len(sizes))
    if len(groups) != len(queries) or int(sizes.sum()) != len(met):
        raise ValueError(
            f"groups must have {len(queries)} entries and sizes the sum {len(met)}, not "
            f"{len(groups)} and {int(sizes.sum())}"
        )
    width, scale = check_integer(width, "width", minimum=1), as_positive(scale, "scale")
    order = groups.argsort(stable=True).int()
    ends = groups.bincount(minlength=len(sizes)).cumsum(0)
    met_ends = sizes.long().cumsum(0)
    indices = torch.empty((len(queries), width), dtype=torch.int32)
    squares = torch.empty((len(queries), width))
    asked, table = (
        _core.PlainRows(some.data_ptr(), mean.data_ptr(), scale, d) for some in (queries, rows)
    )
    _core.nearest_in_groups(
        indices.data_ptr(), squares.data_ptr(), asked, table, order.data_ptr(), ends.data_ptr(),
        met.data_ptr(), met_ends.data_ptr(), len(sizes), width, target_of(queries),
    )  # fmt: skip
    return indices, squares
