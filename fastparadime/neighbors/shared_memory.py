"""How much memory a search by several processes takes of each, by formula, before it begins."""

from __future__ import annotations

from fastparadime import ops
from fastparadime.distributed import SLICES
from fastparadime.neighbors import approximate, cluster_plan
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.doubtful_rows import SHOWN_ROWS
from fastparadime.neighbors.exact import block_bytes
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.recall_sample import sample_size
from fastparadime.neighbors.shared_rounds import TOGETHER, room_of
from fastparadime.neighbors.table import compared_columns


def search_bytes(n: int, d: int, k: int, metric: Metric, recall: float, ranks: int) -> int:
    """Bytes that a rank takes at its peak beside its own rows, the result included.

    Parameters
    ----------
    n, d : int
        Rows of all ranks, as many of each, and columns.
    k : int
    metric : str
        A native one.
    recall : float
    ranks : int

    Returns
    -------
    int
        8 k m of the result and 4 d m of the rows in float32, m of them a rank; and the most of

        - 4 d m while they are dealt;
        - s rows compared with t by products: 8 d s + (28 k + 320) s, 40 d of each of 1024 rows that
          show where both lie, and up to 8 s t, within 64 MiB each, where products lose digits. In a
          ring s and t are n / 16, with 60 k s of lists that are joined, and 4 d m of each of up to
          two blocks that come and go beside 8 k m; by clusters s are the rows that are solved;
        - by c clusters, 24 a row, with lists of w candidates in p columns: 8 w + 32 x 24 + 40 a row
          of lists and clusters, 8 p m of a projection, and the most of 512 c p of the rows that
          centroids are moved by, 8 p + 44 w + 64 for each row that may come in a round, and blocks
          as in a ring beside 8 k m.
    """
    own, columns = -(-n // SLICES) * -(-SLICES // ranks), compared_columns(d, metric)
    rows, part = 4 * columns * own, -(-n // SLICES)
    passing = min(2, ranks - 1) * rows + 8 * k * own
    held = rows + 8 * k * own
    if not approximate.is_wanted(n, d, metric, recall):
        joined = _products_bytes(part, part, columns, k) + 60 * k * part
        return held + max(rows, passing + joined)
    projected = max((ladder[-1] for ladder in cluster_plan.projections(n, columns)), default=0)
    width = ops.list_width(n, columns, k, columns=0 if projected else columns)
    searched = projected or columns
    lists = own * cluster_plan.lists_bytes(width)
    room = room_of(n, ranks) * (8 * searched + 44 * width + 64)
    last = passing + TOGETHER * (4 * columns + 32 * width)
    centroids = 16 * cluster_plan.SAMPLED * cluster_plan.count_clusters(n) * searched
    solved = _products_bytes(sample_size(n, recall), part, columns, k)
    searching = max(lists + max(room, last), centroids) + 8 * own * projected
    return held + max(rows, solved, searching)


def _products_bytes(queries: int, rows: int, columns: int, k: int) -> int:
    """What a comparison of some queries with a block of rows takes."""
    shown = 40 * columns * min(queries + rows, SHOWN_ROWS)
    lists = min(block_bytes(1, 1), queries * (16 * (k + SPARE) + 264))
    pairs = min(block_bytes(1, 1), 4 * queries * rows)
    return shown + 8 * columns * queries + queries * (28 * k + 320) + lists + 2 * pairs
