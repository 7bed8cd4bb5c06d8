"""Files of every kind that is read, small and whole, and a process that reads files under limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from fastparadime import UMAP, dr

# Of one file's reading, of processor time and beside the start. A quadratic look at 20,000 keys took 10 s,
# and a linear one 2 s on the slowest machine seen.
_SECONDS, _MEBIBYTES = 5.0, 512
_DOCS = Path(__file__).resolve().parents[2] / "docs" / "specifications"


@dataclass(frozen=True)
class Outcome:
    """What came of one file: the name and message of an error, or a digest of what was read."""

    error: str | None
    message: str
    digest: str | None


@pytest.fixture(scope="session")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    routine = dr.ParametricDR(in_dim=5, out_dim=2, hidden_dims=[6, 4], seed=3)
    routine.trained = True
    routine.history = [{"name": "start", "losses": [1.5, 0.25]}]
    routine.save(folder / "model.safetensors")
    X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    np.save(folder / "table.npy", X)
    np.savez(folder / "table.npz", X)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.to_csv(folder / "table.csv", index=False)
    frame.to_parquet(folder / "table.parquet")
    frame.to_feather(folder / "table.feather")
    anndata.AnnData(X).write_h5ad(folder / "table.h5ad")
    with h5py.File(folder / "table.h5", "w") as file:
        file["X"] = X
    UMAP(n_neighbors=4, random_state=0).fit(X).save(folder / "umap.safetensors")
    (folder / "labels.csv").write_text("label\n" + "\n".join(["1", "two", "", "4"] * 3))
    for name in ("umap.yaml", "tsne.json"):
        (folder / name).write_bytes((_DOCS / name).read_bytes())
    return {path.name: path for path in folder.iterdir()}


def _read(kind: str, files: Sequence[Path]) -> list[Outcome]:
    script = Path(__file__).with_name("read_files.py")
    command = [sys.executable, str(script), kind, str(10 * _SECONDS), str(_MEBIBYTES)]
    done = subprocess.run(
        [*command, *map(str, files)], check=False, capture_output=True, text=True, timeout=600
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(files), f"{files[len(found)]} ended the process: {done.stderr[-2000:]}"
    slow = [str(files[place]) for place, _, _, took in found if took > _SECONDS]
    assert slow == []
    return [Outcome(*(error or (None, "")), digest) for _, error, digest, _ in found]


@pytest.fixture(scope="session")
def read() -> Callable[[str, Sequence[Path]], list[Outcome]]:
    """Reads files in a process of their own, which each leaves as it was."""
    torch.get_num_threads()
    return _read
