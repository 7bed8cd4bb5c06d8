"""Reads files of one kind under limits on time and memory, and prints what came of each.

    python tests/fuzzing/read_files.py KIND SECONDS MEBIBYTES FILE ...

A line of JSON for each file: its place among the files, the error's class and message or null, and
a digest of what was read.
"""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _model(path: str) -> bytes:
    from fastparadime import dr

    routine = dr.ParametricDR.load(path)
    parts = [f"{name}{value.dtype}".encode() for name, value in routine.model.state_dict().items()]
    parts += [value.numpy().tobytes() for value in routine.model.state_dict().values()]
    about = [routine.seed, routine.out_dim, routine.hidden_dims, routine.history]
    return b"".join(parts) + json.dumps(about).encode()


def _specification(path: str) -> bytes:
    from fastparadime import dr

    return repr(dr.ParametricDR.from_spec(path).training_phases).encode()[:0]


def _table(path: str) -> bytes:
    from fastparadime import read_table

    table = read_table(path, min_rows=2).values
    return f"{table.shape} {table.dtype.kind}".encode()


def _umap(path: str) -> bytes:
    from fastparadime import UMAP

    fitted = UMAP.load(path)
    return fitted.embedding_.tobytes() + repr(fitted.get_params()).encode()


def _labels(path: str) -> bytes:
    from fastparadime.utils.tables import read_labels

    return f"{read_labels(path, 12).dtype.kind}".encode()


READERS: dict[str, Callable[[str], bytes]] = {
    "model": _model,
    "specification": _specification,
    "table": _table,
    "labels": _labels,
    "umap": _umap,
}


def _limit_memory(mebibytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _too_slow(*_: Any) -> None:
    raise TimeoutError("the time is up")


def main() -> None:
    kind, seconds, mebibytes, *files = sys.argv[1:]
    warnings.simplefilter("ignore")
    # What readers import is loaded before memory is limited.
    import anndata
    import h5py
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet
    import torch

    from fastparadime import dr  # noqa: F401
    from fastparadime.utils import tables  # noqa: F401

    del anndata, h5py, pyarrow
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _too_slow)
    _limit_memory(int(mebibytes))
    for place, path in enumerate(files):
        signal.setitimer(signal.ITIMER_REAL, float(seconds))
        error, digest, start = None, None, time.process_time()
        try:
            digest = hashlib.sha256(READERS[kind](path)).hexdigest()
        except Exception as caught:  # noqa: BLE001  (the caller judges each)
            error = [type(caught).__name__, str(caught)]
        signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.process_time() - start
        sys.stdout.write(json.dumps([place, error, digest, took]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
