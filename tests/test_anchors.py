"""Networks that score anchors: where these are, what a row is placed by, and what is saved of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fastparadime import ParametricUMAP, dr, loss, models, ops, routines
from fastparadime.dr.attribution import jacobian
from fastparadime.routines.quality import QUALITIES
from tests.new_rows import recall


def drawn(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(3.0, 2.0, (rows, columns))
    return torch.from_numpy(values.astype(np.float32))


def placed(count: int = 40, rows: int = 400) -> models.AnchorEmbeddingModel:
    generator = torch.Generator().manual_seed(0)
    model = models.AnchorEmbeddingModel(6, 2, [16], count, generator=generator)
    positions = drawn(rows, 2, 1)
    model.fit_scales(drawn(rows, 6), positions)
    models.place_anchors(model, positions, generator)
    return model


def digits() -> tuple[np.ndarray, np.ndarray]:
    X = (load_digits().data / 16).astype(np.float32)
    X = X[np.random.default_rng(0).permutation(len(X))]
    return X[:1200], X[1200:1500]


def test_anchors_are_means_of_the_positions_near_them() -> None:
    model, positions = placed(), drawn(400, 2, 1)
    nearest = torch.cdist(positions, model.anchors).argmin(dim=1)
    sizes = nearest.bincount(minlength=40)
    assert int(sizes.min()) >= 1
    means = torch.zeros(40, 2).index_add(0, nearest, positions) / sizes[:, None]
    # After ten of Lloyd's iterations hardly one still moves.
    assert float((means - model.anchors).norm(dim=1).median()) < 0.05
    fourth = torch.cdist(model.anchors, model.anchors).topk(5, largest=False).values[:, 4]
    torch.testing.assert_close(model.reaches, 0.5 * fourth, rtol=1e-4, atol=1e-5)


def test_a_new_model_starts_with_the_share_of_each_anchor() -> None:
    model, positions = placed(), drawn(400, 2, 1)
    sizes = torch.cdist(positions, model.anchors).argmin(dim=1).bincount(minlength=40)
    shares = (sizes + 1) / (sizes + 1).sum()
    torch.testing.assert_close(torch.softmax(model.layers[-1].bias.detach(), 0), shares)


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_fewer_positions_than_anchors(rows: int) -> None:
    model = placed(40, rows)
    positions = drawn(rows, 2, 1)
    distances = (model.anchors[:, None] - positions).norm(dim=2).min(dim=1).values
    np.testing.assert_allclose(distances, 0.0, atol=1e-5)
    assert bool((model.reaches > 0).all())
    assert bool(model.eval()(drawn(5, 6)).isfinite().all())


def test_positions_that_are_all_one() -> None:
    model = models.AnchorEmbeddingModel(6, 2, [8], 10)
    models.place_anchors(model, torch.full((50, 2), 3.0))
    np.testing.assert_allclose(model.eval()(drawn(5, 6)).detach(), 3.0, rtol=1e-6)


def test_it_trains_by_scores_and_is_applied_by_peaks() -> None:
    model, X = placed(), drawn(30, 6, 2)
    scores = model.scores(X).detach()
    assert scores.shape == (30, 40)
    means = torch.softmax(scores, dim=1) @ model.anchors
    torch.testing.assert_close(model(X).detach(), means)
    model.eval()
    found = model(X).detach()
    expected = ops.anchor_modes(scores, model.anchors, 3 * model.reaches)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, means, atol=0.1)
    positions = drawn(30, 2, 3)
    wanted = ops.anchor_cross_entropy(scores, positions, model.anchors, model.reaches)
    part = loss.AnchorLoss(model, position_key="places")
    batch = {"main": X, "places": positions}
    value = part(model, {}, {}, batch, torch.device("cpu"))
    torch.testing.assert_close(value.detach(), wanted)


def test_a_row_is_placed_by_itself_alone() -> None:
    model, X = placed().eval(), drawn(30, 6, 2)
    found = models.embed_in_chunks(model, X)
    torch.testing.assert_close(found, model(X).detach(), rtol=1e-4, atol=1e-4)
    assert torch.equal(models.embed_in_chunks(model, X.flip(0)).flip(0), found)
    assert torch.equal(models.embed_in_chunks(model, X[3:4]), found[3:4])
    trained = models.embed_in_chunks(model.train(), X)
    torch.testing.assert_close(trained, model(X).detach(), rtol=1e-4, atol=1e-4)


def test_peaks_have_derivatives() -> None:
    model, X = placed().eval(), drawn(8, 6, 2)
    found, step = jacobian(model, X), 1e-5
    model.double()
    for column in range(6):
        ends = [X.double().clone() for _ in range(2)]
        ends[0][:, column] -= step
        ends[1][:, column] += step
        below, above = (model(end).detach() for end in ends)
        np.testing.assert_allclose(
            found[:, :, column], (above - below) / (2 * step), rtol=1e-3, atol=1e-4
        )


def test_anchors_that_move_take_their_weights_along() -> None:
    """A trained model embeds rows about where it did, whatever anchors are drawn anew."""
    X, _ = digits()
    mapper = ParametricUMAP(quality="fast", n_epochs=50, anchors=200, random_state=0).fit(X)
    model, before = mapper.encoder_, mapper.embedding_
    rows = torch.from_numpy(X)
    models.place_anchors(model, torch.from_numpy(before), torch.Generator().manual_seed(5))
    after = models.embed_in_chunks(model, rows).numpy()
    moved = np.linalg.norm(after - before, axis=1)
    spacing = 2 * float(model.reaches.median())  # of anchors
    assert np.median(moved) < spacing
    assert np.quantile(moved, 0.95) < 4 * spacing


def test_it_places_new_rows_as_the_layout_does() -> None:
    """Seeds 0 to 2: 0.48 to 0.50 by anchors, 0.44 to 0.45 by coordinates."""
    X, new = digits()
    found = {}
    for anchors in (None, 0):
        mapper = ParametricUMAP(anchors=anchors, random_state=0).fit(X)
        found[anchors] = recall(X, new, mapper.embedding_, mapper.transform(new))
    assert found[None] > found[0] + 0.02


@pytest.mark.parametrize(
    ("n", "n_components", "expected"),
    [(999, 2, 0), (1000, 2, 500), (3000, 1, 1500), (10**6, 2, 2000), (10**6, 3, 0)],
)
def test_which_maps_have_anchors(n: int, n_components: int, expected: int) -> None:
    assert QUALITIES["balanced"].anchors_of(n, n_components) == expected


def test_anchors_take_a_quarter_of_the_steps_and_twice_the_noise() -> None:
    plain = QUALITIES["balanced"]
    found = plain.of(models.AnchorEmbeddingModel(3, 2, [4], 5))
    assert (found.passes, found.steps, found.noise) == (10, 250, 1.0)
    assert plain.of(models.ScaledEmbeddingModel(3, 2, [4])) == plain


@pytest.mark.parametrize("anchors", [None, 0, 30])
def test_what_the_parameter_makes(anchors: int | None) -> None:
    X, _ = digits()
    mapper = ParametricUMAP(quality="fast", n_epochs=20, anchors=anchors, random_state=0).fit(X)
    count = {None: 600, 0: 0, 30: 30}[anchors]
    assert len(getattr(mapper.encoder_, "anchors", ())) == count
    assert isinstance(mapper.encoder_, models.AnchorEmbeddingModel) == (count > 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"anchors": -1}, "anchors must be .* not -1"),
        ({"anchors": 2.5}, "anchors must be .* not .*2.5"),
        ({"anchors": 5, "prototypes": 5}, "anchors are of the default encoder"),
        ({"anchors": 5, "encoder": torch.nn.Linear(64, 2)}, "anchors are of the default encoder"),
    ],
    ids=["negative", "no integer", "beside prototypes", "beside an encoder"],
)
def test_anchors_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        ParametricUMAP(**given).fit(digits()[0][:50])


def test_they_are_saved_exported_and_go_on(tmp_path: Path) -> None:
    X, new = digits()
    mapper = ParametricUMAP(quality="fast", n_epochs=50, anchors=80, random_state=0).fit(X[:300])
    mapper.save(tmp_path / "mapper.safetensors", landmarks=100)
    loaded = ParametricUMAP.load(tmp_path / "mapper.safetensors")
    assert loaded.anchors == 80
    np.testing.assert_array_equal(loaded.transform(new), mapper.transform(new))
    mapper.export(tmp_path / "encoder.pt2")
    program = torch.export.load(tmp_path / "encoder.pt2").module()
    found = program(torch.from_numpy(new)).detach()
    np.testing.assert_allclose(found, mapper.transform(new), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(mapper.to_routine().apply(new), mapper.transform(new))
    for one in (mapper, loaded):
        before = one.encoder_.anchors.clone()
        one.update(new[:50])
        assert isinstance(one.encoder_, models.AnchorEmbeddingModel)
        assert not torch.equal(one.encoder_.anchors, before)
        assert one.drift_.median < 0.05


def test_a_decoder_and_a_joint_loss() -> None:
    X, _ = digits()
    mapper = ParametricUMAP(
        quality="fast",
        n_epochs=50,
        anchors=80,
        random_state=0,
        parametric_reconstruction=True,
        autoencoder_loss=True,
    ).fit(X[:300])
    assert isinstance(mapper.encoder_, models.AnchorEmbeddingModel)
    rebuilt = mapper.inverse_transform(mapper.embedding_)
    assert ((rebuilt - X[:300]) ** 2).mean() < 0.8 * X[:300].var(axis=0).mean()
    placed_by_layout = mapper.umap_.embedding_
    moved = np.linalg.norm(mapper.embedding_ - placed_by_layout, axis=1)
    assert np.median(moved) < 0.1 * placed_by_layout.std()


def test_the_routine_has_them_too(tmp_path: Path) -> None:
    X, new = digits()
    routine = routines.ParametricUMAP(n_neighbors=15, quality="fast", seed=0)
    seen = []

    def see(_epoch: int, _loss: float | None, positions: Any) -> None:
        seen.append(positions.shape)

    routine.callback = see
    routine.train(X)
    assert isinstance(routine.model, models.AnchorEmbeddingModel)
    assert len(routine.model.anchors) == 600
    assert set(seen) == {(1200, 2)}
    routine.save(tmp_path / "model.safetensors")
    loaded = routines.ParametricUMAP.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded.apply(new), routine.apply(new))
    before = routine.apply(X)
    routine.update(new)
    assert routine.drift_.median < 0.05
    assert routine.apply(X).shape == before.shape


def test_phases_of_ones_own_go_on_from_where_rows_are() -> None:
    """At a rate of 0 nothing moves, though the routine of a fit makes a layout of its own."""
    X, _ = digits()
    routine = ParametricUMAP(quality="fast", n_epochs=50, random_state=0).fit(X).to_routine()
    before = routine.apply(X)
    compared = loss.RelationLoss(loss.cross_entropy_loss)
    routine.training_phases = [
        dr.TrainingPhase(
            sampling="negative_edge", epochs=1, batch_size=100, learning_rate=0.0, loss=compared
        )
    ]
    routine.train()
    assert torch.equal(routine.apply(X), before)


def test_a_routine_with_a_decoder_moves_its_anchors() -> None:
    X, new = digits()
    far = new + 3.0
    mapper = ParametricUMAP(
        quality="fast", n_epochs=50, random_state=0, parametric_reconstruction=True
    )
    routine = mapper.fit(X).to_routine()
    routine.update(far)
    placed_far = routine.dataset.data["layout"][len(X) :]
    assert float((routine.apply(far, "embed") - placed_far).norm(dim=1).median()) < 0.5


@pytest.mark.parametrize("face", ["estimator", "routine"])
def test_a_network_of_ones_own_that_has_anchors(face: str) -> None:
    X, _ = digits()
    model = models.AnchorEmbeddingModel(64, 2, [100], 200)
    if face == "routine":
        routine = routines.ParametricUMAP(n_neighbors=15, quality="fast", model=model, seed=0)
        routine.train(X)
        found, layout = routine.apply(X), routine.dataset.data["layout"]
    else:
        mapper = ParametricUMAP(quality="fast", encoder=model, random_state=0).fit(X)
        found, layout = (
            torch.from_numpy(part) for part in (mapper.embedding_, mapper.umap_.embedding_)
        )
    assert float((found - layout).norm(dim=1).median()) < 0.1 * float(layout.std())


def test_blocks_are_smaller_where_anchors_are_many() -> None:
    """Where torch places rows, with a hook or for derivatives, it keeps all distances of a row."""
    model = placed(2000, 4000).eval()
    asked = []
    model.register_forward_hook(lambda _model, given, _found: asked.append(len(given[0])))
    with torch.no_grad():
        models.embed_in_chunks(model, torch.zeros(3000, 6))
    assert max(asked) * models.values_a_row(model) <= 32 * 2**20
    assert sum(asked) == 3000


@pytest.mark.parametrize(
    ("positions", "error", "match"),
    [
        (torch.full((4, 2), torch.nan), ValueError, "positions must be finite"),
        (torch.zeros(0, 2), ValueError, r"positions must have shape \(n, 2\) .* not \(0, 2\)"),
        (torch.zeros(4, 1), ValueError, r"positions must have shape \(n, 2\) .* not \(4, 1\)"),
        (np.zeros((4, 2)), TypeError, "positions must be .* not ndarray"),
    ],
    ids=["no numbers", "none", "too narrow", "an array"],
)
def test_positions_that_cannot_be(positions: Any, error: type[Exception], match: str) -> None:
    model = models.AnchorEmbeddingModel(6, 2, [16], 5)
    with pytest.raises(error, match=match):
        models.place_anchors(model, positions)
    assert not model.is_placed


@pytest.mark.parametrize("face", ["estimator", "routine"])
def test_a_network_that_outgrows_coordinates(face: str) -> None:
    """From 1,000 rows on it has anchors, half as many as rows, and the map stays where it was."""
    X, new = digits()
    mapper: Any
    if face == "estimator":
        mapper = ParametricUMAP(quality="fast", random_state=0).fit(X[:800])
    else:
        mapper = routines.ParametricUMAP(n_neighbors=15, quality="fast", seed=0)
        mapper.train(X[:800])
    network = (lambda: mapper.encoder_) if face == "estimator" else (lambda: mapper.model)
    assert type(network()) is models.ScaledEmbeddingModel
    for rows, count in ((X[800:], 600), (new, 750)):
        mapper.update(rows)
        assert len(network().anchors) == count
        assert mapper.drift_.median < 0.02
    epochs = [len(run["losses"]) for run in (getattr(mapper, "history_", None) or mapper.history)]
    assert epochs[1:] == [167, 21]  # of three steps: four times 125, and a half
    weights = network().layers[-1].weight
    assert weights.shape == (750, 100)
    assert len(network().output_mean) == 750


def test_a_network_without_its_rows_stays_what_it_is(tmp_path: Path) -> None:
    X, new = digits()
    mapper = ParametricUMAP(quality="fast", n_epochs=50, random_state=0).fit(X[:900])
    mapper.save(tmp_path / "mapper.safetensors", landmarks=800)
    loaded = ParametricUMAP.load(tmp_path / "mapper.safetensors").update(new)
    assert type(loaded.encoder_) is models.ScaledEmbeddingModel


@pytest.mark.parametrize("count", [7, 40, 100])
def test_more_or_fewer_anchors(count: int) -> None:
    model, positions = placed(), drawn(400, 2, 1)
    models.place_anchors(model, positions, torch.Generator().manual_seed(1), count=count)
    assert model.anchors.shape == (count, 2)
    assert model.arguments()["anchors"] == count
    assert model.eval()(drawn(5, 6)).shape == (5, 2)
    assert all(parameter.requires_grad for parameter in model.parameters())
