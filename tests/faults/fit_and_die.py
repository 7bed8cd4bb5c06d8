"""Fits that keep a checkpoint, in children that are killed in the middle of it, again and again.

    python tests/faults/fit_and_die.py FOLDER KIND ROUNDS SEED

In each round a fit is begun in an empty folder and killed at a call of a Python function, drawn by
SEED; started again and killed once more; and then run to its end. The last line says how
often a child was killed, and in how many rounds the result had the bits of a fit that was not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calls import Calls

from fastparadime import UMAP, ParametricUMAP, dr, models, routines
from fastparadime.utils.checkpoints import Checkpoint

KILLS = 2
# Least seconds between writings: of the many small epochs of a regression not each is written.
SECONDS = {"estimator": 0.05, "quality": 0.05}


def umap(X: Any, checkpoint: Any) -> Any:
    kept = UMAP(n_epochs=[10, 30], random_state=0, densmap=True)
    return kept.fit(X, checkpoint=checkpoint).embedding_list_


def estimator(X: Any, checkpoint: Any) -> Any:
    options = {"hidden_dims": [8], "quality": "fast", "parametric_reconstruction": True}
    fitted = ParametricUMAP(n_epochs=20, random_state=0, **options)
    fitted.fit(X, np.arange(len(X)) % 3, checkpoint=checkpoint)
    return fitted.embedding_, fitted.inverse_transform(fitted.embedding_)


def trained(routine: dr.ParametricDR, X: Any, checkpoint: Any) -> Any:
    routine.train(X, checkpoint=checkpoint)
    losses = [loss for run in routine.history for loss in run["losses"]]
    return routine.apply(X).numpy(), np.array(losses)


def edges(X: Any, checkpoint: Any) -> Any:
    routine = routines.ParametricUMAP(n_neighbors=5, epochs=4, batch_size=50, seed=0)
    return trained(routine, X, checkpoint)


def quality(X: Any, checkpoint: Any) -> Any:
    routine = routines.ParametricUMAP(n_neighbors=5, hidden_dims=[8], quality="fast", seed=0)
    return trained(routine, X, checkpoint)


def sgd(X: Any, checkpoint: Any) -> Any:
    """Steps of torch's, with an optimizer of torch's that has a state."""
    generator = torch.Generator().manual_seed(0)
    model = models.FullyConnectedEmbeddingModel(X.shape[1], 2, [8], generator=generator)
    routine = routines.ParametricTSNE(perplexity=5, model=model, epochs=4, batch_size=60, seed=0)
    for phase in routine.training_phases:
        phase.optimizer, phase.kwargs = torch.optim.SGD, {"momentum": 0.9}
    return trained(routine, X, checkpoint)


FITS: dict[str, Callable[[Any, Any], Any]] = {
    "umap": umap,
    "estimator": estimator,
    "edges": edges,
    "quality": quality,
    "sgd": sgd,
}


def bits(fit: Callable[..., Any], checkpoint: Any) -> bytes:
    X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    return b"".join(np.asarray(part).tobytes() for part in fit(X, checkpoint))


def in_child(kind: str, folder: Path, call: int | None) -> int:
    """The signal that ended a child which fitted; one that came to its end wrote the result."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if call is not None:
        sys.setprofile(Calls(call))
    found = bits(FITS[kind], Checkpoint(folder / "kept", SECONDS.get(kind, 0.0)))
    sys.setprofile(None)
    (folder / "result").write_bytes(found)
    os._exit(0)


def main() -> None:
    folder, kind, draw = Path(sys.argv[1]), sys.argv[2], random.Random(int(sys.argv[4]))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    expected, counter = bits(FITS[kind], None), Calls()
    # Calls of a second fit: a first one imports. How often seconds have passed is not the same each
    # time: calls of a fit without them.
    for number in range(2):
        counted = None if kind in SECONDS else Checkpoint(folder / f"counted-{number}", 0.0)
        sys.setprofile(counter if number else None)
        bits(FITS[kind], counted)
    sys.setprofile(None)
    seen = {"killed": 0, "ended": 0, "same": 0}
    for number in range(int(sys.argv[3])):
        own = folder / str(number)
        own.mkdir()
        for _ in range(KILLS):
            call = draw.randrange(1, counter.count)
            seen["killed"] += in_child(kind, own, call) == -signal.SIGKILL
        seen["ended"] += in_child(kind, own, None) == 0
        seen["same"] += (own / "result").read_bytes() == expected
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
