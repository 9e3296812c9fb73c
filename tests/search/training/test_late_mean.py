"""The mean of late weights: which are in it, what a model does with it, and that nothing of it stays."""

from typing import Any

import keras
import numpy as np
import pytest

from search.training.late_mean import LateMean, count_statistics

# Keras 3.15's own, once a variable that becomes an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def mean_of(late: LateMean, values: dict[float, float]) -> list[float]:
    """The mean after each share of a training that is done."""
    found = []
    for done, value in values.items():
        late.take(done, lambda value=value: [np.array([value])])  # type: ignore[misc]
        found.append(float(late.weights[0][0]))
    return found


def test_example_goes_as_it_is_told() -> None:
    assert mean_of(LateMean(1), {0.25: 0.0, 0.5: 8.0, 0.75: 16.0}) == [0.0, 7.0, 14.0]


def test_weights_are_taken_four_times_a_part_however_often_it_is_asked() -> None:
    late = LateMean(2)
    for step in range(1, 101):
        late.take(step / 100, lambda: [np.zeros(1)])
    assert late.taken == 8
    few = LateMean(2)  # Steps that are longer than a quarter of a part.
    for step in range(1, 4):
        few.take(step / 3, lambda: [np.zeros(1)])
    assert few.taken == 3


def test_weights_are_an_eighth_of_the_training_old_on_average() -> None:
    late = LateMean(100)
    found = mean_of(late, {step / 400: float(step) for step in range(1, 401)})
    assert found[-1] / 400 == pytest.approx(7 / 8, abs=0.005)
    assert found[99] / 100 == pytest.approx(7 / 8, abs=0.01)


def test_mean_that_goes_on_is_as_if_it_had_not_been_left() -> None:
    values = {0.125 * step: float(step**2) for step in range(1, 9)}
    whole, first, second = LateMean(2), LateMean(2), LateMean(2)
    expected = mean_of(whole, values)
    mean_of(first, {done: value for done, value in values.items() if done <= 0.5})
    second.set(first.weights, first.taken, 0.5)
    assert mean_of(second, {done: value for done, value in values.items() if done > 0.5}) == expected[4:]


@pytest.fixture
def model() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.BatchNormalization(momentum=0.9), layers.Flatten()]
    )
    return keras.Sequential([keras.Input((4, 4, 1)), inner, layers.Dropout(0.5), layers.Dense(2)])


def test_statistics_are_those_of_the_images_also_of_a_net_in_a_net(model: Any) -> None:
    images = np.random.default_rng(0).integers(0, 255, (600, 4, 4, 1), dtype=np.uint8)
    count_statistics(model, images)
    norm = model.layers[0].layers[0]
    assert float(norm.moving_mean[0]) == pytest.approx(images.mean(), rel=0.01)
    assert float(norm.moving_variance[0]) == pytest.approx(images.var(), rel=0.02)
    assert norm.momentum == 0.9


def test_model_uses_the_mean_within_the_block_and_is_as_before_after_it(model: Any) -> None:
    images = np.full((8, 4, 4, 1), 7, np.uint8)
    before = [np.array(variable) for variable in model.variables]
    late = LateMean(1)
    late.take(0.25, lambda: [np.full(variable.shape, 0.5) for variable in model.trainable_variables])
    with late.used(model, images):
        assert all(np.all(np.array(variable) == 0.5) for variable in model.trainable_variables)
        assert float(model.layers[0].layers[0].moving_mean[0]) == 7
    for variable, expected in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), expected)
