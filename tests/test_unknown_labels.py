"""Labels that are unknown, in all their forms: never a class of their own."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import feather

from fastparadime import UMAP, plot
from fastparadime.utils._colors import coloring_of
from fastparadime.utils.labels import known_labels
from fastparadime.utils.tables import read_labels

N = 60
CODES = np.random.default_rng(0).integers(-1, 3, N)  # -1 is unknown
KNOWN = CODES >= 0
WORDS = np.array(["cat", "dog", "hen"])[CODES]


def with_unknown(labels: Any, unknown: Any) -> list[Any]:
    return [
        label if known else unknown
        for label, known in zip(np.asarray(labels).tolist(), KNOWN, strict=True)
    ]


def series(labels: Any, dtype: str) -> pd.Series:
    return pd.Series(with_unknown(labels, None), dtype=dtype)


WITHOUT_A_VALUE = {
    "NaN": np.where(KNOWN, CODES, np.nan),
    "float32 NaN": torch.from_numpy(np.where(KNOWN, CODES, np.nan)).float(),
    "None among numbers": with_unknown(CODES, None),
    "None among words": with_unknown(WORDS, None),
    "NaN among words": with_unknown(WORDS, float("nan")),
    "NA among words": np.array(with_unknown(WORDS, pd.NA), dtype=object),
    "masked numbers": np.ma.masked_array(CODES, ~KNOWN),
    "masked words": np.ma.masked_array(WORDS, ~KNOWN),
    "categories": series(WORDS, "category"),
    "categories of numbers": series(CODES, "category"),
    "nullable integers": series(CODES, "Int64"),
    "nullable floats": series(CODES, "Float64"),
    "nullable strings": series(WORDS, "string"),
    "objects": series(WORDS, "object"),
    "times": np.where(
        KNOWN, np.array(["2020", "2021", "2022"], "M8[D]")[CODES], np.datetime64("NaT")
    ),
    "series of times": pd.Series(
        np.where(KNOWN, np.array(["2020", "2021", "2022"], "M8[D]")[CODES], np.datetime64("NaT"))
    ),
}
MINUS_ONE = {
    "-1 among words": with_unknown(WORDS, -1),
    "-1 among objects": np.array(with_unknown(WORDS, -1), dtype=object),
    "what numpy makes of it": np.array(with_unknown(WORDS, -1)),
}
NUMBERS = {
    "integers": CODES,
    "floats": CODES.astype(float),
    "float32": CODES.astype(np.float32),
    "texts": np.array([str(code) for code in CODES]),
}


def graph(y: Any, **options: Any) -> Any:
    X = np.random.default_rng(1).normal(size=(N, 4))
    return UMAP(n_neighbors=8, transform_mode="graph", random_state=0, **options).fit(X, y).graph_


ALL = {**WITHOUT_A_VALUE, **MINUS_ONE, **NUMBERS}


@pytest.mark.parametrize("name", ALL)
def test_categories_of_umap(name: str) -> None:
    expected = graph(CODES)  # compared with umap-learn in test_umap_targets.py
    assert (graph(ALL[name]) != expected).nnz == 0


def test_all_unknown_is_a_graph_of_equal_factors() -> None:
    nothing = graph(np.full(N, -1))
    for given in ([None] * N, np.full(N, np.nan)):
        assert (graph(given) != nothing).nnz == 0
        for metric in ("ordinal", "string", "euclidean"):
            assert (graph(given, target_metric=metric) != nothing).nnz == 0


FAMILIES = {"cat": 0, "dog": 1, "hen": 2}


@pytest.mark.parametrize(
    ("metric", "options", "y"),
    [
        ("string", {}, with_unknown(WORDS, None)),
        ("myers", {}, with_unknown(WORDS, -1)),
        ("hierarchical_categorical", {"cat_hierarchy": [FAMILIES]}, series(WORDS, "category")),
    ],
)
def test_metrics_that_tell_equal_from_other(metric: str, options: Any, y: Any) -> None:
    found = graph(y, target_metric=metric, target_metric_kwds=options)
    np.testing.assert_allclose(found.toarray(), graph(CODES).toarray(), atol=1e-6)


@pytest.mark.parametrize(
    ("metric", "y"),
    [
        ("ordinal", np.where(KNOWN, CODES, np.nan)),
        ("ordinal", series(CODES, "Int64")),
        ("count", np.ma.masked_array(CODES, ~KNOWN)),
        ("euclidean", np.where(KNOWN, CODES, np.nan)),
        ("manhattan", series(CODES, "Float64")),
    ],
)
def test_metrics_of_numbers(metric: str, y: Any) -> None:
    """Edges with an unknown label are weakened by exp(-1), as among categories."""
    found, plain = graph(y, target_metric=metric).toarray(), graph(None).toarray()
    # All edges of an unknown point are weakened alike, and its strongest one counts 1 again.
    scaled = plain / plain.max(axis=1, keepdims=True)
    joined = scaled + scaled.T - scaled * scaled.T
    both = ~KNOWN[:, None] & ~KNOWN
    assert (joined[both] > 0).sum() > 10
    np.testing.assert_allclose(found[both], joined[both], atol=1e-6)
    if metric == "ordinal":
        factors = np.exp(-5.0 * np.abs(CODES[:, None] - CODES))
        factors[~KNOWN[:, None] | ~KNOWN] = np.exp(-1)
        scaled = plain * factors / (plain * factors).max(axis=1, keepdims=True)
        np.testing.assert_allclose(found, scaled + scaled.T - scaled * scaled.T, atol=1e-6)


def test_several_columns_with_a_gap_are_unknown() -> None:
    y = np.random.default_rng(3).normal(size=(N, 2))
    holes = y.copy()
    holes[~KNOWN, 1] = np.nan
    one = np.where(KNOWN[:, None], y, np.nan)
    found = [graph(part, target_metric="euclidean") for part in (holes, one)]
    assert (found[0] != found[1]).nnz == 0


@pytest.mark.parametrize(
    ("y", "metric", "message"),
    [
        (np.where(KNOWN, CODES, np.inf), "categorical", "categories, -1 or NaN .* infinite values"),
        (
            np.where(KNOWN, CODES, np.inf),
            "euclidean",
            "finite numbers, NaN where unknown, .* infin",
        ),
        (np.where(KNOWN, CODES, np.inf), "ordinal", "y must hold finite numbers"),
        ([1, "a", None] * 20, "categorical", "categories of one kind, .* has int, str"),
    ],
)
def test_bad_labels(y: Any, metric: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graph(y, target_metric=metric)


@pytest.mark.parametrize("name", [*WITHOUT_A_VALUE, *MINUS_ONE])
def test_plots_have_no_class_of_unknown_labels(name: str) -> None:
    coloring = coloring_of(ALL[name], N)
    assert len(coloring.entries) == 3
    grey = (coloring.table[coloring.codes] == 0.75).all(axis=1)
    np.testing.assert_array_equal(grey, ~KNOWN)
    own = plot._arguments.Colors(labels=ALL[name], background="black").coloring(N)
    assert len(own.entries) == len(coloring.entries)
    np.testing.assert_array_equal(own.codes, coloring.codes)


def test_plots_of_numbers_keep_minus_one() -> None:
    for given in NUMBERS.values():
        assert len(coloring_of(given, N).entries) == 4


def test_plots_of_unknown_labels_alone_and_of_scales() -> None:
    nothing = coloring_of([None] * N, N)
    assert nothing.entries == []
    assert (nothing.table[nothing.codes] == 0.75).all()
    numbers = pd.Series([None, *range(99)], dtype="Int64")
    scale = coloring_of(numbers, 100)
    assert scale.limits == (0, 98)
    assert scale.codes[0] == 256
    values = plot._arguments.Colors(values=numbers).coloring(100)
    assert values.limits == (0, 98)
    np.testing.assert_array_equal(values.codes, scale.codes)


def test_a_key_needs_no_color_for_unknown_labels() -> None:
    key = {"cat": "red", "dog": "green", "hen": "blue"}
    coloring = plot._arguments.Colors(labels=with_unknown(WORDS, None), color_key=key).coloring(N)
    assert [name for name, _ in coloring.entries] == ["cat", "dog", "hen"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind\ncat\n\ndog\n", ["cat", None, "dog"]),
        ('kind\ncat\n""\ndog\n', ["cat", None, "dog"]),
        ("1\n\n2\n", [1, None, 2]),
        ("1\n2\n\n", [1, 2, None]),
        ("\n1\n\n2\n\n\n3\n", [1, 2, 3]),
        ("1.5\nnan\n2\n", [1.5, None, 2.0]),
        ("cat\n-1\ndog\n", ["cat", None, "dog"]),
        ("kind\ncat\nhen\ndog\n\n", ["cat", "hen", "dog"]),
    ],
)
def test_labels_of_files(text: str, expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text)
    values, known = known_labels(read_labels(str(tmp_path / "labels.csv"), 3))
    assert [v if k else None for v, k in zip(values.tolist(), known, strict=True)] == expected


@pytest.mark.parametrize("index", [None, ["r", "s", "t"]])
@pytest.mark.parametrize("file", ["y.csv", "y.tsv", "y.csv.gz", "y.parquet", "y.feather"])
def test_the_index_of_pandas_is_no_label(
    file: str, index: list[str] | None, tmp_path: Path
) -> None:
    frame, path = pd.DataFrame({"kind": ["cat", "dog", "cat"]}, index=index), tmp_path / file
    write = {
        ".parquet": frame.to_parquet,
        ".feather": functools.partial(feather.write_feather, frame),
    }.get(path.suffix)
    if write is not None:
        write(path)
    else:
        frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    assert read_labels(str(path), 3).tolist() == ["cat", "dog", "cat"]


@pytest.mark.parametrize("file", ["y.csv", "y.csv.gz"])
def test_two_columns_are_no_labels(file: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"kind": ["cat", "dog", "cat"], "more": [1, 2, 4]})
    frame.to_csv(tmp_path / file, index=False)
    with pytest.raises(ValueError, match="must have one column of labels"):
        read_labels(str(tmp_path / file), 3)
