"""Rows of Ray's datasets, placed by actors of a local Ray."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastparadime.engines.ray import Apply

KINDS = ("routine", "umap", "network")


@pytest.mark.parametrize("kind", KINDS)
def test_batches(kind: str, fitted: Any, new_rows: Any, expected: Any) -> None:
    ids = np.arange(1003)
    found = Apply(fitted[kind])({"data": new_rows, "id": ids})
    assert list(found) == ["id", "projection_x", "projection_y"]
    coords = np.column_stack([found["projection_x"], found["projection_y"]])
    assert coords.tobytes() == expected[kind].tobytes()
    columns = {name: new_rows[:, place] for place, name in enumerate("abcdefgh")}
    again = Apply(fitted[kind], list("abcdefgh"))({"id": ids, **columns})
    assert list(again) == list(found)
    assert again["projection_y"].tobytes() == found["projection_y"].tobytes()


def test_columns_that_the_model_was_fitted_to(new_rows: Any) -> None:
    import pandas as pd

    from fastparadime import UMAP

    frame = pd.DataFrame(new_rows[:100], columns=list("abcdefgh"))
    umap = UMAP(n_epochs=5, random_state=0).fit(frame)
    batch = {name: frame[name].to_numpy() for name in [*"hgfedcba"]}
    found = Apply(umap)({**batch, "label": np.ones(100)})
    assert list(found) == ["label", "projection_x", "projection_y"]
    assert np.array_equal(found["projection_x"], umap.embedding_[:, 0])


def test_bad_batches(fitted: Any, new_rows: Any) -> None:
    place = Apply(fitted["umap"])
    with pytest.raises(TypeError, match="batch must be a mapping of arrays, not ndarray"):
        place(new_rows)
    with pytest.raises(ValueError, match=r"has the columns \['a'\], of which 0 hold vectors"):
        place({"a": new_rows[:, 0]})
    with pytest.raises(ValueError, match="X has 7 columns, but the model takes 8"):
        place({"data": new_rows[:, :7]})
    with pytest.raises(ValueError, match=r"the batch lacks \['b'\], and has \['a'\]"):
        Apply(fitted["umap"], "b")({"a": new_rows})


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    pytest.importorskip("ray.data", reason="the extra 'ray' is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    yield ray
    ray.shutdown()


# Ray warns of what it is about to change, and leaves sockets to the collector.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["routine", "umap"])
def test_a_dataset(
    kind: str, ray: Any, fitted: Any, saved: Any, new_rows: Any, expected: Any
) -> None:
    model = str(saved[kind]) if kind == "routine" else fitted[kind]
    rows = ray.data.from_numpy(new_rows).repartition(5)
    batches = rows.map_batches(Apply, fn_constructor_args=[model], batch_size=128, concurrency=1)
    placed = batches.to_pandas().to_numpy(np.float32)
    wanted = expected[kind]
    # Blocks come in any order.
    assert placed[np.lexsort(placed.T)].tobytes() == wanted[np.lexsort(wanted.T)].tobytes()
