import numpy as np
import pytest

from search.training.model_flops import forward_flops
from spaces.arithmetic import CostCounter
from spaces.contract import InputSpec

keras = pytest.importorskip("keras")


def test_flops_of_a_plain_net_are_what_its_space_would_say():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(5),
            layers.Dense(2),
        ]
    )
    said = CostCounter.of(InputSpec(12, 8, 3, 2)).conv(4, 3).pool().flatten().dense(5).dense(2).cost().flops
    assert forward_flops(model) == said


def test_flops_of_a_net_within_that_takes_any_size_are_those_at_this_size():
    layers = keras.layers
    inside = keras.Sequential([keras.Input((None, None, 3)), layers.SeparableConv2D(8, 3, strides=2)])
    inputs = keras.Input((9, 9, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(inside(inputs)))
    # 4x4 positions, at each a depthwise kernel of 3x3x3 and a pointwise one of 3x8.
    assert forward_flops(model) == 2 * 16 * (27 + 24)


def test_transposed_convolution_is_counted_at_its_inputs():
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, keras.layers.Conv2DTranspose(3, 2, strides=2)(inputs))
    assert forward_flops(model) == 2 * 16 * (2 * 2 * 3 * 2)


def test_model_answers_after_it_was_counted_as_before():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    image = np.ones((1, 3), "float32")
    before = np.asarray(model(image))
    assert forward_flops(model) == 2 * 3 * 2
    assert "call" not in vars(model.layers[0])
    np.testing.assert_array_equal(np.asarray(model(image)), before)
