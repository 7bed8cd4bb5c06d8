"""Work that the processes of a group of torch.distributed share.

The caller makes the group: nothing here starts processes or looks for any. Stages of the flow that
ranks share lie beside those of one process: ``neighbors/ring.py``, ``neighbors/shared_clusters.py``,
``graph/shared_edges.py``, ``layout/shared_layout.py``, ``training/sliced_steps.py`` and
``estimators/_shared_fit.py``.
"""

from fastparadime.distributed.courses import SharedCourse
from fastparadime.distributed.exchange import Exchange
from fastparadime.distributed.gathering import gathered, shared_out
from fastparadime.distributed.ranks import Ranks
from fastparadime.distributed.shards import SLICES, Shards

__all__ = ["SLICES", "Exchange", "Ranks", "Shards", "SharedCourse", "gathered", "shared_out"]
