"""ParametricUMAP as an estimator: fit, new rows, back again, more rows, files, the routine below."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastparadime import UMAP, ParametricUMAP, dr, neighbors, routines
from fastparadime.exceptions import SpecificationError
from tests.conftest import skip_without_onnx

QUICK: dict[str, Any] = {"quality": "fast", "hidden_dims": [16], "n_epochs": 100, "random_state": 0}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return (images[:500] / 16).astype(np.float32), labels[:500]


@pytest.fixture(scope="module")
def fitted(data: Any) -> ParametricUMAP:
    return ParametricUMAP(**QUICK, parametric_reconstruction=True).fit(data[0][:400])


def accuracy(coords: np.ndarray, labels: np.ndarray) -> float:
    found = neighbors.knn(np.asarray(coords), 5).indices.numpy()
    return float((labels[found] == labels[:, None]).mean())


def test_the_network_follows_the_layout(data: Any) -> None:
    X, labels = data
    mapper = ParametricUMAP(quality="fast", random_state=0)
    Y = mapper.fit_transform(X)
    layout = UMAP(random_state=mapper.seed_, n_epochs=None).fit_transform(X)
    np.testing.assert_array_equal(mapper.umap_.embedding_, layout)
    assert np.sqrt(((Y - layout) ** 2).mean()) / layout.std() < 0.15
    assert accuracy(Y, labels) > 0.9
    np.testing.assert_array_equal(Y, mapper.transform(X))
    assert (Y.shape, Y.dtype) == ((500, 2), np.float32)
    assert mapper.graph_.shape == (500, 500)
    assert [run["name"] for run in mapper.history_] == ["layout_regression"]
    assert mapper.decoder_ is None


def test_a_row_is_embedded_alike_beside_any_others(fitted: ParametricUMAP, data: Any) -> None:
    X, _ = data
    whole = fitted.transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(fitted.transform(X[order]), whole[order])
    singly = np.concatenate([fitted.transform(row[None]) for row in X[:20]])
    np.testing.assert_array_equal(singly, whole[:20])


def test_same_seed_same_bits_and_parameters_are_left_alone(data: Any) -> None:
    X, _ = data
    encoder = torch.nn.Linear(64, 2)
    before = copy.deepcopy(encoder.state_dict())
    mapper = ParametricUMAP(**{**QUICK, "hidden_dims": None}, encoder=encoder)
    first = mapper.fit_transform(X[:200])
    np.testing.assert_array_equal(first, clone(mapper).fit_transform(X[:200]))
    assert mapper.encoder is encoder
    assert all(torch.equal(encoder.state_dict()[name], value) for name, value in before.items())
    assert mapper.encoder_ is not encoder
    unseeded = ParametricUMAP(**{**QUICK, "random_state": None}).fit(X[:200])
    again = ParametricUMAP(**{**QUICK, "random_state": unseeded.seed_}).fit(X[:200])
    np.testing.assert_array_equal(unseeded.embedding_, again.embedding_)


def test_rows_come_back(fitted: ParametricUMAP, data: Any) -> None:
    X = data[0][:400]
    back = fitted.inverse_transform(fitted.embedding_)
    assert (back.shape, back.dtype) == (X.shape, np.float32)
    assert ((back - X) ** 2).mean() < 0.7 * X.var(axis=0).mean()
    assert fitted.inverse_transform(fitted.embedding_.astype(np.float64)).dtype == np.float64
    with pytest.raises(ValueError, match="X must have 2 columns, those of the embedding, not 64"):
        fitted.inverse_transform(X)
    with pytest.raises(ValueError, match="needs a decoder: fit with parametric_reconstruction"):
        ParametricUMAP(**QUICK).fit(X[:100]).inverse_transform(np.zeros((1, 2)))


def test_more_rows_keep_the_map(fitted: ParametricUMAP, data: Any) -> None:
    X, labels = data
    mapper = copy.deepcopy(fitted)
    before = mapper.embedding_
    assert mapper.update(X[400:]) is mapper
    assert mapper.embedding_.shape == (500, 2)
    np.testing.assert_array_equal(mapper.embedding_, mapper.transform(X))
    moved = np.sqrt(((mapper.embedding_[:400] - before) ** 2).sum(1).mean())
    assert moved / np.linalg.norm(before.std(axis=0)) < 0.25
    assert [run["name"] for run in mapper.history_] == [
        "layout_regression", "decoder_regression",
    ] * 2  # fmt: skip
    assert mapper.umap_.graph_.shape == (500, 500)
    assert fitted.embedding_.shape == (400, 2)  # of which it was a copy
    # Landmarks that weigh more move less.
    held = copy.deepcopy(fitted).set_params(landmark_loss_weight=1e6).update(X[400:])
    free = copy.deepcopy(fitted).set_params(landmark_loss_weight=0).update(X[400:])
    distances = [np.abs(each.embedding_[:400] - before).mean() for each in (held, free)]
    assert distances[0] < distances[1]
    assert accuracy(mapper.embedding_, labels) > 0.7


def test_partial_fit_starts_and_goes_on(data: Any) -> None:
    X, labels = data
    mapper = ParametricUMAP(**QUICK)
    assert mapper.partial_fit(X[:100]) is mapper
    assert mapper.partial_fit(X[100:180], labels[100:180]).embedding_.shape == (180, 2)
    labelled = ParametricUMAP(**QUICK).fit(X[:100], labels[:100])
    assert not hasattr(labelled, "partial_fit")
    with pytest.raises(ValueError, match="update is not available for a fit with labels"):
        labelled.update(X[100:])


def test_labels_draw_classes_together(data: Any) -> None:
    X, labels = data
    with_labels, without = (
        ParametricUMAP(**QUICK, target_weight=0.9).fit(X, y).umap_.embedding_
        for y in (labels, None)
    )
    assert accuracy(with_labels, labels) > accuracy(without, labels)


def test_convolutions_and_decoders_of_ones_own(data: Any, tmp_path: Path) -> None:
    X = data[0][:150]
    encoder = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
    decoder = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    options = {**QUICK, "hidden_dims": None, "n_components": 3, "dims": (1, 8, 8)}
    mapper = ParametricUMAP(**options, encoder=encoder, decoder=decoder, autoencoder_loss=True)
    Y = mapper.fit_transform(X)
    assert (Y.shape, mapper.inverse_transform(Y).shape) == ((150, 3), (150, 64))
    assert [run["name"] for run in mapper.history_] == [
        "layout_regression", "decoder_regression", "autoencoder_regression",
    ]  # fmt: skip
    assert isinstance(mapper.encoder_[0], torch.nn.Conv2d)
    mapper.save(tmp_path / "model")
    loaded = ParametricUMAP.load(tmp_path / "model", encoder=encoder, decoder=decoder)
    np.testing.assert_array_equal(loaded.transform(X), Y)
    np.testing.assert_array_equal(loaded.inverse_transform(Y), mapper.inverse_transform(Y))
    with pytest.raises(SpecificationError, match="EncoderDecoderModel, which the file cannot"):
        ParametricUMAP.load(tmp_path / "model")


def test_files_hold_names_and_parameters(fitted: ParametricUMAP, data: Any, tmp_path: Path) -> None:
    X = data[0]
    path = tmp_path / "mapper.safetensors"
    fitted.save(path)
    loaded = ParametricUMAP.load(path)
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(
        loaded.inverse_transform(X[:, :2]), fitted.inverse_transform(X[:, :2])
    )
    assert (loaded.seed_, loaded.n_features_in_) == (0, 64)
    assert loaded.history_ == fitted.history_
    with pytest.raises(ValueError, match="update is not available after load"):
        loaded.update(X)
    # The routines' own files are the same kind.
    routine = dr.ParametricDR.load(path)
    torch.testing.assert_close(routine.apply(X), torch.from_numpy(fitted.transform(X)))
    of_routine = ParametricUMAP.load(path, n_neighbors=7)
    assert of_routine.n_neighbors == 7


def test_a_routines_file_becomes_an_estimator(data: Any, tmp_path: Path) -> None:
    routine = routines.ParametricUMAP(n_neighbors=5, quality="fast", hidden_dims=[8], seed=0)
    routine.train(data[0][:100])
    routine.save(tmp_path / "model")
    loaded = ParametricUMAP.load(tmp_path / "model")
    found = torch.from_numpy(loaded.transform(data[0]))
    torch.testing.assert_close(found, routine.apply(data[0]), rtol=1e-5, atol=1e-5)
    with pytest.raises(FileNotFoundError):
        ParametricUMAP.load(tmp_path / "absent")


def test_the_encoder_and_the_decoder_are_programs(fitted: ParametricUMAP, tmp_path: Path) -> None:
    skip_without_onnx()
    import onnxruntime

    rows = np.random.default_rng(0).random((5, 64), np.float32)
    fitted.to_ONNX(tmp_path / "encoder.onnx")
    fitted.export(tmp_path / "decoder.onnx", method="decode")
    for name, given, wanted in (
        ("encoder", rows, fitted.transform(rows)),
        ("decoder", rows[:, :2], fitted.inverse_transform(rows[:, :2])),
    ):
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"))
        (found,) = session.run(None, {"X": np.ascontiguousarray(given)})
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_routine_goes_deeper(fitted: ParametricUMAP, data: Any) -> None:
    X = data[0]
    routine = fitted.to_routine()
    assert isinstance(routine, routines.ParametricUMAP)
    assert routine.n_neighbors == 14  # which does not count the point itself
    np.testing.assert_allclose(routine.apply(X), fitted.transform(X), rtol=1e-5, atol=1e-5)
    before = fitted.transform(X)
    routine.training_phases.clear()
    routine.add_training_phase(
        loss_keys=["embedding"], sampling="negative_edge", epochs=1, batch_size=50
    )
    routine.train()
    assert not np.allclose(routine.apply(X), before, atol=1e-3)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_frames_tensors_and_pipelines(data: Any) -> None:
    X, labels = data
    frame = pd.DataFrame(X[:200].astype(np.float64), columns=[f"pixel {i}" for i in range(64)])
    mapper = ParametricUMAP(**QUICK).set_output(transform="pandas").fit(frame)
    found = mapper.transform(frame)
    assert found.columns.tolist() == ["parametricumap0", "parametricumap1"]
    assert found.dtypes.tolist() == [np.float64] * 2
    assert mapper.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        mapper.transform(frame[frame.columns[::-1]])
    tensor = torch.from_numpy(X[:200])
    of_tensor = ParametricUMAP(**QUICK).fit(tensor)
    assert isinstance(of_tensor.embedding_, torch.Tensor)
    chain = make_pipeline(StandardScaler(), ParametricUMAP(**QUICK), KNeighborsClassifier())
    assert chain.fit(X[:400], labels[:400]).score(X[400:], labels[400:]) > 0.5


def test_pickled_estimators_are_whole(fitted: ParametricUMAP, data: Any) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(data[0]), fitted.transform(data[0]))
    assert again.update(data[0][400:]).embedding_.shape == (500, 2)


def test_callbacks_and_one_line_for_each_stage(data: Any, capsys: Any) -> None:
    seen: list[int] = []

    def stop_at_5(epoch: int, loss: float | None, positions: Any) -> bool:
        assert loss is not None
        assert positions.shape == (100, 2)
        seen.append(epoch)
        return epoch == 5

    mapper = ParametricUMAP(
        **QUICK, callback=stop_at_5, verbose=True, parametric_reconstruction=True
    ).fit(data[0][:100])
    assert seen == list(range(6))
    assert [len(run["losses"]) for run in mapper.history_] == [6, 500]
    lines = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    stages = [line for line in lines if line.startswith("ParametricUMAP")]
    assert stages == [
        "ParametricUMAP: layout_regression, 500 epochs",
        "ParametricUMAP: decoder_regression, 500 epochs",
    ]
    assert len(lines) < 12


class KerasLike:
    __module__ = "keras.src.models.sequential"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"encoder": KerasLike()}, TypeError,
         r"encoder must be a torch.nn.Module, not keras\..*KerasLike: networks of Keras, .*Dense"),
        ({"decoder": 3}, TypeError, r"decoder must be a torch.nn.Module, not builtins\.int"),
        ({"encoder": torch.nn.Linear(64, 3), "hidden_dims": None}, ValueError,
         r"encoder must give n_components, 2 for a row, but gives \(2, 3\) for 2 rows"),
        ({"encoder": torch.nn.Linear(5, 2), "hidden_dims": None}, ValueError,
         r"encoder does not take rows of shape \(2, 64\)"),
        ({"encoder": torch.nn.Linear(64, 2)}, ValueError, "hidden_dims is for the default encoder"),
        ({"decoder": torch.nn.Linear(2, 3)}, ValueError, r"decoder must give the columns of X, 64"),
        ({"dims": (28, 28)}, ValueError, r"dims must be the shape of a row of 64 columns, .* 784"),
        ({"dims": 8}, TypeError, "dims must be a list, not 8"),
        ({"quality": "good"}, ValueError, "quality must be one of 'fast', .* not 'good'"),
        ({"batch_size": 0}, ValueError, "batch_size .* not 0"),
        ({"n_training_epochs": 0}, ValueError, "n_training_epochs .* not 0"),
        ({"autoencoder_loss": True}, ValueError, "autoencoder_loss=True needs a decoder"),
        ({"parametric_reconstruction": 1}, ValueError, "parametric_reconstruction .* not 1"),
        ({"parametric_reconstruction_loss_fcn": "mse"}, TypeError, "must be callable, not 'mse'"),
        ({"landmark_loss_weight": -1}, ValueError, "landmark_loss_weight .* not -1"),
        ({"callback": 3}, TypeError, "callback must be callable, not 3"),
        ({"metric": "precomputed"}, ValueError, "metric must be one between rows.*precomputed_knn"),
        ({"n_neighbors": 1}, ValueError, "n_neighbors .* not 1"),
        ({"min_dist": 2}, ValueError, "min_dist must be at most spread"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(
    data: Any, arguments: dict[str, Any], error: Any, match: str
) -> None:
    mapper = ParametricUMAP(**{**QUICK, **arguments})
    with pytest.raises(error, match=match):
        mapper.fit(data[0][:50])
    assert not hasattr(mapper, "model_")


@pytest.mark.parametrize(
    ("name", "asked", "advice"),
    [
        ("densmap", True, r"UMAP\(densmap=True\)"),
        ("unique", True, "drop equal rows"),
        ("output_metric", "haversine", "plain coordinates"),
        ("global_correlation_loss_weight", 0.1, r"to_routine\(\)"),
        ("landmark_loss_fn", abs, "landmark_loss_weight"),
        ("keras_fit_kwargs", {"epochs": 3}, "n_training_epochs"),
        ("optimizer", "adam", r"to_routine\(\)"),
        ("reconstruction_validation", np.zeros((2, 2)), "inverse_transform"),
        ("transform_mode", "graph", "UMAP"),
        ("tqdm_kwds", {"leave": False}, "callback"),
    ],
)
def test_umap_learns_other_names_say_what_to_use(name: str, asked: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=rf"ParametricUMAP has no {name}=.*{advice}"):
        ParametricUMAP(**{name: asked})


def test_umap_learns_defaults_are_taken() -> None:
    ParametricUMAP(
        densmap=False, unique=False, output_metric="euclidean", landmark_loss_fn=None,
        global_correlation_loss_weight=0, keras_fit_kwargs={}, reconstruction_validation=None,
        low_memory=True, n_jobs=4, loss_report_frequency=10, transform_seed=42, tqdm_kwds=None,
    )  # fmt: skip
    with pytest.raises(TypeError, match=r"ParametricUMAP\(\) got an unexpected .*'n_neighbours'"):
        ParametricUMAP(n_neighbours=3)


def test_data_that_no_network_takes(data: Any) -> None:
    X = data[0][:50].copy()
    X[3, 4] = np.nan
    for metric in ("euclidean", "nan_euclidean"):
        with pytest.raises(ValueError, match="NaN"):
            ParametricUMAP(**QUICK, metric=metric).fit(X)
    import scipy.sparse

    with pytest.raises(TypeError, match="dense data is required"):
        ParametricUMAP(**QUICK).fit(scipy.sparse.csr_matrix(data[0]))


def test_a_column_of_vectors_and_names_from_files(data: Any, tmp_path: Path) -> None:
    X, _ = data
    vectors = pd.Series(list(X[:120]), name="embedding")
    found = ParametricUMAP(**QUICK).fit_transform(vectors)
    np.testing.assert_array_equal(found, ParametricUMAP(**QUICK).fit_transform(X[:120]))
    with pytest.raises(TypeError, match="column 'kind' of X holds text"):
        ParametricUMAP(**QUICK).fit(pd.DataFrame({"a": [1.0, 2.0], "kind": ["x", "y"]}))
    frame = pd.DataFrame(X[:120, 8:16], columns=list("abcdefgh"))
    routine = routines.ParametricUMAP(quality="fast", n_neighbors=5, seed=0)
    routine.train(frame)
    routine.save(tmp_path / "model")
    loaded = ParametricUMAP.load(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == list("abcdefgh")
    with pytest.raises(ValueError, match="same order"):
        loaded.transform(frame[frame.columns[::-1]])
    loaded.save(tmp_path / "again")
    again = dr.ParametricDR.load(tmp_path / "again")
    np.testing.assert_allclose(again.apply(frame[frame.columns[::-1]]), routine.apply(frame))
    with pytest.raises(SpecificationError, match="holds a network, which ParametricUMAP"):
        UMAP.load(tmp_path / "model")
    UMAP(n_epochs=5, n_neighbors=5, random_state=0).fit(X[:50]).save(tmp_path / "umap")
    with pytest.raises(SpecificationError, match="a UMAP without a network, which UMAP"):
        ParametricUMAP.load(tmp_path / "umap")
