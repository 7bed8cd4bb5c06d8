"""Columns of Spark's data frames, placed by Python workers of a local Spark."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastparadime import UMAP
from fastparadime.engines.spark import predict_fn

KINDS = ("routine", "umap", "network")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_path", [False, True])
def test_batches(
    kind: str, by_path: bool, fitted: Any, saved: Any, new_rows: Any, expected: Any
) -> None:
    make = pickle.loads(pickle.dumps(predict_fn(saved[kind] if by_path else fitted[kind])))
    assert make()(new_rows).tobytes() == expected[kind].tobytes()
    with pytest.raises(ValueError, match="X has 7 columns, but the model takes 8"):
        make()(new_rows[:, :7])


def test_a_model_is_checked_at_once() -> None:
    with pytest.raises(TypeError, match="model must be a fitted routine"):
        predict_fn(UMAP)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="the extra 'spark' is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    folder = tmp_path_factory.mktemp("spark")
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder))
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


# Spark warns of what it is about to change, and leaves sockets to the collector.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_data_frames(
    kind: str, spark: Any, fitted: Any, saved: Any, new_rows: Any, expected: Any, tmp_path: Path
) -> None:
    import pandas as pd
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.functions import array
    from pyspark.sql.types import ArrayType, FloatType

    model = saved[kind] if kind == "routine" else fitted[kind]
    frame = pd.DataFrame(new_rows, columns=list("abcdefgh"))
    frame.insert(0, "id", np.arange(len(frame)))
    frame.to_parquet(tmp_path / "rows.parquet")
    rows = spark.read.parquet(str(tmp_path / "rows.parquet")).repartition(3)
    udf = predict_batch_udf(
        predict_fn(model),
        return_type=ArrayType(FloatType()),
        batch_size=128,
        input_tensor_shapes=[[8]],
    )
    placed = rows.select("id", udf(array(*"abcdefgh")).alias("coords"))
    found = placed.toPandas().sort_values("id")
    coords = np.stack(found["coords"]).astype(np.float32)
    assert coords.tobytes() == expected[kind].tobytes()
