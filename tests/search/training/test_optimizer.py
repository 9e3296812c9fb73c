"""Schedules and optimizers of a recipe."""

import dataclasses

import keras
import numpy as np
import pytest

from search.training.optimizer import OneCycle, make_optimizer, updates
from spaces.recipe import Recipe


def rates(schedule: keras.optimizers.schedules.LearningRateSchedule, steps: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(steps + 1)])


def test_one_cycle_rises_from_a_fifth_to_its_peak_and_falls_to_zero() -> None:
    found = rates(OneCycle(0.5, steps=100, warmup=0.2), 100)
    assert found[0] == pytest.approx(0.1)
    assert found.argmax() == 20
    assert found[20] == pytest.approx(0.5)
    assert found[60] == pytest.approx(0.25)
    assert found[100] == pytest.approx(0.0, abs=1e-7)


def test_one_cycle_is_straight_on_both_sides() -> None:
    found = rates(OneCycle(0.5, steps=100, warmup=0.2), 100)
    for part in (np.diff(found[:21]), np.diff(found[20:])):
        assert np.allclose(part, part[0], atol=1e-6)


def test_one_cycle_never_falls_below_zero() -> None:
    assert rates(OneCycle(0.5, steps=10, warmup=0.2), 14).min() == 0.0


@pytest.mark.parametrize(("warmup", "first", "last"), [(0.0, 0.5, 0.0), (1.0, 0.1, 0.5)])
def test_one_cycle_may_have_one_side_only(warmup: float, first: float, last: float) -> None:
    found = rates(OneCycle(0.5, steps=10, warmup=warmup), 10)
    assert found[1] == pytest.approx(0.9 * first + 0.1 * last)
    assert found[9] == pytest.approx(0.1 * first + 0.9 * last)


def test_one_cycle_is_made_again_from_its_config() -> None:
    schedule = OneCycle(0.5, steps=100, warmup=0.2)
    assert np.array_equal(rates(OneCycle.from_config(schedule.get_config()), 9), rates(schedule, 9))


@pytest.mark.parametrize(
    ("images", "batch", "epochs", "expected"), [(100, 32, 4, 12), (20, 32, 3, 3), (64, 32, 1, 2)]
)
def test_updates_leave_incomplete_batches_out(images: int, batch: int, epochs: int, expected: int) -> None:
    assert updates(images, batch, epochs) == expected


def test_cosine_ends_at_zero_and_constant_stays() -> None:
    cosine, found = make_optimizer(Recipe(schedule="cosine", learning_rate=0.2), 10), []
    for step in (0, 5, 10):
        cosine.iterations.assign(step)
        found.append(float(cosine.learning_rate))
    assert found == pytest.approx([0.2, 0.1, 0.0], abs=1e-7)
    constant = make_optimizer(Recipe(schedule="constant", learning_rate=0.2), 10)
    assert float(constant.learning_rate) == pytest.approx(0.2)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_schedule_runs_its_length_under_accumulated_gradients(schedule: str) -> None:
    recipe = Recipe(schedule=schedule, learning_rate=0.2)
    variable = keras.Variable(np.zeros(1, "float32"))
    found = {}
    for accumulate in (1, 2):
        optimizer = make_optimizer(recipe, 10, accumulate)
        optimizer.build([variable])
        for _ in range(5 * accumulate):
            optimizer.apply([keras.ops.zeros(1)], [variable])
        found[accumulate] = float(optimizer.learning_rate)
    assert found[2] == pytest.approx(found[1])


def test_averages_follow_as_fast_under_accumulated_gradients() -> None:
    whole, halves = (make_optimizer(Recipe(ema=0.9), 10, accumulate) for accumulate in (1, 2))
    assert halves.ema_momentum**2 == pytest.approx(whole.ema_momentum)
    assert not make_optimizer(Recipe(), 10).use_ema


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [(Recipe(), keras.optimizers.SGD), (Recipe(optimizer="adam"), keras.optimizers.Adam)],
)
def test_optimizer_is_keras_own(recipe: Recipe, kind: type) -> None:
    assert type(make_optimizer(recipe, 10)) is kind


def test_weight_decay_spares_biases_and_batch_normalisation() -> None:
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    for weight in net.trainable_variables:
        weight.assign(np.ones(weight.shape))
    recipe = Recipe(weight_decay=0.1, learning_rate=0.5, schedule="constant", momentum=0.0)
    optimizer = make_optimizer(recipe, 10)
    optimizer.build(net.trainable_variables)
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in net.trainable_variables])
    found = {weight.name: float(keras.ops.max(weight)) for weight in net.trainable_variables}
    assert found == pytest.approx({"kernel": 1 - 0.5 * 0.1, "bias": 1.0, "gamma": 1.0, "beta": 1.0})


def muon_step(gradient: np.ndarray, kernel: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The kernel after one step at the schedule's peak."""
    variable = keras.Variable(kernel)
    optimizer = make_optimizer(recipe, 1)
    optimizer.build([variable])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable)


MUON = Recipe(optimizer="muon", schedule="constant", learning_rate=0.5, kernel_rate=0.1, weight_decay=0.0)


@pytest.mark.parametrize("filters", [4, 40])
def test_muon_turns_a_kernel_by_its_rate_whatever_the_gradients_size(filters: int) -> None:
    random = np.random.default_rng(0)
    kernel, gradient = random.normal(size=(2, 3, 3, 2, filters)).astype("float32")
    scaled = kernel * np.sqrt(filters) / np.linalg.norm(kernel)
    for size in (1e-3, 1.0, 1e3):
        moved = (scaled - muon_step(size * gradient, kernel, MUON)).reshape(-1, filters)
        strengths = np.linalg.svd(moved / MUON.kernel_rate, compute_uv=False)
        assert strengths.min() > 0.3
        assert strengths.max() < 1.3
        assert np.vdot(moved, gradient.reshape(-1, filters)) > 0


def test_muon_follows_the_schedule() -> None:
    kernel, gradient = np.random.default_rng(0).normal(size=(2, 3, 3, 2, 4)).astype("float32")
    half = dataclasses.replace(MUON, schedule="one_cycle", warmup=1.0)  # It begins at a fifth of the peak.
    scaled = kernel * np.sqrt(4) / np.linalg.norm(kernel)
    full, begun = (scaled - muon_step(gradient, kernel, recipe) for recipe in (MUON, half))
    assert np.allclose(begun, full / 5, atol=1e-6)


def test_muon_trains_all_but_kernels_as_sgd_does() -> None:
    weights, gradient = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    sgd = dataclasses.replace(MUON, optimizer="sgd")
    assert np.allclose(muon_step(gradient, weights, MUON), muon_step(gradient, weights, sgd), atol=1e-6)


def test_muon_keeps_a_kernel_without_a_gradient() -> None:
    kernel = np.ones((3, 3, 1, 4), "float32")
    found = muon_step(np.zeros_like(kernel), kernel, MUON)
    assert np.allclose(found / found[0, 0, 0, 0], kernel)
