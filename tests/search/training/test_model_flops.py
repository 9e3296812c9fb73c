import numpy as np
import pytest

from search.training.model_flops import built_cost, forward_flops, uncounted
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


layers = keras.layers
SPEC = InputSpec(13, 10, 3, 4)
INPUTS = keras.Input((13, 10, 3))
# A net both as the counter has it and as Keras builds it, from ``INPUTS``; named by what is in it.
NETS = {
    "strides": (
        lambda net: net.conv(5, 3, strides=2).conv(4, 3, "valid", strides=2).conv(6, 2, strides=3),
        lambda x: layers.Conv2D(6, 2, padding="same", strides=3)(
            layers.Conv2D(4, 3, strides=2)(layers.Conv2D(5, 3, padding="same", strides=2)(x))
        ),
    ),
    "pooling": (
        lambda net: (
            net.pool(3, 2).conv(5, 1).pool(3, 1, "same").conv(2, 3, "valid").pool(2, 2, "same").conv(3, 1)
        ),
        lambda x: layers.Conv2D(3, 1)(
            layers.MaxPooling2D(2, 2, "same")(
                layers.Conv2D(2, 3)(
                    layers.AveragePooling2D(3, 1, "same")(layers.Conv2D(5, 1)(layers.MaxPooling2D(3, 2)(x)))
                )
            )
        ),
    ),
    "depthwise": (
        lambda net: net.depthwise(3, strides=2).depthwise(3, "valid", bias=False, multiplier=2),
        lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(
            layers.DepthwiseConv2D(3, padding="same", strides=2)(x)
        ),
    ),
    "separable": (
        lambda net: net.separable(7, 3, strides=2).separable(5, 3, "valid", bias=False).batch_norm(),
        lambda x: layers.BatchNormalization()(
            layers.SeparableConv2D(5, 3, use_bias=False)(
                layers.SeparableConv2D(7, 3, padding="same", strides=2)(x)
            )
        ),
    ),
    "residual": (
        lambda net: net.conv(6, 3, strides=2).add(CostCounter.of(SPEC).conv(6, 1, strides=2)).dense(4),
        lambda x: layers.Dense(4)(
            layers.Add()(
                [
                    layers.Conv2D(6, 3, padding="same", strides=2)(x),
                    layers.Conv2D(6, 1, strides=2, padding="same")(x),
                ]
            )
        ),
    ),
    "inception": (
        lambda net: net.concatenate(net.branch().conv(2, 1).conv(3, 3), net.branch().pool(3, 1, "same")).conv(
            4, 1
        ),
        lambda x: layers.Conv2D(4, 1)(
            layers.Concatenate()(
                [
                    x,
                    layers.Conv2D(3, 3, padding="same")(layers.Conv2D(2, 1)(x)),
                    layers.MaxPooling2D(3, 1, "same")(x),
                ]
            )
        ),
    ),
    "gate": (
        lambda net: net.add(net.branch().global_pool().dense(2).dense(3)).conv(2, 3),
        lambda x: layers.Conv2D(2, 3, padding="same")(
            layers.Multiply()(
                [x, layers.Dense(3)(layers.Dense(2)(layers.GlobalAveragePooling2D(keepdims=True)(x)))]
            )
        ),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_cost_counter_says_what_the_built_net_costs(name):
    said, built = NETS[name]
    cost = said(CostCounter.of(SPEC)).cost()
    found = built_cost(keras.Model(INPUTS, built(INPUTS)))
    assert (found["built_parameters"], found["built_flops"], found["uncounted"]) == (*cost, [])


def flops_of(*layers, shape=(8, 8, 4)):
    return forward_flops(keras.Sequential([keras.Input(shape), *layers]))


def test_flops_of_groups_and_dilation_are_those_of_the_kernel_at_each_output():
    assert flops_of(keras.layers.Conv2D(8, 3, groups=2, dilation_rate=2)) == 2 * (4 * 4) * (3 * 3 * 2 * 8)


def test_flops_of_an_einsum_are_the_product_of_all_its_indices():
    assert flops_of(keras.layers.EinsumDense("abcd,def->abcef", (8, 8, 3, 2))) == 2 * 64 * 4 * 3 * 2
    assert flops_of(keras.layers.EinsumDense("abcd,bde->ace", (8, 5))) == 2 * 64 * 4 * 5


def test_flops_of_a_wrapped_layer_are_counted_once():
    assert flops_of(keras.layers.SpectralNormalization(keras.layers.Conv2D(5, 1))) == 2 * 64 * 4 * 5


def test_what_cannot_be_counted_is_named():
    layers = keras.layers

    class Own(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(shape[-1], 2), name="table")

        def call(self, x):
            return x @ self.table

    inputs = keras.Input((6, 4))
    attended = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    squared = keras.ops.matmul(attended, keras.ops.transpose(attended, (0, 2, 1)))
    model = keras.Model(inputs, layers.GRU(3)(Own()(layers.LayerNormalization()(squared))))
    assert uncounted(model) == ["MultiHeadAttention", "Own", "GRU", "Matmul"]
    assert uncounted(keras.Model(inputs, layers.PReLU()(layers.Dense(3)(inputs)))) == []


def test_net_that_takes_no_single_image_is_trained_and_not_counted():
    class InPairs(keras.layers.Layer):
        def call(self, x):
            return x[0::2] + keras.ops.reshape(x, (-1, 2, 3))[:, 1]

    inputs = keras.Input((3,), batch_size=2)
    assert built_cost(keras.Model(inputs, InPairs()(inputs)))["uncounted"][0].startswith(
        "a net of one image ("
    )
